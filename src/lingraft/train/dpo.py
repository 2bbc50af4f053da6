"""Training on preferences with TRL: of two answers the one that people prefer becomes likelier."""

import math
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from transformers.trainer_utils import set_seed

from lingraft.conversations import template as templates
from lingraft.conversations.template import Template
from lingraft.core import launch
from lingraft.core.errors import InputError
from lingraft.core.progress import SILENT, Progress
from lingraft.tokenizer import family

from . import course, hardware, loading, mix, pairs
from .callbacks import HeldOut, Meter, Proof
from .guards import LossGuard
from .margins import Margins, compared, length_bias
from .pairs import Judged, Pair
from .preference_trainers import LOSSES, Loss
from .processes import is_first, wait
from .settings import DpoSettings
from .trainable import Trainable

STREAMS = ("target", "replay")
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
    course.check_one_gpu()
    course.check_not_sharded("dpo")
    loss = LOSSES[settings.loss]
    tokenizer = family.open(model)
    name, text = templates.named(tokenizer, template, template_folder)
    used = Template(tokenizer, text)
    pad_id = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    tokenizer.pad_token_id = pad_id

    def streams_of(part: str, wanted: Sequence[str]) -> dict[str, pairs.Stream]:
        return {
            stream: pairs.stream(pairs.read(preferences, stream, part), used, settings.sequence_tokens, settings.system)
            for stream in wanted
        }

    training = streams_of("train", [stream for stream in STREAMS if settings.mix.get(stream)])
    rows = {stream: _rows(found, loss, stream, settings, preferences) for stream, found in training.items()}
    held_out = {stream: found.pairs for stream, found in streams_of("held_out", STREAMS).items() if found.pairs}
    streams = list(training)
    micro = _micro(settings, launch.num_processes())
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
    steps = len(shown) // settings.batch_pairs
    arguments = course.arguments(
        settings,
        folder,
        steps=steps,
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
    set_seed(settings.seed)
    trained, dtype = loading.load(model, settings, trust_remote_code)
    own = course.own_ways(trained)

    def measure(model: Any) -> dict[str, np.ndarray]:
        was_training = model.training
        model.eval()
        asked = pairs.Reference(model, len(tokenizer), pad_id, autocast=False)
        found = {stream: asked.of_pairs(of) for stream, of in held_out.items()}
        model.train(was_training)
        return found

    before = pairs.Reference(trained.eval(), len(tokenizer), pad_id, autocast=settings.precision == "bf16")
    data = pairs.table(all_rows, places, micro, before if loss.reference else None)
    reference = measure(trained)

    def accuracies(model: Any) -> dict[str, float]:
        return {
            stream: Margins(held_out[stream], found, reference[stream], settings.beta).accuracy()
            for stream, found in measure(model).items()
        }

    trainable = Trainable(trained, settings.train, settings.lora, settings.new_rows, new_ids)
    # A loss that nears 0 leaps by what is nothing.
    guard = LossGuard(trainable, progress, leaps=False)
    meter = Meter(
        np.array([row.bytes for row in shown]), settings.batch_pairs, np.array([row.tokens for row in shown]), progress
    )
    way = course.Course(folder, settings, arguments)
    identity: dict[str, Any] = {}
    trainer = loss.trainer(
        trainable,
        settings,
        guard,
        identity,
        None,
        args=arguments,
        train_dataset=data,
        processing_class=tokenizer,
        callbacks=way.callbacks(
            meter,
            HeldOut(accuracies, settings.curve_points, meter),
            Proof(trainable, after=math.ceil(settings.warmup_share * steps)),
        ),
    )
    trainable.in_float32()
    identity |= {
        **course.identity(settings, trainable.begin(), new_ids),
        "the template": text,
        "the preferences": sha256(repr(rows).encode()).hexdigest(),
    }
    meter.trainer = trainer
    wait()
    taken = way.run(trainer, identity, progress, total=sum(row.tokens for row in shown), unit="tokens")
    after = measure(trained)
    proof, moved = trainable.proof(), trainable.figures()
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
    flops = course.training_flops(outline, tokens, moved["trainable_share"])
    return {
        "train": settings.train,
        "loss": settings.loss,
        "beta": settings.beta,
        "processes": launch.num_processes(),
        "parameters": sum(p.numel() for p in outline.parameters()),
        **moved,
        "proof": proof,
        "template": {"name": name, "takes_system": used.takes_system, "end_ids": used.end_ids},
        "steps": taken,
        "tokens": tokens,
        "bytes": meter.position(taken)["bytes"],
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
                **compared(
                    Margins(of, reference[stream], reference[stream], settings.beta),
                    Margins(of, after[stream], reference[stream], settings.beta),
                    seed=settings.seed,
                ),
                "length": length_bias(Margins(of, after[stream], reference[stream], settings.beta), settings.seed),
            }
            for stream, of in held_out.items()
        },
        "steps_left_out": guard.left_out,
        "flops": flops,
        **meter.figures(),
        **hardware.utilization(flops, meter.figures()["seconds"], launch.num_processes(), settings.precision),
        "energy": way.energy(),
        "curve": _curve(trainer.state.log_history),
        "held_out_curve": meter.held_out_curve("accuracy"),
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


def _micro(settings: DpoSettings, num_processes: int) -> int:
    """Pairs at once in the memory of one process."""
    micro = settings.micro_batch_sequences or max(1, settings.batch_pairs // num_processes)
    if settings.batch_pairs % (micro * num_processes):
        raise InputError(
            f"a batch of {settings.batch_pairs} pairs is not made of whole micro-batches: {micro} pairs "
            f"in each of {num_processes} processes.",
            remedy=f"Set batch_pairs to a multiple of {micro * num_processes}.",
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
