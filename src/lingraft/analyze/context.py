"""What a model makes of a long context: bits per byte by position, and facts that it has to find again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from lingraft.core.artifact import write_json
from lingraft.evaluate.evaluate import load
from lingraft.evaluate.generate import Loaded

from . import needles, positions
from .subject import Subject, spread


def context(
    subject: Subject,
    *,
    documents: Annotated[int, Field(ge=1)] = 64,
    most_tokens: Annotated[int, Field(ge=16)] | None = None,
    needle_bytes: list[Annotated[int, Field(ge=64)]] | None = None,
    haystacks: Annotated[int, Field(ge=1)] = 20,
) -> dict[str, Any]:
    """Bits per byte in bins of positions, and the share of hidden facts that are found, by length and depth.

    Documents are read from their beginning to `most_tokens` (the context of the evaluation by default; any length,
    unless positions are learned), each token after all that stand before it. They are never joined for this: how many
    reach a bin is given, and a bin is compared with the one before it on the documents that reach both. Lengths of the
    needle test double from 512 bytes to what `most_tokens` hold.
    """
    most_tokens = most_tokens or subject.context_tokens
    texts = [spread(text, documents) for text in subject.texts]
    read = {
        name: _kept(subject, name, path, "positions", lambda loaded: positions.read(loaded, texts, most_tokens))
        for name, path in subject.models.items()
    }
    asked = {
        text.stream: {
            size: needles.needles(text.texts, size, haystacks, subject.seed)
            for size in needle_bytes or needles.lengths(read, text.stream, most_tokens)
        }
        for text in texts
    }
    answered = {
        name: _kept(subject, name, path, "needles", lambda loaded: needles.answers(loaded, asked))
        for name, path in subject.models.items()
    }
    return {
        "most_tokens": most_tokens,
        "documents": {text.stream: len(text.texts) for text in texts},
        "languages": {text.stream: text.language.tag for text in texts},
        "positions": [row for text in texts for row in positions.table(read, text.stream, subject.seed)],
        "needles": [row for stream in asked for row in needles.table(answered, asked[stream], stream, subject.seed)],
        "chance": 1 / needles.CHOICES,
    }


def _kept(
    subject: Subject, name: str, path: Path, part: str, measure: Callable[[Loaded], dict[str, Any]]
) -> dict[str, Any]:
    """What was measured of a model, written as soon as it is there."""
    file = subject.folder / f"context-{part}-{name}.json"
    if not file.exists():
        write_json(file, measure(load(path, trust_remote_code=path in subject.trusted)))
    return json.loads(file.read_text(encoding="utf-8"))
