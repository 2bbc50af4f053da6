"""What a model can be given to read: the token that a text begins with, and how many tokens there may be."""

from collections.abc import Collection, Mapping
from pathlib import Path

from transformers import AutoConfig, PreTrainedTokenizerBase

from lingraft.core.errors import InputError

DEFAULT_TOKENS = 2048
"""Where no model says how many positions it has."""


def start_token(tokenizer: PreTrainedTokenizerBase) -> int:
    """BOS, or EOS where there is no BOS.

    Raises InputError where there is neither.
    """
    start = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    if start is None:
        raise InputError(
            "the tokenizer has neither a BOS nor an EOS token to begin a text with.",
            where=tokenizer.name_or_path,
            remedy='Name one in tokenizer_config.json: "bos_token": "...".',
        )
    return start


def positions(folder: Path, *, trust_remote_code: bool = False) -> int | None:
    """The most tokens that a model was made to read at once; None where its config does not say."""
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=trust_remote_code)
    return getattr(config.get_text_config(), "max_position_embeddings", None)


def context_tokens(models: Mapping[str, Path], wanted: int | None, *, trusted: Collection[Path] = ()) -> int:
    """How many tokens models that are compared read at once: what is wanted, or as many as all of them can.

    The code of those in `trusted` may be run.

    Raises InputError where more is wanted than one of them has positions.
    """
    found = {name: positions(path, trust_remote_code=path in trusted) for name, path in models.items()}
    limits = {name: limit for name, limit in found.items() if limit}
    shortest = min(limits, key=limits.__getitem__, default=None)
    if wanted is None:
        return DEFAULT_TOKENS if shortest is None else limits[shortest]
    if shortest is not None and wanted > limits[shortest]:
        raise InputError(
            f"a context of {wanted} tokens is longer than the {limits[shortest]} positions of {shortest}.",
            where=models[shortest],
            remedy=f"Set context_tokens to {limits[shortest]} or less.",
        )
    return wanted
