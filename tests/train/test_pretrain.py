import dataclasses
import json
import math
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from trained_for_tests import Trained
from transformers import AutoModelForCausalLM, AutoTokenizer, get_cosine_schedule_with_warmup

from lingraft.core.errors import InputError, StageError
from lingraft.core.outside import sha256
from lingraft.corpus.shards import sample
from lingraft.evaluate import bits
from lingraft.train.course import training_flops
from lingraft.train.pack import Shard, pack, sequence_bytes
from lingraft.train.pretrain import check_same_tokenizer, pretrain
from lingraft.train.reading import training_order
from lingraft.train.settings import Settings, Shorter

STEPS, BATCH_SEQUENCES, SIZE = 8, 8, 32


@pytest.fixture(scope="module")
def order(packed: Path, settings: Settings) -> tuple[dict[str, Shard], np.ndarray, list[str]]:
    rows, streams, _ = training_order(packed, settings)
    return {name: Shard(packed / name, SIZE, 2) for name in streams}, rows, streams


def batch(order: tuple[dict[str, Shard], np.ndarray, list[str]], step: int) -> dict[str, torch.Tensor]:
    shards, rows, streams = order
    part = rows[step * BATCH_SEQUENCES : (step + 1) * BATCH_SEQUENCES]
    sequences = [shards[streams[stream]][int(sequence)] for stream, sequence in part]
    return {key: torch.from_numpy(np.stack([sequence[key] for sequence in sequences])) for key in sequences[0]}


def slow_loss(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Nats a predicted token, every document alone."""
    nats, num_predicted = torch.tensor(0.0), 0
    for ids, labels, positions in zip(*batch.values(), strict=True):
        begins = [*(positions == 0).nonzero().flatten().tolist(), len(ids)]
        for begin, end in pairwise(begins):
            logprobs = model(input_ids=ids[None, begin:end], use_cache=False).logits[0].log_softmax(-1)
            for place in range(begin + 1, end):
                if labels[place] != -100:
                    nats = nats - logprobs[place - 1 - begin, ids[place]]
                    num_predicted += 1
    return nats / num_predicted


def test_loss_falls_and_weights_move(trained: Trained, tiny_base: Path) -> None:
    losses = [point["loss"] for point in trained.figures["curve"]]
    assert losses[-1] < losses[0] - 0.3
    held_out = [point["bits_per_byte"] for point in trained.figures["held_out_curve"]]
    assert held_out[-1]["target"] < held_out[0]["target"]
    before, after = load_file(tiny_base / "model.safetensors"), trained.weights
    assert before.keys() == after.keys()
    assert not any(torch.equal(before[name], after[name]) for name in before)
    assert all(after[name].dtype == before[name].dtype for name in before)


def test_the_same_as_a_plain_loop(
    trained: Trained,
    tiny_base: Path,
    settings: Settings,
    order: tuple[dict[str, Shard], np.ndarray, list[str]],
) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    decayed = [p for name, p in model.named_parameters() if "norm" not in name]
    rest = [p for name, p in model.named_parameters() if "norm" in name]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": rest, "weight_decay": 0.0}],
        lr=settings.lr,
    )
    schedule = get_cosine_schedule_with_warmup(optimizer, math.ceil(settings.warmup_share * STEPS), STEPS)
    for step, point in enumerate(trained.figures["curve"]):
        assert point["lr"] == pytest.approx(schedule.get_last_lr()[0])
        loss = slow_loss(model, batch(order, step))
        assert point["loss"] == pytest.approx(loss.item(), abs=2e-3)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    assert step + 1 == STEPS


def test_curve(trained: Trained, packed: Path, settings: Settings) -> None:
    _, _, sizes = training_order(packed, settings)
    curve = trained.figures["curve"]
    assert [point["step"] for point in curve] == list(range(1, STEPS + 1))
    assert [point["tokens"] for point in curve] == [step * BATCH_SEQUENCES * SIZE for step in range(1, STEPS + 1)]
    assert [point["bytes"] for point in curve] == [
        int(sizes[: step * BATCH_SEQUENCES].sum()) for step in range(1, STEPS + 1)
    ]
    seconds = [point["seconds"] for point in curve]
    assert seconds == sorted(seconds)
    assert 0 < seconds[0] < seconds[-1] <= trained.figures["seconds"]
    assert all(set(point) == {"step", "tokens", "bytes", "seconds", "loss", "lr"} for point in curve)


def test_held_out_curve(trained: Trained, tiny_base: Path, corpus: Path, packed: Path, settings: Settings) -> None:
    _, _, sizes = training_order(packed, settings)
    curve = trained.figures["held_out_curve"]
    ends = [0, *np.cumsum(sizes.reshape(-1, BATCH_SEQUENCES).sum(axis=1)).tolist()]
    middle = next(step for step, end in enumerate(ends) if end >= ends[-1] / 2)
    assert [point["step"] for point in curve] == [0, middle, STEPS]
    assert [point["bytes"] for point in curve] == [ends[0], ends[middle], ends[-1]]
    assert [point["tokens"] for point in curve] == [step * BATCH_SEQUENCES * SIZE for step in (0, middle, STEPS)]
    for folder, point in ((tiny_base, curve[0]), (trained.folder, curve[-1])):
        model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        for stream in ("target", "replay"):
            texts = [text for text, _, _ in sample(corpus, stream, "held_out", settings.curve_documents)]
            records = bits.measure(model, tokenizer, texts, context_tokens=SIZE)
            assert point["bits_per_byte"][stream] == pytest.approx(bits.bits_per_byte(records), rel=1e-6)


def test_figures(trained: Trained, packed: Path, settings: Settings, tiny_base: Path) -> None:
    rows, streams, sizes = training_order(packed, settings)
    figures = trained.figures
    assert streams == ["target", "replay"]
    assert figures["train"] == "full"
    assert figures["steps"] == STEPS
    assert figures["tokens"] == STEPS * BATCH_SEQUENCES * SIZE == settings.budget_tokens
    assert figures["bytes"] == sizes.sum()
    assert figures["realized_mix"] == {"target": 0.75, "replay": 0.25}
    for index, name in enumerate(streams):
        assert figures["epochs"][name] == (rows[:, 0] == index).sum() / len(sequence_bytes(packed, name))
    numbers = sum(tensor.numel() for tensor in load_file(tiny_base / "model.safetensors").values())
    assert figures["parameters"] == figures["trainable_parameters"] == numbers
    assert figures["proof"] == {"moved": 20, "stayed": 0, "moved_though_frozen": [], "did_not_move": []}
    assert figures["flops"] == 6 * numbers * figures["tokens"]
    assert figures["tokens_per_second"] == pytest.approx(figures["tokens"] / figures["seconds"], rel=0.1)
    assert json.dumps(figures)


def test_flops_of_an_untied_model_leave_out_the_looked_up_table(tiny_untied_base: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_untied_base)
    weights = sum(p.numel() for p in model.parameters())
    assert training_flops(model, 10) == 60 * (weights - 400 * 32)


def test_progress(trained: Trained) -> None:
    assert trained.progress.amount == trained.figures["tokens"]
    losses = [values for kind, values in trained.progress.events if kind == "loss"]
    assert [values["optimizer_step"] for values in losses] == list(range(1, STEPS + 1))
    assert [values["loss"] for values in losses] == [point["loss"] for point in trained.figures["curve"]]


def test_the_folder_is_a_model(trained: Trained, tiny_base: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (trained.folder / name).read_bytes() == (tiny_base / name).read_bytes()
    for name in ("config.json", "generation_config.json"):
        before, after = (json.loads((folder / name).read_text()) for folder in (tiny_base, trained.folder))
        assert after == before


def test_bfloat16_base_is_trained_in_float32_and_saved_as_it_was(
    tiny_base: Path, packed: Path, corpus: Path, settings: Settings, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_base, base)
    AutoModelForCausalLM.from_pretrained(base).to(torch.bfloat16).save_pretrained(base)
    small = dataclasses.replace(settings, precision="bf16", budget_tokens=1, lr=1e-6)
    pretrain(base, packed, corpus, tmp_path / "out", small)
    weights = load_file(tmp_path / "out" / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "bfloat16"


def test_micro_batches_add_up(
    trained: Trained, tiny_base: Path, packed: Path, corpus: Path, settings: Settings, tmp_path: Path
) -> None:
    one = dataclasses.replace(settings, micro_batch_sequences=1)
    figures = pretrain(tiny_base, packed, corpus, tmp_path, one)
    for ours, theirs in zip(figures["curve"], trained.figures["curve"], strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-4)
    for name, tensor in load_file(tmp_path / "model.safetensors").items():
        torch.testing.assert_close(tensor, trained.weights[name], atol=2e-4, rtol=0)


def test_gradient_checkpointing_changes_nothing(
    trained: Trained, tiny_base: Path, packed: Path, corpus: Path, settings: Settings, tmp_path: Path
) -> None:
    pretrain(tiny_base, packed, corpus, tmp_path, dataclasses.replace(settings, gradient_checkpointing=True))
    for name, tensor in load_file(tmp_path / "model.safetensors").items():
        torch.testing.assert_close(tensor, trained.weights[name], atol=2e-4, rtol=0)


def test_shorter_sequences_first_show_the_same_text(
    trained: Trained, tiny_base: Path, packed: Path, corpus: Path, settings: Settings, tmp_path: Path
) -> None:
    scheduled = dataclasses.replace(settings, sequence_schedule=[Shorter(0.25, 4), Shorter(0.5, 16)])
    figures = pretrain(tiny_base, packed, corpus, tmp_path, scheduled)
    assert figures["bytes"] == trained.figures["bytes"]
    assert figures["steps"] == trained.figures["steps"]
    ours, theirs = ([point["loss"] for point in found["curve"]] for found in (figures, trained.figures))
    assert ours[0] != pytest.approx(theirs[0], rel=1e-4)
    with pytest.raises(InputError, match=r"sequences of 32 tokens cannot be cut into ones of 5\.\n  Choose lengths"):
        pretrain(
            tiny_base,
            packed,
            corpus,
            tmp_path / "other",
            dataclasses.replace(settings, sequence_schedule=[Shorter(0.25, 5)]),
        )


def test_noise_on_embeddings_is_for_training_alone(
    trained: Trained, tiny_base: Path, packed: Path, corpus: Path, settings: Settings, tmp_path: Path
) -> None:
    figures = pretrain(tiny_base, packed, corpus, tmp_path, dataclasses.replace(settings, neftune_alpha=5.0))
    assert figures["curve"][0]["loss"] != trained.figures["curve"][0]["loss"]
    assert figures["held_out_curve"][0] | {"seconds": 0} == trained.figures["held_out_curve"][0] | {"seconds": 0}


def test_loss_that_is_no_number(
    tiny_base: Path, packed: Path, corpus: Path, settings: Settings, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_base, base)
    weights = load_file(base / "model.safetensors")
    weights["model.norm.weight"][0] = math.nan
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(StageError, match="the training loss is nan at step 3, and was no better in the steps before"):
        pretrain(base, packed, corpus, tmp_path / "out", settings)


def test_sequences_longer_than_the_positions(
    tiny_base: Path, packed: Path, corpus: Path, settings: Settings, tmp_path: Path
) -> None:
    pack(corpus, tiny_base, tmp_path / "packed", sequence_tokens=256)
    long = dataclasses.replace(settings, sequence_tokens=256, batch_tokens=256)
    with pytest.raises(InputError, match="sequences of 256 tokens are longer than the 128 positions of the model"):
        pretrain(tiny_base, tmp_path / "packed", corpus, tmp_path / "out", long)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"batch_tokens": 100}, "a batch of 100 tokens is not made of whole micro-batches: 3 sequences of 32 tokens"),
        ({"batch_tokens": 16}, "a batch of 16 tokens is not made of whole micro-batches: 1 sequences of 32 tokens"),
        ({"micro_batch_sequences": 3}, "a batch of 256 tokens is not made of whole micro-batches: 3 sequences of 32"),
    ],
)
def test_batch_of_broken_sequences(
    changes: dict[str, int], told: str, tiny_base: Path, packed: Path, corpus: Path, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=told):
        pretrain(tiny_base, packed, corpus, tmp_path, dataclasses.replace(settings, **changes))


def test_mix_without_text(packed: Path, settings: Settings, tmp_path: Path) -> None:
    shutil.copytree(packed / "target", tmp_path / "target")
    with pytest.raises(StageError, match="the mix asks for 25% of replay, and there is no replay text"):
        training_order(tmp_path, settings)


def test_text_of_another_tokenizer(tiny_base: Path, tmp_path: Path) -> None:
    check_same_tokenizer(tiny_base, sha256(tiny_base / "tokenizer.json"))
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(StageError, match="the text was packed with another tokenizer than the model's"):
        check_same_tokenizer(tmp_path, sha256(tiny_base / "tokenizer.json"))


def test_several_gpus_in_one_process_are_refused(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(
        InputError,
        match=r"shows 2 GPUs, and one process uses one(.|\n)*CUDA_VISIBLE_DEVICES=0(.|\n)*torchrun --npr",
    ):
        pretrain(tmp_path, tmp_path, tmp_path, tmp_path, settings)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")  # torch's own, when it compiles
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
def test_compiled_it_trains_the_same(
    trained: Trained, tiny_base: Path, packed: Path, corpus: Path, settings: Settings, tmp_path: Path
) -> None:
    compiled = dataclasses.replace(settings, compile=True)
    figures = pretrain(tiny_base, packed, corpus, tmp_path, compiled)
    assert [point["loss"] for point in figures["curve"]] == pytest.approx(
        [point["loss"] for point in trained.figures["curve"]], rel=1e-3
    )
    assert figures["loss"] == "chunked"
    assert set(load_file(tmp_path / "model.safetensors")) == set(trained.weights)
