"""Tasks asked through the harness: the same answers as it gives itself, and those it cannot give."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.api.model import LM
from lm_eval.api.task import ConfigurableTask
from lm_eval.models.huggingface import HFLM
from transformers import AutoModelForCausalLM, AutoTokenizer

from lingraft.core.errors import InputError, RecipeError
from lingraft.corpus.language import find
from lingraft.evaluate import asking, bits, compare, evaluate, harness
from lingraft.evaluate.defined import defined
from lingraft.evaluate.generate import Loaded, write_until
from lingraft.evaluate.harness import Asked
from lingraft.evaluate.suites import harness_tasks
from lingraft.evaluate.suites.loading import load
from lingraft.evaluate.task import Answer, Item, Task
from lingraft.evaluate.wanted import Wanted

ITEMS = (
    Item("1", "The market opened at six, and by seven", (" the bread was gone.", " it was late.", " x"), 0),
    Item("2", "Question: who argued?\nAnswer:", (" He", " The two of them", " Nobody at all"), 1),
    Item("3", "The lake has", (" no name", " a name on any map"), 0, "lake"),
)
SHOTS = (Item("s", "A narrow path", (" leads on.", " sleeps."), 0),)


def choice(**changes: object) -> Task:
    return Task("toy", "toy", "Toy", "en", "en", "choice", **{"items": ITEMS, "shots": SHOTS, **changes})


@pytest.fixture(scope="module")
def loaded(tiny_base: Path) -> Loaded:
    found = evaluate.load(tiny_base)
    with torch.no_grad():
        for parameter in found.model.parameters():
            parameter.mul_(4)
    return Loaded(found.model.double(), found.tokenizer)


@pytest.fixture(scope="module")
def plain(loaded: Loaded) -> HFLM:
    return HFLM(
        pretrained=loaded.model, tokenizer=loaded.tokenizer, add_bos_token=True, batch_size=2, softmax_dtype="float64"
    )


def test_likelihoods_are_the_harnesss_own(loaded: Loaded, plain: HFLM) -> None:
    task = choice()
    asked = Asked(loaded, context_tokens=64)
    ours = harness.run(asked, {"toy": harness.configured(task)})["toy"]
    theirs = harness.run(plain, {"toy": harness.configured(task)})["toy"]
    assert len(ours) == len(theirs) == 3
    for mine, other in zip(ours, theirs, strict=True):
        assert mine["arguments"] == other["arguments"]
        for (logprob, greedy), (expected, is_greedy) in zip(
            mine["filtered_resps"], other["filtered_resps"], strict=True
        ):
            assert logprob == pytest.approx(expected, abs=1e-6)
            assert greedy == is_greedy


def test_what_is_written_is_what_the_harness_writes(loaded: Loaded, plain: HFLM) -> None:
    task = Task(
        "toy", "toy", "Toy", "en", "en", "write", ITEMS, metrics=("chrf",), stop=("e ", "\n"), max_new_tokens=12
    )
    ours = harness.run(Asked(loaded, context_tokens=64), {"toy": harness.configured(task)})["toy"]
    theirs = harness.run(plain, {"toy": harness.configured(task)})["toy"]
    texts = [sample["filtered_resps"][0] for sample in ours]
    assert texts == [sample["filtered_resps"][0] for sample in theirs]
    assert any(texts)


def test_whole_texts_are_as_likely_as_their_bits(loaded: Loaded, english: list[str]) -> None:
    # Told to add a BOS, the harness would put two before a whole text: its own prefix, and the tokenizer's.
    plain = HFLM(
        pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=2, softmax_dtype="float64", add_bos_token=False
    )
    config = {
        "task": "whole",
        "custom_dataset": lambda **_: {
            "test": harness.datasets.Dataset.from_list([{"t": t[:90]} for t in english[:4]])
        },
        "test_split": "test",
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "{{t}}",
        "metric_list": [{"metric": "bits_per_byte", "aggregation": "bits_per_byte", "higher_is_better": False}],
    }
    found = [
        harness.run(lm, {"whole": ConfigurableTask(config=dict(config))})["whole"] for lm in (asked(loaded), plain)
    ]
    for mine, other in zip(*found, strict=True):
        assert mine["filtered_resps"][0] == pytest.approx(other["filtered_resps"][0], abs=1e-6)


def asked(loaded: Loaded) -> Asked:
    return Asked(loaded, context_tokens=256)


def test_every_answer_is_kept_with_what_it_counts(loaded: Loaded) -> None:
    found = harness.answer(loaded, choice(metrics=("accuracy", "accuracy_sum")), context_tokens=64)
    assert [answer.item for answer in found] == ["1", "2", "3"]
    for item, answer in zip(ITEMS, found, strict=True):
        assert len(answer.logprobs) == len(item.answers)
        sizes = [len(text.encode()) for text in item.answers]
        by_bytes = max(range(len(sizes)), key=lambda n: answer.logprobs[n] / sizes[n])
        by_sum = max(range(len(sizes)), key=lambda n: answer.logprobs[n])
        assert answer.response == item.answers[by_bytes].strip()
        assert answer.counts == {"accuracy": [by_bytes == item.gold, 1], "accuracy_sum": [by_sum == item.gold, 1]}
    letters = harness.answer(loaded, choice(by_bytes=False), context_tokens=64)
    assert [a.response for a in letters] == [
        i.answers[max(range(len(i.answers)), key=lambda n: a.logprobs[n])].strip()
        for i, a in zip(ITEMS, found, strict=True)
    ]


def test_the_shots_stand_before_every_item(loaded: Loaded) -> None:
    samples = harness.run(asked(loaded), {"toy": harness.configured(choice())})["toy"]
    assert [sample["arguments"][0][0] for sample in samples] == [
        f"A narrow path leads on.\n\n{item.context}" for item in ITEMS
    ]


def test_a_context_that_is_too_long_loses_its_beginning(loaded: Loaded) -> None:
    long = Item("long", "the bread was gone. " * 30 + "The lake has", (" no name", " x"), 0)
    found = harness.answer(loaded, choice(items=(*ITEMS, long), shots=()), context_tokens=32)
    assert [answer.cut_tokens > 0 for answer in found] == [False, False, False, True]
    task = Task("w", "w", "W", "en", "en", "write", (long,), metrics=("exact",), max_new_tokens=4)
    assert harness.answer(loaded, task, context_tokens=32)[0].cut_tokens > 0


def test_an_answer_longer_than_the_context_is_said(loaded: Loaded) -> None:
    endless = Item("endless", "The lake", (" has" * 60, " x"), 0)
    with pytest.raises(InputError, match=r"an answer has \d+ tokens, more than the 32 of the context"):
        harness.answer(loaded, choice(items=(endless,)), context_tokens=32)


def test_a_chat_needs_a_template(loaded: Loaded) -> None:
    with pytest.raises(InputError, match="toy is asked as a chat, and the tokenizer has no chat template"):
        harness.answer(loaded, choice(chat=True), context_tokens=64)


def test_a_chat_is_asked_in_its_template(tiny_base: Path) -> None:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny_base), AutoTokenizer.from_pretrained(tiny_base)
    tokenizer.chat_template = (
        "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    lm = Asked(Loaded(model.eval(), tokenizer), context_tokens=128, chat=True)
    samples = harness.run(lm, {"toy": harness.configured(choice(chat=True))}, chat=True)["toy"]
    context, answer = samples[0]["arguments"][0]
    assert context.startswith(f"{tokenizer.bos_token}[user] A narrow path\n[assistant] leads on.")
    assert context.endswith("[user] The market opened at six, and by seven\n[assistant]")
    ids = tokenizer(context + answer, add_special_tokens=False)["input_ids"]
    assert ids.count(tokenizer.bos_token_id) == 1
    with torch.inference_mode():
        logprobs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    first = len(tokenizer(context, add_special_tokens=False)["input_ids"])
    expected = sum(logprobs[place - 1, ids[place]].item() for place in range(first, len(ids)))
    assert samples[0]["filtered_resps"][0][0] == pytest.approx(expected, abs=1e-4)


def test_a_written_answer_is_scored_against_every_reference(loaded: Loaded) -> None:
    (text,), _ = write_until(loaded, [ITEMS[0].context], stop=("\n",), max_new_tokens=6, context_tokens=64)
    item = Item("1", ITEMS[0].context, (" nothing like it", f" {text.strip().upper()}"))
    task = Task("w", "w", "W", "en", "en", "write", (item,), metrics=("exact", "f1", "chrf"), max_new_tokens=6)
    found = harness.answer(loaded, task, context_tokens=64)[0]
    assert found.response == text.strip()
    assert found.counts["exact"] == [1, 1] or not text.strip()
    assert len(found.counts["chrf"]) == 24
    assert json.loads(json.dumps(found.counts)) == found.counts


def test_writing_in_a_batch_is_writing_alone(loaded: Loaded) -> None:
    prompts = ["The lake", "", ITEMS[0].context, "He repaired clocks and the bread"]
    together, cut = write_until(loaded, prompts, stop=("e ",), max_new_tokens=8, context_tokens=64)
    alone = [
        write_until(loaded, [prompt], stop=("e ",), max_new_tokens=8, context_tokens=64)[0][0] for prompt in prompts
    ]
    assert together == alone
    assert cut == [0] * 4
    assert all("e " not in text for text in together)


ROWS = [
    {"premise": f"The market opened {n} times", "choice1": "it was late.", "choice2": "he argued.", "label": n % 2}
    for n in range(6)
]
CHOICE = """
output_type: multiple_choice
doc_to_text: "{{premise}} because"
doc_to_choice: "{{[choice1, choice2]}}"
doc_to_target: label
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""
LAST_WORD = """
output_type: loglikelihood
doc_to_text: "{{premise}}"
doc_to_target: "{{choice1}}"
metric_list: [{metric: perplexity}, {metric: acc}]
"""
WHOLE = """
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{premise}}"
metric_list: [{metric: word_perplexity}, {metric: bits_per_byte}]
"""
WRITING = """
output_type: generate_until
doc_to_text: "{{premise}}"
doc_to_target: "{{choice1}}"
generation_kwargs: {until: ["."], max_gen_toks: 4}
filter_list:
- {name: as it is, filter: [{function: take_first}]}
- {name: small, filter: [{function: lowercase}, {function: take_first}]}
metric_list: [{metric: exact_match}]
"""


def in_file(folder: Path, text: str, **wanted: object) -> Task:
    """A task of the harness in a YAML file, as a suite takes it."""
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    data = f"dataset_path: json\ndataset_kwargs: {{data_files: {{test: {folder / 'rows.jsonl'}}}}}\ntest_split: test"
    (folder / "mine.yaml").write_text(f"task: mine\n{data}{text}")
    (task,) = load(Wanted("harness", folder, options={"tasks": ["mine.yaml"]}, **wanted), find("en"))
    return task


def asked_by_harness(lm: LM, task: Task, **how: object) -> list[dict[str, Any]]:
    return harness.run(lm, {"mine": defined(task.harness, own_file=True, num_shots=task.num_shots)}, **how)["mine"]


def test_a_task_of_the_harness_in_a_file_of_ones_own(loaded: Loaded, plain: HFLM, tmp_path: Path) -> None:
    task = in_file(tmp_path, CHOICE, items=4)
    found = harness.answer(loaded, task, context_tokens=64)
    theirs = asked_by_harness(plain, task)
    assert [answer.item for answer in found] == ["0", "1", "3", "4"]
    assert [answer.counts["acc"] for answer in found] == [[theirs[place]["acc"], 1] for place in (0, 1, 3, 4)]
    rows = compare.table([task], {"mine": {"one": found, "two": found}}, base="one", seed=1)
    assert [(row["metric"], row["chance"], row["items"]) for row in rows] == [("acc", 0.5, 4)] * 2
    assert rows[1]["against"]["verdict"] == "no difference"
    assert rows[1]["against"]["test"] == "McNemar, exact"


def test_a_task_of_the_harness_is_known_by_its_items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, same = in_file(tmp_path, CHOICE), in_file(tmp_path, CHOICE)
    monkeypatch.setattr(f"{__name__}.ROWS", ROWS[:-1])
    harness_tasks._set_up.cache_clear()
    assert first.identity() == same.identity() != in_file(tmp_path, CHOICE).identity()


def test_a_task_of_the_harness_has_as_many_examples_as_are_wanted(loaded: Loaded, tmp_path: Path) -> None:
    own, task = in_file(tmp_path, CHOICE), in_file(tmp_path, CHOICE, shots=2)
    assert (own.num_shots, task.num_shots, own.reduced(None, None).num_shots) == (0, 2, 0)
    samples = asked_by_harness(asked(loaded), task)
    assert [sample["arguments"][0][0].count("because") for sample in samples] == [3] * 6
    found = harness.answer(loaded, task, context_tokens=256)
    assert [a.logprobs for a in found] == [tuple(r[0] for r in sample["filtered_resps"]) for sample in samples]
    (row,) = compare.table([task], {"mine": {"one": found}}, base="one", seed=1)
    assert row["shots"] == 2
    assert in_file(tmp_path, f"{CHOICE}num_fewshot: 3\n").most_shots == 3


def test_a_task_of_the_harness_is_asked_as_a_chat(tiny_base: Path, tmp_path: Path) -> None:
    chatty = evaluate.load(tiny_base)
    chatty.tokenizer.chat_template = (
        "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
    )
    task = in_file(tmp_path, CHOICE, chat=True, shots=1)
    found = harness.answer(chatty, task, context_tokens=256)
    samples = asked_by_harness(Asked(chatty, context_tokens=256, chat=True), task, chat=True)
    assert samples[0]["arguments"][0][0].count("[assistant]") == 1
    assert [a.logprobs for a in found] == [tuple(r[0] for r in sample["filtered_resps"]) for sample in samples]


def test_only_means_over_items_are_figures(loaded: Loaded, tmp_path: Path) -> None:
    task = in_file(tmp_path, LAST_WORD)
    found = harness.answer(loaded, task, context_tokens=64)
    assert {tuple(answer.counts) for answer in found} == {("acc",)}
    whole = in_file(tmp_path, WHOLE)
    found = harness.answer(loaded, whole, context_tokens=64)
    assert whole.lower_is_better == ("word_perplexity", "bits_per_byte")
    (row,) = compare.table([whole], {"mine": {"one": found}}, base="one", seed=1)
    measured = bits.measure(loaded.model, loaded.tokenizer, [row["premise"] for row in ROWS], context_tokens=64)
    expected = sum(one.bits for one in measured) / sum(len(row["premise"].encode()) for row in ROWS)
    assert row["value"] == pytest.approx(expected, rel=1e-6)
    assert (row["metric"], row["lower_is_better"], found[0].response) == ("bits_per_byte", True, "")


def test_each_item_counts_once_whatever_filters_a_task_has(loaded: Loaded, tmp_path: Path) -> None:
    task = in_file(tmp_path, WRITING)
    found = harness.answer(loaded, task, context_tokens=64)
    assert [answer.item for answer in found] == [str(number) for number in range(6)]
    texts, _ = write_until(loaded, [r["premise"] for r in ROWS], stop=(".",), max_new_tokens=4, context_tokens=64)
    assert [answer.response for answer in found] == texts


@pytest.mark.parametrize(
    ("metrics", "what"),
    [
        ("[{metric: perplexity}]", "mine: none of its metrics is a mean over items: perplexity."),
        ("[{metric: acc, aggregation: middling}]", "mine: none of its metrics is a mean over items: acc."),
        ("[{metric: exact_match}]", "mine: no metric gives each item a number: there is none."),
    ],
)
def test_a_task_without_a_figure_is_missing(metrics: str, what: str, tiny_base: Path, tmp_path: Path) -> None:
    task = in_file(tmp_path, LAST_WORD.replace("[{metric: perplexity}, {metric: acc}]", metrics))
    answers, (missing,) = asking.ask({"one": tiny_base}, [task], tmp_path / "answers", context_tokens=64)
    assert (missing.task, missing.model, answers["mine"]) == ("mine", "one", {})
    assert missing.why.startswith(what)


def test_values_tell_what_is_right_or_wrong(tmp_path: Path) -> None:
    task = in_file(tmp_path, CHOICE.replace("higher_is_better: true", "higher_is_better: false"))
    base = [Answer(str(n), "", {"acc": [0.2 + n % 3 / 10, 1.0]}) for n in range(40)]
    better = [Answer(a.item, "", {"acc": [a.counts["acc"][0] - 0.1, 1.0]}) for a in base]
    against = compare.table([task], {"mine": {"base": base, "new": better}}, base="base", seed=1)[1]["against"]
    assert (against["test"], against["effect"], against["verdict"]) == ("permutation", None, "better")
    assert against["difference"] == pytest.approx(-0.1)


def test_tasks_that_the_harness_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r'the harness has no task "xcopa_trr"\.\n  Did you mean "xcopa_tr"'):
        load(Wanted("harness", options={"tasks": ["xcopa_trr"]}), find("tr"))
    with pytest.raises(RecipeError, match=r"none.yaml: there is no such task file"):
        load(Wanted("harness", tmp_path, options={"tasks": ["none.yaml"]}), find("tr"))


def test_no_program_that_a_model_writes_is_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mine\.yaml: this task runs programs that models write\.\n  Leave it out\."):
        in_file(tmp_path, f"{CHOICE}unsafe_code: true\n")
    with pytest.raises(InputError, match="this task is not of text alone"):
        in_file(tmp_path, f"{CHOICE}doc_to_image: premise\n")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("\noutput_type: [", "ParserError"),
        (f"{CHOICE}nonsense: 1", r"TypeError: .*unexpected keyword argument 'nonsense'"),
        (CHOICE.replace("doc_to_target: label", "doc_to_target: !function none.asked"), "ImportError"),
        (CHOICE.replace("doc_to_target: label", "doc_to_target: !function missing.asked"), "ModuleNotFoundError"),
        (CHOICE.replace("premise}}", "premise"), "TemplateSyntaxError"),
        (f"{CHOICE}dataset_path: program", "RuntimeError: Dataset scripts are no longer supported"),
        (f"{CHOICE}dataset_kwargs: {{data_files: gone.jsonl}}", "FileNotFoundError"),
    ],
)
def test_a_task_file_that_is_wrong_is_said_when_it_is_loaded(
    text: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "missing.py").write_text("import not_there")
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / "program.py").write_text("raise SystemExit")
    with pytest.raises(InputError, match=rf"mine\.yaml: the harness cannot set up this task: {what}"):
        in_file(tmp_path, text)
