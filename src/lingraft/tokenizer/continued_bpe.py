"""Continued BPE: go on learning where the base's own training stopped.

The text is first segmented by the base, so every new token is built from tokens of the base and is reached by them:
the boundaries of a segmentation hold on their own, and merges that rank below all old ones change nothing before them.
Purason et al. 2025, arXiv 2512.03989; the algorithm of Sennrich et al. 2016, arXiv 1508.07909.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, islice, pairwise
from typing import Any

import regex
from tokenizers import Tokenizer

from lingraft.core.progress import SILENT, Progress

from . import content, gain, kind, marks, words
from .merging import FEWEST, Words, merge
from .method import Extended, Learned, Source, Texts
from .words import SAMPLE_DOCUMENTS

# Where no pre-tokenizer keeps them apart: one mark for a space, then letters with their marks and joiners, or signs.
LETTERS_OR_SIGNS = regex.compile(r"▁?[\p{L}\p{M}\u200C\u200D]+|▁?[^\p{L}\p{M}\p{N}\s▁<>]+")


# The share of the target's characters that the vocabulary must have before pairs are learned; SentencePiece's own.
CHARACTER_COVERAGE = 0.9995


def learn(
    source: Source,
    target: Iterable[str],
    new_tokens: int,
    *,
    guard: Iterable[str] = (),
    held_out: Iterable[str] = (),
    progress: Progress = SILENT,
) -> Learned:
    """Up to `new_tokens` tokens that the target text needs; fewer when it has no more pairs that occur twice.

    No text of the `guard` is segmented otherwise than before: what two neighbours anywhere in it spell never becomes a
    token. That is also the least that keeps it: old merges come first, so any such token would be made there, and
    every other new token is made from a first one. Held-out text is only counted, never learned from.
    Where the model writes characters, not bytes, those that the target needs and the vocabulary lacks come first.
    """
    backend = source.tokenizer.backend_tokenizer
    counts, figures = words.count(backend, target, progress=progress)
    guarded, guard_figures = words.count(backend, guard, progress=progress)
    unseen, _ = words.count(backend, held_out, progress=progress)
    byte_level = source.family == kind.BYTE_LEVEL_BPE
    characters = {} if byte_level else _missing_characters(source, counts, guarded, new_tokens)
    before = sum(len(backend.model.tokenize(word)) * times for word, times in unseen.items())
    if characters:
        backend = Tokenizer.from_str(json.dumps(content.add(source, list(characters))))
    forbidden = {left.value + right.value for word in guarded for left, right in pairwise(backend.model.tokenize(word))}
    segmented, held_out_tokens = _segmented(backend, counts, unseen)
    merged = merge(
        segmented,
        {index: token for token, index in backend.get_vocab(with_added_tokens=True).items()},
        new_tokens - len(characters),
        lambda token: token not in forbidden and (byte_level or LETTERS_OR_SIGNS.fullmatch(token) is not None),
        progress=progress,
    )
    return Learned(
        [*characters, *merged.tokens],
        [*characters.values(), *merged.counts],
        [before, *(held_out_tokens for _ in characters), *(held_out_tokens - saved for saved in merged.held_out_saved)],
        {
            **figures,
            "distinct_words": len(counts),
            "characters": len(characters),
            "guard": {**guard_figures, "spellings": len(forbidden)},
        },
    )


def method(
    source: Source, texts: Texts, new_tokens: int, *, join_marks: bool = True, progress: Progress = SILENT
) -> Extended:
    """Continued BPE: every new token below all old ones, and reached from them.

    With `join_marks` a split pattern that tears combining marks from their letters is mended first, if the target text
    has such words and no text of the guard is cut otherwise by it.
    """
    figures: dict[str, Any] = {}
    if source.family == kind.BYTE_LEVEL_BPE:
        figures["torn_words"] = marks.torn_share(source, islice(texts.target, SAMPLE_DOCUMENTS))
        mended = marks.joined(source) if join_marks and figures["torn_words"] > marks.LEAST_SHARE else None
        figures["marks_joined"] = mended is not None and marks.same_words(source, mended, texts.guard)
        source = mended if figures["marks_joined"] else source
    learned = learn(source, texts.target, new_tokens, guard=texts.guard, held_out=texts.held_out, progress=progress)
    if learned.held_out_tokens[0]:
        figures["curve"] = gain.curve(learned, sum(len(text.encode()) for text in texts.held_out), None)
    tokens = learned.tokens
    if source.family == kind.UNIGRAM:
        tokens = _without_resegmenting(source, tokens, texts.guard)
    return Extended(content.add(source, tokens), tokens, {**learned.figures, **figures})


def _segmented(backend: Tokenizer, counts: Counter[str], unseen: Counter[str]) -> tuple[Words, int]:
    """The words of more than one token as the base segments them, and what the unseen text costs in all."""
    segmented, held_out_tokens = Words(), 0
    tokenize, take = backend.model.tokenize, segmented.add
    for word in chain(counts, (word for word in unseen if word not in counts)):
        ids = [token.id for token in tokenize(word)]
        if len(ids) > 1:
            take(ids, counts[word], unseen[word])
    for word, times in unseen.items():
        held_out_tokens += len(tokenize(word)) * times
    return segmented, held_out_tokens


def _missing_characters(source: Source, counts: Counter[str], guarded: Iterable[str], most: int) -> dict[str, int]:
    """The characters of the words that no token spells, with their counts: until enough of the text is covered."""
    kept = source.tokenizer.get_vocab().keys() | {character for word in guarded for character in word}
    characters: Counter[str] = Counter()
    for word, times in counts.items():
        for character in word:
            characters[character] += times
    wanted = {character: times for character, times in characters.items() if character not in kept}
    uncovered, bearable = sum(wanted.values()), (1 - CHARACTER_COVERAGE) * characters.total()
    missing: dict[str, int] = {}
    for character, times in sorted(wanted.items(), key=lambda item: (-item[1], item[0])):
        if uncovered <= bearable or times < FEWEST or len(missing) == most:
            break
        if not character.isspace():
            missing[character] = times
        uncovered -= times
    return missing


def _without_resegmenting(source: Source, pieces: Sequence[str], guard: Iterable[str]) -> list[str]:
    """The pieces without those that stand in a word of the guard; these leave one after the other until none does.

    Where two segmentations of the base score nearly alike, the margin of a new piece can turn the scales.
    """
    backend = source.tokenizer.backend_tokenizer
    guarded, _ = words.count(backend, guard)
    kept = list(pieces)
    while guarded:
        extended = Tokenizer.from_str(json.dumps(content.add(source, kept)))
        used = {token.value for word in guarded for token in extended.model.tokenize(word)} & set(kept)
        if not used:
            break
        kept = [piece for piece in kept if piece not in used]
    return kept
