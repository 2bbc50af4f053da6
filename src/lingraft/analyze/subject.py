"""What an analysis is given.

An analysis is a function of a Subject, with its options as keyword-only parameters; its answer is plain JSON, in which
every estimate has `value`, `low` and `high`. Where it does not apply it answers {"skipped": why}.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lingraft.core.progress import SILENT, Progress
from lingraft.evaluate.evaluate import HeldOut
from lingraft.evaluate.task import Task


@dataclass(frozen=True)
class Subject:
    """What an analysis looks at."""

    models: Mapping[str, Path]
    """Hugging Face folders; the first is the base, the last the adapted model."""
    texts: Sequence[HeldOut]
    """Held-out documents of the target and of the replay stream."""
    folder: Path
    """Where it may keep what is finished, to go on from after a kill."""
    context_tokens: int
    seed: int
    trusted: Collection[Path] = ()
    """Those of the folders whose own code may be run."""
    progress: Progress = SILENT
    trainings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The figures of the pretrain steps, by name."""
    tasks: Sequence[Task] = ()
    """What models are asked beside bits per byte, where an analysis measures again and again; multiple choice only."""


def spread(text: HeldOut, most: int, *, most_bytes: int | None = None) -> HeldOut:
    """At most so many documents of a stream, evenly spread, and of each the first bytes."""
    size = len(text.texts)
    places = [place * size // most for place in range(most)] if size > most else range(size)
    texts = [text.texts[place].encode()[:most_bytes].decode(errors="ignore") for place in places]
    return replace(text, texts=texts, sources=[text.sources[place] for place in places])
