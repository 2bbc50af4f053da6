"""The stage from a recipe to its figures: real small models, judges behind a real endpoint."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from loopback import Handler, Server, endpoint
from planted import mark_of, shown

from conftest import save_llama
from lingraft.core.artifact import Store
from lingraft.core.errors import InputError, RecipeError
from lingraft.core.plan import Step, plan
from lingraft.core.recipe import load
from lingraft.core.stage import Input, Job, Settings
from lingraft.corpus.document import Document
from lingraft.corpus.shards import ShardWriter
from lingraft.judge.questions import AXES
from lingraft.stages import judge, table

TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant: "


@pytest.fixture
def folder(tmp_path: Path, tiny_base: Path, polish: list[str], english: list[str]) -> Path:
    """A recipe with a judge alone, prompts beside it, and another model with a chat template."""
    shutil.copytree(tiny_base, tmp_path / "base")
    shutil.copytree(tiny_base, tmp_path / "tuned")
    save_llama(tmp_path / "tuned", tied=True, rows=400, seed=5)
    (tmp_path / "tuned" / "chat_template.jinja").write_text(TEMPLATE)
    (tmp_path / "r.yaml").write_text(
        "base: {model: base}\nlanguage: pl\nreplay: en\nstages:\n"
        "  judge: {prompts_file: prompts.jsonl, mode: [axes], max_new_tokens: 8}\n",
        encoding="utf-8",
    )
    prompts = [{"prompt": f"Ile to jest {n} i {n}?", "reference": str(2 * n)} for n in range(6)]
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in prompts), encoding="utf-8")
    for stream, texts in (("target", polish), ("replay", english)):
        with ShardWriter(tmp_path / "corpus" / stream / "train") as writer:
            for number in range(40):
                writer.add(Document(texts[number % 8], "x", None, str(number)), 60)
    return tmp_path


def planned(folder: Path, *overrides: str) -> Step:
    stages = table()
    return plan(load(folder / "r.yaml", stages, overrides), stages, Store(folder / "store"))[-1]


def inputs(folder: Path) -> dict[str, Input]:
    of_model = {"trust_remote_code": False}
    found = {name: Input("model", name, folder / name, of_model, {}) for name in ("base", "tuned")}
    return {**found, "corpus": Input("text", "corpus", folder / "corpus", {}, {})}


def run(folder: Path, **config: Any) -> dict[str, Any]:
    values = {"prompts_file": "prompts.jsonl", "max_new_tokens": 8, "models": ["base", "tuned"], **config}
    work = folder / "work"
    work.mkdir(exist_ok=True)
    job = Job(judge.Judge(**values), inputs(folder), work, Settings("pl", "en", 17), folder, "")
    figures = judge.run(job)
    assert json.dumps(figures, allow_nan=False)
    return figures


def judging(handler: Handler, _: int, body: dict[str, Any]) -> None:
    """Prefers what is written in more characters, and scores everything alike."""
    text = body["messages"][0]["content"]
    mark, bodies = mark_of(text), shown(text)
    if "{" in text.splitlines()[-1]:
        handler.say(json.dumps({"mark": mark, **dict.fromkeys(AXES, 2)}))
    else:
        handler.say(f"{mark}: {'A' if len(bodies[-2]) > len(bodies[-1]) else 'B'}")


def judges(server: Server) -> list[dict[str, Any]]:
    common = {"endpoint": server.address, "price_in": 1.0, "price_out": 2.0}
    return [{**common, "model": "one"}, {**common, "model": "two", "max_tokens": 64}]


def test_answers_and_two_judges(folder: Path) -> None:
    with endpoint(judging) as server:
        found = run(folder, judges=judges(server), corpus="corpus")
        asked = len(server.seen)
        assert found == run(folder, judges=judges(server), corpus="corpus")
        assert len(server.seen) == asked  # every reply is kept
    assert (found["prompts"], found["answered"], found["language"]) == (6, 6, "pl")
    assert found["asked_in"] == {"base": "dialogue", "tuned": "template"}
    assert found["judges"] == ["one", "two"]
    assert found["missing"] == []
    assert found["questions_in"] == "pl"
    rows = [json.loads(line) for line in (folder / "work" / "answers.jsonl").read_text().splitlines()]
    assert [row["reference"] for row in rows] == ["0", "2", "4", "6", "8", "10"]
    assert set(rows[0]["answers"]) == {"base", "tuned"}
    assert {row["metric"] for row in found["answers"]["rows"]} >= {"outputs_in_target", "empty", "loops", "cut"}
    (of_pair,) = found["pairwise"]
    assert of_pair["judges"]["one"]["pairs"] == 6
    assert of_pair["agreement"]["items"] == 6 - of_pair["judges"]["one"]["alike"]
    spent = found["spent"]["one"]
    assert spent["price"] == pytest.approx((spent["tokens_read"] + 2 * spent["tokens_written"]) / 1e6)
    assert "Without a chat template and asked as the other side of a written dialogue: base." in found["warnings"]
    assert "one gave every answer the same scores, and they say nothing of the answers." in found["warnings"]
    assert {file.name for file in (folder / "work").iterdir()} == {
        *("answers.jsonl", "unanswered.jsonl", "verdicts.jsonl", "scores.jsonl")
    }


def test_without_judges_the_answers_alone(folder: Path) -> None:
    found = run(folder)
    assert "pairwise" not in found
    assert [one["why"] for one in found["missing"]] == [
        "there is no text of the target and of a second language to tell words by."
    ]
    assert {row["metric"] for row in found["answers"]["rows"]} == {
        *("empty", "loops", "repeated_4", "distinct_2", "characters", "cut")
    }


def vote(number: int, choice: object) -> str:
    shown = ["base", "tuned"] if isinstance(choice, str) else ["tuned"]
    row = {"annotator": "a", "item": str(number), "shown": shown, "choice": choice, "comment": "", "seconds": 2.0}
    row |= {"at": "2026-01-01T00:00:00+00:00", "attention": None, "earlier": []}
    return json.dumps(row | ({"better": "tuned"} if isinstance(choice, str) else {})) + "\n"


def test_judges_in_folders_are_told_apart_by_their_paths(folder: Path) -> None:
    for place in ("a", "b"):
        shutil.copytree(folder / "tuned", folder / place / "chat")
        save_llama(folder / place / "chat", tied=True, rows=400, seed=ord(place))
        config = json.loads((folder / place / "chat" / "config.json").read_text())
        config["max_position_embeddings"] = 2048
        (folder / place / "chat" / "config.json").write_text(json.dumps(config))
    found = run(folder, judges=[{"model": "a/chat", "max_tokens": 4}, {"model": "b/chat", "max_tokens": 4}])
    assert found["judges"] == ["a/chat", "b/chat"]
    assert found["spent"]["a/chat"]["price"] is None


def test_votes_of_people_are_reported_without_judges_too(folder: Path) -> None:
    (folder / "votes.jsonl").write_text("".join(vote(number, "right") for number in range(1, 7)))
    found = run(folder, votes="votes.jsonl")
    (pair,) = found["people"]["pairs"]
    assert (pair["models"], pair["wins"], found["people"]["num_votes"]) == (["base", "tuned"], [0, 6], 6)
    assert "pairwise" not in found


def test_votes_on_others_are_left_out_and_told(folder: Path) -> None:
    of_others = [vote(7, "right"), vote(1, "left").replace("base", "gpt-9")]
    (folder / "votes.jsonl").write_text("".join([vote(1, "left"), *of_others]))
    found = run(folder, votes="votes.jsonl")
    assert found["people"]["num_votes"] == 1
    assert "2 of 3 votes are on other items or models, and are left out." in found["warnings"]
    (folder / "votes.jsonl").write_text("".join(of_others))
    with pytest.raises(InputError, match=r"votes: none of 2 votes is on the answers of this step\.\n  Have people"):
        run(folder, votes="votes.jsonl")


def test_ratings_of_people_are_no_comparisons(folder: Path) -> None:
    (folder / "votes.jsonl").write_text("".join(vote(number, dict.fromkeys(AXES, 2)) for number in range(1, 7)))
    with endpoint(judging) as server:
        found = run(folder, votes="votes.jsonl", judges=judges(server)[:1])
    assert found["people"]["ratings"]["tuned"]["mean"]["value"] == 2
    assert "with_people" not in found["pairwise"][0]


def test_a_prompt_that_is_too_long_is_left_out_and_named(folder: Path) -> None:
    with (folder / "prompts.jsonl").open("a") as file:
        file.write(json.dumps({"prompt": "long " * 200}) + "\n")
    found = run(folder)
    assert (found["prompts"], found["answered"]) == (7, 6)
    assert "1 of 7 prompts are left out: not every model could be asked them." in found["warnings"]
    unanswered = [json.loads(line) for line in (folder / "work" / "unanswered.jsonl").read_text().splitlines()]
    assert {row["model"] for row in unanswered} == {"base", "tuned"}
    assert "leaves 120 for it" in unanswered[0]["why"]
    (folder / "prompts.jsonl").write_text(json.dumps({"prompt": "long " * 200}) + "\n")
    with pytest.raises(InputError, match=r"no prompt has an answer of every model\. The last, of tuned: The question"):
        run(folder)


def test_the_plan_tells_what_judges_cost(folder: Path) -> None:
    with endpoint(judging) as server:
        step = planned(folder, f"judge.judges={json.dumps(judges(server))}")
        assert server.seen == []
    told = step.forecast.reads
    assert told.startswith("1 models, 6 prompts; one: 6 questions, about 0.00 million tokens read and ")
    assert "two: 6 questions" in told
    assert ", for about 0.0" in told


def test_what_does_not_change_an_answer_does_not_change_the_step(folder: Path) -> None:
    def mark(**settings: object) -> str:
        settings = {"endpoint": "http://127.0.0.1:1/v1", "model": "m", **settings}
        return planned(folder, f"judge.judges={json.dumps([settings])}").fingerprint

    assert mark() == mark(at_once=2, seconds=3.0, retries=1, price_in=1.0, price_out=1.0)
    assert mark() != mark(temperature=0.5)
    before = mark()
    (folder / "prompts.jsonl").write_text('{"prompt": "Inne?"}\n')
    assert mark() != before


def test_a_judge_in_a_folder_is_known_by_its_content(folder: Path) -> None:
    override = 'judge.judges=[{"model": "tuned"}]'
    before = planned(folder, override).fingerprint
    (folder / "tuned" / "chat_template.jinja").write_text(TEMPLATE + " ")
    assert planned(folder, override).fingerprint != before


ENDPOINT = '{"endpoint": "http://127.0.0.1:1/v1", "model": "m"}'


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["judge.models=[base, base]"], "judge: models: a model is named twice"),
        ([f"judge.judges=[{ENDPOINT}, {ENDPOINT}]"], "judge: judges: a judge is named twice"),
        (
            [f"judge.judges=[{ENDPOINT}]", "judge.mode=[pairwise]"],
            r"mode: one model alone cannot be compared\.\n  Write",
        ),
        (["judge.prompts_file="], r"judge: prompts: there is nothing to ask\.\n  Put a conversations stage"),
        (["judge.prompts_file=no.jsonl"], r"judge: .*no\.jsonl: the prompts cannot be read"),
        (["judge.votes=no.jsonl"], r"judge: .*no\.jsonl: the votes cannot be read"),
        (['judge.judges=[{"endpoint": "x", "model": "m"}]'], r'judge: judges\[0\]: endpoint: "x" is no address'),
        (['judge.judges=[{"model": "base"}]'], r"judge: judges\[0\]: .*base: the model has no chat template"),
        (
            ['judge.judges=[{"endpoint": "http://x/v1", "model": "m", "key_variable": "NO_SUCH_KEY"}]'],
            r"judges\[0\]: key_variable: the environment variable NO_SUCH_KEY is not set",
        ),
        (["judge.mode=[pairs]"], r"stages\.judge\.mode"),
        (["judge.mode=[]"], r"stages\.judge\.mode"),
    ],
)
def test_a_mistake_is_found_before_anything_runs(folder: Path, overrides: list[str], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        planned(folder, *overrides)


def test_another_judge_is_paid_for_alone(folder: Path) -> None:
    with endpoint(judging) as server:
        one, two = judges(server)
        run(folder, judges=[one], replies="replies.jsonl")
        shutil.rmtree(folder / "work")
        server.seen.clear()
        found = run(folder, judges=[one, two], replies="replies.jsonl")
    assert {body["model"] for body in server.seen} == {"two"}
    assert found["spent"]["one"] == found["spent"]["two"] | {"price": found["spent"]["one"]["price"]}
    same = planned(folder, "judge.replies=elsewhere.jsonl", "judge.max_failed_share=0.5")
    assert same.fingerprint == planned(folder).fingerprint


def test_people_vote_on_the_very_answers_and_nothing_is_paid_twice(folder: Path) -> None:
    """Another fingerprint, and so another work folder of the same store."""
    with endpoint(judging) as server:
        run(folder, judges=judges(server))
        (folder / "votes.jsonl").write_text("".join(vote(number, "right") for number in range(1, 7)))
        shutil.rmtree(folder / "work")
        before = len(server.seen)
        run(folder, judges=judges(server), votes="votes.jsonl", mode=["pairwise"])
        assert len(server.seen) == before
    assert planned(folder, "judge.votes=votes.jsonl").fingerprint != planned(folder).fingerprint
