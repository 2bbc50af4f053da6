"""Append: the tokens of a separate BPE put after those of the base, its merges below all the base's.

Design Choices (Tejaswi et al. 2024, arXiv 2406.14670) and SambaLingo (Csaki et al. 2024, arXiv 2404.05829). The base's
merges come first and take away what many of the new ones are made of: those tokens no text can reach.
"""

from collections import Counter

from lingraft.core.progress import SILENT, Progress

from . import content, reach, separate, words
from .method import Extended, Source, Texts

HARM = "Tokens that no text reaches have rows that are never trained. Made for comparison; take repair: true."
MARGIN = 1.5
"""How many times the tokens asked for are learned at first when some will be left out."""


def method(
    source: Source, texts: Texts, new_tokens: int, *, repair: bool = False, progress: Progress = SILENT
) -> Extended:
    """New tokens of a separate BPE until there are enough that the base lacks; those out of reach are counted.

    With `repair` each is made from any two neighbours that spell it, and where even that does not reach a token it is
    left out and the next one takes its place.
    Raises InputError for a tokenizer without merges.
    """
    separate.require_bpe(source, "append")
    counts, figures = words.count(source.tokenizer.backend_tokenizer, texts.target, progress=progress)
    append = _repaired if repair else _as_published
    extended = append(source, counts, new_tokens, progress)
    figures |= extended.figures | reach.figures(extended.content, extended.new_tokens, counts)
    if figures["unreachable"]:
        figures["harmful"] = HARM
    return Extended(extended.content, extended.new_tokens, figures)


def _as_published(source: Source, counts: Counter[str], new_tokens: int, progress: Progress) -> Extended:
    vocabulary = source.tokenizer.get_vocab()
    own = separate.learn(source, counts, new_tokens, known=vocabulary, progress=progress)
    tokens = own.lacked_by(vocabulary)
    old_merges = set(content.merges(source.content["model"]))
    new_merges = [merge for merge in own.merges if merge not in old_merges]
    return Extended(content.append(source, tokens, new_merges), tokens, own.figures)


def _repaired(source: Source, counts: Counter[str], new_tokens: int, progress: Progress) -> Extended:
    vocabulary = source.tokenizer.get_vocab()
    asked, exhausted, reached = new_tokens, False, []
    while len(reached) < new_tokens and not exhausted:
        asked = round(MARGIN * asked)
        own = separate.learn(source, counts, asked, known=vocabulary, progress=progress)
        tokens = own.lacked_by(vocabulary)
        exhausted = len(tokens) < asked
        reached, left_out = _reached(source, counts, tokens, new_tokens)
    figures = {"left_out": len(left_out), "left_out_names": left_out[: reach.NUM_NAMED]}
    return Extended(content.add(source, reached), reached, own.figures | figures)


def _reached(source: Source, counts: Counter[str], tokens: list[str], most: int) -> tuple[list[str], list[str]]:
    """The first tokens that reach each other, and those left out: one may be all that another is reached by."""
    left_out: list[str] = []
    while beyond := reach.unreached(content.add(source, tokens[:most]), tokens[:most], counts):
        dropped = set(beyond)
        left_out += beyond
        tokens = [token for token in tokens if token not in dropped]
    return tokens[:most], left_out
