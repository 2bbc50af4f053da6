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
    format: list[Literal["hf"]] = Field(["hf"], min_length=1)
    license: str | None = Field(None, description="Of the exported model, for its card; the base's terms bind.")


def forecast(context: Check) -> Forecast:
    """The size of the model."""
    size = context.figures[context.config.model].get("weight_bytes") or 0
    return Forecast(reads="model", writes=f"{FOLDER}/", disk_bytes=size, seconds=20 + size / 200e6)


def run(job: Job) -> dict[str, Any]:
    """Write the folder and pass the gate; see `lingraft.export`."""
    from itertools import islice

    from lingraft.corpus import documents, find
    from lingraft.export import card, gate, hub_folder
    from lingraft.report import summary

    config = job.config
    model, corpus = job.inputs[config.model], job.inputs[config.corpus].folder
    evaluation = job.inputs[config.evaluation].figures if config.evaluation else {}
    language = find(job.settings.language)
    results = summary({"run": {"language": {"name": language.name, "tag": language.tag}}, "evaluation": evaluation})
    base = None if model.figures.get("from_scratch") else model.figures["model"]
    text = card.write(base, language.tag, language.name, results, config.license, job.resolved_recipe)
    files = hub_folder.write(model.folder, job.folder / FOLDER, text)
    texts = [row[0] for stream in ("target", "replay") for row in islice(documents(corpus, stream, "held_out"), 8)]
    job.progress.start("reloading in a fresh process")
    verdict = gate.check(model.folder, job.folder / FOLDER, texts, trust_remote_code=model.figures["trust_remote_code"])
    return {"formats": config.format, "folder": FOLDER, "files": files, "gate": verdict}


STAGE = Stage("export", 1, Export, makes=("export",), run=run, uses=("language",), forecast=forecast)
