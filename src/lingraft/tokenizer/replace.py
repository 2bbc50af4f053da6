"""New tokens in the places of old ones that the texts hardly use: the model does not grow."""

from itertools import chain
from typing import Any

from lingraft.core.errors import StageError
from lingraft.core.progress import SILENT, Progress

from . import content, continued_bpe
from .method import Extended, Source, Texts
from .usage import least_used, usage


def method(source: Source, texts: Texts, new_tokens: int, *, progress: Progress = SILENT) -> Extended:
    """Continued BPE whose tokens take the ids of the least used old ones; all other tokens keep theirs.

    Usage is that in target and replay text. A token of which a new one is built stays, and so does one that stands in
    a text of the guard. Raises StageError when nothing may leave.
    """
    learned = continued_bpe.learn(source, texts.target, new_tokens, guard=texts.guard, progress=progress)
    used = usage(source, chain(texts.target, texts.replay), progress=progress)
    backend = source.tokenizer.backend_tokenizer
    pieces = {piece.value for token in learned.tokens for piece in backend.model.tokenize(token)}
    guarded = set(usage(source, texts.guard))
    dropped = least_used(source, used, len(learned.tokens), pieces | guarded)
    if learned.tokens and not dropped:
        raise StageError(
            "no old token may give way to a new one.",
            where=source.folder,
            remedy="Take method continued_bpe, which lets the vocabulary grow.",
        )
    tokens = learned.tokens[: len(dropped)]
    figures: dict[str, Any] = {
        **learned.figures,
        "dropped": len(dropped),
        "dropped_usage": sum(used[token] for token in dropped),
        "tokens_of_text": used.total(),
    }
    return Extended(content.replace(source, dropped, tokens), tokens, figures, drops=True)
