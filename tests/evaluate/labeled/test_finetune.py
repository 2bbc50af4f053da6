"""A tiny model that is fine-tuned on planted tasks: what it learns, what it reads, what moves, what is kept."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, MambaConfig

from lingraft.core.errors import InputError
from lingraft.evaluate.labeled import classifier
from lingraft.evaluate.labeled import finetune as module
from lingraft.evaluate.labeled.data import LabeledItem, LabeledTask, Splits
from lingraft.evaluate.labeled.finetune import Finetuning, finetune, measure

ANIMAL = LabeledTask(
    "animal", "?", "en", ("text", "asked"), "label", "accuracy", "here", classes=("horse", "snail", "none")
)
LENGTH = LabeledTask("length", "?", "en", ("text",), "label", "spearman", "here", scale=(0, 20))
FULL = Finetuning(lr=1e-2, epochs=6, batch_items=16, weight_decay=0.0)
LORA = replace(FULL, method="lora", lr=3e-2, lora_rank=4, lora_dropout=0.0)
WORDS = ("river", "letter", "clock", "the", "evening", "bread")


def animals(size: int, seed: int) -> list[LabeledItem]:
    """Which animal stands somewhere in the first text; lengths differ a lot."""
    draw = random.Random(seed)
    items = []
    for number in range(size):
        words = draw.choices(WORDS, k=draw.randint(1, 12))
        gold = draw.randrange(3)
        words[draw.randrange(len(words))] = (*ANIMAL.classes[:2], "rain")[gold]
        items.append(LabeledItem(f"{seed}-{number}", (" ".join(words), "who?"), gold))
    return items


def splits(made: Any, *, train: int = 160, dev: int = 30, test: int = 40) -> Splits:
    return Splits(made(train, 1), made(dev, 2), made(test, 3))


def lengths(size: int, seed: int) -> list[LabeledItem]:
    draw = random.Random(seed)
    numbers = [draw.randint(1, 15) for _ in range(size)]
    return [
        LabeledItem(f"{seed}-{n}", (" ".join(draw.choices(WORDS, k=many)),), many) for n, many in enumerate(numbers)
    ]


@torch.inference_mode()
def slowly(folder: Path, base: Path, task: LabeledTask, items: list[LabeledItem]) -> torch.Tensor:
    """The logits of every item, each read alone: no padding, no attention mask."""
    heads = {"num_labels": len(task.classes) or 1}
    model = AutoModelForSequenceClassification.from_pretrained(folder, **heads).eval()
    tokenizer = AutoTokenizer.from_pretrained(base)
    found = []
    for item in items:
        ids = [tokenizer.bos_token_id]
        for number, text in enumerate(item.texts):
            ids += tokenizer(("\n\n" if number else "") + text, add_special_tokens=False)["input_ids"]
        hidden = model.model(input_ids=torch.tensor([ids])).last_hidden_state
        found.append(model.score(hidden[0, -1]))
    return torch.stack(found)


@pytest.fixture(scope="module")
def learned(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """Of the planted task, and where the best epoch's weights are."""
    scratch = tmp_path_factory.mktemp("learned") / "scratch"
    return finetune(tiny_base, ANIMAL, splits(animals), scratch, FULL, seed=5), scratch


def test_a_planted_task_is_learned(learned: tuple[dict[str, Any], Path]) -> None:
    figures, _ = learned
    assert figures["score"] >= 0.9
    right = [gold == answer for gold, answer in zip(figures["golds"], figures["answers"], strict=True)]
    assert figures["score"] == pytest.approx(sum(right) / 40)
    golds = {item.id: item.gold for item in animals(40, 3)}
    assert dict(zip(figures["items"], figures["golds"], strict=True)) == golds
    assert figures["trainable_share"] == 1
    assert figures["cut_items"] == 0
    assert figures["splits"]["test_from"] == "test"


def test_answers_are_those_of_the_best_epoch_read_without_padding(
    learned: tuple[dict[str, Any], Path], tiny_base: Path
) -> None:
    figures, scratch = learned
    dev = {point["epoch"]: point["score"] for point in figures["dev"]}
    assert dev[figures["best_epoch"]] == max(dev.values())
    (best,) = scratch.glob("checkpoint-*")
    by_id = {item.id: item for item in animals(40, 3)}
    logits = slowly(best, tiny_base, ANIMAL, [by_id[name] for name in figures["items"]])
    assert logits.argmax(-1).tolist() == figures["answers"]
    assert len({len(" ".join(item.texts)) for item in by_id.values()}) > 10


def test_a_score_is_learned_and_stays_on_its_scale(tiny_base: Path, tmp_path: Path) -> None:
    figures = finetune(tiny_base, LENGTH, splits(lengths), tmp_path / "scratch", FULL, seed=1)
    assert figures["score"] > 0.9
    assert all(0 <= answer <= 20 for answer in figures["answers"])
    errors = [abs(gold - answer) for gold, answer in zip(figures["golds"], figures["answers"], strict=True)]
    assert sum(errors) / len(errors) < 3
    again = finetune(tiny_base, LENGTH, splits(lengths), tmp_path / "scratch", FULL, seed=1)
    assert again["answers"] == figures["answers"]
    assert again["dev"] == figures["dev"]
    other = finetune(tiny_base, LENGTH, splits(lengths), tmp_path / "scratch", replace(FULL, epochs=1), seed=2)
    assert other["answers"] != figures["answers"]


def test_padding_is_not_read_though_texts_end_with_the_pad_token(tiny_base: Path) -> None:
    model, tokenizer = classifier.load(tiny_base, ANIMAL)
    items = [LabeledItem("", (text, "clock"), 0) for text in ("a", "a much longer text", "b b")]
    ids, _ = classifier.Encoder(tokenizer, 128)(items)
    tokenizer.pad_token = tokenizer.eos_token = tokenizer.convert_ids_to_tokens(ids[0][-1])
    assert {sequence[-1] for sequence in ids} == {tokenizer.pad_token_id}
    pad = classifier.set_pad(model, tokenizer, ids)
    assert pad != tokenizer.pad_token_id
    batch = classifier.collate([{"input_ids": sequence, "labels": 0} for sequence in ids], pad)
    model.eval()
    with torch.inference_mode():
        together = model(**batch).logits
        alone = [model.score(model.model(input_ids=torch.tensor([one])).last_hidden_state[0, -1]) for one in ids]
    torch.testing.assert_close(together, torch.stack(alone), atol=1e-5, rtol=1e-4)
    assert classifier.set_pad(model, AutoTokenizer.from_pretrained(tiny_base), ids) == 2


def test_lora_moves_its_matrices_and_the_head_alone(tiny_base: Path, tmp_path: Path) -> None:
    figures = finetune(tiny_base, ANIMAL, splits(animals), tmp_path / "scratch", LORA, seed=5)
    assert figures["score"] >= 0.8
    linear = {"q_proj": (32, 32), "k_proj": (32, 16), "v_proj": (32, 16), "o_proj": (32, 32)}
    linear |= {"gate_proj": (32, 64), "up_proj": (32, 64), "down_proj": (64, 32)}
    assert figures["trainable_parameters"] == 2 * 4 * sum(map(sum, linear.values())) + 3 * 32
    (best,) = (tmp_path / "scratch").glob("checkpoint-*/adapter_model.safetensors")
    moved = load_file(best)
    names = {name.split(".lora_")[0].rpartition(".")[2] for name in moved if "lora_" in name}
    assert names == set(linear)
    assert [name for name in moved if "lora_" not in name] == ["base_model.model.score.weight"]
    assert all(values.abs().sum() > 0 for values in moved.values())


def test_a_long_item_loses_the_end_of_its_longest_text(tiny_base: Path) -> None:
    _, tokenizer = classifier.load(tiny_base, ANIMAL)
    item = LabeledItem("", ("The old lighthouse keeper climbed the stairs", "and"), 0)
    (whole,), none = classifier.Encoder(tokenizer, 128)([item])
    (cut,), one = classifier.Encoder(tokenizer, 8)([item])
    last = tokenizer("\n\nand", add_special_tokens=False)["input_ids"]
    assert (none, one, len(cut)) == (0, 1, 8)
    assert cut == whole[: 8 - len(last)] + last


def test_what_is_finished_is_not_done_again(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = splits(animals, train=16, dev=6, test=6)
    short = replace(FULL, epochs=1)
    begun: list[int] = []
    real = module.finetune

    def counted(*given: Any, seed: int, **named: Any) -> dict[str, Any]:
        begun.append(seed)
        if len(begun) == 2:
            (given[3] / "checkpoint-1").mkdir(parents=True)  # as a killed one leaves it
            raise KeyboardInterrupt
        return real(*given, seed=seed, **named)

    monkeypatch.setattr(module, "finetune", counted)
    with pytest.raises(KeyboardInterrupt):
        measure({"base": tiny_base}, ANIMAL, data, tmp_path, [short], seeds=[1, 2])
    found = measure({"base": tiny_base}, ANIMAL, data, tmp_path, [short], seeds=[1, 2])
    assert begun == [1, 2, 2]
    assert [(one["model"], one["seed"], one["method"]) for one in found] == [("base", 1, "full"), ("base", 2, "full")]
    assert found == measure({"base": tiny_base}, ANIMAL, data, tmp_path, [short], seeds=[1, 2])
    assert not any((tmp_path / "scratch").iterdir())
    # Other data is another question.
    measure({"base": tiny_base}, ANIMAL, replace(data, test=data.test[:5]), tmp_path, [short], seeds=[1])
    assert begun == [1, 2, 2, 1]
    assert len(json.loads((tmp_path / "finetuned-animal-base-full-1.json").read_text())["result"]["answers"]) == 5


def test_a_test_of_one_class_has_answers_and_no_score(tiny_base: Path, tmp_path: Path) -> None:
    task = replace(ANIMAL, metric="matthews")
    data = splits(animals, train=16, dev=6, test=12)
    data = replace(data, test=[item for item in data.test if item.gold == 1])
    figures = finetune(tiny_base, task, data, tmp_path / "scratch", replace(FULL, epochs=1), seed=0)
    assert figures["score"] is None
    assert len(figures["answers"]) == len(data.test)


def test_training_items_of_one_class_are_told(tiny_base: Path, tmp_path: Path) -> None:
    data = splits(animals)
    data = replace(data, train=[item for item in data.train if item.gold == 1])
    with pytest.raises(InputError, match="all training items of animal have the same label"):
        finetune(tiny_base, ANIMAL, data, tmp_path, FULL, seed=0)


def test_a_training_that_went_astray_is_told(tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"went astray: .*\n  Lower lr \(1e\+38\)"):
        finetune(tiny_base, LENGTH, splits(lengths), tmp_path / "scratch", replace(FULL, lr=1e38), seed=0)


def test_a_context_longer_than_the_model_is_told(tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a context of 129 tokens is longer than the 128 positions of the model"):
        finetune(tiny_base, ANIMAL, splits(animals), tmp_path, replace(FULL, context_tokens=129), seed=0)


def test_a_model_that_can_have_no_head_is_told(tmp_path: Path) -> None:
    MambaConfig().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="no classification head for models of the kind mamba"):
        classifier.load(tmp_path, ANIMAL)


def test_a_model_without_all_its_weights_is_told(tiny_base: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    for file in tiny_base.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(tiny_base / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"1 weights of the model are not there: model.norm.weight"):
        classifier.load(tmp_path, ANIMAL)


def test_a_tokenizer_without_a_first_token_is_told(tiny_base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    tokenizer.bos_token = tokenizer.eos_token = None
    with pytest.raises(InputError, match="neither a BOS nor an EOS token"):
        classifier.Encoder(tokenizer, 8)
