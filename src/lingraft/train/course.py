"""What trainings of every kind do beside their loss: settings of the Trainer, going on, stopping, saving."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.tensorboard import SummaryWriter
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainingArguments
from transformers.integrations import TensorBoardCallback

from lingraft.core import launch
from lingraft.core.artifact import SCRATCH
from lingraft.core.errors import InputError, StageError
from lingraft.core.progress import Progress

from . import checkpoints, experts, loading
from .callbacks import Checkpoints, Stop
from .energy import EnergyMeter
from .processes import is_first, lost_ones_told
from .settings import WITHOUT_EFFECT, Optimization
from .trainable import Trainable

TENSORBOARD = "tensorboard"


def arguments(
    settings: Optimization,
    folder: Path,
    *,
    steps: int,
    micro: int,
    batch: int,
    kind: type[TrainingArguments] = TrainingArguments,
    **own: Any,
) -> Any:
    """The Trainer's settings: `steps` of `batch` rows, `micro` of them at once in each process.

    What is missing here, `trainer.OwnTraining` and the callbacks do. `own` are settings of this kind of Trainer alone.
    """
    return kind(
        output_dir=str(folder / SCRATCH),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=batch // (micro * launch.num_processes()),
        max_steps=steps,
        max_grad_norm=settings.max_grad_norm,
        gradient_checkpointing=False,
        activation_checkpointing=settings.gradient_checkpointing,
        neftune_noise_alpha=settings.neftune_alpha,
        bf16=settings.precision == "bf16",
        train_sampling_strategy="sequential",
        dataloader_pin_memory=torch.cuda.is_available(),
        save_strategy="no",
        save_total_limit=2,
        logging_steps=max(1, steps // 200),
        report_to=[name for name in settings.track if name != TENSORBOARD],
        project="lingraft",
        disable_tqdm=True,
        seed=settings.seed,
        ddp_find_unused_parameters=False,
        use_cpu=not torch.cuda.is_available(),
        **own,
    )


class Course:
    """The way of one training from its newest checkpoint to its end, in a folder of its own."""

    def __init__(self, folder: Path, settings: Optimization, arguments: TrainingArguments) -> None:
        self.folder, self.settings = folder, settings
        self.newest = checkpoints.newest(folder / SCRATCH, remove_others=arguments.should_save)
        self.steps = arguments.max_steps
        self._energy = None if settings.energy is None else EnergyMeter(settings.energy)
        self._board = TENSORBOARD in settings.track and arguments.should_save

    def callbacks(self, *own: TrainerCallback) -> list[TrainerCallback]:
        """Those of the training itself, and those that every training has."""
        board = [_board(self.folder / TENSORBOARD, self.newest)] if self._board else []
        energy = [] if self._energy is None else [self._energy]
        return [*own, Checkpoints(self.settings.checkpoint_minutes), Stop(), *energy, *board]

    def run(
        self,
        trainer: Trainer,
        identity: Mapping[str, Any],
        progress: Progress,
        *,
        total: int,
        unit: str,
        ended_early: Callable[[], bool] = lambda: False,
    ) -> int:
        """Train from the newest checkpoint on; how many steps have been taken.

        `total` is what all steps show, in `unit`. Raises StageError where the checkpoint belongs to another training,
        and where this one was stopped, unless it `ended_early` by itself.
        """
        if self.newest is not None:
            checkpoints.require_same(self.newest, identity)
            progress.event("resumed", checkpoint=self.newest.name)
        done = checkpoints.steps(self.newest)
        what = "training" if self.newest is None else "training the rest"
        progress.start(what, total * (self.steps - done) // self.steps, unit)
        with lost_ones_told(self.folder):
            trainer.train(resume_from_checkpoint=str(self.newest) if self.newest else None)
        taken = trainer.state.global_step
        if taken < self.steps and not ended_early():
            raise StageError(
                f"the training was stopped after step {taken} of {self.steps}; a checkpoint is written.",
                where=self.folder,
                remedy="Run the same command again: it goes on from there.",
            )
        return taken

    def energy(self) -> dict[str, Any] | None:
        """What it took from the grid; None where that is not counted."""
        return None if self._energy is None else self._energy.figures()


def identity(settings: Optimization, base: str, new_ids: Sequence[int]) -> dict[str, Any]:
    """What decides how a training goes, by name; `base` is a hash of the weights it starts from."""
    found = {name: value for name, value in asdict(settings).items() if name not in WITHOUT_EFFECT}
    return {**found, "the base": base, "the new tokens": list(new_ids)}


def plain(
    parts: Trainable, model: Path, settings: Optimization, new_ids: Sequence[int], trust_remote_code: bool
) -> Trainable | None:
    """What has moved, in a base of its own precision that the first process alone holds; None in the others."""
    found = None
    if settings.train == "qlora" or is_first():
        settings = replace(settings, train="lora" if settings.train == "qlora" else settings.train)
        whole, _ = loading.load(model, settings, trust_remote_code)
        found = Trainable(whole, settings.train, settings.lora, settings.new_rows, new_ids)
    parts.hand_over(found)
    return found


@dataclass(frozen=True)
class Ways:
    """Settings of a model that a training changes, and that are not saved changed."""

    use_cache: bool
    router_logits: bool | None


def own_ways(model: PreTrainedModel) -> Ways:
    """What to restore after a training; the model of experts is told to add the loss that balances them."""
    found = Ways(model.config.use_cache, getattr(model.config, "output_router_logits", None))
    if experts.routers(model):
        model.config.output_router_logits = True
    return found


def restore(model: PreTrainedModel, ways: Ways) -> None:
    """Without it the folder would write text slowly: the Trainer turns the cache off."""
    model.config.use_cache = ways.use_cache
    if experts.routers(model):
        model.config.output_router_logits = ways.router_logits


def end_with(model: PreTrainedModel, end_ids: Sequence[int]) -> None:
    """Have the model stop at these tokens too when it writes."""
    own = model.generation_config.eos_token_id
    known = [] if own is None else [own] if isinstance(own, int) else list(own)
    ends = list(dict.fromkeys([*known, *end_ids]))
    model.generation_config.eos_token_id = ends[0] if len(ends) == 1 else ends


def training_flops(model: torch.nn.Module, tokens: float, trainable_share: float = 1.0) -> float:
    """6 FLOPs a token and matrix weight (Kaplan et al. 2020): 2 forward, 2 back through it, 2 for its own gradient.

    The last are only for weights that move; a table that is looked up in costs none. The product of attention scores is
    left out: it is small at the sequence lengths of continued pretraining.
    """
    looked_up = model.get_input_embeddings().weight.numel()
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    weights = sum(p.numel() for p in model.parameters()) - (0 if tied else looked_up)
    return (4.0 + 2.0 * trainable_share) * weights * tokens


def check_one_gpu() -> None:
    """With several GPUs in one process the Trainer would silently multiply the batch."""
    if torch.cuda.device_count() > 1 and launch.num_processes() == 1:
        raise InputError(
            f"this machine shows {torch.cuda.device_count()} GPUs, and one process uses one.",
            remedy="Choose it: CUDA_VISIBLE_DEVICES=0 lingraft run ...; or start a process for each: "
            f"torchrun --nproc-per-node {torch.cuda.device_count()} -m lingraft run ...",
        )


def check_not_sharded(stage: str) -> None:
    """Raise InputError where the model would be divided among the devices."""
    if launch.sharded():
        raise InputError(
            f"{stage} does not divide a model among devices.",
            remedy="Start the processes without --shard, each with a whole copy; or set train to lora or qlora.",
        )


def _board(folder: Path, newest: Path | None) -> TensorBoardCallback:
    """TensorBoard's curves, without what came after the checkpoint that the training goes on from."""
    return TensorBoardCallback(
        SummaryWriter(folder, purge_step=None if newest is None else checkpoints.steps(newest) + 1)
    )
