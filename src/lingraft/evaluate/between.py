"""Two evaluations of the same held-out text or the same items: a model of one against a model of the other."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lingraft.core.stage import Input
from lingraft.core.study.measure import Measure, parse
from lingraft.corpus import find

from . import statistics
from .bits import Bits
from .evaluate import EVERY_SOURCE, STREAMS, held_out
from .metrics import METRICS


def on_same_items(
    cell: Mapping[str, Input], against: Mapping[str, Input], measure: Measure
) -> tuple[float, float, float] | None:
    """The measured figure of a cell less that of another, and the interval from resampling items as pairs.

    Both cells are the artifacts of their steps, by name. None where the two were not asked the same, or their records
    are not kept: of a single source, of a task that the harness defines.
    """
    _, table, *rest = parse(measure.figure)
    chosen = dict(rest[0]) if rest and isinstance(rest[0], tuple) else {}
    first, second = cell[measure.step], against[measure.step]
    if first.kind != "evaluate" or second.kind != "evaluate" or "model" not in chosen:
        return None
    if table == "bits" and chosen.get("source", EVERY_SOURCE) == EVERY_SOURCE:
        corpus = cell[first.manifest["config"]["corpus"]]
        found = _bits(first, second, corpus, chosen["model"], chosen.get("stream", ""))
    elif table == "tasks" and chosen.get("metric") in METRICS:
        found = _task(first, second, chosen["model"], chosen.get("task", ""), chosen["metric"])
    else:
        found = None
    return (found.value, found.low, found.high) if found else None


def _bits(first: Input, second: Input, corpus: Input, model: str, stream: str) -> statistics.Interval | None:
    kept, other = (_kept(one.folder / f"bits-{model}.json") for one in (first, second))
    asked = [{key: one.get("identity", {}).get(key) for key in ("texts", "context_tokens")} for one in (kept, other)]
    if asked[0] != asked[1] or stream not in kept.get("result", {}):
        return None
    records, against = ([Bits(**record) for record in one["result"][stream]] for one in (kept, other))
    seed = first.manifest["settings"]["seed"]
    return statistics.difference(records, against, seed=seed, groups=_groups(first, corpus, stream))


def _groups(evaluation: Input, corpus: Input, stream: str) -> list[str]:
    """What was resampled as one in the evaluation itself: read again from its corpus."""
    settings = evaluation.manifest["settings"]
    language = settings["language"] if stream == STREAMS[0] else settings["replay"]
    (texts,) = held_out(corpus.folder, {stream: find(language)}, evaluation.manifest["config"]["documents"])
    return texts.clusters(EVERY_SOURCE)


def _task(first: Input, second: Input, model: str, task: str, metric: str) -> statistics.Interval | None:
    kept, other = (_kept(one.folder / "answers" / task / f"{model}.json") for one in (first, second))
    asked = [one.get("identity", {}).get("task") for one in (kept, other)]
    if asked[0] is None or asked[0] != asked[1]:
        return None
    counts, against = ([answer["counts"][metric] for answer in one["result"]] for one in (kept, other))
    items = _kept(first.folder / "answers" / task / "items.json")["items"]
    groups = [item["group"] or f"item {number}" for number, item in enumerate(items)]
    seed = first.manifest["settings"]["seed"]
    return statistics.paired(counts, against, METRICS[metric].of_sums, seed=seed, groups=groups)


def _kept(file: Path) -> Mapping[str, Any]:
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
