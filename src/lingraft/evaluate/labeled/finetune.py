"""A model fine-tuned on a labeled task, and its answers to the test items."""

import gc
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import Sampler, SequentialSampler
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from lingraft.core.artifact import SCRATCH
from lingraft.core.errors import InputError
from lingraft.core.progress import SILENT, Progress
from lingraft.evaluate import kept

from . import classifier
from .data import LabeledItem, LabeledTask, Splits
from .scores import score

UNDEFINED = -2.0
"""Stands, on dev, for a score that is not defined: less than any."""


@dataclass(frozen=True)
class Finetuning:
    """How a model is fine-tuned. The rate is for models of billions of weights; small ones take higher ones."""

    method: Literal["full", "lora"] = "full"
    lr: float = 2e-5
    epochs: int = 10
    patience: int = 3
    """Epochs without a better score on dev after which it ends."""
    batch_items: int = 16
    warmup_share: float = 0.1
    weight_decay: float = 0.01
    context_tokens: int | None = None
    """Longer items are cut; by default at the model's positions, at most 512."""
    lora_rank: int = 8
    lora_alpha: float = 16.0
    lora_dropout: float = 0.05


def measure(
    models: Mapping[str, Path],
    task: LabeledTask,
    data: Splits,
    folder: Path,
    settings: Sequence[Finetuning],
    *,
    seeds: Sequence[int],
    trusted: Collection[Path] = (),
    progress: Progress = SILENT,
) -> list[dict[str, Any]]:
    """Every model fine-tuned in every way with every seed; see `finetune`.

    Each result is kept in `folder` as soon as it is there, and taken from there where model, data and settings are
    the same.
    """
    found = []
    data_digest = kept.digest([asdict(task), asdict(data)])
    for name, path in models.items():
        model_digest = kept.model_digest(path)
        for how in settings:
            for seed in seeds:
                identity = {"model": model_digest, "data": data_digest, "settings": asdict(how), "seed": seed}
                file = folder / f"finetuned-{task.name}-{name}-{how.method}-{seed}.json"
                common = {"seed": seed, "trust_remote_code": path in trusted, "progress": progress}
                make = partial(_cleanly, name, path, task, data, folder / SCRATCH / file.stem, how, **common)
                found.append({**kept.result(file, identity, make), "model": name})
    return found


def finetune(
    model: Path,
    task: LabeledTask,
    data: Splits,
    scratch: Path,
    settings: Finetuning,
    *,
    seed: int,
    trust_remote_code: bool = False,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Fine-tune in float32, go back to the epoch that was best on dev, and answer the test items.

    Of the figures, `answers` and `golds` stand in the order of `items`, classes as their numbers; `score` is the
    task's own metric, None where it is not defined. On a CPU the same seed gives the same answers. `scratch` holds the
    best epoch's weights meanwhile and can be deleted afterwards. Raises InputError for training items of one class, and
    where training went astray.
    """
    if task.classes and len({item.gold for item in data.train}) < 2:
        raise InputError(
            f"all training items of {task.name} have the same {task.label}.",
            remedy="Take more of them, or leave the task out.",
        )
    began = time.perf_counter()
    if scratch.exists():
        shutil.rmtree(scratch)
    set_seed(seed)
    trained, tokenizer = classifier.load(model, task, trust_remote_code=trust_remote_code)
    context_tokens = classifier.context_tokens(trained, settings.context_tokens, model)
    encode = classifier.Encoder(tokenizer, context_tokens)
    splits = {"train": data.train, "dev": _by_length(data.dev), "test": _by_length(data.test)}
    answers = _Answers(task, data.train)
    rows, num_cut = {}, 0
    for name, items in splits.items():
        ids, cut = encode(items)
        rows[name] = [{"input_ids": i, "labels": answers.label(item.gold)} for i, item in zip(ids, items, strict=True)]
        num_cut += cut
    pad = classifier.set_pad(trained, tokenizer, [row["input_ids"] for split in rows.values() for row in split])
    if settings.method == "lora":
        trained = classifier.adapted(trained, settings.lora_rank, settings.lora_alpha, settings.lora_dropout)
    num_trained, num_all = (
        sum(parameter.numel() for parameter in trained.parameters() if parameter.requires_grad or not moves)
        for moves in (True, False)
    )

    def on_dev(given: EvalPrediction) -> dict[str, float]:
        value = score(task, [item.gold for item in splits["dev"]], answers.of(given.predictions))
        return {"score": UNDEFINED if value is None else value}

    trainer = _Trainer(
        model=trained,
        args=_arguments(settings, scratch, seed),
        data_collator=lambda batch: classifier.collate(batch, pad),
        train_dataset=rows["train"],
        eval_dataset=rows["dev"],
        compute_metrics=on_dev,
        callbacks=[EarlyStoppingCallback(settings.patience), _Advance(progress, settings.batch_items)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    trainer.compute_metrics = None
    logits = trainer.predict(rows["test"]).predictions
    if not np.isfinite(logits).all():
        raise InputError(
            f"fine-tuning on {task.name} went astray: what the head gives is no number any more.",
            where=model,
            remedy=f"Lower lr ({settings.lr:g}).",
        )
    given = answers.of(logits)
    golds = [item.gold for item in splits["test"]]
    curve = [
        {
            "epoch": round(entry["epoch"]),
            "step": entry["step"],
            "loss": entry["eval_loss"],
            "score": entry["eval_score"],
        }
        for entry in trainer.state.log_history
        if "eval_score" in entry
    ]
    return {
        "task": task.name,
        "metric": task.metric,
        "method": settings.method,
        "seed": seed,
        "items": [item.id for item in splits["test"]],
        "golds": golds,
        "answers": given,
        "score": score(task, golds, given),
        "dev": [{**point, "score": None if point["score"] == UNDEFINED else point["score"]} for point in curve],
        "best_epoch": next(point["epoch"] for point in curve if point["step"] == trainer.state.best_global_step),
        "splits": data.figures(),
        "context_tokens": context_tokens,
        "cut_items": num_cut,
        "trainable_parameters": num_trained,
        "trainable_share": num_trained / num_all,
        "steps": trainer.state.global_step,
        "seconds": time.perf_counter() - began,
    }


def _cleanly(
    name: str,
    model: Path,
    task: LabeledTask,
    data: Splits,
    scratch: Path,
    settings: Finetuning,
    *,
    seed: int,
    trust_remote_code: bool,
    progress: Progress,
) -> dict[str, Any]:
    progress.start(f"fine-tuning {name} on {task.name} ({settings.method}, seed {seed})", unit="items")
    common = {"trust_remote_code": trust_remote_code, "progress": progress}
    made = finetune(model, task, data, scratch, settings, seed=seed, **common)
    shutil.rmtree(scratch)
    gc.collect()  # a Trainer and its model hold each other, and the next model needs the memory
    return made


class _Answers:
    """Labels as a model learns them, and answers from what its head gives: a class, or a score within the scale.

    Scores are learned as they lie around the mean of the training items, in standard deviations.
    """

    def __init__(self, task: LabeledTask, train: Sequence[LabeledItem]) -> None:
        self._scale = task.scale
        golds = [item.gold for item in train]
        self._mean, self._deviation = float(np.mean(golds)), float(np.std(golds)) or 1.0

    def label(self, gold: float) -> float:
        return int(gold) if self._scale is None else (gold - self._mean) / self._deviation

    def of(self, logits: np.ndarray) -> list[float]:
        if self._scale is None:
            return logits.argmax(axis=1).tolist()
        return np.clip(logits[:, 0].astype(np.float64) * self._deviation + self._mean, *self._scale).tolist()


class _Trainer(Trainer):
    """Answers in the order of the items: the sampler that groups by length would also shuffle these."""

    def _get_eval_sampler(self, eval_dataset: Any) -> Sampler:
        return SequentialSampler(eval_dataset)


class _Advance(TrainerCallback):
    def __init__(self, progress: Progress, batch_items: int) -> None:
        self._progress, self._batch_items = progress, batch_items

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self._progress.advance(self._batch_items)


def _arguments(settings: Finetuning, scratch: Path, seed: int) -> TrainingArguments:
    arguments = TrainingArguments(
        output_dir=str(scratch),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_items,
        per_device_eval_batch_size=4 * settings.batch_items,
        learning_rate=settings.lr,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup_share,
        lr_scheduler_type="linear",
        train_sampling_strategy="group_by_length",
        eval_strategy="epoch",
        save_strategy="best",
        save_total_limit=1,
        save_only_model=True,
        load_best_model_at_end=True,
        metric_for_best_model="score",
        greater_is_better=True,
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=False,
        label_names=["labels"],
        remove_unused_columns=False,
        seed=seed,
        use_cpu=not torch.cuda.is_available(),
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # of several GPUs the Trainer would take all, and multiply the batch
    return arguments


def _by_length(items: Sequence[LabeledItem]) -> list[LabeledItem]:
    """Batches of like length are padded little."""
    return sorted(items, key=lambda item: sum(map(len, item.texts)))
