"""What training on conversations and on preferences have in common: a chat template, and a model folder that has it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.trainer_utils import set_seed

from lingraft.conversations import template as templates
from lingraft.conversations.template import Template
from lingraft.core import launch
from lingraft.tokenizer import family

from . import course, hardware, loading
from .callbacks import Meter
from .course import Course
from .guards import LossGuard
from .processes import is_first
from .settings import Optimization
from .trainable import Trainable

STREAMS = ("target", "replay")


@dataclass
class Tuning:
    """A model on its way to answer, from the folder `model` to `folder`.

    Raises InputError for several GPUs in one process, for a model that would be divided among devices, and for a
    template that is not there or cannot be learned from.
    """

    stage: str
    model: Path
    folder: Path
    settings: Optimization
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
        """Have the model in memory as `loaded`, in evaluation mode."""
        set_seed(self.settings.seed)
        self.loaded, self._dtype = loading.load(self.model, self.settings, self.trust_remote_code)
        self._own = course.own_ways(self.loaded)
        self.loaded.eval()

    def trainable(self) -> Trainable:
        """What of the loaded model moves."""
        settings = self.settings
        return Trainable(self.loaded, settings.train, settings.lora, settings.new_rows, self.new_ids)

    def identity(self, trainable: Trainable, data: str) -> dict[str, Any]:
        """What decides how the training goes; `data` is a hash of what it is shown. Keeps where it starts."""
        trainable.in_float32()
        found = course.identity(self.settings, trainable.begin(), self.new_ids)
        return {**found, "the template": self.used.text, "the data": data}

    def finish(self, trainable: Trainable, way: Course, meter: Meter, guard: LossGuard, steps: int) -> dict[str, Any]:
        """Save the model as plain weights with its template, and say what its training was."""
        proof, moved = trainable.proof(), trainable.figures()
        course.restore(self.loaded, self._own)
        settings, plain = self.settings, trainable
        if settings.train == "qlora":
            plain = course.plain(trainable, self.model, settings, self.new_ids, self.trust_remote_code)
        if plain is not None:
            plain.finish()
            if is_first():
                course.end_with(plain.model, self.used.end_ids)
                loading.save(plain.model, self._dtype, self.model, self.folder)
                templates.put(self.folder, self.used.text)
        outline = loading.outline(self.model, self._dtype, self.trust_remote_code)
        shown = meter.position(steps)
        flops = course.training_flops(outline, shown["tokens"], moved["trainable_share"])
        return {
            "train": settings.train,
            "processes": launch.num_processes(),
            "parameters": sum(p.numel() for p in outline.parameters()),
            **moved,
            "proof": proof,
            "template": {"name": self._name, "takes_system": self.used.takes_system, "end_ids": self.used.end_ids},
            "steps": steps,
            "tokens": shown["tokens"],
            "bytes": shown["bytes"],
            "steps_left_out": guard.left_out,
            "flops": flops,
            **meter.figures(),
            **hardware.utilization(flops, meter.figures()["seconds"], launch.num_processes(), settings.precision),
            "energy": way.energy(),
        }


def in_evaluation(model: torch.nn.Module, measure: Any) -> Any:
    """What `measure` says of the model without dropout."""
    was_training = model.training
    model.eval()
    try:
        return measure(model)
    finally:
        model.train(was_training)
