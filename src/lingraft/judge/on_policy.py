"""Preferences from a model's own answers: two are sampled to each prompt, and a judge says which is better."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lingraft.ask.respondent import Respondent
from lingraft.core.errors import StageError
from lingraft.core.progress import SILENT, Progress

from . import pairwise, win_rate
from .answers import Item
from .judging import check_answered
from .pairwise import WIN, Compared
from .prompts import Prompt
from .questions import Asking

FIRST, SECOND = "first", "second"
BLOCK = 64
"""Prompts that are asked at once, and that a kill can cost."""
SAMPLES, PAIRS = "samples.jsonl", "pairs.jsonl"


def pairs(
    model: Respondent,
    judge: Respondent,
    prompts: Sequence[Prompt],
    folder: Path,
    asking: Asking,
    *,
    language: str,
    seed: int,
    max_failed_share: float,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Write `pairs.jsonl` to `folder`: the prompts with the better answer as chosen and the other one as rejected.

    A pair is made where the judge prefers the same answer in both orders. What became of the other prompts is counted.
    `model` has to sample: two answers that are the same are no pair. Goes on where it was killed. Raises StageError
    where there is no pair at all, and as `judging.check_answered` does.
    """
    folder.mkdir(exist_ok=True)
    items, failures = _sampled(model, prompts, folder / SAMPLES, language, progress)
    compared = pairwise.ask(judge, items, FIRST, SECOND, asking, progress=progress)
    unanswered = [why for one in compared for why in one.failures]
    told = check_answered(judge.name, unanswered, pairwise.num_questions(items, FIRST, SECOND), max_failed_share)
    became = Counter(_became(one) for one in compared)
    became.update(failures)
    rows = [_row(item, one) for item, one in zip(items, compared, strict=True) if _became(one) == "pairs"]
    if not rows:
        raise StageError(
            f"no pair came about from {len(prompts)} prompts: "
            + ", ".join(f"{count} {what}" for what, count in became.most_common())
            + ".",
            where=folder / SAMPLES,
            remedy="Raise the temperature, or take a judge that is less uncertain.",
        )
    with (folder / PAIRS).open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    verdicts = win_rate.figures(judge.name, compared, seed=seed)
    verdicts["warnings"] = told + verdicts["warnings"]
    return {"prompts": len(prompts), "judge": judge.name, "became": dict(became.most_common()), "verdicts": verdicts}


def _sampled(
    model: Respondent, prompts: Sequence[Prompt], file: Path, language: str, progress: Progress
) -> tuple[list[Item], Counter[str]]:
    """Two answers to each prompt, kept block by block; and why there are none to the others."""
    kept = _kept(file)
    for first in range(len(kept), len(prompts), BLOCK):
        block = prompts[first : first + BLOCK]
        replies = iter(model.reply([prompt.messages for prompt in block for _ in range(2)], progress=progress))
        rows = [
            {"id": prompt.id, "answers": [reply.text for reply in both], "failures": [reply.failure for reply in both]}
            for prompt, both in ((prompt, (next(replies), next(replies))) for prompt in block)
        ]
        with file.open("a", encoding="utf-8") as lines:
            lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            lines.flush()
            os.fsync(lines.fileno())
        kept += rows
    items, failures = [], Counter[str]()
    for prompt, row in zip(prompts, kept, strict=True):
        if any(row["failures"]):
            failures["not answered"] += 1
            continue
        answers = dict(zip((FIRST, SECOND), row["answers"], strict=True))
        items.append(Item(prompt.id, prompt.messages, answers, language=language))
    return items, failures


def _kept(file: Path) -> list[dict[str, Any]]:
    """The whole blocks that are in the file; what a kill has left of another is cut off."""
    if not file.exists():
        return []
    lines = file.read_bytes().splitlines(keepends=True)  # as text it would be cut at U+2028 and others too
    whole = lines[: len([line for line in lines if line.endswith(b"\n")]) // BLOCK * BLOCK]
    os.truncate(file, sum(map(len, whole)))
    return [json.loads(line) for line in whole]


def _became(one: Compared) -> str:
    if one.alike:
        return "the same answer twice"
    if not one.is_read:
        return "no verdict"
    if not one.consistent:
        return "preferred by order"
    return "ties" if one.outcome == "tie" else "pairs"


def _row(item: Item, one: Compared) -> dict[str, Any]:
    chosen, rejected = (FIRST, SECOND) if one.outcome == WIN else (SECOND, FIRST)
    prompt = [message.as_json() for message in item.prompt]
    return {
        "id": item.id,
        "prompt": prompt,
        "chosen": item.answers[chosen].strip(),
        "rejected": item.answers[rejected].strip(),
    }
