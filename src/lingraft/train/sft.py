"""Supervised fine-tuning on conversations with TRL: only what the assistant says counts."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from trl import SFTConfig, SFTTrainer

from lingraft.conversations import record
from lingraft.core import launch
from lingraft.core.progress import SILENT, Progress
from lingraft.evaluate import bits, statistics
from lingraft.evaluate.bits import Bits

from . import answers, course, mix
from .answers import Sequences
from .attention import Attention
from .reading import batch
from .settings import SftSettings
from .trainer import OwnTraining
from .tuning import STREAMS, Shown, Tuning, in_evaluation


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
    tuning = Tuning("sft", model, folder, settings, template, template_folder, new_ids, trust_remote_code)
    batch_rows, micro = batch(settings, launch.num_processes())
    pad_id, most = tuning.pad_id, settings.sequence_tokens

    def sequences(stream: str, part: str) -> Sequences:
        return answers.sequences(record.read(conversations, stream, part), tuning.used, most, settings.system)

    training = {stream: sequences(stream, "train") for stream in STREAMS if settings.mix.get(stream)}
    answers.require_some(training, settings.mix, conversations)
    held_out = {stream: found for stream in STREAMS if (found := sequences(stream, "held_out")).of}
    tuning.load()
    together = answers.keeps_apart(tuning.loaded, training.values())
    packed = {stream: answers.pack(found, most, pad_id, together=together) for stream, found in training.items()}
    order = mix.order(
        {stream: rows.answer_bytes_N for stream, rows in packed.items()},
        {stream: settings.mix[stream] for stream in training},
        seed=settings.seed,
        epochs=settings.epochs,
        sequence_tokens=most,
        multiple=batch_rows,
    )
    data = answers.dataset(list(packed.values()), order, together=together)
    arguments = course.arguments(
        settings,
        folder,
        steps=len(order) // batch_rows,
        micro=micro,
        batch=batch_rows,
        kind=SFTConfig,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        max_length=None,
    )

    def measure(of: Any) -> dict[str, list[Bits]]:
        return {name: answers.answer_bits(of, found, tuning.used, pad_id) for name, found in held_out.items()}

    before = measure(tuning.loaded)
    attention = Attention(tuning.loaded, answers.collate([data[0]]), settings)
    tuning.train(
        AnswerTrainer,
        arguments,
        data,
        Shown(*(_by_place(packed, order, what) for what in ("answer_bytes_N", "tokens_N"))),
        digest=answers.digest(packed.values()),
        measure=lambda of: {stream: bits.bits_per_byte(found) for stream, found in measure(of).items()},
        progress=progress,
        data_collator=lambda rows: attention.complete(answers.collate(rows)),
    )
    after = in_evaluation(tuning.loaded, measure)
    attention.undo()
    found = tuning.finish()
    shown = {stream: order[order[:, 0] == index, 1] for index, stream in enumerate(packed)}
    return {
        **found,
        "attention": attention.way,
        "packed": together,
        "padding_share": 1 - found["tokens"] / (found["steps"] * settings.batch_tokens),
        "streams": {
            stream: {
                "conversations": len(training[stream].of),
                "left_out": dict(training[stream].left_out),
                "shortened": training[stream].shortened,
                "answer_tokens": int(rows.answer_tokens_N.sum()),
                "tokens": int(rows.tokens_N.sum()),
                "epochs": len(shown[stream]) / len(rows.ids_NS),
                "share": float(rows.tokens_N[shown[stream]].sum() / found["tokens"]),
            }
            for stream, rows in packed.items()
        },
        "held_out": {
            stream: _compared(before[stream], after[stream], held_out[stream], settings.seed) for stream in held_out
        },
        "curve": tuning.meter.curve(),
        "held_out_curve": tuning.meter.held_out_curve(),
    }


def _by_place(packed: Mapping[str, answers.Rows], order: np.ndarray, what: str) -> np.ndarray:
    by_stream = [getattr(rows, what) for rows in packed.values()]
    return np.array([by_stream[stream][row] for stream, row in order])


def _compared(before: Sequence[Bits], after: Sequence[Bits], stream: Sequences, seed: int) -> dict[str, Any]:
    """Bits per byte of held-out answers with intervals, and their difference on the same conversations."""
    return {
        "conversations": len(before),
        "left_out": dict(stream.left_out),
        "before": asdict(statistics.bits_per_byte(before, seed=seed)),
        "after": asdict(statistics.bits_per_byte(after, seed=seed)),
        "difference": asdict(statistics.difference(after, before, seed=seed)),
    }
