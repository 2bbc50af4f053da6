"""What models write of their own: in which language it is, and whether it goes round in circles."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lingraft.core.errors import InputError
from lingraft.core.progress import SILENT, Progress

from . import asking, compare
from .evaluate import HeldOut, first_words
from .language.output_language import SHARES, Written, describe
from .language.word_language import WordLanguages
from .task import Answer, Item, Task
from .wanted import Missing

PROMPT_CHARACTERS = 60
METRICS = ("in_target", "switched", "foreign_words", "repeated_4", "loops", "distinct_2", "empty")
PASSAGES = 12
"""Of the most frequent foreign ones, that are shown."""


def measure(
    models: Mapping[str, Path],
    target: HeldOut,
    other: HeldOut,
    training: tuple[Iterable[str], Iterable[str]],
    folder: Path,
    *,
    prompts: int,
    max_new_tokens: int,
    temperature: float,
    context_tokens: int,
    seed: int,
    trusted: Collection[Path] = (),
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Continuations of the first words of held-out target text, counted by `output_language`, model by model.

    `training` is text of the target and of the other language, which the word-level models learn from. Where it is too
    little, nothing is asked, and `skipped` says why.
    """
    asked = task(target, prompts, max_new_tokens, temperature)
    try:
        words = WordLanguages.learn(*training, target.language, other.language)
    except InputError as error:
        return skipped(str(error))
    given, missing = asking.ask(
        models,
        [asked],
        folder,
        context_tokens=context_tokens,
        trusted=trusted,
        progress=progress,
    )
    return {
        "language": target.language.tag,
        "other": other.language.tag,
        "prompts": len(asked.items),
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        **described(asked, given[asked.name], words, base=next(iter(models)), seed=seed),
        "missing": [asdict(one) for one in missing],
    }


def described(
    asked: Task, given: Mapping[str, Sequence[Answer]], words: WordLanguages | None, *, base: str, seed: int
) -> dict[str, Any]:
    """The table of a task's metrics, those of `output_language` counted here, and the commonest foreign passages."""
    counted, passages = {}, {}
    for model, answers in given.items():
        outputs = [answer.response for answer in answers]
        found = describe(outputs, [item.context for item in asked.items], words)
        pairs = zip(answers, found, strict=True)
        counted[model] = [_counted(answer, written, asked.metrics) for answer, written in pairs]
        most = Counter(" ".join(passage) for written in found for passage in written.switched).most_common(PASSAGES)
        passages[model] = [{"text": text, "count": count} for text, count in most]
    reliability = {**asdict(words.reliability), "enough": words.reliability.enough} if words else None
    rows = compare.table([asked], {asked.name: counted}, base=base, seed=seed, every_metric=True)
    return {"rows": rows, "passages": passages, "reliability": reliability}


def skipped(why: str) -> dict[str, Any]:
    """In place of figures."""
    return {"skipped": why, "missing": [asdict(Missing("writing", why))]}


def task(target: HeldOut, prompts: int, max_new_tokens: int, temperature: float) -> Task:
    """The first words of so many held-out documents, evenly spread, to be gone on from."""
    size = len(target.texts)
    places = [place * size // prompts for place in range(prompts)] if size > prompts else range(size)
    items = tuple(Item(str(place), first_words(target.texts[place], PROMPT_CHARACTERS), ("",)) for place in places)
    return Task(
        "writing",
        "writing",
        "Writing",
        target.language.tag,
        target.language.tag,
        "write",
        tuple(item for item in items if item.context),
        metrics=METRICS,
        stop=(),
        max_new_tokens=max_new_tokens,
        temperature=temperature,
    )


def _counted(answer: Answer, written: Written, metrics: Sequence[str]) -> Answer:
    counts = {name: [float(part) for part in SHARES[name](written)] for name in metrics if name in SHARES}
    return replace(answer, counts={**answer.counts, **counts})
