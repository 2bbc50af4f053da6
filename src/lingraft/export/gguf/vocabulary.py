"""The tokenizer of a model folder in the words of GGUF."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gguf import GGUFWriter, TokenType
from transformers import PreTrainedTokenizerFast

from lingraft.core.errors import InputError
from lingraft.tokenizer import family, kind, sentencepiece_model
from lingraft.tokenizer.byte_level import LLAMA3_PATTERN
from lingraft.tokenizer.words import GPT2_PATTERN

PRE_TOKENIZERS = {
    GPT2_PATTERN: "gpt-2",
    LLAMA3_PATTERN: "llama-bpe",
    LLAMA3_PATTERN.replace(r"\p{N}{1,3}", r"\p{N}"): "qwen2",
}
"""How a text is split into words before it is cut into tokens, and what llama.cpp calls that."""
SPECIAL = ("bos", "eos", "unk", "pad")


def add(writer: GGUFWriter, folder: Path, num_rows: int) -> None:
    """Add as many tokens as the model has rows, and how they are found in a text.

    llama.cpp finds out by itself how a text is split into words from the ids of one fixed text, which new tokens
    change; here it is told by the pattern. Raises InputError for a tokenizer that it cannot run.
    """
    tokenizer = family.open(folder)
    content = json.loads(tokenizer.backend_tokenizer.to_str())  # as it runs, which a class of transformers may change
    found = kind.of(tokenizer.backend_tokenizer)
    if found == kind.BYTE_LEVEL_BPE:
        _add_byte_level(writer, tokenizer, content, num_rows, folder)
    elif found == kind.SENTENCEPIECE_BPE:
        _add_sentencepiece(writer, tokenizer, folder, num_rows)
    else:
        raise InputError(
            f"this tokenizer is {found}, which is not written as GGUF.",
            where=folder / "tokenizer.json",
            remedy="Leave gguf out of format.",
        )
    _add_special(writer, tokenizer)


def _add_byte_level(
    writer: GGUFWriter, tokenizer: PreTrainedTokenizerFast, content: Mapping[str, Any], num_rows: int, folder: Path
) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_pre_tokenizer(content, folder))
    tokens = {index: (token, TokenType.NORMAL) for token, index in content["model"]["vocab"].items()}
    _add_tokens(writer, tokens | _added(tokenizer), num_rows)
    merges = content["model"]["merges"]
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])


def _add_sentencepiece(writer: GGUFWriter, tokenizer: PreTrainedTokenizerFast, folder: Path, num_rows: int) -> None:
    model = sentencepiece_model.read(folder)
    if model is None:
        raise InputError(
            "llama.cpp cuts texts for this kind of tokenizer by the scores of tokenizer.model, which is not there.",
            where=folder,
            remedy="Take the base from a folder that has its tokenizer.model, or leave gguf out of format.",
        )
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    tokens = {index: (piece.piece, TokenType(piece.type)) for index, piece in enumerate(model.pieces)}
    known = {index: token for index, token in tokens.items() if token[1] in (TokenType.UNKNOWN, TokenType.CONTROL)}
    _add_tokens(writer, tokens | _added(tokenizer) | known, num_rows)
    scores = [piece.score for piece in model.pieces]
    writer.add_token_scores([*scores, *[0.0] * (num_rows - len(scores))])
    writer.add_add_space_prefix(model.normalizer_spec.add_dummy_prefix)


def _added(tokenizer: PreTrainedTokenizerFast) -> dict[int, tuple[str, TokenType]]:
    return {
        index: (token.content, TokenType.CONTROL if token.special else TokenType.USER_DEFINED)
        for index, token in tokenizer.added_tokens_decoder.items()
    }


def _add_tokens(writer: GGUFWriter, tokens: Mapping[int, tuple[str, TokenType]], num_rows: int) -> None:
    """Rows without a token (a padded vocabulary has some) get a name of their own."""
    told = [tokens.get(index, (f"[PAD{index}]", TokenType.UNUSED)) for index in range(num_rows)]
    writer.add_token_list([token for token, _ in told])
    writer.add_token_types([type for _, type in told])


def _add_special(writer: GGUFWriter, tokenizer: PreTrainedTokenizerFast) -> None:
    """Which tokens begin and end a text, whether they are put there, and the chat template."""
    for name in SPECIAL:
        index = getattr(tokenizer, f"{name}_token_id")
        if index is not None:
            getattr(writer, f"add_{name}_token_id")(index)
    ids = tokenizer("a")["input_ids"]
    writer.add_add_bos_token(ids[0] == tokenizer.bos_token_id)
    writer.add_add_eos_token(ids[-1] == tokenizer.eos_token_id)
    if isinstance(tokenizer.chat_template, str):
        writer.add_chat_template(tokenizer.chat_template)


def _pre_tokenizer(content: Mapping[str, Any], folder: Path) -> str:
    pattern = _pattern(content["pre_tokenizer"])
    if pattern not in PRE_TOKENIZERS:
        mended = r"\p{M}" in (pattern or "")
        raise InputError(
            "llama.cpp does not split texts into words as this tokenizer does"
            + (", which keeps combining marks on their letters." if mended else f": {pattern}"),
            where=folder / "tokenizer.json",
            remedy="Make the tokenizer with options: {join_marks: false}, or leave gguf out of format."
            if mended
            else "Leave gguf out of format.",
        )
    return PRE_TOKENIZERS[pattern]


def _pattern(step: Mapping[str, Any] | None) -> str | None:
    """The one pattern that words are split by; None where there is none, or more than one step that splits."""
    found = []
    for part in (step or {}).get("pretokenizers", [step]):
        if part is None:
            continue
        if part["type"] == "ByteLevel":
            found += [GPT2_PATTERN] if part["use_regex"] else []
        else:
            found.append(part.get("pattern", {}).get("Regex"))
    return found[0] if len(found) == 1 else None
