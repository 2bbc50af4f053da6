"""A smaller vocabulary: the tokens that the texts use least are taken out."""

from itertools import chain

from lingraft.core.progress import SILENT, Progress

from . import content
from .method import Extended, Source, Texts
from .usage import least_used, usage


def method(source: Source, texts: Texts, new_tokens: int, *, drop_tokens: int, progress: Progress = SILENT) -> Extended:
    """Up to `drop_tokens` of the least used tokens leave, those of the guard never; the ids of the others close up.

    Usage is that in target and replay text. Where a token that left would stand, stands what it was made of.
    """
    used = usage(source, chain(texts.target, texts.replay), progress=progress)
    dropped = least_used(source, used, drop_tokens, set(usage(source, texts.guard)))
    figures = {
        "dropped": len(dropped),
        "dropped_usage": sum(used[token] for token in dropped),
        "tokens_of_text": used.total(),
    }
    return Extended(content.close_up(source.content, dropped), [], figures, drops=True, renumbers=True)
