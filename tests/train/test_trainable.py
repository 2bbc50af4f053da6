import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from lingraft.core.errors import InputError, StageError
from lingraft.core.progress import Progress
from lingraft.corpus.shards import sample
from lingraft.evaluate import bits
from lingraft.train.mix import Mixture
from lingraft.train.pack import Shard
from lingraft.train.pretrain import pretrain
from lingraft.train.reading import collate, training_order
from lingraft.train.settings import Lora, NewRows, Settings
from lingraft.train.trainable import Trainable

NEW = list(range(300, 330)) + list(range(380, 400))
TABLES = {"model.embed_tokens.weight", "lm_head.weight"}
LORA = Lora(rank=4, alpha=8, dropout=0.0)

Train = Callable[..., tuple[dict[str, Any], dict[str, torch.Tensor]]]


@pytest.fixture(params=["tiny_base", "tiny_untied_base"])
def base(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


@pytest.fixture
def train(packed: Path, corpus: Path, settings: Settings, tmp_path: Path) -> Train:
    def run(base: Path, **changes: Any) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        changed = dataclasses.replace(settings, lora=LORA, **changes)
        figures = pretrain(base, packed, corpus, tmp_path / "out", changed, new_ids=NEW)
        return figures, load_file(tmp_path / "out" / "model.safetensors")

    return run


def moved_rows(before: torch.Tensor, after: torch.Tensor) -> list[int]:
    return (before != after).any(dim=1).nonzero().flatten().tolist()


def all_rows(table: torch.Tensor, tied: bool) -> list[int]:
    """What moves of a whole table: decay moves rows of tokens that do not occur, too, but not padding, all zeros."""
    return list(range(400)) if tied else table.any(dim=1).nonzero().flatten().tolist()


@pytest.mark.parametrize(
    ("mode", "tables", "mark"),
    [
        ({"train": "full"}, "full", ""),
        ({"train": "full", "new_rows": NewRows(lr=1e-2)}, "full", ""),
        ({"train": "full", "optimizer": "muon"}, "full", ""),
        ({"train": "rows"}, "new", "nothing"),
        ({"train": "embeddings"}, "full", "nothing"),
        ({"train": "embeddings", "new_rows": NewRows(schedule="constant")}, "full", "nothing"),
        ({"train": "top_bottom"}, "full", "layers"),
        ({"train": "lora"}, "new", "proj"),
    ],
)
def test_what_moves(mode: dict[str, Any], tables: str, mark: str, base: Path, train: Train) -> None:
    """Tensors between the tables move when their name has the mark in it."""
    figures, after = train(base, **mode)
    before = load_file(base / "model.safetensors")
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        if name in TABLES:
            assert (
                moved_rows(tensor, after[name])
                == {"full": all_rows(tensor, len(TABLES & before.keys()) == 1), "new": NEW}[tables]
            )
        else:
            assert torch.equal(tensor, after[name]) is (mark not in name)
    assert figures["train"] == mode["train"]
    assert 0 < figures["trainable_share"] <= 1
    assert sum(group["trainable"] for group in figures["groups"].values()) == figures["trainable_parameters"]
    assert figures["proof"]["moved"] > 0


@pytest.mark.parametrize("tables", ["full", "new", "frozen"])
@pytest.mark.parametrize("variant", ["lora", "rslora", "dora"])
def test_adapters_are_merged_as_they_were_trained(
    variant: str, tables: str, base: Path, corpus: Path, settings: Settings, tmp_path: Path, packed: Path
) -> None:
    lora = dataclasses.replace(LORA, variant=variant, tables=tables)
    changed = dataclasses.replace(settings, train="lora", lora=lora)
    figures = pretrain(base, packed, corpus, tmp_path, changed, new_ids=NEW)
    before, after = (load_file(folder / "model.safetensors") for folder in (base, tmp_path))
    for name in TABLES & before.keys():
        expected = {"full": all_rows(before[name], len(TABLES & before.keys()) == 1), "new": NEW, "frozen": []}[tables]
        assert moved_rows(before[name], after[name]) == expected
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    for stream, value in figures["held_out_curve"][-1]["bits_per_byte"].items():
        texts = [text for text, _, _ in sample(corpus, stream, "held_out", settings.curve_documents)]
        measured = bits.bits_per_byte(bits.measure(model, tokenizer, texts, context_tokens=settings.sequence_tokens))
        assert measured == pytest.approx(value, rel=1e-5)
    assert figures["groups"]["adapters"]["trainable"] == figures["groups"]["adapters"]["parameters"] > 0


def test_new_rows_have_their_own_rate_and_decay(base: Path, train: Train, packed: Path, settings: Settings) -> None:
    """Against plain AdamW that knows no rows: what it does to the new ones is scaled afterwards."""
    lr, own = 1e-5, NewRows(lr=5e-5, weight_decay=30.0, schedule="constant", warmup_share=0.0)
    _, after = train(base, lr=lr, schedule="linear", warmup_share=0.0, new_rows=own, max_grad_norm=1e9)
    rows, streams, _ = training_order(packed, settings)
    data = Mixture([Shard(packed / name, settings.sequence_tokens, 2) for name in streams], rows)
    model = AutoModelForCausalLM.from_pretrained(base)
    tables = [p for name, p in model.named_parameters() if name in TABLES]
    norms = [p for name, p in model.named_parameters() if "norm" in name]
    others = [p for name, p in model.named_parameters() if name not in TABLES and "norm" not in name]
    optimizer = torch.optim.AdamW(
        [{"params": tables + others, "weight_decay": settings.weight_decay}, {"params": norms, "weight_decay": 0.0}]
    )
    steps = len(rows) // 8
    for step in range(steps):
        rate = lr * (steps - step) / steps
        for group in optimizer.param_groups:
            group["lr"] = rate
        model(**collate([data[8 * step + at] for at in range(8)]), use_cache=False).loss.backward()
        before = [table.detach()[NEW].double() for table in tables]
        optimizer.step()
        with torch.no_grad():
            for table, old in zip(tables, before, strict=True):
                update = (table[NEW] - old * (1 - rate * settings.weight_decay)) / rate
                table[NEW] = (old * (1 - own.lr * own.weight_decay) + own.lr * update).float()
        optimizer.zero_grad()
    start = load_file(base / "model.safetensors")
    for name, tensor in model.state_dict().items():
        for part in (slice(None), NEW) if name in TABLES & start.keys() else (slice(None),) if name in start else ():
            # Where a gradient is all but nothing, rounding decides which way AdamW goes.
            far, error = ((tensor - other[name])[part].abs().mean() for other in (start, after))
            assert error < 0.02 * far


def test_a_stopped_training_with_adapters_goes_on_to_the_same_bits(
    tiny_base: Path, packed: Path, corpus: Path, settings: Settings, tmp_path: Path
) -> None:
    class Stop(Exception):
        pass

    class Stopper(Progress):
        tokens = 0.0

        def advance(self, amount: float = 1) -> None:
            self.tokens += amount
            if self.tokens >= 6 * settings.batch_tokens:
                raise Stop

    lora = dataclasses.replace(LORA, dropout=0.1)
    changed = dataclasses.replace(settings, train="lora", lora=lora, optimizer="muon", checkpoint_minutes=0)
    pretrain(tiny_base, packed, corpus, tmp_path / "whole", changed, new_ids=NEW)
    with pytest.raises(Stop):
        pretrain(tiny_base, packed, corpus, tmp_path / "stopped", changed, new_ids=NEW, progress=Stopper())
    pretrain(tiny_base, packed, corpus, tmp_path / "stopped", changed, new_ids=NEW)
    whole, stopped = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "stopped"))
    assert whole == stopped


def test_two_layers_at_each_end(tiny_base: Path) -> None:
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(tiny_base, num_hidden_layers=6))
    trainable = Trainable(model, "top_bottom", LORA, NewRows(), ())
    layers = {name.split(".")[2] for name in trainable.named() if ".layers." in name}
    assert layers == {"0", "1", "4", "5"}


def test_no_new_rows_to_train(tiny_base: Path, packed: Path, corpus: Path, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are no new rows to train"):
        pretrain(tiny_base, packed, corpus, tmp_path, dataclasses.replace(settings, train="rows"))


def test_adapters_for_layers_that_are_not_there(tiny_base: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    with pytest.raises(InputError, match=r"no adapters can be put into this model: Target modules (.|\n)*lora.targets"):
        Trainable(model, "lora", Lora(targets=["query"]), NewRows(), ())


def test_what_does_not_move_is_told(tiny_base: Path, train: Train) -> None:
    with pytest.raises(StageError, match=r"1 of the model's tensors did not move: .*rows_ND"):
        train(tiny_base, new_rows=NewRows(lr=0.0))


def test_what_moves_though_frozen_is_told(tiny_base: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    trainable = Trainable(model, "rows", LORA, NewRows(), NEW)
    trainable.begin()
    with torch.no_grad():
        trainable.new_rows[0] += 1
        model.model.norm.weight[3] += 1e-6
    with pytest.raises(StageError, match=r"1 of the model's tensors moved, though frozen: model.norm.weight"):
        trainable.require_proof()
