"""export: a model folder that other programs load, with its card, proved in a fresh process."""

from typing import Annotated, Any, Literal

from pydantic import Field

from lingraft.core.stage import Check, Forecast, Job, Needs, Stage, StageConfig

FOLDER = "hf"


class Export(StageConfig):
    """Which model, in which form."""

    kind: Literal["export"] = "export"
    model: Annotated[str | None, Needs("model")] = None
    corpus: Annotated[str | None, Needs("text")] = Field(
        None, description="Its held-out text is what the gate compares."
    )
    evaluation: Annotated[str | None, Needs("evaluation", optional=True)] = Field(
        None, description="Its figures stand on the card."
    )
    trainings: Annotated[list[str] | None, Needs("tuning", optional=True)] = Field(
        None, description="Those of them that the model went through stand on the card."
    )
    format: list[Literal["hf"]] = Field(["hf"], min_length=1)
    license: str | None = Field(None, description="Of the exported model, for its card; the base's terms bind.")


def forecast(context: Check) -> Forecast:
    """The size of the model."""
    size = context.figures[context.config.model].get("weight_bytes") or 0
    return Forecast(reads="model", writes=f"{FOLDER}/", disk_bytes=size, seconds=20 + size / 200e6)


def run(job: Job) -> dict[str, Any]:
    """Write the folder and pass the gate; see `lingraft.export`."""
    from itertools import islice

    from lingraft.ask.local import has_template
    from lingraft.corpus import documents, find
    from lingraft.export import card, gate, hub_folder
    from lingraft.report import answering, summary

    config = job.config
    model, corpus = job.inputs[config.model], job.inputs[config.corpus].folder
    evaluation = job.inputs[config.evaluation].figures if config.evaluation else {}
    language = find(job.settings.language)
    run = {"language": {"name": language.name, "tag": language.tag}}
    if job.settings.replay:
        run["replay"] = {"name": find(job.settings.replay).name}
    results = summary({"run": run, "evaluation": evaluation})
    trained = answering({"run": run, "training": _trainings(job)})
    base = None if model.figures.get("from_scratch") else model.figures["model"]
    text = card.write(
        *(base, language.tag, language.name, results, config.license, job.resolved_recipe),
        trained=trained,
        answers=has_template(model.folder),
    )
    files = hub_folder.write(model.folder, job.folder / FOLDER, text)
    texts = [row[0] for stream in ("target", "replay") for row in islice(documents(corpus, stream, "held_out"), 8)]
    job.progress.start("reloading in a fresh process")
    verdict = gate.check(model.folder, job.folder / FOLDER, texts, trust_remote_code=model.figures["trust_remote_code"])
    return {"formats": config.format, "folder": FOLDER, "files": files, "gate": verdict}


def _trainings(job: Job) -> list[dict[str, Any]]:
    """What the model went through, in that order: its own step, then what that began from, and so on."""
    made = job.inputs[job.config.model]
    steps = [job.inputs[name] for name in job.config.trainings or ()]
    found: list[dict[str, Any]] = []
    while made is not None:
        if made.kind in ("sft", "dpo"):
            found.insert(0, {"kind": made.kind, "figures": made.figures})
        begun = made.manifest["inputs"].get(made.manifest["config"].get("model"))
        made = next((step for step in steps if step.fingerprint == begun), None)
    return found


STAGE = Stage("export", 1, Export, makes=("export",), run=run, uses=("language", "replay"), forecast=forecast)
