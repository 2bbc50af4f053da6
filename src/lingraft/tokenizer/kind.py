"""Families of tokenizers told apart, without transformers: quick enough for a check before anything runs."""

from pathlib import Path

from tokenizers import Tokenizer, models

from lingraft.core.errors import InputError

BYTE_LEVEL_BPE = "byte-level BPE"
SENTENCEPIECE_BPE = "SentencePiece-style BPE with byte fallback"
UNIGRAM = "Unigram"
EXTENDABLE = (BYTE_LEVEL_BPE, SENTENCEPIECE_BPE, UNIGRAM)


def of(backend: Tokenizer) -> str:
    """The family in words; those that tokens can be added to are named above."""
    model = backend.model
    if not isinstance(model, models.BPE):
        return type(model).__name__
    if model.byte_fallback:
        return SENTENCEPIECE_BPE
    if model.continuing_subword_prefix or model.end_of_word_suffix:
        return "BPE with word-boundary marks"
    # In GPT-2's alphabet of 256 symbols the two bytes of this letter are written so.
    if not "".join(pre_tokens(backend, "ż")).endswith("Å¼"):
        return "BPE over characters"
    return BYTE_LEVEL_BPE


def require_extendable(backend: Tokenizer, where: Path) -> str:
    """The family; raise InputError where nothing can be added to it."""
    found = of(backend)
    if found not in EXTENDABLE:
        raise InputError(
            f"this tokenizer is {found}; only {', '.join(EXTENDABLE[:-1])} and {EXTENDABLE[-1]} can be extended.",
            where=where,
            remedy="Keep its vocabulary: leave the tokenizer and graft stages out of the recipe.",
        )
    return found


def pre_tokens(backend: Tokenizer, text: str) -> list[str]:
    """The pieces that no token may cross, in the symbols of the model: normalized, then pre-tokenized."""
    if backend.normalizer is not None:
        text = backend.normalizer.normalize_str(text)
    if backend.pre_tokenizer is None:
        return [text]
    return [piece for piece, _ in backend.pre_tokenizer.pre_tokenize_str(text)]
