"""Suites of labeled tasks as other tasks and their answers look; what cannot be had is named, the rest goes on."""

from dataclasses import replace
from pathlib import Path

import pytest
from transformers import MambaConfig

from lingraft.core.errors import RecipeError
from lingraft.corpus.language import find
from lingraft.evaluate import labeled
from lingraft.evaluate.labeled.data import LabeledItem, Splits
from lingraft.evaluate.labeled.scores import counts
from lingraft.evaluate.labeled.suites import ask, asked, check_together, identity
from lingraft.evaluate.labeled.tasks import SUITES, TASKS
from lingraft.evaluate.suites.loading import check
from lingraft.evaluate.wanted import Wanted


@pytest.mark.parametrize(("name", "answers"), [("cbd", [0, 1, 1]), ("cdsc_r", [0.5, 4.25, 3.0])])
def test_results_are_answers_as_those_of_other_tasks(name: str, answers: list[float]) -> None:
    task = TASKS[name]
    test = [LabeledItem(f"i{n}", (f"text {n}",), gold) for n, gold in enumerate([0, 1, 1])]
    data = Splits(test, test, test, dev_from="one in 10 of train", test_from="dev")
    results = [
        {
            "model": model,
            "method": "lora",
            "seed": seed,
            "score": seed / 10 if model == "base" else None,
            "items": ["i2", "i0", "i1"],
            "answers": [answers[2], answers[0], answers[1]] if model == "adapted" else [0, 0, 1],
        }
        for model in ("base", "adapted")
        for seed in (4, 3)
    ]
    made, by_model = asked(task, data, results, suite="klej")
    assert (made.name, made.language, made.metrics) == (f"{name}@lora", "pl", (task.metric,))
    assert [item.id for item in made.items] == ["i0", "i1", "i2"]
    assert [answer.item for answer in by_model["base"]] == [item.id for item in made.items]
    assert list(by_model) == ["base", "adapted"]
    assert made.notes == (
        "Fine-tuned (lora) on 3 items, the best epoch chosen on 3; seeds 3, 4.",
        "Tested is dev: test has no labels.",
        "Dev is one in 10 of train.",
        "Intervals and tests are over items, for these very trainings. "
        "By seed: base 0.300, 0.400; adapted undefined, undefined.",
    )
    counted = [answer.counts[task.metric] for answer in by_model["adapted"]]
    assert counted == [[2 * part for part in of_item] for of_item in counts(task, [0, 1, 1], answers)]
    expected = {"cbd": ["0, 0", "1, 1", "1, 1"], "cdsc_r": ["0.5, 0.5", "4.25, 4.25", "3, 3"]}[name]
    assert [answer.response for answer in by_model["adapted"]] == expected
    same, _ = asked(task, replace(data, test=test[:1]), results, suite="klej")
    assert same.notes[-2].startswith(f"All tested items have the same {task.label}, for which ")


def test_what_cannot_be_had_is_named_and_the_rest_goes_on(tiny_base: Path, tmp_path: Path) -> None:
    MambaConfig().save_pretrained(headless := tmp_path / "headless")
    for name in ("model.safetensors", "tokenizer.json"):
        (headless / name).write_bytes((tiny_base / name).read_bytes())
    rows = "".join(f"{n}\tA man walks .\tNobody walks {n} .\t{n % 5}\tNEUTRAL\n" for n in range(60))
    lines = rows.splitlines(keepends=True)
    (tmp_path / "CDS").mkdir()
    for split, part in (("train", lines[:30]), ("trial", lines[30:40]), ("test_annotated", lines[40:])):
        head = "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment\n"
        (tmp_path / "CDS" / f"CDS_{split}.txt").write_text(head + "".join(part))
    models = {"base": tiny_base, "headless": headless}
    options = {"methods": ["full", "lora"], "epochs": 1, "seeds": [1], "train_items": 16, "dev_items": 4}
    wanted = Wanted("klej", tmp_path, items=8, options=options)
    check(wanted, find("pl"))
    tasks, answers, missing = ask(models, wanted, find("pl"), tmp_path)
    assert [task.name for task in tasks] == ["cdsc_r@full", "cdsc_r@lora"]
    assert [task.chance for task in tasks] == [0, 0]
    assert all(list(by_model) == ["base"] and len(by_model["base"]) == 8 for by_model in answers.values())
    told = {(one.task, one.model): one.why for one in missing}
    assert len(told) == len(missing) == 7 + 2 * 2 + 2
    assert "there is no train split of ar that has labels" in told["ar", None]
    assert "all training items of cdsc_e have the same" in told["cdsc_e@lora", "base"]
    assert "no classification head for models of the kind mamba" in told["cdsc_r@full", "headless"]


def test_a_suite_in_another_language_is_missing(tiny_base: Path, tmp_path: Path) -> None:
    tasks, _, missing = ask({"base": tiny_base}, Wanted("hulu", tmp_path), find("pl"), tmp_path)
    assert not tasks
    assert {one.why for one in missing} == {"its items are in Hungarian, not in Polish."}


def test_only_the_tasks_that_are_named(tiny_base: Path, tmp_path: Path) -> None:
    wanted = Wanted("klej", tmp_path, options={"tasks": ["ar"]})
    _, _, missing = ask({"base": tiny_base}, wanted, find("pl"), tmp_path)
    assert [one.task for one in missing] == ["ar"]
    assert identity(wanted) == identity(wanted) != identity(Wanted("klej", tmp_path, options={"tasks": ["dyk"]}))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"tasks": ["arr"]}, r'klej has no task "arr"\.\n  Did you mean "ar"'),
        ({"epoch": 3}, r'there is no option "epoch"\.\n  Did you mean "epochs"'),
        ({"methods": ["qlora"]}, "klej.options.methods"),
        ({"methods": []}, r"klej.options.methods: List should have at least 1 item"),
        ({"seeds": []}, r"klej.options.seeds: List should have at least 1 item"),
        ({"tasks": []}, r"klej.options.tasks: List should have at least 1 item"),
        ({"seeds": [1, 1]}, r"klej.options.seeds: one stands there twice\.\n  Name each once"),
    ],
)
def test_mistakes_are_found_before_anything_runs(options: dict[str, object], text: str) -> None:
    with pytest.raises(RecipeError, match=text):
        check(Wanted("klej", options=options), find("pl"))


def test_a_task_that_two_suites_have_is_told() -> None:
    first, again = Wanted("klej", options={"tasks": ["ar", "dyk"]}), Wanted("klej", options={"tasks": ["ar"]})
    with pytest.raises(RecipeError, match=r"klej: two suites have a task ar@full\.\n  Name each once in `suites`, or"):
        check_together([first, again])
    check_together([first, Wanted("klej", options={"tasks": ["ar"], "methods": ["lora"]})])


def test_the_names_of_the_suites_are_those_of_the_table() -> None:
    assert set(labeled.SUITES) == set(SUITES)
