"""Swap: a BPE of the base's family trained anew, in place of the base's; only added tokens and byte tokens stay.

WECHSEL (Minixhofer et al. 2022, arXiv 2112.06598) and FOCUS (Dobler and de Melo 2023, arXiv 2305.14481) transplant a
model so. The rows of tokens that both vocabularies have can be taken over.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import Field

from lingraft.core.errors import InputError
from lingraft.core.progress import SILENT, Progress

from . import content, kind, separate, words
from .family import BYTE_TOKEN
from .method import Extended, Source, Texts


def method(
    source: Source,
    texts: Texts,
    new_tokens: int,
    *,
    replay_share: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    progress: Progress = SILENT,
) -> Extended:
    """A vocabulary of `new_tokens` beside the tokens that stay, bytes or characters included.

    `replay_share` is that of replay text in the bytes it is trained on; less if there is not enough of it, as the
    figures say. Added tokens keep their order, before or after all others, but not their ids.
    Raises InputError for a tokenizer without merges, or when replay text is asked for and there is none.
    """
    separate.require_bpe(source, "swap")
    backend = source.tokenizer.backend_tokenizer
    counts, figures = words.count(backend, texts.target, progress=progress)
    budget = figures["bytes"] * replay_share / (1 - replay_share)
    replayed, replay_figures = words.count(backend, _first_bytes(texts.replay, budget), progress=progress)
    if replay_share and not replayed:
        raise InputError(
            f"a share of {replay_share} of replay text is asked for, and there is none.",
            where="replay_share",
            remedy="Give the corpus stage replay sources, or leave replay_share out.",
        )
    own = separate.learn(source, counts + replayed, new_tokens, progress=progress)
    tokens = own.lacked_by(())
    vocabulary = _vocabulary(source, tokens)
    old = source.tokenizer.get_vocab()
    figures |= own.figures | {"replay": replay_figures, "in_base": sum(token in old for token in tokens)}
    rebuilt = content.rebuild(source, vocabulary, own.merges)
    return Extended(rebuilt, tokens, figures, drops=True, renumbers=True)


def _first_bytes(texts: Iterable[str], budget: float) -> Iterator[str]:
    """The first texts, until the budget is reached."""
    for text in texts:
        if budget <= 0:
            return
        yield text
        budget -= len(text.encode())


def _vocabulary(source: Source, tokens: list[str]) -> dict[str, int]:
    """Ids for the tokens that stay and the new ones, each before or after these as it was before or after the old."""
    old = source.tokenizer.get_vocab()
    staying = set(source.tokenizer.get_added_vocab()) | {source.content["model"]["unk_token"]}
    if source.family == kind.SENTENCEPIECE_BPE:
        staying |= {token for token in old if BYTE_TOKEN.fullmatch(token)}
    first = min(index for token, index in old.items() if token not in staying)
    stay = sorted((index, token) for token, index in old.items() if token in staying)
    before = [token for index, token in stay if index < first]
    after = [token for index, token in stay if index > first]
    return {token: index for index, token in enumerate([*before, *tokens, *after])}
