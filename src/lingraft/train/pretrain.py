"""Continued pretraining on packed, mixed streams with Hugging Face's Trainer."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, TrainingArguments
from transformers.trainer_utils import set_seed

from lingraft.core import launch
from lingraft.core.artifact import SCRATCH
from lingraft.core.errors import InputError, StageError
from lingraft.core.outside import sha256
from lingraft.core.progress import SILENT, Progress
from lingraft.corpus import shards
from lingraft.tokenizer import family

from . import checkpoints, experts, hardware, loss, mix, quantize
from .callbacks import Checkpoints, HeldOut, Meter, Proof, Stop
from .guards import ForgettingAlarm, LossGuard, alarms
from .pack import STREAMS, Shard, sequence_bytes
from .processes import wait
from .settings import Settings
from .trainable import Trainable
from .trainer import LanguageTrainer


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
    _check_whole_copies()
    batch_sequences, micro = batch(settings, launch.num_processes())
    rows, streams, sizes = training_order(packed, settings)
    tokenizer = family.open(model)
    pad_id = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    data = mix.Mixture([Shard(packed / name, settings.sequence_tokens, pad_id) for name in streams], rows)
    set_seed(settings.seed)
    trained, dtype = _load(model, settings, trust_remote_code)
    use_cache = trained.config.use_cache
    router_logits = getattr(trained.config, "output_router_logits", None)
    if routed := bool(experts.routers(trained)):
        trained.config.output_router_logits = True  # with it the model adds the loss that balances its experts
    trainable = Trainable(trained, settings.train, settings.lora, settings.new_rows, new_ids)
    chunked = loss.chunk(trained, collate([data[0]]), autocast=settings.precision == "bf16")
    steps = len(rows) // batch_sequences
    arguments = TrainingArguments(
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
        report_to="none",
        disable_tqdm=True,
        seed=settings.seed,
        ddp_find_unused_parameters=False,
        use_cpu=not torch.cuda.is_available(),
    )
    held_out = {
        name: [text for text, _, _ in shards.sample(corpus, name, "held_out", settings.curve_documents)]
        for name in STREAMS
        if (corpus / name).exists()
    }
    stop, guard = Stop(), LossGuard(trainable, progress)
    changes: list[tuple[int, Mapping[str, float]]] = []

    def set_replay_share(step: int, share: float) -> None:
        # The batch of the next step has been fetched before.
        changes.append(((step + 1) * batch_sequences, {"target": 1 - share, "replay": share}))
        data.rows, _, sizes = training_order(packed, settings, changes, len(data))
        meter.set_rows(sizes)

    alarm = ForgettingAlarm(
        settings.forgetting, trainable, folder / SCRATCH, set_replay_share, settings.mix.get("replay", 0.0), progress
    )
    meter = Meter(sizes, batch_sequences, settings.sequence_tokens, progress)
    trainer = LanguageTrainer(
        trainable,
        settings,
        guard,
        args=arguments,
        train_dataset=data,
        data_collator=collate,
        callbacks=[
            meter,
            HeldOut(
                {k: v for k, v in held_out.items() if v},
                tokenizer,
                settings.sequence_tokens,
                settings.curve_points,
                meter,
                experts.Load(trained),
            ),
            Checkpoints(settings.checkpoint_minutes),
            *([alarm] if settings.forgetting.limit is not None else []),
            stop,
            Proof(trainable, after=math.ceil(settings.warmup_share * steps)),
        ],
    )
    meter.trainer = trainer
    newest = checkpoints.newest(folder / SCRATCH, remove_others=arguments.should_save)
    wait()
    if newest is not None:
        progress.event("resumed", checkpoint=newest.name)
    progress.start("training", steps * settings.batch_tokens, "tokens")
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
    proof, moved = trainable.proof(), trainable.figures()
    if chunked is not None:
        chunked.undo()
    if settings.train == "qlora":
        trained, whole = _load(model, replace(settings, train="lora"), trust_remote_code)[0], trainable
        trainable = Trainable(trained, "lora", settings.lora, settings.new_rows, new_ids)
        whole.hand_over(trainable)
    trainable.finish()
    if arguments.should_save:
        _save(trained, dtype, model, folder)
    flops = training_flops(trained, taken * settings.batch_tokens, moved["trainable_share"])
    return {
        "train": settings.train,
        "processes": launch.num_processes(),
        "parameters": sum(p.numel() for p in trained.parameters()),
        **moved,
        "proof": proof,
        "loss": "chunked" if chunked else "the model's own",
        "steps": taken,
        "tokens": taken * settings.batch_tokens,
        "bytes": meter.position(taken)["bytes"],
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
        "curve": meter.curve(),
        "held_out_curve": meter.held_out_curve(),
    }


def training_order(
    packed: Path,
    settings: Settings,
    changes: Sequence[tuple[int, Mapping[str, float]]] = (),
    num_rows: int | None = None,
) -> tuple[np.ndarray, list[str], np.ndarray]:
    """The rows of the whole training (see `mix.order`), the streams they index, and the text bytes of each row."""
    streams = [name for name in STREAMS if settings.mix.get(name)]
    shard_bytes = {name: sequence_bytes(packed, name) for name in streams}
    rows = mix.order(
        shard_bytes,
        {name: settings.mix[name] for name in streams},
        seed=settings.seed,
        budget_bytes=settings.budget_bytes,
        budget_tokens=settings.budget_tokens,
        epochs=settings.epochs,
        sequence_tokens=settings.sequence_tokens,
        multiple=settings.batch_tokens // settings.sequence_tokens,
        changes=changes,
        num_rows=num_rows,
    )
    sizes = np.array([shard_bytes[streams[stream]][sequence] for stream, sequence in rows])
    return rows, streams, sizes


def batch(settings: Settings, num_processes: int) -> tuple[int, int]:
    """Sequences of an optimizer step, and of them those at once in the memory of one process."""
    batch_sequences, rest = divmod(settings.batch_tokens, settings.sequence_tokens)
    micro = settings.micro_batch_sequences or max(1, batch_sequences // num_processes)
    if rest or not batch_sequences or batch_sequences % (micro * num_processes):
        shared = f", in each of {num_processes} processes" if num_processes > 1 else ""
        raise InputError(
            f"a batch of {settings.batch_tokens} tokens is not made of whole micro-batches: "
            f"{micro} sequences of {settings.sequence_tokens} tokens{shared}.",
            remedy=f"Set batch_tokens to a multiple of {micro * num_processes * settings.sequence_tokens}.",
        )
    return batch_sequences, micro


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


def _check_whole_copies() -> None:
    """Each process holds all weights; a launcher that shards them would have checkpoints of parts."""
    for name, what in (("ACCELERATE_USE_FSDP", "FSDP"), ("ACCELERATE_USE_DEEPSPEED", "DeepSpeed")):
        if os.environ.get(name, "false").lower() == "true":
            raise InputError(
                f"the launcher asks for {what}, and a training here does not divide the model among processes.",
                remedy="Start it with torchrun; qlora, lora or a smaller micro_batch_sequences need less memory.",
            )


def _load(folder: Path, settings: Settings, trust_remote_code: bool) -> tuple[Any, torch.dtype]:
    stored = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code).dtype or torch.float32
    if settings.train == "qlora":
        model = quantize.load(folder, stored, trust_remote_code)
        _check_positions(model, settings, folder)
        return model, stored
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=load_dtype(settings, stored),
        local_files_only=True,
        trust_remote_code=trust_remote_code,
        use_safetensors=True,
    )
    _check_positions(model, settings, folder)
    return model, stored


def load_dtype(settings: Settings, stored: torch.dtype) -> torch.dtype:
    """What weights are loaded as; those that move are float32 in any case."""
    frozen = settings.train != "full" and settings.precision == "bf16"
    return stored if frozen else torch.float32


def _check_positions(model: Any, settings: Settings, folder: Path) -> None:
    longest = getattr(model.config, "max_position_embeddings", None)
    if longest is not None and settings.sequence_tokens > longest:
        raise InputError(
            f"sequences of {settings.sequence_tokens} tokens are longer than the {longest} positions of the model.",
            where=folder,
            remedy=f"Set sequence_tokens of the pack stage to {longest} or less.",
        )


def collate(rows: Sequence[Mapping[str, np.ndarray]]) -> dict[str, torch.Tensor]:
    """A batch of rows, every value of shape (rows, sequence_tokens)."""
    return {key: torch.from_numpy(np.stack([row[key] for row in rows])) for key in rows[0]}


def _save(model: Any, dtype: torch.dtype, source: Path, folder: Path) -> None:
    model.to(dtype).save_pretrained(folder)
    family.copy(source, folder, ("tokenizer.json", "*.py", *family.SETTINGS_FILES))
