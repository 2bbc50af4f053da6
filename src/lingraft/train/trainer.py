"""The Trainer of transformers, which saves what moves and goes by our optimizers and schedules."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch.optim.lr_scheduler import LambdaLR
from transformers import PrinterCallback, Trainer

from . import optimizers, schedules
from .guards import LossGuard
from .settings import Settings
from .trainable import Trainable

WEIGHTS, GUARD = "trainable.safetensors", "guard.json"


class LanguageTrainer(Trainer):
    """Trains the weights that are trainable; its checkpoints hold these alone."""

    def __init__(self, trainable: Trainable, settings: Settings, guard: LossGuard, **arguments: Any) -> None:
        super().__init__(model=trainable.model, **arguments)
        self.trainable, self.settings, self.guard = trainable, settings, guard
        self.add_callback(guard)
        self.remove_callback(PrinterCallback)

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            self.optimizer = optimizers.make(self.model, self.trainable.new_rows, self.settings)
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
        if not self.args.should_save:
            return
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: p.detach().contiguous() for name, p in self.trainable.named().items()}, folder / WEIGHTS)
        self.guard.save(folder / GUARD)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
        self.guard.load(Path(resume_from_checkpoint) / GUARD)
        saved = load_file(Path(resume_from_checkpoint) / WEIGHTS)
        with torch.no_grad():
            for name, parameter in self.trainable.named().items():
                parameter.copy_(saved[name])
