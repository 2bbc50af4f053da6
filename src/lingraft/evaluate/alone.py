"""Models compared without a recipe: the same figures as the evaluate stage gives."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lingraft.core.artifact import write_json
from lingraft.core.progress import SILENT, Progress
from lingraft.corpus.language import Language

from . import compare, evaluate
from .evaluate import HeldOut
from .labeled.suites import check_together
from .statistics import COVERAGE
from .suites.loading import check
from .wanted import Wanted

FIGURES = "figures.json"


def compare_models(
    models: Mapping[str, Path],
    language: Language,
    folder: Path,
    *,
    suites: Sequence[Wanted] = (),
    held_out: Sequence[str] = (),
    training: Iterable[str] = (),
    context_tokens: int,
    seed: int = 17,
    trust_remote_code: bool = False,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """The figures of all models, the first being the one compared with; every answer and the figures go to `folder`.

    What is in the folder already, of the same model and to the same task, is not measured again.
    """
    for wanted in suites:
        check(wanted, language)
    check_together([wanted for wanted in suites if wanted.is_labeled])
    texts = [HeldOut("target", language, list(held_out), ["text"] * len(held_out))] if held_out else []
    common = {
        "context_tokens": context_tokens,
        "trusted": tuple(models.values()) if trust_remote_code else (),
        "progress": progress,
    }
    figures: dict[str, Any] = {"models": list(models), "context_tokens": context_tokens, "coverage": COVERAGE}
    if texts:
        measured = evaluate.measure_bits(models, texts, folder, **common)
        figures["bits"] = evaluate.bits_table(measured, texts, seed=seed)
        figures["fertility"] = evaluate.fertility_table(measured, texts)
    figures |= compare.on_tasks(models, suites, language, folder / "answers", training=training, seed=seed, **common)
    write_json(folder / FIGURES, figures)
    return figures
