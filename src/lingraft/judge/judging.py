"""Answers put to one or several judges: figures of each judge, of all together, and beside people's votes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lingraft.ask.respondent import Respondent
from lingraft.core.errors import StageError
from lingraft.core.progress import SILENT, Progress

from . import axes, pairwise, panel, win_rate
from .answers import Item, write
from .questions import Asking
from .replies import UNREAD

PAIRWISE, AXES = "pairwise", "axes"


def judge(
    items: Sequence[Item],
    judges: Sequence[Respondent],
    folder: Path,
    asking: Asking,
    *,
    mode: Sequence[str],
    seed: int,
    max_failed_share: float,
    votes: panel.Votes | None = None,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """The figures; `verdicts.jsonl` and `scores.jsonl` in `folder` hold what was said of each prompt.

    The first model is the one that the others are compared with. Raises StageError where more than `max_failed_share`
    of a judge's questions were not answered, because its endpoint failed: to be run again.
    """
    base, *others = items[0].answers
    figures: dict[str, Any] = {
        "prompts_in": asking.language.tag if asking.is_native else "en",
        "judges": [one.name for one in judges],
        "warnings": [],
    }
    if PAIRWISE in mode:
        said: dict[str, dict[str, list[pairwise.Compared]]] = {
            one.name: {model: pairwise.ask(one, items, model, base, asking, progress=progress) for model in others}
            for one in judges
        }
        rows = [
            {"judge": name, "model": model, "against": base, **one.as_json()}
            for name, by_model in said.items()
            for model, compared in by_model.items()
            for one in compared
        ]
        write(folder / "verdicts.jsonl", rows)
        for name, by_model in said.items():
            failed = [why for compared in by_model.values() for one in compared for why in one.failures]
            _check(name, failed, sum(pairwise.num_questions(items, model, base) for model in others), max_failed_share)
        figures[PAIRWISE] = [_of_pair(said, model, base, votes, seed) for model in others]
        figures["warnings"] += [
            f"{model} against {base}: {told}"
            for model, of_pair in zip(others, figures[PAIRWISE], strict=True)
            for of_judge in of_pair["judges"].values()
            for told in of_judge["warnings"]
        ]
    if AXES in mode:
        scored = {one.name: axes.ask(one, items, asking, progress=progress) for one in judges}
        write(folder / "scores.jsonl", ({"judge": n, **one.as_json()} for n, found in scored.items() for one in found))
        for name, found in scored.items():
            failed = [why for one in found for why in one.failures.values()]
            _check(name, failed, axes.num_questions(items), max_failed_share)
        by_judge = {name: axes.figures(name, items, found, seed=seed) for name, found in scored.items()}
        figures[AXES] = {"judges": by_judge}
        if len(judges) > 1:
            figures[AXES]["agreement"] = panel.of_scores(scored, [base, *others], seed=seed)
        figures["warnings"] += [told for found in by_judge.values() for told in found["warnings"]]
    return figures


def _of_pair(
    said: Mapping[str, Mapping[str, list[pairwise.Compared]]],
    model: str,
    base: str,
    votes: panel.Votes | None,
    seed: int,
) -> dict[str, Any]:
    by_judge = {name: by_model[model] for name, by_model in said.items()}
    found: dict[str, Any] = {
        "model": model,
        "against": base,
        "judges": {name: win_rate.figures(name, compared, seed=seed) for name, compared in by_judge.items()},
    }
    if len(by_judge) > 1:
        found |= panel.of_outcomes(by_judge, seed=seed)
    if votes is not None:
        found["with_people"] = panel.with_people(by_judge, model, base, votes, seed=seed)
    return found


def _check(judge: str, failures: Sequence[str], asked: int, max_failed_share: float) -> None:
    """A judge whose replies cannot be read is a result; one that was not reached is none."""
    unanswered = [why for why in failures if why != UNREAD]
    if unanswered and len(unanswered) > max_failed_share * asked:
        raise StageError(
            f"{judge} left {len(unanswered):,} of {asked:,} questions unanswered. The last: {unanswered[-1]}",
            remedy="Run again: what it has answered is kept. Or raise max_failed_share.",
        )
