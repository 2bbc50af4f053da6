"""Answers put to one or several judges: figures of each judge, of all together, and beside people's votes."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lingraft.ask.respondent import Respondent
from lingraft.core.errors import StageError
from lingraft.core.progress import SILENT, Progress

from . import axes, pairwise, panel, win_rate
from .answers import Item, write
from .axes import Scored
from .cost import AXES, PAIRWISE, Counted
from .pairwise import Compared
from .questions import Asking
from .replies import UNASKABLE, UNREAD


def judge(
    items: Sequence[Item],
    judges: Iterable[Respondent],
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

    The first model is the one that the others are compared with. Judges are taken one after the other, so that only one
    of them is in memory. Raises StageError as `check_answered` does.
    """
    base, *others = items[0].answers
    said: dict[str, dict[str, list[Compared]]] = {}
    scored: dict[str, list[Scored]] = {}
    spent, told = {}, []
    for respondent in judges:
        one = Counted(respondent)
        if PAIRWISE in mode:
            said[one.name] = {
                model: pairwise.ask(one, items, model, base, asking, progress=progress) for model in others
            }
            failed = [why for compared in said[one.name].values() for pair in compared for why in pair.failures]
            num_asked = sum(pairwise.num_questions(items, model, base) for model in others)
            told += check_answered(one.name, failed, num_asked, max_failed_share)
        if AXES in mode:
            scored[one.name] = axes.ask(one, items, asking, progress=progress)
            failed = [why for found in scored[one.name] for why in found.failures.values()]
            told += check_answered(one.name, failed, axes.num_questions(items), max_failed_share)
        spent[one.name] = one.spent
    figures: dict[str, Any] = {
        "questions_in": asking.language.tag if asking.is_native else "en",
        "judges": list(spent),
        "spent": spent,
        "warnings": told,
    }
    if said:
        rows = [
            {"judge": name, "model": model, "against": base, **one.as_json()}
            for name, by_model in said.items()
            for model, compared in by_model.items()
            for one in compared
        ]
        write(folder / "verdicts.jsonl", rows)
        figures[PAIRWISE] = [_of_pair(said, model, base, votes, seed) for model in others]
        figures["warnings"] += [
            f"{of_pair['model']} against {base}: {told}"
            for of_pair in figures[PAIRWISE]
            for of_judge in of_pair["judges"].values()
            for told in of_judge["warnings"]
        ]
    if scored:
        write(folder / "scores.jsonl", ({"judge": n, **one.as_json()} for n, found in scored.items() for one in found))
        by_judge = {name: axes.figures(name, items, found, seed=seed) for name, found in scored.items()}
        agreement = panel.of_scores(scored, [base, *others], seed=seed) if len(scored) > 1 else None
        figures[AXES] = {"judges": by_judge, "agreement": agreement}
        if votes is not None and votes.ratings:
            figures[AXES]["with_people"] = panel.scores_with_people(scored, votes, seed=seed)
        figures["warnings"] += [told for found in by_judge.values() for told in found["warnings"]]
    return figures


def _of_pair(
    said: Mapping[str, Mapping[str, list[Compared]]],
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
    if votes is not None and votes.pairs:
        found["with_people"] = panel.with_people(by_judge, model, base, votes, seed=seed)
    return found


def check_answered(judge: str, failures: Sequence[str], num_asked: int, max_failed_share: float) -> list[str]:
    """What is to be told of questions that can never be put to the judge, if there are any; they are left out.

    A judge whose replies cannot be read is a result; one that was not reached is none. Raises StageError where more
    than `max_failed_share` of the questions were not answered because the endpoint failed, and where none can be put.
    """
    unaskable = [why for why in failures if why.startswith(UNASKABLE)]
    unanswered = [why for why in failures if why != UNREAD and not why.startswith(UNASKABLE)]
    if unanswered and len(unanswered) > max_failed_share * num_asked:
        raise StageError(
            f"{judge} left {len(unanswered):,} of {num_asked:,} questions unanswered. The last: {unanswered[-1]}",
            remedy="Run again: what it has answered is kept. Or raise max_failed_share, which asks nothing anew.",
        )
    if not unaskable:
        return []
    if len(unaskable) == num_asked:
        raise StageError(
            f"{judge} can be asked none of {num_asked:,} questions. The last: {unaskable[-1]}",
            remedy="Take a judge with a longer context, or shorter prompts and a lower max_new_tokens.",
        )
    return [
        f"{len(unaskable):,} of {num_asked:,} questions cannot be put to {judge}, now or later, and are left out. The "
        f"last: {unaskable[-1].removeprefix(f'{UNASKABLE}: ')}"
    ]
