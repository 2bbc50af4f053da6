"""The stages that read conversations and preferences, checked, forecast and run as a recipe has them."""

import gzip
from pathlib import Path
from typing import Any

import pytest
from made_records import ENGLISH, POLISH, alpaca, lines, preference, texts, write

from lingraft.core.artifact import Store
from lingraft.core.errors import RecipeError
from lingraft.core.plan import Step, plan, referenced
from lingraft.core.recipe import load
from lingraft.core.stage import Input, Job
from lingraft.stages import table

RECIPE = """
base: {model: english-novels-7m}
language: pl
replay: en
stages:
  corpus: {target: [{path: pl.jsonl}], replay: [{path: en.jsonl}], held_out_docs: 20}
  conversations: {target: [{path: asked_pl.jsonl}], replay: [{path: asked_en.jsonl}], held_out: 5}
  preferences: {target: [{path: pairs_pl.jsonl}], held_out: 5, wrong_language: swap}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recipe and what it reads."""
    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    for tag, pairs in (("pl", POLISH), ("en", ENGLISH)):
        documents = [{"text": f"{text} {n}", "source": str(n)} for n, text in enumerate(texts(pairs, 80))]
        write(tmp_path / f"{tag}.jsonl", documents)
        write(tmp_path / f"asked_{tag}.jsonl", [alpaca(n, pairs) for n in range(20)])
    swapped = {"prompt": POLISH[0][0], "chosen": ENGLISH[0][1], "rejected": POLISH[0][1]}
    write(tmp_path / "pairs_pl.jsonl", [*(preference(n) for n in range(20)), swapped])
    return tmp_path


def planned(folder: Path, *overrides: str) -> dict[str, Step]:
    stages = table()
    steps = plan(load(folder / "recipe.yaml", stages, overrides), stages, Store(folder / "store"))
    return {step.name: step for step in steps}


def refused(folder: Path, said: str, *overrides: str) -> None:
    with pytest.raises(RecipeError, match=said):
        planned(folder, *overrides)


def carried_out(folder: Path, *overrides: str) -> dict[str, Input]:
    """Every step but the base, in this process."""
    finished: dict[str, Input] = {}
    for name, step in planned(folder, *overrides).items():
        if name == "base":
            continue
        inputs = {other: finished[other] for other in referenced(step.config)}
        out = folder / "out" / name
        out.mkdir(parents=True, exist_ok=True)
        figures: dict[str, Any] = step.stage.run(Job(step.config, inputs, out, step.settings, folder, ""))
        finished[name] = Input(step.stage.kind, step.fingerprint, out, figures, {})
    return finished


def test_the_corpus_teaches_the_words(folder: Path) -> None:
    finished = carried_out(folder)
    conversations, preferences = finished["conversations"], finished["preferences"]
    assert conversations.figures["judged_by"]["pl"]["by"] == conversations.figures["judged_by"]["en"]["by"] == "words"
    assert conversations.figures["streams"]["target"]["train"] == 15
    assert len(lines(conversations.folder / "replay.held_out.jsonl")) == 5
    assert list(preferences.figures["judged_by"]) == ["pl"]
    assert preferences.figures["repaired"] == {"answers swapped, the rejected one being in the language": 1}
    assert preferences.figures["streams"]["target"]["pairs"] == 16


def test_a_size_and_a_language_of_a_source(folder: Path) -> None:
    changes = ["conversations.size=7", "conversations.target.0.language=cs", "conversations.replay=[]"]
    figures = carried_out(folder, *changes)["conversations"].figures
    assert figures["streams"]["target"]["train"] == 7
    assert figures["streams"]["target"]["answer_languages"] == {"in its script": 7}
    assert figures["judged_by"]["cs"]["by"] == "script"


def test_a_source_of_target_may_be_in_the_language_of_replay(folder: Path) -> None:
    asked = [{"path": "asked_pl.jsonl"}, {"path": "asked_en.jsonl", "language": "en"}]
    figures = carried_out(folder, f"conversations.target={asked}", "conversations.replay=[]")["conversations"].figures
    assert {tag: judge["by"] for tag, judge in figures["judged_by"].items()} == {"pl": "words", "en": "words"}
    assert figures["streams"]["target"]["train"] == 35
    assert figures["quarantined"] == {}


def test_a_corpus_is_not_needed(folder: Path) -> None:
    text = RECIPE.replace("  corpus: {target: [{path: pl.jsonl}], replay: [{path: en.jsonl}], held_out_docs: 20}\n", "")
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    figures = carried_out(folder)["preferences"].figures
    assert figures["judged_by"]["pl"] == {"language": "pl", "by": "script", "trial": None, "not_by_words": None}


def test_a_corpus_without_replay_says_why_words_do_not_judge(folder: Path) -> None:
    figures = carried_out(folder, "corpus.replay=[]")["conversations"].figures
    assert figures["judged_by"]["pl"]["not_by_words"] == "the text in English has no words to learn the language from."


def test_what_a_step_forecasts(folder: Path) -> None:
    step = planned(folder)["conversations"]
    assert step.forecast.writes == "jsonl"
    assert step.forecast.seconds is not None
    streams = step.forecast.figures["streams"]
    assert list(streams) == ["target", "replay"]
    assert set(streams["target"]) == {"train", "held_out", "bytes", "answers", "language"}
    assert planned(folder, "conversations.size=1")["conversations"].forecast.figures["streams"]["target"]["train"] <= 1


def test_replay_alone_can_be_read_to_be_translated(folder: Path) -> None:
    step = planned(folder, "conversations.target=[]")["conversations"]
    assert step.forecast.figures["streams"].keys() == {"replay"}
    with pytest.raises(RecipeError, match=r"stages\.preferences: give sources of target, of replay, or of both"):
        planned(folder, "preferences.target=[]")


def test_compressed_text_is_as_long_as_its_end_says(folder: Path) -> None:
    plain = (folder / "en.jsonl").read_bytes()
    member = gzip.compress(plain)

    def forecast(content: bytes, name: str = "en.jsonl.gz") -> float:
        (folder / name).write_bytes(content)
        replay = planned(folder, f"corpus.replay.0.path={name}")["corpus"].forecast.figures["streams"]["replay"]
        return sum(replay[part]["bytes"] for part in ("train", "held_out"))

    assert forecast(member) == pytest.approx(len(plain))
    two = member + gzip.compress(b"\n")
    assert forecast(two) == pytest.approx(len(two) / 0.37)
    assert forecast(b"12345", "en.jsonl.zst") == pytest.approx(5 / 0.37)


def test_the_content_of_the_files_counts(folder: Path) -> None:
    before = planned(folder)
    assert list(before["conversations"].outside) == ["target.0.path", "replay.0.path"]
    write(folder / "asked_pl.jsonl", [alpaca(n) for n in range(21)])
    after = planned(folder)
    assert before["conversations"].fingerprint != after["conversations"].fingerprint
    assert before["preferences"].fingerprint == after["preferences"].fingerprint


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("conversations.target.0.path=no.jsonl", r"conversations: .*no\.jsonl: there is no such file"),
        ("conversations.target.0.path=recipe.yaml", r'no reader for files that end in "\.yaml"'),
        (
            "preferences.target.0.form=sharegp",
            r'preferences: target\[0\]\.form: no form is called "sharegp"\.\n  Did you mean "sharegpt"\?',
        ),
        ("conversations.replay.0.language=qqqq", 'conversations: no language has the tag "qqqq"'),
        ("conversations.held_out=-1", r"stages\.conversations\.held_out: .*greater than or equal to 0"),
        ("conversations.wrong_language=swap", r"stages\.conversations\.wrong_language"),
        ("preferences.wrong_language=keep", r"stages\.preferences\.wrong_language: input should be 'drop' or 'swap'"),
        ("replay=", "conversations: replay: there are replay texts, but the recipe does not say in which language"),
    ],
)
def test_a_mistake_is_found_before_anything_runs(folder: Path, override: str, said: str) -> None:
    refused(folder, said, override)
