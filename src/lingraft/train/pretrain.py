"""Continued pretraining on packed, mixed streams with Hugging Face's Trainer."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.tensorboard import SummaryWriter
from transformers import TrainingArguments
from transformers.integrations import TensorBoardCallback
from transformers.trainer_utils import set_seed

from lingraft.core import launch
from lingraft.core.artifact import SCRATCH
from lingraft.core.errors import InputError, StageError
from lingraft.core.outside import sha256
from lingraft.core.progress import SILENT, Progress
from lingraft.corpus import shards
from lingraft.tokenizer import family

from . import checkpoints, earlier, experts, hardware, loading, loss, sharding
from .attention import Attention
from .callbacks import Checkpoints, HeldOut, Meter, Proof, Stop
from .earlier import Earlier
from .energy import EnergyMeter
from .guards import ForgettingAlarm, LossGuard, alarms
from .pack import STREAMS, checksum, sequence_bytes
from .processes import is_first, lost_ones_told, wait
from .reading import batch, collate, mixes, mixture, training_order
from .settings import WITHOUT_EFFECT, Settings
from .trainable import Trainable
from .trainer import LanguageTrainer

TENSORBOARD = "tensorboard"


def pretrain(
    model: Path,
    packed: Path,
    corpus: Path,
    folder: Path,
    settings: Settings,
    *,
    new_ids: Sequence[int] = (),
    trust_remote_code: bool = False,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Train the model on the mix; it stands in `folder` as plain weights, figures come back.

    What `settings.train` names moves, in float32, and is proved to; the model is saved in the base's own dtype.
    `new_ids` are the tokens that the base did not have, ascending. A stopped training goes on from its newest
    whole checkpoint, and on a CPU ends with the same bits as one that was never stopped.
    Checkpoints stand in `scratch` below the folder.
    """
    _check_one_gpu()
    is_sharded = launch.sharded()
    if is_sharded:
        _check_can_be_sharded(settings)
    batch_sequences, micro = batch(settings, launch.num_processes())
    _check_keeps_state(settings)
    kind = _kind(settings, packed)
    before = earlier.read(model, kind) if settings.go_on else None
    rows, streams, sizes = training_order(packed, settings, before=before)
    tokenizer = family.open(model)
    pad_id = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    steps = len(rows) // batch_sequences
    data = mixture(packed, settings, rows, streams, pad_id)
    arguments = _arguments(settings, folder, steps, micro, batch_sequences)
    set_seed(settings.seed)
    trained, dtype = loading.load(model, settings, trust_remote_code, whole=not is_sharded or is_first())
    use_cache = trained.config.use_cache
    router_logits = getattr(trained.config, "output_router_logits", None)
    if routed := bool(experts.routers(trained)):
        trained.config.output_router_logits = True  # with it the model adds the loss that balances its experts
    trainable = Trainable(trained, settings.train, settings.lora, settings.new_rows, new_ids)
    if is_sharded:
        sharding.shard(trained, settings.precision)
    identity = {**_identity(settings, trainable.begin(), new_ids), "the text": kind["the text"]}
    attention = Attention(trained, collate([data.of_several_documents()]), settings)
    first, autocast = attention.complete(collate([data[0]])), settings.precision == "bf16"
    chunked = loss.chunk(trained, first, autocast=autocast, compiled=settings.compile)
    stop, guard = Stop(), LossGuard(trainable, progress)
    changes: list[tuple[int, Mapping[str, float]]] = []

    def set_replay_share(step: int, share: float) -> None:
        # The batch of the next step has been fetched before.
        changes.append(((step + 1) * batch_sequences, {"target": 1 - share, "replay": share}))
        data.rows, _, sizes = training_order(packed, settings, changes, len(data), before=before)
        meter.set_rows(sizes)

    alarm = ForgettingAlarm(
        settings.forgetting, trainable, folder / SCRATCH, set_replay_share, settings.mix.get("replay", 0.0), progress
    )
    meter = Meter(sizes, batch_sequences, settings.sequence_tokens, progress)
    newest = checkpoints.newest(folder / SCRATCH, remove_others=arguments.should_save)
    energy = None if settings.energy is None else EnergyMeter(settings.energy)
    trainer = LanguageTrainer(
        trainable,
        settings,
        guard,
        identity,
        before.state if before is not None else None,
        args=arguments,
        train_dataset=data,
        data_collator=lambda rows: attention.complete(collate(rows)),
        callbacks=[
            meter,
            HeldOut(
                _held_out(corpus, settings),
                tokenizer,
                settings.sequence_tokens,
                settings.curve_points,
                meter,
                experts.Load(trained),
            ),
            Checkpoints(settings.checkpoint_minutes),
            Proof(trainable, after=math.ceil(settings.warmup_share * steps)),
            *([alarm] if settings.forgetting.limit is not None else []),
            stop,
            *([energy] if energy is not None else []),
            *(
                [_board(folder / TENSORBOARD, newest)]
                if TENSORBOARD in settings.track and arguments.should_save
                else []
            ),
        ],
    )
    meter.trainer = trainer
    wait()
    if newest is not None:
        checkpoints.require_same(newest, identity)
        progress.event("resumed", checkpoint=newest.name)
    what, done = ("training" if newest is None else "training the rest"), checkpoints.steps(newest)
    progress.start(what, (steps - done) * settings.batch_tokens, "tokens")
    with lost_ones_told(folder):
        trainer.train(resume_from_checkpoint=str(newest) if newest else None)
    taken = trainer.state.global_step
    if taken < steps and not alarm.stopped:
        raise StageError(
            f"the training was stopped after step {taken} of {steps}; a checkpoint is written.",
            where=folder,
            remedy="Run the same command again: it goes on from there.",
        )
    rows = data.rows[: taken * batch_sequences]
    # The Trainer turned it off, and a folder saved so would write text slowly.
    trained.config.use_cache = use_cache
    if routed:
        trained.config.output_router_logits = router_logits
    if settings.keep_state:
        shown = (before.rows if before is not None else 0) + len(rows)
        place = Earlier(folder / earlier.FOLDER, shown, mixes(settings, changes, before))
        earlier.save(folder, trainable.named(), trainer.optimizer, place, kind)
    proof, moved = trainable.proof(), trainable.figures()
    if chunked is not None:
        chunked.undo()
    attention.undo()
    if is_sharded or settings.train == "qlora":
        trained, trainable = None, _plain(trainable, model, settings, new_ids, trust_remote_code)
    if trainable is not None:
        trainable.finish()
        if is_first():
            loading.save(trainable.model, dtype, model, folder)
    outline = loading.outline(model, dtype, trust_remote_code)
    flops = training_flops(outline, taken * settings.batch_tokens, moved["trainable_share"])
    return {
        "train": settings.train,
        "processes": launch.num_processes(),
        "sharded": is_sharded,
        "parameters": sum(p.numel() for p in outline.parameters()),
        **moved,
        "proof": proof,
        "attention": attention.way,
        "loss": "chunked" if chunked else "the model's own",
        "steps": taken,
        "tokens": taken * settings.batch_tokens,
        "bytes": meter.position(taken)["bytes"],
        "gone_on_from": before.rows * settings.sequence_tokens if before is not None else None,
        "realized_mix": {name: float((rows[:, 0] == index).mean()) for index, name in enumerate(streams)},
        "epochs": {
            name: int((rows[:, 0] == index).sum()) / len(sequence_bytes(packed, name))
            for index, name in enumerate(streams)
        },
        "steps_left_out": guard.left_out,
        "forgetting": alarms(trainer.state),
        "flops": flops,
        **meter.figures(),
        **hardware.utilization(flops, meter.figures()["seconds"], launch.num_processes(), settings.precision),
        "energy": None if energy is None else energy.figures(),
        "curve": meter.curve(),
        "held_out_curve": meter.held_out_curve(),
    }


def _arguments(settings: Settings, folder: Path, steps: int, micro: int, batch_sequences: int) -> TrainingArguments:
    """The Trainer's own settings; what is missing here, `LanguageTrainer` and the callbacks do."""
    return TrainingArguments(
        output_dir=str(folder / SCRATCH),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=batch_sequences // (micro * launch.num_processes()),
        max_steps=steps,
        max_grad_norm=settings.max_grad_norm,
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
        torch_compile=settings.compile,
        disable_tqdm=True,
        seed=settings.seed,
        ddp_find_unused_parameters=False,
        use_cpu=not torch.cuda.is_available(),
    )


def _held_out(corpus: Path, settings: Settings) -> dict[str, list[str]]:
    """Documents of every stream that has any."""
    streams = [name for name in STREAMS if (corpus / name).exists()]
    found = {name: shards.sample(corpus, name, "held_out", settings.curve_documents) for name in streams}
    return {name: [text for text, _, _ in documents] for name, documents in found.items() if documents}


def _plain(
    parts: Trainable, model: Path, settings: Settings, new_ids: Sequence[int], trust_remote_code: bool
) -> Trainable | None:
    """What has moved, in a base of its own precision that the first process alone holds; None in the others."""
    plain = None
    if settings.train == "qlora" or is_first():
        settings = replace(settings, train="lora" if settings.train == "qlora" else settings.train)
        whole, _ = loading.load(model, settings, trust_remote_code)
        plain = Trainable(whole, settings.train, settings.lora, settings.new_rows, new_ids)
    parts.hand_over(plain)
    return plain


def _check_keeps_state(settings: Settings) -> None:
    if (settings.keep_state or settings.go_on) and settings.train in ("lora", "qlora"):
        raise InputError(
            "adapters are merged into the model at the end of a training, and none can go on with them.",
            remedy="Leave keep_state and go_on out, or set train to full.",
        )


def _kind(settings: Settings, packed: Path) -> dict[str, Any]:
    """What trainings that go on from each other have in common."""
    names = ("train", "optimizer", "seed", "sequence_tokens")
    text = {name: checksum(packed, name) for name in STREAMS if (packed / name).exists()}
    return {**{name: getattr(settings, name) for name in names}, "the text": text}


def _board(folder: Path, newest: Path | None) -> TensorBoardCallback:
    """TensorBoard's curves, without what came after the checkpoint that the training goes on from."""
    return TensorBoardCallback(
        SummaryWriter(folder, purge_step=None if newest is None else checkpoints.steps(newest) + 1)
    )


def check_same_tokenizer(model: Path, tokenizer_sha256: str) -> None:
    """Raise StageError unless the model's tokenizer is the one the text was packed with."""
    if sha256(model / "tokenizer.json") != tokenizer_sha256:
        raise StageError(
            "the text was packed with another tokenizer than the model's.",
            where=model,
            remedy="Put the pack stage after the stage that makes this model, or name the right one in pack.tokenizer.",
        )


def training_flops(model: torch.nn.Module, tokens: float, trainable_share: float = 1.0) -> float:
    """6 FLOPs a token and matrix weight (Kaplan et al. 2020): 2 forward, 2 back through it, 2 for its own gradient.

    The last are only for weights that move; a table that is looked up in costs none. The product of attention scores is
    left out: it is small at the sequence lengths of continued pretraining.
    """
    looked_up = model.get_input_embeddings().weight.numel()
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    weights = sum(p.numel() for p in model.parameters()) - (0 if tied else looked_up)
    return (4.0 + 2.0 * trainable_share) * weights * tokens


def _check_one_gpu() -> None:
    """With several GPUs in one process the Trainer would silently multiply the batch."""
    if torch.cuda.device_count() > 1 and launch.num_processes() == 1:
        raise InputError(
            f"this machine shows {torch.cuda.device_count()} GPUs, and one process uses one.",
            remedy="Choose it: CUDA_VISIBLE_DEVICES=0 lingraft run ...; or start a process for each: "
            f"torchrun --nproc-per-node {torch.cuda.device_count()} -m lingraft run ...",
        )


def _check_can_be_sharded(settings: Settings) -> None:
    what = {settings.train, settings.optimizer} & {"qlora", "adamw_8bit", "paged_adamw_8bit"}
    if what:
        raise InputError(
            f"{' and '.join(sorted(what))} cannot be sharded: bitsandbytes works on whole tensors.",
            remedy="Start the processes without --shard, each with a whole copy; or set train to lora and "
            "optimizer to adamw.",
        )


def _identity(settings: Settings, base: str, new_ids: Sequence[int]) -> dict[str, Any]:
    """What decides how a training goes, by name; `base` is a hash of the weights it starts from."""
    found = {name: value for name, value in asdict(settings).items() if name not in WITHOUT_EFFECT}
    return {**found, "the base": base, "the new tokens": list(new_ids)}
