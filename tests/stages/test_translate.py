"""The stages that translate, through a recipe, with an endpoint on loopback that writes English in Cyrillic letters."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback import Handler, Server, endpoint
from made_records import ENGLISH, alpaca, lines, preference, write
from made_translators import back, there

from lingraft.core.artifact import SCRATCH, Store
from lingraft.core.errors import RecipeError, StageError
from lingraft.core.plan import Step, plan, referenced
from lingraft.core.recipe import load
from lingraft.core.stage import Input, Job
from lingraft.stages import table

RECIPE = """
base: {{model: english-novels-7m}}
language: uk
replay: en
stages:
  conversations: {{target: [{{path: asked_uk.jsonl}}], replay: [{{path: asked_en.jsonl}}], held_out: 5}}
  preferences: {{target: [{{path: pairs_uk.jsonl}}], replay: [{{path: pairs_en.jsonl}}], held_out: 5}}
  translate: {{by: {{endpoint: "{address}", model: tiny, price_in: 2, price_out: 8}}}}
  translate_preferences: {{by: {{endpoint: "{address}", model: tiny}}, share: 0.5}}
"""
OWN = tuple((there(f"{asked} Today?"), there(said)) for asked, said in ENGLISH)


def answer(handler: Handler, _: int, body: dict[str, Any]) -> None:
    system, text = (message["content"] for message in body["messages"])
    handler.say(back(text) if "from Ukrainian to English" in system else there(text))


@pytest.fixture
def server() -> Iterator[Server]:
    with endpoint(answer) as found:
        yield found


@pytest.fixture
def folder(server: Server, tmp_path: Path) -> Path:
    return made(tmp_path, server.address)


def made(folder: Path, address: str, count: int = 20) -> Path:
    (folder / "recipe.yaml").write_text(RECIPE.format(address=address), encoding="utf-8")
    for tag, pairs in (("uk", OWN), ("en", ENGLISH)):
        write(folder / f"asked_{tag}.jsonl", [alpaca(n, pairs) for n in range(count)])
        write(folder / f"pairs_{tag}.jsonl", [preference(n, pairs) for n in range(count)])
    return folder


def planned(folder: Path, *overrides: str) -> dict[str, Step]:
    stages = table()
    steps = plan(load(folder / "recipe.yaml", stages, overrides), stages, Store(folder / "store"))
    return {step.name: step for step in steps}


def carried_out(folder: Path, *overrides: str, wanted: str = "translate", base: Path | None = None) -> dict[str, Input]:
    """A step and those it reads, in this process."""
    steps = planned(folder, *overrides)
    finished: dict[str, Input] = {}
    for name in (*referenced(steps[wanted].config), wanted):
        step = steps[name]
        out = base if name == "base" and base else folder / "out" / name
        out.mkdir(parents=True, exist_ok=True)
        figures: dict[str, Any] = {"trust_remote_code": False}
        if name != "base":
            inputs = {other: finished[other] for other in referenced(step.config)}
            figures = step.stage.run(Job(step.config, inputs, out, step.settings, folder, ""))
        finished[name] = Input(step.stage.kind, step.fingerprint, out, figures, {})
    return finished


def test_replay_is_translated_and_added(folder: Path, server: Server) -> None:
    finished = carried_out(folder)
    before, after = finished["conversations"], finished["translate"]
    for name in ("replay.jsonl", "replay.held_out.jsonl"):
        assert (after.folder / name).read_bytes() == (before.folder / name).read_bytes()
    for part, count in (("", 15), (".held_out", 5)):
        own, replay, found = (
            lines(place / f"{name}{part}.jsonl")
            for place, name in ((before.folder, "target"), (before.folder, "replay"), (after.folder, "target"))
        )
        assert found[: len(own)] == own
        assert found[len(own) :] == [
            {
                "id": f"{row['id']}@uk",
                "messages": [{**message, "content": there(message["content"])} for message in row["messages"]],
            }
            for row in replay
        ]
        assert len(replay) == count
    assert lines(after.folder / "quarantine.jsonl") == []
    streams, told = after.figures["streams"], after.figures["translation"]
    assert streams["replay"] == before.figures["streams"]["replay"]
    assert streams["target"]["train"] == streams["target"]["available"] == 30
    assert streams["target"]["held_out"] == 10
    assert streams["target"]["language"] == "uk"
    assert streams["target"]["answer_languages"] == {"in the language": 30}
    assert (told["own"], told["added"], told["added_held_out"], told["share"]) == (15, 15, 5, 1.0)
    assert told["there"]["lines"] == len(server.seen) == 23
    assert told["there"]["cost"] == (23 * 7 * 2 + 23 * 3 * 8) / 1e6
    assert json.dumps(after.figures)


def test_preferences_of_a_share(folder: Path) -> None:
    finished = carried_out(folder, wanted="translate_preferences")
    smaller = {row["id"] for row in lines(finished["translate_preferences"].folder / "target.jsonl")}
    assert len(smaller) == 15 + 8
    assert finished["translate_preferences"].figures["streams"]["target"]["pairs"] == 23
    shutil.rmtree(folder / "out")
    finished = carried_out(folder, "translate_preferences.share=0.8", wanted="translate_preferences")
    assert smaller < {row["id"] for row in lines(finished["translate_preferences"].folder / "target.jsonl")}


def test_with_a_translation_back(folder: Path, server: Server) -> None:
    by = f'translate.back={{endpoint: "{server.address}", model: tiny}}'
    told = carried_out(folder, by)["translate"].figures["translation"]
    assert told["back"]["median_chrf"] == 100
    assert told["back"]["lines"] == 23
    assert told["back"]["cost"] is None


def test_bad_translations_are_set_apart(tmp_path: Path) -> None:
    def sometimes_bad(handler: Handler, times: int, body: dict[str, Any]) -> None:
        text = body["messages"][-1]["content"]
        if "(4)" in text:
            handler.say("half", "length")
        elif "(7)" in text:
            handler.say(text)
        else:
            answer(handler, times, body)

    with endpoint(sometimes_bad) as server:
        folder = made(tmp_path, server.address)
        after = carried_out(folder)["translate"]
        assert after.figures["quarantined"] == {"the translator failed": 1, "not translated": 1}
        rows = {row["why"]: row for row in lines(after.folder / "quarantine.jsonl")}
        assert rows["the translator failed"]["detail"] == "The answer was cut off at max_tokens."
        for row in rows.values():
            replay = lines(after.folder / row["source"])
            assert replay[row["number"] - 1] == row["record"]
        with pytest.raises(StageError, match=r"above max_bad_share = 5.00%"):
            carried_out(folder, "translate.max_bad_share=0.05")
        kept = folder / "out" / "translate" / SCRATCH / "answers.jsonl"
        assert len(lines(kept)) == 22


def test_what_doubles_a_record_or_tells_a_held_out_one_is_left_out(server: Server, tmp_path: Path) -> None:
    folder = made(tmp_path, server.address)
    same = tuple((there(asked), there(said)) for asked, said in ENGLISH)
    write(folder / "asked_uk.jsonl", [alpaca(n, same) for n in range(20)])
    figures = carried_out(folder)["translate"].figures
    assert figures["quarantined"] == {"a duplicate of another record in the language": 20}
    others = [{**alpaca(n, same), "output": there("That is another answer to the question")} for n in range(20)]
    write(folder / "asked_uk.jsonl", others)
    shutil.rmtree(folder / "out")
    finished = carried_out(folder)["translate"]
    assert set(finished.figures["quarantined"]) <= {"its question is held out in the language"}
    first = {
        part: {r["messages"][0]["content"] for r in lines(finished.folder / f"target{part}.jsonl")} for part in PARTS
    }
    assert not first[""] & first[".held_out"]


PARTS = ("", ".held_out")


def test_the_adapted_model_goes_on_from_examples(tiny_base: Path, folder: Path) -> None:
    """Random weights translate nothing; what they write is judged, and everything that is asked is kept."""
    changes = ["translate.by={examples: [[A lake., Озеро.], [A hill., Гора.]], max_tokens: 8}", "translate.model=base"]
    with pytest.raises(StageError, match="above max_bad_share") as caught:
        carried_out(folder, *changes, base=tiny_base)
    assert "the translator failed" in str(caught.value) or "in another language" in str(caught.value)
    figures = carried_out(folder, *changes, "translate.max_bad_share=1", base=tiny_base)["translate"].figures
    assert figures["translation"]["records"] == 20
    assert figures["translation"]["there"]["by"] == tiny_base.name


CODE = """
import pickle, sys
from lingraft.stages.translate import STAGE
with open(sys.argv[1], "rb") as file: job = pickle.load(file)
STAGE.run(job)
"""


def test_killed_in_the_middle_and_gone_on(tmp_path: Path) -> None:
    """The hundredth question kills the process; the next one asks what is left and makes the same files."""
    import pickle

    running: list[subprocess.Popen[bytes]] = []
    at: list[int] = [100]

    def deadly(handler: Handler, times: int, body: dict[str, Any]) -> None:
        if len(handler.server_state.seen) == at[0]:
            os.kill(running[-1].pid, signal.SIGKILL)
            running[-1].wait()
        answer(handler, times, body)

    with endpoint(deadly) as server:
        folder = made(tmp_path, server.address, 150)
        finished = {"conversations": carried_out(folder, wanted="conversations")["conversations"]}
        step = planned(folder)["translate"]

        for name in ("stopped", "whole"):
            (tmp_path / name).mkdir()

        def run() -> int:
            job = Job(step.config, finished, tmp_path / "stopped", step.settings, folder, "")
            (tmp_path / "job").write_bytes(pickle.dumps(job))
            running.append(subprocess.Popen([sys.executable, "-c", CODE, str(tmp_path / "job")]))
            return running[-1].wait()

        assert run() == -signal.SIGKILL
        at[0] = -1
        first = [body["messages"][-1]["content"] for body in server.seen]
        assert run() == 0
        then = [body["messages"][-1]["content"] for body in server.seen[len(first) :]]
        assert not set(first[:64]) & set(then)
        assert len(set(first) | set(then)) == 153
        assert len(then) == 153 - 64
        step.stage.run(Job(step.config, finished, tmp_path / "whole", step.settings, folder, ""))
    names = sorted(path.name for path in (tmp_path / "whole").glob("*.jsonl"))
    assert len(names) == 5
    for name in names:
        assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_what_a_step_forecasts(server: Server, tmp_path: Path) -> None:
    folder = made(tmp_path, server.address, 200)
    forecast = planned(folder)["translate"].forecast
    assert forecast.writes == "jsonl"
    assert "records" in forecast.reads
    assert "cost about" in forecast.reads
    assert forecast.figures["cost"] > 0
    streams = forecast.figures["streams"]
    before = planned(folder)["conversations"].forecast.figures["streams"]
    assert streams["target"]["train"] == before["target"]["train"] + before["replay"]["train"]
    assert "cost" not in planned(folder)["translate_preferences"].forecast.reads


def test_what_decides_the_result(folder: Path) -> None:
    def mark(*overrides: str) -> str:
        return planned(folder, *overrides)["translate"].fingerprint

    for same in ("at_once=9", "seconds=5", "retries=1", "price_in=9"):
        assert mark(f"translate.by.{same}") == mark()
    for other in ("by.model=large", "by.temperature=0.5", "by.max_tokens=9", "share=0.5", "least_back_chrf=9"):
        assert mark(f"translate.{other}") != mark()
    examples = "translate.by={examples: pairs.tsv}"
    (folder / "pairs.tsv").write_text("A lake.\tОзеро.\n")
    one = mark(examples, "translate.model=base")
    (folder / "pairs.tsv").write_text("A lake.\tОзеро.\nA hill.\tГора.\n")
    assert mark(examples, "translate.model=base") != one
    assert planned(folder)["translate"].config.model is None  # no model is taken that is not asked for


@pytest.mark.parametrize(
    ("said", "overrides"),
    [
        (
            "the recipe does not say from which language",
            ["replay=", "conversations.replay=[]", "preferences.replay=[]"],
        ),
        ("Ukrainian cannot be translated to itself", ["replay=uk"]),
        ("conversations has no replay records to translate", ["conversations.replay=[]"]),
        ("least_length must be below most_length", ["translate.least_length=6"]),
        ("the examples are for no model", ["translate.by={examples: [[a, b]]}"]),
        ("base would not be asked", ["translate.model=base"]),
        ("give one of `endpoint`, `seq2seq`, `examples`, `model`", ["translate.by={url: x}"]),
        (r"translate\.by\.model: this key is needed", ["translate.by={endpoint: x}"]),
        (r'by\.beam: this key is not known\. Did you mean "beams"', ["translate.by={seq2seq: x, beam: 2}"]),
        (r'back\.beam: this key is not known\. Did you mean "beams"', ["translate.back={seq2seq: x, beam: 2}"]),
        ('"nowhere" is no address', ["translate.by.endpoint=nowhere"]),
        ("NO_SUCH_KEY is not set", ["translate.by.key_variable=NO_SUCH_KEY"]),
        ("this is no folder of a model", ["translate.by={model: nothing}"]),
        ("this is no folder of a model", ["translate.back={seq2seq: nothing}"]),
        ("the examples cannot be read", ["translate.by={examples: no.tsv}", "translate.model=base"]),
        (r"no\.txt:2: this line is no pair", ["translate.by={examples: no.txt}", "translate.model=base"]),
        (r"no\.jsonl:1: this line is no pair", ["translate.by={examples: no.jsonl}", "translate.model=base"]),
        ("there are no examples", ["translate.by={examples: empty.tsv}", "translate.model=base"]),
        ("a text of this pair is empty", ['translate.by={examples: [[a, " "]]}', "translate.model=base"]),
        ("share", ["translate.share=0"]),
    ],
)
def test_a_mistake_is_found_before_anything_runs(folder: Path, said: str, overrides: list[str]) -> None:
    (folder / "no.txt").write_text("A lake.\tОзеро.\nA hill.\n")
    (folder / "no.jsonl").write_text('{"source": "A lake."}\n')
    (folder / "empty.tsv").write_text("\n")
    with pytest.raises(RecipeError, match=said):
        planned(folder, *overrides)


def test_without_replay_records_nothing_can_be_translated(folder: Path) -> None:
    finished = carried_out(folder, wanted="conversations")
    step = planned(folder)["translate"]
    for path in finished["conversations"].folder.glob("replay*"):
        path.unlink()
    with pytest.raises(StageError, match="there are no replay records to translate"):
        step.stage.run(Job(step.config, finished, folder, step.settings, folder, ""))
