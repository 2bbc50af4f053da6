"""Models compared without a recipe: the same figures as the evaluate stage gives."""

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from lingraft.core.artifact import write_json
from lingraft.core.errors import InputError
from lingraft.core.progress import SILENT, Progress
from lingraft.corpus.language import Language

from . import compare, evaluate
from .evaluate import HeldOut
from .statistics import COVERAGE
from .suites.loading import check, identity
from .wanted import Wanted

SETUP = "setup.json"
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

    What is in the folder already is not measured again. Raises InputError where it holds answers to something else.
    """
    for wanted in suites:
        check(wanted, language)
    texts = [HeldOut("target", language, list(held_out), ["text"] * len(held_out))] if held_out else []
    asked = [f"{identity(wanted, language)} {wanted.options}" for wanted in suites]
    text_hash = sha256("\n\n".join(held_out).encode()).hexdigest()
    _claim(folder, models, [str(context_tokens), text_hash, *asked])
    common = {"context_tokens": context_tokens, "trust_remote_code": trust_remote_code, "progress": progress}
    figures: dict[str, Any] = {"models": list(models), "context_tokens": context_tokens, "coverage": COVERAGE}
    if texts:
        measured = evaluate.measure_bits(models, texts, folder, **common)
        figures["bits"] = evaluate.bits_table(measured, texts, seed=seed)
        figures["fertility"] = evaluate.fertility_table(measured, texts)
    figures |= compare.on_tasks(models, suites, language, folder / "answers", training=training, seed=seed, **common)
    write_json(folder / FIGURES, figures)
    return figures


def _claim(folder: Path, models: Mapping[str, Path], asked: Sequence[str]) -> None:
    """Write down what the folder is for, or find that it is for the same."""
    setup = {"models": {name: str(path.resolve()) for name, path in models.items()}, "asked": list(asked)}
    kept = folder / SETUP
    if kept.exists():
        if json.loads(kept.read_text(encoding="utf-8")) != setup:
            raise InputError(
                "this folder holds answers of other models or to other tasks.",
                where=folder,
                remedy="Choose another --out, or delete it.",
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_json(kept, setup)
