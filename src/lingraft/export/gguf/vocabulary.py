"""The tokenizer of a model folder in the words of GGUF."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gguf import GGUFWriter, TokenType
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from lingraft.core.errors import InputError
from lingraft.tokenizer import family, kind, marks, sentencepiece_model
from lingraft.tokenizer.byte_level import LLAMA3_PATTERN
from lingraft.tokenizer.words import GPT2_PATTERN

PRE_TOKENIZERS = {
    GPT2_PATTERN: "gpt-2",
    LLAMA3_PATTERN: "llama-bpe",
    LLAMA3_PATTERN.replace(r"\p{N}{1,3}", r"\p{N}"): "qwen2",
}
"""How a text is split into words before it is cut into tokens, and what llama.cpp calls that."""
TAKES_WORDS_WHOLE = frozenset({"llama-bpe"})
LEAVE_OUT = "Leave gguf out of format."
FILE = "tokenizer.json"
SPECIAL = ("bos", "eos", "unk", "pad")


@dataclass(frozen=True)
class Known:
    """A tokenizer that llama.cpp can run."""

    tokenizer: PreTrainedTokenizerFast
    model: Mapping[str, Any]
    """Tokens and merges as they run, which a class of transformers may change."""
    pre_tokenizer: str = ""
    """How words are split, of a byte-level one."""
    pieces: Any = None
    """What tokenizer.model holds, of a SentencePiece-style one."""


def read(folder: Path) -> Known:
    """The tokenizer of a folder. Raises InputError for one that llama.cpp would run otherwise, or not at all."""
    tokenizer = family.open(folder)
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    found = kind.of(tokenizer.backend_tokenizer)
    if found == kind.BYTE_LEVEL_BPE:
        splits = _pre_tokenizer(content, folder)
        _require_same_merging(content, splits, folder)
        return Known(tokenizer, content["model"], pre_tokenizer=splits)
    if found == kind.SENTENCEPIECE_BPE:
        if (pieces := sentencepiece_model.read(folder)) is None:
            raise InputError(
                "llama.cpp cuts texts for this kind of tokenizer by the scores of tokenizer.model, which is not there.",
                where=folder,
                remedy="Take the base from a folder that has its tokenizer.model, or leave gguf out of format.",
            )
        return Known(tokenizer, content["model"], pieces=pieces)
    raise InputError(f"this tokenizer is {found}, which is not written as GGUF.", where=folder / FILE, remedy=LEAVE_OUT)


def add(writer: GGUFWriter, folder: Path, num_rows: int) -> None:
    """Add as many tokens as the model has rows, and how they are found in a text; see `read`.

    llama.cpp finds out by itself how a text is split into words from the ids of one fixed text, which new tokens
    change; here it is told by the pattern.
    """
    known = read(folder)
    if known.pieces is None:
        _add_byte_level(writer, known, num_rows)
    else:
        _add_sentencepiece(writer, known, num_rows)
    _add_special(writer, known.tokenizer)


def _add_byte_level(writer: GGUFWriter, known: Known, num_rows: int) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(known.pre_tokenizer)
    tokens = {index: (token, TokenType.NORMAL) for token, index in known.model["vocab"].items()}
    _add_tokens(writer, tokens | _added(known.tokenizer), num_rows)
    merges = known.model["merges"]
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])


def _add_sentencepiece(writer: GGUFWriter, known: Known, num_rows: int) -> None:
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    pieces = known.pieces.pieces
    tokens = {index: (piece.piece, TokenType(piece.type)) for index, piece in enumerate(pieces)}
    fixed = {index: token for index, token in tokens.items() if token[1] in (TokenType.UNKNOWN, TokenType.CONTROL)}
    _add_tokens(writer, tokens | _added(known.tokenizer) | fixed, num_rows)
    scores = [piece.score for piece in pieces]
    writer.add_token_scores([*scores, *[0.0] * (num_rows - len(scores))])
    writer.add_add_space_prefix(known.pieces.normalizer_spec.add_dummy_prefix)


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
    changes = (content["normalizer"] or {}).get("type", "NFC")
    if pattern in PRE_TOKENIZERS and changes == "NFC":
        return PRE_TOKENIZERS[pattern]
    if pattern in {marks.with_marks(known) for known in PRE_TOKENIZERS}:
        raise InputError(
            "llama.cpp does not split texts into words as this tokenizer does, which keeps combining marks on their "
            "letters.",
            where=folder / FILE,
            remedy="Where the tokenizer stage did that, make it again with options: {join_marks: false}; "
            "else leave gguf out of format.",
        )
    told = f"changes them by {changes} before" if pattern in PRE_TOKENIZERS else f"splits by {pattern}"
    raise InputError(
        f"llama.cpp does not split texts into words as this tokenizer does, which {told}.",
        where=folder / FILE,
        remedy=LEAVE_OUT,
    )


def _require_same_merging(content: Mapping[str, Any], pre_tokenizer: str, folder: Path) -> None:
    """Raise InputError where a word that is a token comes out otherwise in llama.cpp.

    That takes such a word whole with the splits named below, and merges its bytes with the others; a tokenizer has a
    switch for it, which matters to tokens that no merges make.
    """
    whole = pre_tokenizer in TAKES_WORDS_WHOLE
    if bool(content["model"].get("ignore_merges")) == whole:
        return
    plain = {"pre_tokenizer": None, "normalizer": None, "post_processor": None, "added_tokens": []}
    ours, theirs = (
        Tokenizer.from_str(json.dumps({**content, **plain, "model": {**content["model"], "ignore_merges": way}}))
        for way in (not whole, whole)
    )
    added = {token["content"] for token in content["added_tokens"]}
    words = [word for word in content["model"]["vocab"] if word not in added]
    both = zip(words, ours.encode_batch(words), theirs.encode_batch(words), strict=True)
    if other := [word for word, one, two in both if one.ids != two.ids]:
        raise InputError(
            f"llama.cpp {'takes' if whole else 'does not take'} whole {len(other)} words that are tokens "
            f'("{other[0]}"), where this tokenizer does the contrary.',
            where=folder / FILE,
            remedy=LEAVE_OUT,
        )


def _pattern(step: Mapping[str, Any] | None) -> str | None:
    """The one pattern that words are split by; None where there is none, or anything else is done to them."""
    found = []
    for part in (step or {}).get("pretokenizers", [step]):
        if part is None:
            continue
        if part["type"] == "ByteLevel":
            found += [GPT2_PATTERN] if part["use_regex"] else []
            found += [None] if part["add_prefix_space"] else []
        else:
            plain = part.get("behavior") == "Isolated" and not part.get("invert")
            found.append(part["pattern"].get("Regex") if plain else None)
    return found[0] if len(found) == 1 else None
