"""Training on preferences with TRL: of two answers the one that people prefer becomes likelier."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lingraft.conversations import record
from lingraft.core import launch
from lingraft.core.errors import InputError
from lingraft.core.progress import SILENT, Progress

from . import course, mix, pairs
from .margins import Margins, compared, length_bias
from .pairs import Judged, Pair
from .preference_trainers import LOSSES, Loss
from .settings import DpoSettings
from .tuning import STREAMS, Shown, Tuning, in_evaluation

LOGGED = {
    "rewards/accuracies": "accuracy",
    "rewards/margins": "margin",
    "rewards/chosen": "chosen",
    "rewards/rejected": "rejected",
    "logps/chosen": "chosen_logprob",
    "logps/rejected": "rejected_logprob",
}
"""What TRL logs of every step, and what it is called here."""


def dpo(
    model: Path,
    preferences: Path,
    folder: Path,
    settings: DpoSettings,
    *,
    template: str = "auto",
    template_folder: Path = Path(),
    new_ids: Sequence[int] = (),
    trust_remote_code: bool = False,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Train the model to prefer the chosen answers; it stands in `folder` as plain weights, figures come back.

    `preferences` is the folder of an artifact of that kind, `settings.loss` one of `preference_trainers.LOSSES`.
    Held-out pairs are judged before and after, with intervals from resampling pairs. A stopped training goes on from
    its newest whole checkpoint.
    """
    tuning = Tuning("dpo", model, folder, settings, template, template_folder, new_ids, trust_remote_code)
    loss = LOSSES[settings.loss]

    def streams_of(part: str, wanted: Sequence[str]) -> dict[str, pairs.Stream]:
        records = {stream: record.read(preferences, stream, part) for stream in wanted}
        most, system = settings.sequence_tokens, settings.system
        return {stream: pairs.stream(found, tuning.used, most, system) for stream, found in records.items()}

    training = streams_of("train", [stream for stream in STREAMS if settings.mix.get(stream)])
    rows = {stream: _rows(found, loss, stream, settings, preferences) for stream, found in training.items()}
    kept_out = streams_of("held_out", STREAMS)
    held_out = {stream: found.pairs for stream, found in kept_out.items() if found.pairs}
    streams = list(training)
    micro = _micro(settings, loss, launch.num_processes())
    order = mix.order(
        {stream: np.array([row.bytes for row in found]) for stream, found in rows.items()},
        {stream: settings.mix[stream] for stream in streams},
        seed=settings.seed,
        epochs=settings.epochs,
        sequence_tokens=1,
        multiple=settings.batch_pairs,
    )
    all_rows = [row for stream in streams for row in rows[stream]]
    first = np.cumsum([0, *(len(rows[stream]) for stream in streams)])
    places = [int(first[stream] + row) for stream, row in order]
    shown = [all_rows[place] for place in places]
    arguments = course.arguments(
        settings,
        folder,
        steps=len(shown) // settings.batch_pairs,
        micro=micro,
        batch=settings.batch_pairs,
        kind=loss.config,
        beta=settings.beta,
        max_length=None if loss.reference else settings.sequence_tokens,
        remove_unused_columns=False,
        **({"precompute_ref_log_probs": True} if loss.reference else {}),
        **loss.options,
        **settings.options,
    )
    tuning.load()

    def reference_of(of: Any, *, autocast: bool) -> pairs.Reference:
        return pairs.Reference(of, len(tuning.tokenizer), tuning.pad_id, autocast)

    def measure(of: Any) -> dict[str, np.ndarray]:
        asked = reference_of(of, autocast=False)
        return {stream: asked.of_pairs(found) for stream, found in held_out.items()}

    before = reference_of(tuning.loaded, autocast=settings.precision == "bf16")
    data = pairs.table(all_rows, places, micro, settings.sequence_tokens, before if loss.reference else None)
    reference = measure(tuning.loaded)

    def accuracies(of: Any) -> dict[str, float]:
        return {
            stream: Margins(held_out[stream], found, reference[stream], settings.beta).accuracy()
            for stream, found in measure(of).items()
        }

    tuning.train(
        loss.trainer,
        arguments,
        data,
        Shown(*(np.array([getattr(row, what) for row in shown]) for what in ("bytes", "tokens"))),
        digest=pairs.digest(all_rows),
        measure=accuracies,
        leaps=False,  # a loss that nears 0 leaps by what is nothing
        progress=progress,
    )
    after = in_evaluation(tuning.loaded, measure)
    return {
        **tuning.finish(),
        "loss": settings.loss,
        "beta": settings.beta,
        "streams": {
            stream: {
                "pairs": len(found.pairs),
                "judged": len(found.judged),
                "left_out": dict(found.left_out),
                "epochs": float((order[:, 0] == index).sum() / len(rows[stream])),
                "share": float((order[:, 0] == index).mean()),
                "chosen_longer": _chosen_longer(found.pairs),
            }
            for index, (stream, found) in enumerate(training.items())
        },
        "held_out": {
            stream: {
                "left_out": dict(kept_out[stream].left_out),
                "single_answers_not_measured": len(kept_out[stream].judged),
                **compared(
                    Margins(of, reference[stream], reference[stream], settings.beta),
                    Margins(of, after[stream], reference[stream], settings.beta),
                    seed=settings.seed,
                ),
                "length": length_bias(Margins(of, after[stream], reference[stream], settings.beta), settings.seed),
            }
            for stream, of in held_out.items()
        },
        "curve": _curve(tuning.trainer.state.log_history),
        "held_out_curve": tuning.meter.held_out_curve("accuracy"),
    }


def _rows(stream: pairs.Stream, loss: Loss, name: str, settings: DpoSettings, folder: Path) -> Sequence[Pair | Judged]:
    """What of a stream the loss can use. Raises InputError where that is nothing, or it cannot use all."""
    if stream.judged and not loss.apart:
        raise InputError(
            f"{len(stream.judged)} {name} records are single answers that were found good or bad; "
            f"{settings.loss} compares two.",
            where=folder,
            remedy="Set loss to kto, or give the preferences stage pairs.",
        )
    if found := stream.rows(apart=loss.apart):
        return found
    why = ", ".join(f"{count} {reason}" for reason, count in stream.left_out.items())
    raise InputError(
        f"the mix asks for {settings.mix[name]:.0%} of {name}, and there are no {name} preferences to train on"
        + (f": {why}." if why else "."),
        where=folder,
        remedy=f"Give {name} preferences, leave {name} out of the mix, or raise sequence_tokens.",
    )


def _micro(settings: DpoSettings, loss: Loss, num_processes: int) -> int:
    """Pairs at once in the memory of one process."""
    micro = settings.micro_batch_sequences or max(1, settings.batch_pairs // num_processes)
    if settings.batch_pairs % (micro * num_processes):
        raise InputError(
            f"a batch of {settings.batch_pairs} pairs is not made of whole micro-batches: {micro} pairs "
            f"in each of {num_processes} processes.",
            remedy=f"Set batch_pairs to a multiple of {micro * num_processes}.",
        )
    if loss.apart and micro < 2:
        raise InputError(
            f"{settings.loss} compares the answers that a process has in memory at once, and there is one alone.",
            remedy=f"Set batch_pairs to a multiple of {2 * num_processes}, and micro_batch_sequences, if at all, to 2 "
            "or more.",
        )
    return micro


def _chosen_longer(of: Sequence[Pair]) -> float | None:
    """Of pairs of unlike length, the share whose chosen answer is the longer one."""
    unlike = [pair.chosen_bytes > pair.rejected_bytes for pair in of if pair.chosen_bytes != pair.rejected_bytes]
    return float(np.mean(unlike)) if unlike else None


def _curve(log: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Loss, margins and accuracies along the training, as TRL logs them."""
    keys = ("step", "bytes", "tokens", "seconds", "loss")
    return [
        {
            **{key: entry[key] for key in keys},
            "lr": entry["learning_rate"],
            **{new: entry[key] for key, new in LOGGED.items() if key in entry},
        }
        for entry in log
        if "loss" in entry
    ]
