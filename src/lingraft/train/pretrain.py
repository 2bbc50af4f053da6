"""Continued pretraining on packed, mixed streams with Hugging Face's Trainer."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase
from transformers.trainer_utils import set_seed

from lingraft.core import launch
from lingraft.core.artifact import SCRATCH
from lingraft.core.errors import InputError, StageError
from lingraft.core.outside import sha256
from lingraft.core.progress import SILENT, Progress
from lingraft.corpus import shards
from lingraft.evaluate import bits
from lingraft.tokenizer import family

from . import course, earlier, experts, hardware, loading, loss, sharding
from .attention import Attention
from .callbacks import HeldOut, Meter, Proof
from .earlier import Earlier
from .guards import ForgettingAlarm, LossGuard, alarms
from .pack import STREAMS, checksum, sequence_bytes
from .processes import is_first, wait
from .reading import batch, collate, mixes, mixture, training_order
from .settings import Settings
from .trainable import Trainable
from .trainer import LanguageTrainer


def pretrain(
    model: Path,
    packed: Path,
    corpus: Path,
    folder: Path,
    settings: Settings,
    *,
    new_ids: Sequence[int] = (),
    trust_remote_code: bool = False,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Train the model on the mix; it stands in `folder` as plain weights, figures come back.

    What `settings.train` names moves, in float32, and is proved to; the model is saved in the base's own dtype.
    `new_ids` are the tokens that the base did not have, ascending. A stopped training goes on from its newest
    whole checkpoint, and on a CPU ends with the same bits as one that was never stopped.
    Checkpoints stand in `scratch` below the folder.
    """
    course.check_one_gpu()
    is_sharded = launch.sharded()
    if is_sharded:
        sharding.require_shardable(settings)
    batch_sequences, micro = batch(settings, launch.num_processes())
    _check_keeps_state(settings)
    kind = _kind(settings, packed)
    before = earlier.read(model, kind) if settings.go_on else None
    rows, streams, sizes = training_order(packed, settings, before=before)
    tokenizer = family.open(model)
    pad_id = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    steps = len(rows) // batch_sequences
    data = mixture(packed, settings, rows, streams, pad_id)
    arguments = course.arguments(
        settings, folder, steps=steps, micro=micro, batch=batch_sequences, torch_compile=settings.compile
    )
    set_seed(settings.seed)
    trained, dtype = loading.load(model, settings, trust_remote_code, whole=not is_sharded or is_first())
    own = course.own_ways(trained)
    trainable = Trainable(trained, settings.train, settings.lora, settings.new_rows, new_ids)
    if is_sharded:
        sharding.shard(trained, settings.precision)
    identity = {**course.identity(settings, trainable.begin(), new_ids), "the text": kind["the text"]}
    attention = Attention(trained, collate([data.of_several_documents()]), settings)
    first, autocast = attention.complete(collate([data[0]])), settings.precision == "bf16"
    chunked = loss.chunk(trained, first, autocast=autocast, compiled=settings.compile)
    guard = LossGuard(trainable, progress)
    changes: list[tuple[int, Mapping[str, float]]] = []

    def set_replay_share(step: int, share: float) -> None:
        # The batch of the next step has been fetched before.
        changes.append(((step + 1) * batch_sequences, {"target": 1 - share, "replay": share}))
        data.rows, _, sizes = training_order(packed, settings, changes, len(data), before=before)
        meter.set_rows(sizes)

    alarm = ForgettingAlarm(
        settings.forgetting, trainable, folder / SCRATCH, set_replay_share, settings.mix.get("replay", 0.0), progress
    )
    meter = Meter(sizes, batch_sequences, settings.sequence_tokens, progress)
    way = course.Course(folder, settings, arguments)
    trainer = LanguageTrainer(
        trainable,
        settings,
        guard,
        identity,
        before.state if before is not None else None,
        args=arguments,
        train_dataset=data,
        data_collator=lambda rows: attention.complete(collate(rows)),
        callbacks=way.callbacks(
            meter,
            HeldOut(
                partial(_measure, tokenizer, _held_out(corpus, settings), settings.sequence_tokens),
                settings.curve_points,
                meter,
                experts.Load(trained),
                settings.curve_bytes,
            ),
            Proof(trainable, after=math.ceil(settings.warmup_share * steps)),
            *([alarm] if settings.forgetting.limit is not None else []),
        ),
    )
    meter.trainer = trainer
    wait()
    taken = way.run(
        trainer,
        identity,
        progress,
        total=steps * settings.batch_tokens,
        unit="tokens",
        ended_early=lambda: alarm.stopped,
    )
    rows = data.rows[: taken * batch_sequences]
    course.restore(trained, own)
    if settings.keep_state:
        shown = (before.rows if before is not None else 0) + len(rows)
        place = Earlier(folder / earlier.FOLDER, shown, mixes(settings, changes, before))
        earlier.save(folder, trainable.named(), trainer.optimizer, place, kind)
    proof, moved = trainable.proof(), trainable.figures()
    if chunked is not None:
        chunked.undo()
    attention.undo()
    if is_sharded or settings.train == "qlora":
        trained, trainable = None, course.plain(trainable, model, settings, new_ids, trust_remote_code)
    if trainable is not None:
        trainable.finish()
        if is_first():
            loading.save(trainable.model, dtype, model, folder)
    outline = loading.outline(model, dtype, trust_remote_code)
    flops = course.training_flops(outline, taken * settings.batch_tokens, moved["trainable_share"])
    return {
        "train": settings.train,
        "processes": launch.num_processes(),
        "sharded": is_sharded,
        "parameters": sum(p.numel() for p in outline.parameters()),
        **moved,
        "proof": proof,
        "attention": attention.way,
        "loss": "chunked" if chunked else "the model's own",
        "steps": taken,
        "tokens": taken * settings.batch_tokens,
        "bytes": meter.position(taken)["bytes"],
        "gone_on_from": before.rows * settings.sequence_tokens if before is not None else None,
        "realized_mix": {name: float((rows[:, 0] == index).mean()) for index, name in enumerate(streams)},
        "epochs": {
            name: int((rows[:, 0] == index).sum()) / len(sequence_bytes(packed, name))
            for index, name in enumerate(streams)
        },
        "steps_left_out": guard.left_out,
        "forgetting": alarms(trainer.state),
        "flops": flops,
        **meter.figures(),
        **hardware.utilization(flops, meter.figures()["seconds"], launch.num_processes(), settings.precision),
        "energy": way.energy(),
        "curve": meter.curve(),
        "held_out_curve": meter.held_out_curve(),
    }


def _measure(
    tokenizer: PreTrainedTokenizerBase, documents: Mapping[str, Sequence[str]], context_tokens: int, model: Any
) -> dict[str, float]:
    """Bits per byte of the documents, by stream."""
    found = {
        stream: bits.measure(model, tokenizer, texts, context_tokens=context_tokens)
        for stream, texts in documents.items()
    }
    return {stream: bits.bits_per_byte(records) for stream, records in found.items()}


def _held_out(corpus: Path, settings: Settings) -> dict[str, list[str]]:
    """Documents of every stream that has any."""
    streams = [name for name in STREAMS if (corpus / name).exists()]
    found = {name: shards.sample(corpus, name, "held_out", settings.curve_documents) for name in streams}
    return {name: [text for text, _, _ in documents] for name, documents in found.items() if documents}


def _check_keeps_state(settings: Settings) -> None:
    if (settings.keep_state or settings.go_on) and settings.train in ("lora", "qlora"):
        raise InputError(
            "adapters are merged into the model at the end of a training, and none can go on with them.",
            remedy="Leave keep_state and go_on out, or set train to full.",
        )


def _kind(settings: Settings, packed: Path) -> dict[str, Any]:
    """What trainings that go on from each other have in common."""
    names = ("train", "optimizer", "seed", "sequence_tokens")
    text = {name: checksum(packed, name) for name in STREAMS if (packed / name).exists()}
    return {**{name: getattr(settings, name) for name in names}, "the text": text}


def check_same_tokenizer(model: Path, tokenizer_sha256: str) -> None:
    """Raise StageError unless the model's tokenizer is the one the text was packed with."""
    if sha256(model / "tokenizer.json") != tokenizer_sha256:
        raise StageError(
            "the text was packed with another tokenizer than the model's.",
            where=model,
            remedy="Put the pack stage after the stage that makes this model, or name the right one in pack.tokenizer.",
        )
