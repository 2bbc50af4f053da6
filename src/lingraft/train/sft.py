"""Supervised fine-tuning on conversations with TRL: only what the assistant says counts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from transformers.trainer_utils import set_seed
from trl import SFTConfig, SFTTrainer

from lingraft.conversations import template as templates
from lingraft.conversations.template import Template
from lingraft.core import launch
from lingraft.core.progress import SILENT, Progress
from lingraft.evaluate import bits, statistics
from lingraft.evaluate.bits import Bits
from lingraft.tokenizer import family

from . import answers, course, hardware, loading, mix
from .answers import STREAMS, Sequences
from .attention import Attention
from .callbacks import HeldOut, Meter, Proof
from .guards import LossGuard
from .processes import is_first, wait
from .reading import batch
from .settings import SftSettings
from .trainable import Trainable
from .trainer import OwnTraining


class AnswerTrainer(OwnTraining, SFTTrainer):
    """Trains on answers, by TRL's loss."""


def sft(
    model: Path,
    conversations: Path,
    folder: Path,
    settings: SftSettings,
    *,
    template: str = "auto",
    template_folder: Path = Path(),
    new_ids: Sequence[int] = (),
    trust_remote_code: bool = False,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Train the model to answer; it stands in `folder` as plain weights with its chat template, figures come back.

    `conversations` is the folder of an artifact of that kind. `template` is `auto`, `own`, one of
    `conversations.template.TEMPLATES` or a file. Held-out answers are measured in bits per byte before and after, with
    intervals from resampling conversations. A stopped training goes on from its newest whole checkpoint.
    """
    course.check_one_gpu()
    course.check_not_sharded("sft")
    batch_rows, micro = batch(settings, launch.num_processes())
    tokenizer = family.open(model)
    name, text = templates.named(tokenizer, template, template_folder)
    used = Template(tokenizer, text)
    pad_id = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    most = settings.sequence_tokens
    streams = [stream for stream in STREAMS if settings.mix.get(stream)]
    training = {
        stream: answers.sequences(answers.read(conversations, stream, "train"), used, most, settings.system)
        for stream in streams
    }
    answers.require_some(training, settings.mix, conversations)
    held_out = {
        stream: answers.sequences(answers.read(conversations, stream, "held_out"), used, most, settings.system)
        for stream in STREAMS
    }
    held_out = {stream: found for stream, found in held_out.items() if found.of}
    packed = [answers.pack(training[stream], most, pad_id) for stream in streams]
    order = mix.order(
        {stream: rows.answer_bytes_N for stream, rows in zip(streams, packed, strict=True)},
        {stream: settings.mix[stream] for stream in streams},
        seed=settings.seed,
        epochs=settings.epochs,
        sequence_tokens=most,
        multiple=batch_rows,
    )
    data = answers.dataset(packed, order)
    steps = len(order) // batch_rows
    arguments = course.arguments(
        settings,
        folder,
        steps=steps,
        micro=micro,
        batch=batch_rows,
        kind=SFTConfig,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        max_length=None,
    )
    set_seed(settings.seed)
    trained, dtype = loading.load(model, settings, trust_remote_code)
    measure = partial(_measure, held_out, used, pad_id)
    before = measure(trained)
    own = course.own_ways(trained)
    trainable = Trainable(trained, settings.train, settings.lora, settings.new_rows, new_ids)
    attention = Attention(trained, answers.collate([data[0]]), settings)
    guard = LossGuard(trainable, progress)
    row_bytes, row_tokens = (_by_place(packed, order, what) for what in ("answer_bytes_N", "tokens_N"))
    meter = Meter(row_bytes, batch_rows, row_tokens, progress)
    way = course.Course(folder, settings, arguments)
    identity: dict[str, Any] = {}
    trainer = AnswerTrainer(
        trainable,
        settings,
        guard,
        identity,
        None,
        args=arguments,
        train_dataset=data,
        processing_class=tokenizer,
        data_collator=lambda rows: attention.complete(answers.collate(rows)),
        callbacks=way.callbacks(
            meter,
            HeldOut(lambda model: _bits_per_byte(measure(model)), settings.curve_points, meter),
            Proof(trainable, after=math.ceil(settings.warmup_share * steps)),
        ),
    )
    trainable.in_float32()
    identity |= {
        **course.identity(settings, trainable.begin(), new_ids),
        "the template": text,
        "the conversations": sha256(b"".join(rows.ids_NS.tobytes() for rows in packed)).hexdigest(),
    }
    meter.trainer = trainer
    wait()
    taken = way.run(trainer, identity, progress, total=int(row_tokens.sum()), unit="tokens")
    after = measure(trained)
    proof, moved = trainable.proof(), trainable.figures()
    attention.undo()
    course.restore(trained, own)
    if settings.train == "qlora":
        trainable = course.plain(trainable, model, settings, new_ids, trust_remote_code)
    if trainable is not None:
        trainable.finish()
        if is_first():
            course.end_with(trainable.model, used.end_ids)
            loading.save(trainable.model, dtype, model, folder)
            templates.put(folder, text)
    outline = loading.outline(model, dtype, trust_remote_code)
    tokens = meter.position(taken)["tokens"]
    flops = course.training_flops(outline, taken * settings.batch_tokens, moved["trainable_share"])
    shown = {stream: order[order[:, 0] == index, 1] for index, stream in enumerate(streams)}
    return {
        "train": settings.train,
        "processes": launch.num_processes(),
        "parameters": sum(p.numel() for p in outline.parameters()),
        **moved,
        "proof": proof,
        "template": {"name": name, "takes_system": used.takes_system, "end_ids": used.end_ids},
        "attention": attention.way,
        "steps": taken,
        "tokens": tokens,
        "bytes": meter.position(taken)["bytes"],
        "padding_share": 1 - tokens / (taken * settings.batch_tokens),
        "streams": {
            stream: {
                "conversations": len(training[stream].of),
                "left_out": dict(training[stream].left_out),
                "shortened": training[stream].shortened,
                "answer_tokens": int(rows.answer_tokens_N.sum()),
                "tokens": int(rows.tokens_N.sum()),
                "epochs": len(shown[stream]) / len(rows.ids_NS),
                "share": float(rows.tokens_N[shown[stream]].sum() / tokens),
            }
            for stream, rows in zip(streams, packed, strict=True)
        },
        "held_out": {
            stream: _compared(before[stream], after[stream], held_out[stream], settings.seed) for stream in held_out
        },
        "steps_left_out": guard.left_out,
        "flops": flops,
        **meter.figures(),
        **hardware.utilization(flops, meter.figures()["seconds"], launch.num_processes(), settings.precision),
        "energy": way.energy(),
        "curve": meter.curve(),
        "held_out_curve": meter.held_out_curve(),
    }


def _by_place(packed: Sequence[answers.Rows], order: np.ndarray, what: str) -> np.ndarray:
    return np.array([getattr(packed[stream], what)[row] for stream, row in order])


def _measure(held_out: Mapping[str, Sequences], template: Template, pad_id: int, model: Any) -> dict[str, list[Bits]]:
    was_training = model.training
    model.eval()
    found = {name: answers.answer_bits(model, stream, template, pad_id) for name, stream in held_out.items()}
    model.train(was_training)
    return found


def _bits_per_byte(records: Mapping[str, Sequence[Bits]]) -> dict[str, float]:
    return {stream: bits.bits_per_byte(found) for stream, found in records.items()}


def _compared(before: Sequence[Bits], after: Sequence[Bits], stream: Sequences, seed: int) -> dict[str, Any]:
    """Bits per byte of held-out answers with intervals, and their difference on the same conversations."""
    return {
        "conversations": len(before),
        "left_out": dict(stream.left_out),
        "before": asdict(statistics.bits_per_byte(before, seed=seed)),
        "after": asdict(statistics.bits_per_byte(after, seed=seed)),
        "difference": asdict(statistics.difference(after, before, seed=seed)),
    }
