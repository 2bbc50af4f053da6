"""What training on conversations and on preferences have in common: a chat template, and a model folder that has it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainingArguments
from transformers.trainer_utils import set_seed

from lingraft.conversations import template as templates
from lingraft.conversations.template import Template
from lingraft.core import launch
from lingraft.core.progress import SILENT, Progress
from lingraft.tokenizer import family

from . import course, hardware, loading
from .callbacks import HeldOut, Meter, Proof
from .guards import LossGuard
from .processes import is_first, wait
from .settings import TuningSettings
from .trainable import Trainable
from .trainer import OwnTraining

Measured = TypeVar("Measured")

STREAMS = ("target", "replay")


class Shown(NamedTuple):
    """What a training is shown, row by row in its order."""

    bytes: np.ndarray
    """Of answers as text."""
    tokens: np.ndarray


@dataclass
class Tuning:
    """A model on its way to answer, from the folder `model` to `folder`.

    Raises InputError for several GPUs in one process, for a model that would be divided among devices, and for a
    template that is not there or cannot be learned from.
    """

    stage: str
    model: Path
    folder: Path
    settings: TuningSettings
    template: str
    """`auto`, `own`, one of `conversations.template.TEMPLATES` or a file."""
    template_folder: Path = Path()
    new_ids: Sequence[int] = ()
    trust_remote_code: bool = False
    tokenizer: PreTrainedTokenizerBase = field(init=False)
    used: Template = field(init=False)
    pad_id: int = field(init=False)
    loaded: PreTrainedModel = field(init=False)

    def __post_init__(self) -> None:
        course.check_one_gpu()
        course.check_not_sharded(self.stage)
        self.tokenizer = family.open(self.model)
        self._name, text = templates.named(self.tokenizer, self.template, self.template_folder)
        self.used = Template(self.tokenizer, text)
        known = (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id, *self.used.end_ids)
        self.pad_id = next(token for token in known if token is not None)
        self.tokenizer.pad_token_id = self.pad_id

    def load(self) -> None:
        """Have the model in memory as `loaded`, in evaluation mode: what it says before the training can be asked."""
        set_seed(self.settings.seed)
        self.loaded, self._dtype = loading.load(self.model, self.settings, self.trust_remote_code)
        self._own = course.own_ways(self.loaded)
        self.loaded.eval()

    def train(
        self,
        trainer: type[OwnTraining],
        arguments: TrainingArguments,
        data: Dataset,
        shown: Shown,
        *,
        digest: str,
        measure: Callable[[PreTrainedModel], Mapping[str, float]],
        leaps: bool = True,
        progress: Progress = SILENT,
        **own: Any,
    ) -> None:
        """Train the loaded model on `data`, in its order, from the newest checkpoint on.

        `digest` is of all that is learned from. `measure` gives the held-out curve, by stream. With `leaps` a step
        whose loss leaps is left out (see `LossGuard`). `own` are arguments of this kind of trainer alone.
        """
        settings = self.settings
        steps = arguments.max_steps
        self._trainable = Trainable(self.loaded, settings.train, settings.lora, settings.new_rows, self.new_ids)
        self._guard = LossGuard(self._trainable, progress, leaps=leaps)
        self.meter = Meter(shown.bytes, len(shown.bytes) // steps, shown.tokens, progress)
        self._way = course.Course(self.folder, settings, arguments)
        self.trainer = trainer(
            self._trainable,
            settings,
            self._guard,
            {},
            None,
            args=arguments,
            train_dataset=data,
            processing_class=self.tokenizer,
            callbacks=self._way.callbacks(
                self.meter,
                HeldOut(lambda of: in_evaluation(of, measure), settings.curve_points, self.meter),
                Proof(self._trainable, after=math.ceil(settings.warmup_share * steps)),
            ),
            **own,
        )
        # TRL has changed the precision of adapters by now, and what they are is part of the identity.
        self._trainable.in_float32()
        identity = course.identity(settings, self._trainable.begin(), self.new_ids)
        self.trainer.identity = {**identity, "the template": self.used.text, "the data": digest}
        self.meter.trainer = self.trainer
        wait()
        total = int(shown.tokens.sum())
        self._taken = self._way.run(self.trainer, self.trainer.identity, progress, total=total, unit="tokens")

    def finish(self) -> dict[str, Any]:
        """Save the model as plain weights with its template, and say what its training was."""
        trainable, settings, meter = self._trainable, self.settings, self.meter
        proof, moved = trainable.proof(), trainable.figures()
        course.restore(self.loaded, self._own)
        plain = trainable
        if settings.train == "qlora":
            plain = course.plain(trainable, self.model, settings, self.new_ids, self.trust_remote_code)
        if plain is not None:
            plain.finish()
            if is_first():
                course.end_with(plain.model, self.used.end_ids)
                loading.save(plain.model, self._dtype, self.model, self.folder)
                templates.put(self.folder, self.used.text)
        outline = loading.outline(self.model, self._dtype, self.trust_remote_code)
        shown = meter.position(self._taken)
        flops = course.training_flops(outline, shown["tokens"], moved["trainable_share"])
        return {
            "train": settings.train,
            "processes": launch.num_processes(),
            "parameters": sum(p.numel() for p in outline.parameters()),
            **moved,
            "proof": proof,
            "template": {"name": self._name, "takes_system": self.used.takes_system, "end_ids": self.used.end_ids},
            "steps": self._taken,
            "tokens": shown["tokens"],
            "bytes": shown["bytes"],
            "steps_left_out": self._guard.left_out,
            "flops": flops,
            **meter.figures(),
            **hardware.utilization(flops, meter.figures()["seconds"], launch.num_processes(), settings.precision),
            "energy": self._way.energy(),
        }


def in_evaluation(model: PreTrainedModel, measure: Callable[[PreTrainedModel], Measured]) -> Measured:
    """What `measure` says of the model without dropout."""
    was_training = model.training
    model.eval()
    try:
        return measure(model)
    finally:
        model.train(was_training)
