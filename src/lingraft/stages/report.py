"""report: one page that shows the whole run with its evidence, and the same figures as JSON."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from lingraft.core.errors import RecipeError
from lingraft.core.recipe import BASE
from lingraft.core.stage import ANYTHING, Check, Forecast, Input, Job, Needs, Stage, StageConfig

SECTIONS = {"evaluate": "evaluation", "analyze": "analysis"}
"""Where a section of the page is not called by the kind of its stage."""

TRAININGS = ("pretrain", "sft", "dpo")
RECORDS = ("conversations", "preferences", "translate", "translate_preferences", "on_policy")
"""Of these kinds there may be several steps, and all of them stand on the page."""

SAMPLES, SAMPLE_CHARACTERS = 6, 1200
"""Prompts whose answers stand side by side, and how much of a text."""

BASE_FIGURES = ("model", "parameters", "vocabulary", "dtype", "from_scratch")


class Report(StageConfig):
    """What the page shows."""

    kind: Literal["report"] = "report"
    steps: Annotated[list[str] | None, Needs(ANYTHING)] = Field(None, description="Whose figures are shown.")


def check(context: Check) -> None:
    """The page begins with the base, so its figures must be among those that are read."""
    if BASE not in context.config.steps:
        raise RecipeError("the page cannot do without the base.", where="steps", remedy=f"Add {BASE} to the list.")


def forecast(context: Check) -> Forecast:
    """One page."""
    return Forecast(reads="every figure", writes="report.html", disk_bytes=6e6, seconds=3)


def run(job: Job) -> dict[str, Any]:
    """Collect the figures of the steps and write the page; see `lingraft.report.page`."""
    from lingraft.core.artifact import write_json
    from lingraft.report.page import write

    report = collect(job)
    write_json(job.folder / "report.json", report)
    page = write(report, job.folder)
    return {"page": page.name}


def collect(job: Job) -> dict[str, Any]:
    """Everything the page shows, as plain JSON.

    `run`, and `steps` in their order. Of kinds that may have several steps a list, one entry a step, in the order of
    the run, each with its `name` and `figures`: `training` (pretrain, sft, dpo: `kind`, `train`, `from`, the step
    whose model was trained, `curve`, `held_out_curve`), `records` (conversations, preferences and their translations:
    `kind`), `judgements` (judge: `samples`, some prompts with their answers). Of every other kind the figures alone,
    under its name or that of SECTIONS.
    """
    from lingraft.corpus import find

    inputs = {name: job.inputs[name] for name in job.config.steps}
    found: dict[str, Any] = {}
    for name, step in inputs.items():
        if step.kind in TRAININGS:
            found.setdefault("training", []).append(_training(name, step, inputs))
        elif step.kind in RECORDS:
            found.setdefault("records", []).append({"name": name, "kind": step.kind, "figures": step.figures})
        elif step.kind == "judge":
            found.setdefault("judgements", []).append(_judgement(name, step))
        elif step.kind != "base":
            found[SECTIONS.get(step.kind, step.kind)] = step.figures
    base = inputs[BASE].figures
    manifests = {name: step.manifest for name, step in inputs.items()}
    return {
        "run": {
            "base": {key: base[key] for key in BASE_FIGURES if key in base},
            "language": _language(find(job.settings.language)),
            "replay": _language(find(job.settings.replay)) if job.settings.replay else None,
            "seed": job.settings.seed,
            "seconds": sum(manifest["seconds"] for manifest in manifests.values()),
            "finished": max(manifest["finished"] for manifest in manifests.values()),
            "recipe": job.resolved_recipe,
        },
        "steps": [
            {
                "name": name,
                "kind": inputs[name].kind,
                "version": manifest["stage_version"],
                "fingerprint": manifest["fingerprint"],
                **{key: manifest[key] for key in ("seconds", "inputs", "machine", "versions", "peak_memory_bytes")},
            }
            for name, manifest in manifests.items()
        ],
        **found,
    }


def _training(name: str, step: Input, steps: Mapping[str, Input]) -> dict[str, Any]:
    curves = {key: step.figures[key] for key in ("curve", "held_out_curve")}
    rest = {key: value for key, value in step.figures.items() if key not in curves}
    # An artifact may have been made by another recipe, in which the steps had other names.
    trained = step.manifest["inputs"].get(step.manifest["config"].get("model"))
    begun = next((other for other, found in steps.items() if found.fingerprint == trained), None)
    return {"name": name, "kind": step.kind, "train": step.figures["train"], "from": begun, "figures": rest, **curves}


def _judgement(name: str, step: Input) -> dict[str, Any]:
    from lingraft.judge.answers import samples

    shown = samples(step.folder, SAMPLES, SAMPLE_CHARACTERS)
    return {"name": name, "figures": step.figures, "samples": shown}


def _language(language: Any) -> dict[str, Any]:
    """A language as the page names it."""
    return {key: getattr(language, key) for key in ("tag", "name", "script", "direction")}


STAGE = Stage(
    "report", 4, Report, makes=("report",), run=run, uses=("language", "replay", "seed"), check=check, forecast=forecast
)
