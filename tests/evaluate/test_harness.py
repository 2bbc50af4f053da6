"""Tasks asked through the harness: the same answers as it gives itself, and those it cannot give."""

import json
from pathlib import Path

import pytest
import torch
from lm_eval.api.task import ConfigurableTask
from lm_eval.models.huggingface import HFLM
from transformers import AutoModelForCausalLM, AutoTokenizer

from lingraft.core.errors import InputError, RecipeError
from lingraft.corpus.language import find
from lingraft.evaluate import compare, evaluate, harness
from lingraft.evaluate.generate import Loaded, write_until
from lingraft.evaluate.harness import Asked
from lingraft.evaluate.suites.loading import load
from lingraft.evaluate.task import Item, Task
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


TASK_FILE = """
task: mine
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{premise}}}} because"
doc_to_choice: "{{{{[choice1, choice2]}}}}"
doc_to_target: label
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""


def test_a_task_of_the_harness_in_a_file_of_ones_own(loaded: Loaded, plain: HFLM, tmp_path: Path) -> None:
    rows = [
        {"premise": f"The market opened {n} times", "choice1": "it was late.", "choice2": "he argued.", "label": n % 2}
        for n in range(6)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (tmp_path / "mine.yaml").write_text(TASK_FILE.format(data=tmp_path / "rows.jsonl"))
    wanted = Wanted("harness", tmp_path, items=4, options={"tasks": ["mine.yaml"]})
    (task,) = load(wanted, find("en"))
    found = harness.answer(loaded, task, context_tokens=64)
    theirs = harness.run(plain, {"mine": harness.defined(task.harness, own_file=True)}, limit=4)["mine"]
    assert [answer.counts["acc"] for answer in found] == [[sample["acc"], 1] for sample in theirs]
    rows = compare.table([task], {"mine": {"one": found, "two": found}}, base="one", seed=1)
    assert [(row["metric"], row["chance"], row["items"]) for row in rows] == [("acc", 0.5, 4)] * 2
    assert rows[1]["against"]["verdict"] == "no difference"


def test_tasks_that_the_harness_does_not_have(loaded: Loaded, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r'the harness has no task "xcopa_trr"\.\n  Did you mean "xcopa_tr"'):
        load(Wanted("harness", options={"tasks": ["xcopa_trr"]}), find("tr"))
    with pytest.raises(RecipeError, match=r"none.yaml: there is no such task file"):
        load(Wanted("harness", tmp_path, options={"tasks": ["none.yaml"]}), find("tr"))
    (tmp_path / "gone.yaml").write_text(TASK_FILE.format(data=tmp_path / "gone.jsonl"))
    (task,) = load(Wanted("harness", tmp_path, options={"tasks": ["gone.yaml"]}), find("en"))
    with pytest.raises(InputError, match="the harness cannot set up this task"):
        harness.answer(loaded, task, context_tokens=64)
