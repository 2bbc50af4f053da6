"""Families of tokenizers told apart, without transformers: quick enough for a check before anything runs."""

from pathlib import Path

from tokenizers import Tokenizer, models

from lingraft.core.errors import InputError

BYTE_LEVEL_BPE = "byte-level BPE"


def of(backend: Tokenizer) -> str:
    """The family in words; "byte-level BPE" is the one that can be extended."""
    model = backend.model
    if not isinstance(model, models.BPE):
        return type(model).__name__
    if model.byte_fallback:
        return "SentencePiece-style BPE with byte fallback"
    if model.continuing_subword_prefix or model.end_of_word_suffix:
        return "BPE with word-boundary marks"
    # In GPT-2's alphabet of 256 symbols the two bytes of this letter are written so.
    if not "".join(pre_tokens(backend, "ż")).endswith("Å¼"):
        return "BPE over characters"
    return BYTE_LEVEL_BPE


def require_byte_level_bpe(backend: Tokenizer, where: Path) -> None:
    """Raise InputError for every other family."""
    found = of(backend)
    if found != BYTE_LEVEL_BPE:
        raise InputError(
            f"this tokenizer is {found}; only byte-level BPE can be extended.",
            where=where,
            remedy="Keep its vocabulary: leave the tokenizer and graft stages out of the recipe.",
        )


def pre_tokens(backend: Tokenizer, text: str) -> list[str]:
    """The pieces that no token may cross, in the symbols of the model: normalized, then pre-tokenized."""
    if backend.normalizer is not None:
        text = backend.normalizer.normalize_str(text)
    if backend.pre_tokenizer is None:
        return [text]
    return [piece for piece, _ in backend.pre_tokenizer.pre_tokenize_str(text)]
