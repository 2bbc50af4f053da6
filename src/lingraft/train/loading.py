"""The model that a training starts from, and the folder that it ends in."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from lingraft.core import launch
from lingraft.core.errors import InputError
from lingraft.tokenizer import family

from . import processes, quantize
from .settings import Optimization


def load(folder: Path, settings: Optimization, trust_remote_code: bool, whole: bool = True) -> tuple[Any, torch.dtype]:
    """The model and the precision it is stored in; with its values where `whole`, else on the meta device."""
    stored = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code).dtype or torch.float32
    if settings.train == "qlora":
        model = quantize.load(folder, load_dtype(settings, stored), settings.precision, trust_remote_code)
        _check_positions(model, settings, folder)
        return model, stored
    dtype = load_dtype(settings, stored)
    if whole:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=trust_remote_code,
            use_safetensors=True,
        )
    else:
        model = outline(folder, dtype, trust_remote_code)
    _check_positions(model, settings, folder)
    # What is tried and measured before the first step runs where the training will; parts of it are divided there.
    return model if launch.sharded() else model.to(processes.device()), stored


def outline(folder: Path, dtype: torch.dtype, trust_remote_code: bool) -> Any:
    """The model without values, which need no memory."""
    config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, dtype=dtype, trust_remote_code=trust_remote_code)


def load_dtype(settings: Optimization, stored: torch.dtype) -> torch.dtype:
    """What weights are loaded as; those that move are float32 in any case."""
    frozen = settings.train != "full" and settings.precision == "bf16"
    return stored if frozen else torch.float32


def _check_positions(model: Any, settings: Optimization, folder: Path) -> None:
    longest = getattr(model.config, "max_position_embeddings", None)
    if longest is not None and settings.sequence_tokens > longest:
        raise InputError(
            f"sequences of {settings.sequence_tokens} tokens are longer than the {longest} positions of the model.",
            where=folder,
            remedy=f"Set sequence_tokens (for pretrain that of the pack stage) to {longest} or less.",
        )


def save(model: Any, dtype: torch.dtype, source: Path, folder: Path) -> None:
    """Write the model in this precision, with the tokenizer of the folder it was made from."""
    model.to(dtype).save_pretrained(folder)
    family.copy(source, folder, ("tokenizer.json", "tokenizer.model", "*.py", *family.SETTINGS_FILES))
