"""Models asked the same items: answers kept, gone on from, compared, and what is missing named."""

import json
import random
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from lingraft.core.errors import InputError, RecipeError
from lingraft.corpus.language import find
from lingraft.evaluate import asking, compare, harness
from lingraft.evaluate.alone import compare_models
from lingraft.evaluate.evaluate import HeldOut, measure_bits
from lingraft.evaluate.suites.loading import check, load, tasks_of
from lingraft.evaluate.suites.source import NoDataError
from lingraft.evaluate.task import Answer, Item, Task, without_overlap
from lingraft.evaluate.wanted import Missing, Wanted

POLISH = find("pl")
ITEMS = tuple(Item(f"i{n}", f"Item {n} of the market says", (" yes", " no at all"), n % 2) for n in range(12))


def task(name: str = "toy", **changes: object) -> Task:
    return Task(name, "toy", "Toy", "pl", "pl", "choice", **{"items": ITEMS, **changes})


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("adapted")
    shutil.copytree(tiny_base, folder, dirs_exist_ok=True)
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(2)
    model.save_pretrained(folder)
    return {"base": tiny_base, "adapted": folder}


def answers(task: Task, rights: list[bool]) -> list[Answer]:
    return [Answer(i.id, "x", {"accuracy": [float(r), 1.0]}) for i, r in zip(task.items, rights, strict=True)]


def test_every_answer_is_kept(models: dict[str, Path], tmp_path: Path) -> None:
    found, missing = asking.ask(models, [task()], tmp_path, context_tokens=64)
    assert not missing
    assert list(found["toy"]) == ["base", "adapted"]
    assert found["toy"]["base"] != found["toy"]["adapted"]
    kept = json.loads((tmp_path / "toy" / "items.json").read_text())
    assert [item["context"] for item in kept["items"]] == [item.context for item in ITEMS]
    assert len(json.loads((tmp_path / "toy" / "adapted.json").read_text())["result"]) == len(ITEMS)


def test_what_is_answered_is_not_asked_again(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a kill between two models: the answers that are there are read."""
    first, _ = asking.ask({"base": models["base"]}, [task()], tmp_path, context_tokens=64)
    asked: list[str] = []
    answer = harness.answer
    monkeypatch.setattr(
        harness, "answer", lambda loaded, *rest, **kw: asked.append("model") or answer(loaded, *rest, **kw)
    )
    both, _ = asking.ask(models, [task()], tmp_path, context_tokens=64)
    assert asked == ["model"]
    assert both["toy"]["base"] == first["toy"]["base"]


def test_answers_of_another_model_or_task_are_not_taken(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    answer = harness.answer
    monkeypatch.setattr(
        harness, "answer", lambda loaded, *rest, **kw: asked.append("model") or answer(loaded, *rest, **kw)
    )
    shutil.copytree(models["base"], folder := tmp_path / "model")
    out = tmp_path / "answers"
    first, _ = asking.ask({"one": folder}, [task()], out, context_tokens=64)
    shutil.copytree(models["adapted"], folder, dirs_exist_ok=True)
    other, _ = asking.ask({"one": folder}, [task()], out, context_tokens=64)
    assert other != first
    assert other == asking.ask({"one": folder}, [task()], out, context_tokens=64)[0]
    assert len(asked) == 2
    fewer, _ = asking.ask({"one": folder}, [task(items=ITEMS[:5])], out, context_tokens=64)
    # Of a smaller batch a processor may sum in another order.
    near = [replace(answer, logprobs=pytest.approx(answer.logprobs)) for answer in other["toy"]["one"][:5]]
    assert fewer["toy"]["one"] == near
    asking.ask({"one": folder}, [task(items=ITEMS[:5])], out, context_tokens=32)
    # A tokenizer of several files, of which none is tokenizer.json, is read as well.
    (folder / "vocab.txt").write_text("a")
    asking.ask({"one": folder}, [task(items=ITEMS[:5])], out, context_tokens=32)
    assert len(asked) == 5


def test_a_task_that_cannot_be_asked_is_named_and_the_rest_goes_on(models: dict[str, Path], tmp_path: Path) -> None:
    endless = task("endless", items=(Item("1", "The lake", (" has" * 90, " x")),))
    found, missing = asking.ask(models, [endless, task()], tmp_path, context_tokens=32)
    assert [(one.task, one.model) for one in missing] == [("endless", "base"), ("endless", "adapted")]
    assert "more than the 32 of the context" in missing[0].why
    assert (len(found["endless"]), len(found["toy"])) == (0, 2)
    rows = compare.table([endless, task()], found, base="base", seed=1)
    assert {row["task"] for row in rows} == {"toy"}


def test_differences_are_tested_item_by_item_and_corrected() -> None:
    long = task(items=tuple(Item(f"i{n}", "x", (" a", " b")) for n in range(40)))
    same = [n % 2 == 0 for n in range(40)]
    better = [n % 2 == 0 or n < 30 for n in range(40)]
    table = compare.table(
        [long, task("other", items=long.items)],
        {
            "toy": {"base": answers(long, same), "adapted": answers(long, better)},
            "other": {"base": answers(long, same), "adapted": answers(long, same)},
        },
        base="base",
        seed=1,
    )
    base, adapted, _, unchanged = table
    assert base["against"] is None
    assert (base["value"], adapted["value"], base["chance"]) == (0.5, 0.875, 0.5)
    against = adapted["against"]
    assert against["difference"] == pytest.approx(0.375)
    assert against["p"] == pytest.approx(2 / 2**15)
    assert against["p_holm"] == pytest.approx(4 / 2**15)
    assert (against["test"], against["verdict"]) == ("McNemar, exact", "better")
    assert against["effect"] == pytest.approx(0.848, abs=1e-3)
    assert unchanged["against"]["verdict"] == "no difference"
    assert (unchanged["against"]["low"], unchanged["against"]["high"]) == (0, 0)


def test_items_of_one_passage_are_tested_together() -> None:
    items = tuple(Item(f"i{n}", "x", (" a", " b"), group=f"passage {n // 10}") for n in range(40))
    grouped = task(items=items)
    first, second = [n < 20 for n in range(40)], [True] * 40
    row = compare.table(
        [grouped], {"toy": {"a": answers(grouped, first), "b": answers(grouped, second)}}, base="a", seed=2
    )[1]
    assert row["groups"] == 4
    assert row["against"]["test"] == "permutation"
    assert row["against"]["p"] > 0.2
    assert row["against"]["verdict"] == "no difference"


def test_a_metric_without_a_value_is_said_not_tested() -> None:
    one_class = task(metrics=("matthews",))
    given = [Answer(item.id, "x", {"matthews": [1.0, 0, 0, 0]}) for item in ITEMS]
    rows = compare.table([one_class], {"toy": {"a": given, "b": given}}, base="a", seed=1)
    assert [row["value"] for row in rows] == [None, None]
    assert rows[1]["against"]["p"] is None
    assert json.dumps(rows, allow_nan=False)


def test_a_model_against_itself_is_seldom_called_different() -> None:
    """Two models that answer alike but for chance; 200 comparisons, at most 6 % called different at 5 %."""
    draw = random.Random(11)
    called = 0
    for seed in range(200):
        sides = {side: answers(task(), [draw.random() < 0.6 for _ in ITEMS]) for side in ("a", "b")}
        called += (
            compare.table([task()], {"toy": sides}, base="a", seed=seed)[1]["against"]["verdict"] != "no difference"
        )
    assert called <= 12


def test_suites_without_data_are_named_and_the_rest_is_asked(tmp_path: Path) -> None:
    tasks, missing = tasks_of([Wanted("xcopa", tmp_path), Wanted("starter", items=5)], POLISH)
    assert [one.suite for one in missing] == ["xcopa"]
    assert "there is no Polish in this suite's data: no pol.test" in missing[0].why
    assert len(tasks) == 6
    assert all(len(found.items) == 5 for found in tasks)
    assert isinstance(missing[0], Missing)


def test_the_starter_tasks_are_in_polish() -> None:
    with pytest.raises(NoDataError, match="the starter tasks are in Polish, not in Turkish"):
        load(Wanted("starter"), find("tr"))
    found = load(Wanted("starter"), POLISH)
    sizes = {one.name: len(one.items) for one in found}
    assert sizes["starter-pl-en"] == sizes["starter-en-pl"] >= 120
    assert sizes["starter-options"] == sizes["starter-letters"] >= 60
    assert sizes["starter-story"] + sizes["starter-word"] >= 60
    for one in found:
        assert len({item.id for item in one.items}) == len(one.items)
        assert all(len(set(item.answers)) == len(item.answers) for item in one.items)
        assert without_overlap(one.shots, one.items) == one.shots


def test_prompts_in_both_languages() -> None:
    found = load(Wanted("starter", prompts=("native", "english"), items=2), POLISH)
    names = [one.name for one in found]
    assert len(names) == len(set(names)) == 10
    # A story that goes on has no words of a prompt.
    assert {"starter-story", "starter-word"} <= set(names)
    by_name = {one.name: one for one in found}
    assert by_name["starter-letters"].items[0].context.endswith("Odpowiedź:")
    assert by_name["starter-letters@en"].items[0].context.endswith("Answer:")


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (Wanted("xcop"), 'no suite is called "xcop"'),
        (Wanted("xcopa", Path("nowhere")), "the data of xcopa is not there: no such folder"),
        (Wanted("starter", options={"depth": 3}), 'there is no option "depth"'),
        (Wanted("starter", words={"becuase": "bo"}), 'no prompt has a word "becuase"'),
        (Wanted("starter", language="sw", words={"because": "kwa sababu"}), "there are no prompts in Swahili yet"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_runs(wanted: Wanted, text: str) -> None:
    with pytest.raises(RecipeError, match=text):
        check(wanted, POLISH)


def test_a_suite_asked_twice_is_refused() -> None:
    with pytest.raises(InputError, match="two suites have a task starter-options"):
        tasks_of([Wanted("starter"), Wanted("starter", shots=0)], POLISH)
    with pytest.raises(InputError, match="starter-options would be asked twice in the same words"):
        load(Wanted("starter", prompts=("native", "native")), POLISH)


def test_compared_alone_without_a_recipe(models: dict[str, Path], tmp_path: Path, polish: list[str]) -> None:
    wanted = [Wanted("starter", items=4, shots=0)]
    common = {"suites": wanted, "held_out": polish[:6], "context_tokens": 64}
    figures = compare_models(models, POLISH, tmp_path / "out", training=polish, **common)
    assert {row["model"] for row in figures["bits"]} == {"base", "adapted"}
    assert len({row["task"] for row in figures["tasks"]}) == 6
    assert (figures["missing"], [leak["leaked"] for leak in figures["leaks"]]) == ([], [0] * 6)
    assert json.loads((tmp_path / "out" / "figures.json").read_text()) == figures
    assert compare_models(models, POLISH, tmp_path / "out", training=polish, **common) == figures
    alone = compare_models({"base": models["base"]}, POLISH, tmp_path / "out", **common)
    assert alone["bits"] == figures["bits"][:1]


def test_only_code_of_trusted_models_is_run(
    tiny_base: Path, tmp_path: Path, polish: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("sys.path", [*sys.path])
    models = {}
    for name in ("known", "unknown"):
        shutil.copytree(tiny_base, folder := tmp_path / name)
        config = json.loads((folder / "config.json").read_text())
        config["auto_map"] = {"AutoModelForCausalLM": "own.Model"}
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "own.py").write_text(
            "from pathlib import Path\nfrom transformers import LlamaForCausalLM\n"
            f"Path({str(tmp_path)!r}, 'ran-{name}').touch()\nclass Model(LlamaForCausalLM):\n    pass\n"
        )
        models[name] = folder
    trusted = [models["known"]]
    asked = [task(items=ITEMS[:2])]
    texts = [HeldOut("target", POLISH, polish[:1], ["text"])]
    asking.ask(models, asked, tmp_path / "answers", context_tokens=64, trusted=trusted)
    measure_bits(models, texts, tmp_path / "bits", context_tokens=64, trusted=trusted)
    assert [path.name for path in tmp_path.glob("ran-*")] == ["ran-known"]
