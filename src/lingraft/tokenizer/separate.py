"""A BPE trained on its own, with nothing from the base but the pieces that no token may cross: what others start from.

Sennrich et al. 2016, arXiv 1508.07909, over bytes where the base's tokens are bytes, over characters where they are
characters.
"""

from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tokenizers import pre_tokenizers

from lingraft.core.errors import InputError
from lingraft.core.progress import SILENT, Progress

from . import kind
from .content import Merge
from .continued_bpe import CHARACTER_COVERAGE, LETTERS_OR_SIGNS
from .merging import FEWEST, Words, merge
from .method import Source


@dataclass(frozen=True)
class Separate:
    """A BPE by its symbols and its tokens in the order of their rank, as the base's model would write them."""

    symbols: list[str]
    """All bytes in the alphabet of byte-level BPE, or characters, the most frequent first."""
    merges: list[Merge]
    """The two tokens that each token is made of; a text never gives rise to others."""
    figures: dict[str, Any]

    @property
    def tokens(self) -> list[str]:
        return [left + right for left, right in self.merges]

    def lacked_by(self, vocabulary: Container[str]) -> list[str]:
        return [token for token in (*self.symbols, *self.tokens) if token not in vocabulary]


def learn(
    source: Source,
    counts: Counter[str],
    num_tokens: int,
    *,
    known: Container[str] = (),
    progress: Progress = SILENT,
) -> Separate:
    """The BPE of the words, `num_tokens` of whose symbols and tokens are not `known`; fewer if the text has no more."""
    byte_level = source.family == kind.BYTE_LEVEL_BPE
    if byte_level:
        symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    else:
        symbols = _characters(counts)
        symbols = symbols[: _end(symbols, known, num_tokens)]
    ids = {symbol: index for index, symbol in enumerate(symbols)}
    segmented = Words()
    for word, times in counts.items():
        for run in _runs(word, ids):
            if len(run) > 1:
                segmented.add(run, times)
    merged = merge(
        segmented,
        dict(enumerate(symbols)),
        num_tokens - sum(symbol not in known for symbol in symbols),
        lambda token: byte_level or LETTERS_OR_SIGNS.fullmatch(token) is not None,
        uncounted=known,
        progress=progress,
    )
    figures = {"distinct_words": len(counts), "separate_tokens": len(merged.tokens)}
    return Separate(symbols, list(_made_of(merged.tokens)), figures)


def require_bpe(source: Source, method: str) -> None:
    """Raise InputError when the base's tokenizer knows no merges."""
    if source.family not in (kind.BYTE_LEVEL_BPE, kind.SENTENCEPIECE_BPE):
        raise InputError(
            f"method {method} works with merges, and {source.family} has none.",
            where=source.folder,
            remedy="Take method continued_bpe.",
        )


def _characters(counts: Counter[str]) -> list[str]:
    """The characters that make up enough of the words, the most frequent first."""
    found: Counter[str] = Counter()
    for word, times in counts.items():
        for character in word:
            found[character] += times
    uncovered = found.total()
    bearable = (1 - CHARACTER_COVERAGE) * uncovered
    covered: list[str] = []
    for character, times in sorted(found.items(), key=lambda item: (-item[1], item[0])):
        if uncovered <= bearable or times < FEWEST:
            break
        uncovered -= times
        if not character.isspace():
            covered.append(character)
    return covered


def _end(symbols: list[str], known: Container[str], num_tokens: int) -> int:
    """Where the symbols must end for no more than `num_tokens` of them to be new."""
    new = [at for at, symbol in enumerate(symbols) if symbol not in known]
    return new[num_tokens] if len(new) > num_tokens else len(symbols)


def _runs(word: str, ids: dict[str, int]) -> Iterator[list[int]]:
    """The word in symbols, cut where it has a character that is none."""
    run: list[int] = []
    for character in word:
        if character in ids:
            run.append(ids[character])
        else:
            yield run
            run = []
    yield run


def _made_of(tokens: Iterable[str]) -> Iterator[Merge]:
    """The two tokens that each becomes before it is itself: those of lowest rank joined first, from left to right."""
    ranks: dict[str, int] = {}
    for rank, token in enumerate(tokens):
        parts = list(token)
        while len(parts) > 2:
            at = min(range(len(parts) - 1), key=lambda at: ranks.get(parts[at] + parts[at + 1], rank))
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        yield parts[0], parts[1]
        ranks[token] = rank
