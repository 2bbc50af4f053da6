"""Which row each token of the new tokenizer takes: that of the same token in the old one, or a new one.

V rows of the old tables, D columns.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from lingraft.core.errors import InputError
from lingraft.tokenizer import kind
from lingraft.tokenizer.family import BYTE_TOKEN


def _byte_symbols() -> dict[str, int]:
    """GPT-2's letter for each byte: printable ones stand for themselves, the others take the letters from U+0100."""
    letters = set(pre_tokenizers.ByteLevel.alphabet())
    themselves = {letter: ord(letter) for letter in letters if ord(letter) < 256}
    shifted = sorted(letters - themselves.keys())
    others = sorted(set(range(256)) - set(themselves.values()))
    return themselves | dict(zip(shifted, others, strict=True))


BYTE_OF = _byte_symbols()
LONE_BYTE = re.compile("([\udc80-\udcff])")  # as surrogateescape decodes it
SYMBOL_OF = {byte: symbol for symbol, byte in BYTE_OF.items()}


@dataclass(frozen=True)
class Matching:
    """The new ids in two parts: those whose token the old tokenizer has, and those that need a row."""

    copied: Mapping[int, int]
    """New id -> the old id of the same token."""
    fresh: Mapping[int, str]
    """New id -> its token, in order of the ids."""
    num_old: int
    """Ids that the old tokenizer spans, gaps included."""
    num_new: int
    dropped: frozenset[int]
    """Old ids whose token the new tokenizer has not."""

    @property
    def in_place(self) -> bool:
        """Whether every copied row stays where it is and the vocabulary does not shrink."""
        return self.num_new >= self.num_old and all(new == old for new, old in self.copied.items())

    @property
    def unchanged(self) -> bool:
        """Whether old and new are the same tokens under the same ids."""
        return self.in_place and not self.fresh and not self.dropped

    def size(self, rows: int) -> int:
        """The rows of a table that had `rows`: padding is used up first and kept, unless the ids move."""
        return max(rows, self.num_new) if self.in_place else self.num_new

    def arrange(self, table_VD: torch.Tensor, size: int) -> torch.Tensor:
        """A table of `size` rows, the copied rows in their new places, zeros where no token is."""
        arranged = table_VD.new_zeros(size, *table_VD.shape[1:])
        if self.in_place:
            arranged[: len(table_VD)] = table_VD
        else:
            arranged[list(self.copied)] = table_VD[list(self.copied.values())]
        return arranged


def match(old: PreTrainedTokenizerFast, new: PreTrainedTokenizerFast, where: Path) -> Matching:
    """Match by the token as it is written; between families by the bytes it stands for, special tokens by their role.

    Raises InputError when the two have nothing in common.
    """
    before, after = old.get_vocab(), new.get_vocab()
    if kind.of(old.backend_tokenizer) == kind.of(new.backend_tokenizer):
        found = {index: before[token] for token, index in after.items() if token in before}
    else:
        known: dict[object, int] = {}
        for index, key in _keys(old):
            known.setdefault(key, index)
        found = {index: known[key] for index, key in _keys(new) if key in known}
    if not found:
        raise InputError(
            "this tokenizer shares no token with that of the base.",
            where=where,
            remedy="Make it from the tokenizer of this very base.",
        )
    fresh = {index: token for token, index in sorted(after.items(), key=lambda item: item[1]) if index not in found}
    return Matching(
        copied=dict(sorted(found.items())),
        fresh=fresh,
        num_old=max(before.values()) + 1,
        num_new=max(after.values()) + 1,
        dropped=frozenset(before.values()) - frozenset(found.values()),
    )


def spell(
    old: PreTrainedTokenizerFast, new: PreTrainedTokenizerFast, fresh: Mapping[int, str]
) -> Sequence[Sequence[int]]:
    """The old ids of each token's own bytes: no prefix space, no BOS, also where the bytes are not whole characters.

    Empty where the old tokenizer has nothing but control tokens for it.
    """
    backend, special, added = old.backend_tokenizer, set(old.all_special_ids), new.added_tokens_decoder
    family, new_family = kind.of(backend), kind.of(new.backend_tokenizer)
    same_family = family == new_family
    spellings = []
    for index, token in fresh.items():
        if index in added:  # an added token is text, the others are symbols of the model
            ids = backend.encode(token, add_special_tokens=False).ids
        else:
            ids = (
                _tokenize(backend, token)
                if same_family
                else _respell(backend, written_bytes(token, new_family), family)
            )
        spellings.append([piece for piece in ids if piece not in special])
    return spellings


def _keys(tokenizer: PreTrainedTokenizerFast) -> Iterator[tuple[int, object]]:
    """Every id with what it stands for; a byte written as such comes after the tokens that spell the same byte."""
    roles = {str(token): role for role, token in tokenizer.special_tokens_map.items()}
    added = tokenizer.added_tokens_decoder
    family = kind.of(tokenizer.backend_tokenizer)
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: (bool(BYTE_TOKEN.fullmatch(item[0])), item[1]))
    for token, index in vocabulary:
        if index in added and added[index].special:
            yield index, ("special", roles.get(token, token))
        else:
            yield index, token.encode() if index in added else written_bytes(token, family)


def written_bytes(token: str, family: str) -> bytes:
    """The bytes of text that a token of the model's own vocabulary stands for, by the family of its tokenizer."""
    if family == kind.BYTE_LEVEL_BPE:
        return b"".join(bytes([BYTE_OF[symbol]]) if symbol in BYTE_OF else symbol.encode() for symbol in token)
    if BYTE_TOKEN.fullmatch(token):
        return bytes([int(token[1:-1], 16)])
    return token.replace("▁", " ").encode()


def _tokenize(backend: Tokenizer, symbols: str) -> list[int]:
    return [piece.id for piece in backend.model.tokenize(symbols)]


def _respell(backend: Tokenizer, content: bytes, family: str) -> list[int]:
    """The ids by which a tokenizer of this family spells bytes: those that are no whole character stand alone."""
    if family == kind.BYTE_LEVEL_BPE:
        return _tokenize(backend, "".join(SYMBOL_OF[byte] for byte in content))
    ids: list[int | None] = []
    for part in LONE_BYTE.split(content.decode(errors="surrogateescape").replace(" ", "▁")):
        if LONE_BYTE.fullmatch(part):
            ids.append(backend.token_to_id(f"<0x{ord(part) & 0xFF:02X}>"))
        elif part:
            ids += _tokenize(backend, part)
    return [index for index in ids if index is not None]
