"""Two evaluations of the same texts and items, as a study compares its cells."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from lingraft.core.stage import Input
from lingraft.core.study.measure import Measure
from lingraft.corpus.document import Document
from lingraft.corpus.language import find
from lingraft.corpus.shards import ShardWriter
from lingraft.evaluate import asking, evaluate
from lingraft.evaluate.between import on_same_items
from lingraft.evaluate.task import Item, Task

LANGUAGES = {"target": find("pl"), "replay": find("en")}
TASK = Task(
    "toy", "toy", "Toy", "pl", "pl", "choice",
    items=tuple(Item(f"i{n}", f"Item {n} of the market says", (" yes", " no at all"), n % 2) for n in range(12)),
)  # fmt: skip
BITS = Measure(figure="evaluate.bits[model=pretrain, stream=target, source=all].bits_per_byte")
ACCURACY = Measure(figure="evaluate.tasks[task=toy, model=pretrain, metric=accuracy].value")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, polish: list[str], english: list[str]) -> Path:
    """Artifacts of a corpus and of two evaluations, of which the model `pretrain` is another one."""
    folder = tmp_path_factory.mktemp("artifacts")
    for stream, texts in (("target", polish), ("replay", english)):
        with ShardWriter(folder / "corpus" / "c1" / stream / "held_out") as writer:
            for index, text in enumerate(texts):
                writer.add(Document(text, "novels", f"novel {index // 2}", f"f:{index}"), len(text.encode()))
    other = folder / "other"
    shutil.copytree(tiny_base, other)
    model = AutoModelForCausalLM.from_pretrained(other)
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(2)
    model.save_pretrained(other)
    for name, path in (("e1", tiny_base), ("e2", other)):
        made_in(folder, name, {"pretrain": path})
    made_in(folder, "both", {"base": other, "pretrain": tiny_base})
    made_in(folder, "fewer", {"pretrain": other}, documents=3)
    return folder


def made_in(store: Path, name: str, models: dict[str, Path], documents: int = 5) -> None:
    folder = store / "evaluate" / name
    folder.mkdir(parents=True)
    texts = evaluate.held_out(store / "corpus" / "c1", LANGUAGES, documents)
    evaluate.measure_bits(models, texts, folder, context_tokens=64)
    task = TASK if documents == 5 else Task(**{**vars(TASK), "items": TASK.items[:6]})
    asking.ask(models, [task], folder / "answers", context_tokens=64)


def cell(store: Path, name: str, kind: str = "evaluate") -> dict[str, Input]:
    manifest = {
        "config": {"corpus": "text", "documents": 5},
        "settings": {"language": "pl", "replay": "en", "seed": 7},
    }
    return {
        "text": Input("corpus", "c1", store / "corpus" / "c1", {}, {}),
        "evaluate": Input(kind, name, store / "evaluate" / name, {}, manifest),
    }


def test_bits_are_compared_as_two_models_of_one_evaluation_are(store: Path, tiny_base: Path) -> None:
    texts, models = (
        evaluate.held_out(store / "corpus" / "c1", LANGUAGES, 5),
        {"base": store / "other", "pretrain": tiny_base},
    )
    both = evaluate.measure_bits(models, texts, store / "evaluate" / "both", context_tokens=64)
    row = evaluate.bits_table(both, texts, seed=7)[1]
    told = row["against_base"]
    assert (row["model"], row["stream"]) == ("pretrain", "target")
    assert told["low"] < told["high"]
    found = on_same_items(cell(store, "e1"), cell(store, "e2"), BITS)
    assert found == (told["difference"], told["low"], told["high"])


def test_tasks_are_compared_item_by_item(store: Path) -> None:
    value, low, high = on_same_items(cell(store, "e1"), cell(store, "e2"), ACCURACY)
    rights = []
    for name in ("e1", "e2"):
        kept = json.loads((store / "evaluate" / name / "answers" / "toy" / "pretrain.json").read_text(encoding="utf-8"))
        rights.append([answer["counts"]["accuracy"][0] for answer in kept["result"]])
    assert value == pytest.approx((sum(rights[0]) - sum(rights[1])) / 12)
    assert low <= value <= high


def test_what_is_not_the_same_is_not_compared(store: Path) -> None:
    first = cell(store, "e1")
    fewer = cell(store, "fewer")
    assert on_same_items(first, fewer, BITS) is None
    assert on_same_items(first, fewer, ACCURACY) is None
    second = cell(store, "e2")
    for figure in (
        "evaluate.bits[model=pretrain, stream=target, source=novels].bits_per_byte",
        "evaluate.bits[model=pretrain, stream=other, source=all].bits_per_byte",
        "evaluate.bits[0].bits_per_byte",
        "evaluate.tasks[task=toy, model=graft, metric=accuracy].value",
        "evaluate.tasks[task=toy, model=pretrain, metric=none].value",
        "evaluate.speed.tokens",
    ):
        assert on_same_items(first, second, Measure(figure=figure)) is None
    assert on_same_items(cell(store, "e1", kind="analyze"), second, BITS) is None
