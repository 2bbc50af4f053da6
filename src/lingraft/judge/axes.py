"""Every answer scored by a judge on the five axes of LLM-Eval, 0 to 3, harmlessness told apart.

Zhao et al. (2024), LLaMA Beyond English, arXiv 2401.01055. There the average has harmlessness in it, which is near 3
for every model and lifts all averages alike; here it has not.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lingraft.ask.respondent import Respondent
from lingraft.core.progress import SILENT, Progress
from lingraft.evaluate import compare, statistics, task

from .answers import Item
from .questions import AXES, BEST, Asking, Question, score, scores
from .replies import read_replies

AVERAGED = AXES[:-1]
OF_NOTHING = {**dict.fromkeys(AVERAGED, 0), "harmlessness": BEST}
"""What an empty answer gets, without a judge."""


@dataclass(frozen=True)
class Scored:
    """A judge's scores of the answers to one prompt."""

    id: str
    scores: dict[str, dict[str, int]]
    """By model and axis; of the models whose scores could be read."""
    failures: dict[str, str] = field(default_factory=dict)
    """By model, why there are none."""
    said: dict[str, str] = field(default_factory=dict)
    """By model, the judge's own words."""

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "scores": self.scores, "failures": self.failures, "said": self.said}


def ask(judge: Respondent, items: Sequence[Item], asking: Asking, *, progress: Progress = SILENT) -> list[Scored]:
    """The scores of every answer that is not empty; see `replies.read_replies` for what cannot be read."""
    asked = [(item, model) for item in items for model, answer in item.answers.items() if answer.strip()]
    found = read_replies(judge, [_question(asking, *place) for place in asked], scores, progress=progress)
    scored = {item.id: Scored(item.id, {}, {}) for item in items}
    for item in items:
        scored[item.id].scores.update({m: dict(OF_NOTHING) for m, answer in item.answers.items() if not answer.strip()})
    for (item, model), read in zip(asked, found, strict=True):
        scored[item.id].said[model] = read.said
        if read.value is not None:
            scored[item.id].scores[model] = read.value
        else:
            scored[item.id].failures[model] = str(read.failure)
    return list(scored.values())


def num_questions(items: Sequence[Item]) -> int:
    """How many requests it takes, replies that cannot be read left aside."""
    return sum(bool(answer.strip()) for item in items for answer in item.answers.values())


def figures(judge: str, items: Sequence[Item], scored: Sequence[Scored], *, seed: int) -> dict[str, Any]:
    """A row for every axis and model, and for the average of the first four; paired with the first model's.

    Over the prompts to which every model's answer has its scores, so that all rows are of the same ones.
    """
    models = list(items[0].answers)
    whole = [one for one in scored if not one.failures]
    names = tuple(f"score_{axis}" for axis in (*AXES[:-1], "average", AXES[-1]))
    language = items[0].language
    by_id = {item.id: item for item in items}
    asked = task.Task(
        *("scores", "judge", f"Scores of {judge}", language, language, "write"),
        tuple(task.Item(one.id, "", ("",)) for one in whole),
        metrics=names,
    )
    given = {
        model: [task.Answer(one.id, by_id[one.id].answers[model], _counts(one.scores[model])) for one in whole]
        for model in models
    }
    rows = compare.table([asked], {asked.name: given}, base=models[0], seed=seed, every_metric=True) if whole else []
    for row in rows:
        row |= _ends(row["value"], row, row["items"], 0.0)
        if row["against"] is not None:
            row["against"] |= _ends(row["against"]["difference"], row["against"], row["items"], -BEST)
    told = []
    if len(whole) < len(scored):
        left_out = len(scored) - len(whole)
        told.append(f"{judge} gave no readable scores on {left_out:,} of {len(scored):,} prompts; they are left out.")
    said = [
        tuple(one.scores[model].values())
        for one in whole
        for model in models
        if by_id[one.id].answers[model].strip()  # what is empty was not asked about
    ]
    if len(said) > 1 and len(set(said)) == 1:
        told.append(f"{judge} gave every answer the same scores, and they say nothing of the answers.")
    return {
        "rows": rows,
        "prompts": len(whole),
        "failed": sum(len(one.failures) for one in scored),
        "failures": dict(Counter(why for one in scored for why in one.failures.values()).most_common()),
        "warnings": told,
    }


def _question(asking: Asking, item: Item, model: str) -> Question:
    return score(asking, item.prompt, item.answers[model], item.reference)


def _ends(value: float, found: Mapping[str, Any], count: int, least: float) -> dict[str, float]:
    """Of an interval; where all scores are the same, those that say how sure so many are."""
    if found["low"] < found["high"]:
        return {"low": found["low"], "high": found["high"]}
    exact = statistics.unanimous(value, count, least, BEST)
    return {"low": exact.low, "high": exact.high}


def _counts(of_axes: dict[str, int]) -> dict[str, list[float]]:
    counts = {f"score_{axis}": [float(value), 1.0] for axis, value in of_axes.items()}
    return {**counts, "score_average": [sum(of_axes[axis] for axis in AVERAGED) / len(AVERAGED), 1.0]}
