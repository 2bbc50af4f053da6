"""Trainers of transformers and TRL that save what moves and go by our optimizers and schedules."""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import PrinterCallback, Trainer

from lingraft.core.artifact import write_json

from . import checkpoints, optimizers, schedules
from .guards import LossGuard
from .processes import is_first
from .settings import Optimization
from .trainable import Trainable

GUARD, SCHEDULE = "guard.json", "schedule.json"


class OwnTraining:
    """Makes a Trainer, whose loss is its own, train the weights that are trainable.

    Its checkpoints hold these alone, and the `identity` of the training. `earlier` is the state of another training
    that it starts with.
    """

    def __init__(
        self,
        trainable: Trainable,
        settings: Optimization,
        guard: LossGuard,
        identity: Mapping[str, Any],
        earlier: Path | None,
        **arguments: Any,
    ) -> None:
        super().__init__(model=trainable.model, **arguments)
        self.earlier = earlier
        self.trainable, self.settings, self.guard, self.identity = trainable, settings, guard, identity
        self.add_callback(guard)
        self.remove_callback(PrinterCallback)

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """None: TRL writes one beside each checkpoint."""

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            self.optimizer = optimizers.make(self.model, self.trainable.new_rows, self.settings)
            if self.earlier is not None:
                checkpoints.load_training(self.earlier, self.trainable.named(), self.optimizer)
        return self.optimizer

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """A factor a group: new rows may have a schedule of their own."""
        if self.lr_scheduler is None:
            optimizer = optimizer or self.optimizer
            settings, own = self.settings, self.settings.new_rows
            rest = schedules.factor(settings.schedule, num_training_steps, settings.warmup_share, settings.decay_share)
            rows = schedules.factor(
                own.schedule or settings.schedule,
                num_training_steps,
                settings.warmup_share if own.warmup_share is None else own.warmup_share,
                settings.decay_share,
            )
            names = [group["name"] for group in optimizer.param_groups]
            self.lr_scheduler = LambdaLR(optimizer, [rows if name == optimizers.NEW_ROWS else rest for name in names])
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def training_step(self, *arguments: Any, **named: Any) -> torch.Tensor:
        loss = super().training_step(*arguments, **named)
        self.guard.add(loss)
        return loss

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        if is_first():
            folder = Path(output_dir or self.args.output_dir)
            folder.mkdir(parents=True, exist_ok=True)
            self.guard.save(folder / GUARD)
            checkpoints.identify(folder, self.identity)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        checkpoints.save_training(Path(output_dir), self.trainable.named(), self.optimizer)
        if is_first():
            write_json(Path(output_dir) / SCHEDULE, self.lr_scheduler.state_dict())

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
        """The weights come with the optimizer's state, once there is an optimizer."""
        self.guard.load(Path(resume_from_checkpoint) / GUARD)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        checkpoints.load_training(Path(checkpoint), self.trainable.named(), self.optimizer)
        self.lr_scheduler.load_state_dict(json.loads((Path(checkpoint) / SCHEDULE).read_text(encoding="utf-8")))
        for group, lr in zip(self.optimizer.param_groups, self.lr_scheduler.get_last_lr(), strict=True):
            group["lr"] = lr

    def _defer_fsdp_gradient_reduction(self) -> AbstractContextManager[None]:
        """Sharded gradients are summed after every micro-batch: until the last, each process would hold whole ones."""
        return nullcontext()


class LanguageTrainer(OwnTraining, Trainer):
    """Trains on text, by the model's own loss."""
