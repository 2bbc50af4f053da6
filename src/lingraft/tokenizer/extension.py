"""Make the tokenizer of a base into one that knows a language, by any method, and write it as a folder."""

import gc
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lingraft.core.errors import StageError
from lingraft.core.progress import SILENT, Progress
from lingraft.core.registry import resolve

from . import METHODS, content, family, kind, sentencepiece_model
from .method import Source, Texts

NUM_EXAMPLES = 60


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Millions of strings and numbers, none in a cycle: looking through them all again takes a fifth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@_no_garbage_collection()
def extend(
    base: Path,
    target: Iterable[str],
    folder: Path,
    *,
    new_tokens: int,
    method: str = "continued_bpe",
    options: Mapping[str, Any] | None = None,
    replay: Iterable[str] = (),
    guard: Iterable[str] = (),
    held_out: Iterable[str] = (),
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Write the new tokenizer to `folder` and return its figures.

    Texts are read more than once; an iterator is made a list for that. Where a method adds tokens, new ids follow the
    highest id in use, special tokens included; `new_tokens` in the figures counts what was learned, which is less than
    asked for when the text is small.
    With held-out text the figures of `continued_bpe` have the gain curve of all smaller sizes.
    A base with a SentencePiece `tokenizer.model` gets an extended one as well.
    Raises InputError when the base is of a family that the method cannot work on, StageError when it made no token.
    """
    source = open_source(base)
    given = (target, replay, guard, held_out)
    texts = Texts(*(list(found) if isinstance(found, Iterator) else found for found in given))
    made = resolve(METHODS, method, "tokenizer method")(source, texts, new_tokens, progress=progress, **(options or {}))
    if new_tokens and not made.new_tokens:
        raise StageError(
            f"no new token could be learned from {made.figures.get('bytes', 0):,} bytes of target text.",
            remedy="Give more text in the target language: a pair of tokens must occur twice to become one.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    # With config.json: transformers picks the class of a tokenizer by the type of the model.
    family.copy(base, folder, (*family.SETTINGS_FILES, "config.json"))
    (folder / "tokenizer.json").write_text(json.dumps(made.content, ensure_ascii=False), encoding="utf-8")
    figures: dict[str, Any] = {
        "method": method,
        "family": source.family,
        "old_size": max(source.tokenizer.get_vocab().values()) + 1,
        "new_size": content.size(made.content),
        "new_tokens": len(made.new_tokens),
        "new_tokens_asked": new_tokens,
        "drops_tokens": made.drops,
        "moves_ids": made.renumbers,
        "examples": _examples(source, made.new_tokens),
        "text": made.figures,
    }
    if (agreement := sentencepiece_model.extend(source, folder, made, texts)) is not None:
        figures["tokenizer_model"] = agreement
    return figures


def open_source(base: Path) -> Source:
    """The tokenizer in `base` as methods read it. Raises InputError for a family that nothing can be added to."""
    tokenizer = family.open(base)
    found = kind.require_extendable(tokenizer.backend_tokenizer, base)
    parsed = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    return Source(base, tokenizer, found, parsed)


def _examples(source: Source, tokens: list[str]) -> list[str]:
    decoder = source.tokenizer.backend_tokenizer.decoder
    decoded = (decoder.decode([token]) if decoder else token for token in tokens)
    return [text for text in decoded if text and "\ufffd" not in text][:NUM_EXAMPLES]
