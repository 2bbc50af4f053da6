"""Which tensors of a checkpoint have a row per token."""

import copy
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from lingraft.core.errors import InputError

from .checkpoint import Checkpoint


@dataclass(frozen=True)
class Tables:
    """The tensors with a row per token, by their names in the checkpoint."""

    input: tuple[str, ...]
    """The input embedding; a tied checkpoint may hold it twice, under its own name and that of the head."""
    output: tuple[str, ...]
    """The LM head, empty where it is the input embedding."""
    bias: tuple[str, ...]
    rows: int

    @property
    def tied(self) -> bool:
        return not self.output


def find(base: Path, checkpoint: Checkpoint, *, trust_remote_code: bool = False) -> Tables:
    """The tables of the model in `base`, learned from its class on the meta device.

    Raises InputError when transformers has no causal model for the config, when the checkpoint lacks a table, and when
    the model has a row per token anywhere else.
    """
    try:
        config = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=trust_remote_code)
        model = _skeleton(config, trust_remote_code)
        larger = copy.deepcopy(config)
        larger.get_text_config().vocab_size += 1
        grown = _skeleton(larger, trust_remote_code)
    except (OSError, ValueError) as error:
        raise InputError(
            f"transformers cannot build this model: {error}",
            where=base / "config.json",
            remedy="The base must be a causal language model; for one that ships its own code set trust_remote_code.",
        ) from error
    embedding = getattr(model.get_input_embeddings(), "weight", None)
    head = getattr(model.get_output_embeddings(), "weight", None)
    bias = getattr(model.get_output_embeddings(), "bias", None)
    before = dict(model.named_parameters(remove_duplicate=False))
    after = dict(grown.named_parameters(remove_duplicate=False))
    by_token = {name: before[name] for name in before if before[name].shape != after[name].shape}
    others = [name for name, table in by_token.items() if not any(table is known for known in (embedding, head, bias))]
    if others:
        raise InputError(
            f"beside embedding and LM head this model has a row per token in {', '.join(others)}.",
            where=base / "config.json",
            remedy="Models of this kind cannot be grafted onto yet; keep the vocabulary.",
        )
    stored = {name: _stored(name, checkpoint.files, model.base_model_prefix) for name in by_token}
    inputs = [stored[name] for name, table in by_token.items() if table is embedding and stored[name]]
    for name, table in by_token.items():
        if stored[name] is None and not (table is embedding and inputs):
            raise InputError(
                f"the weights have no {name}, which the config asks for.",
                where=base,
                remedy="Download the model again, or mend tie_word_embeddings in its config.json.",
            )

    def names(tensor: torch.Tensor | None) -> tuple[str, ...]:
        found = (stored[name] for name, table in by_token.items() if table is tensor)
        return tuple(dict.fromkeys(name for name in found if name))

    return Tables(names(embedding), () if head is embedding else names(head), names(bias), embedding.shape[0])


def _skeleton(config: AutoConfig, trust_remote_code: bool) -> PreTrainedModel:
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, trust_remote_code=trust_remote_code)


def _stored(name: str, stored: Iterable[str], prefix: str) -> str | None:
    """The tensor's name in the checkpoint, which may lack the prefix of the base model or have another."""
    stored = set(stored)
    for candidate in (name, name.removeprefix(f"{prefix}."), f"{prefix}.{name}"):
        if candidate in stored:
            return candidate
    ending = re.compile(rf"(?:^|\.){re.escape('.'.join(name.split('.')[-2:]))}$")
    alike = [other for other in stored if ending.search(other)]
    return alike[0] if len(alike) == 1 else None
