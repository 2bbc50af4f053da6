"""export: a model folder and GGUF files that other programs load, with a card, proved in a fresh process."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from lingraft.core.errors import InputError, RecipeError
from lingraft.core.recipe import BASE
from lingraft.core.stage import Check, Forecast, Job, Needs, Stage, StageConfig

from .base import local_folder, model_config

FOLDER, GGUF = "hf", "gguf"
BITS = {"bf16": 16, "f16": 16, "f32": 32, "q8_0": 8.5}


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
    format: list[Literal["hf", "gguf"]] = Field(
        ["hf"], min_length=1, description="A Hugging Face folder, which is always written, and GGUF for llama.cpp."
    )
    gguf_weights: list[Literal["bf16", "f16", "f32", "q8_0"]] = Field(
        ["bf16"], min_length=1, description="A GGUF file for each: how matrices are stored. q8_0 has 8.5 bits a weight."
    )
    license: str | None = Field(None, description="Of the exported model, for its card; the base's terms bind.")


def check(context: Check) -> None:
    """A GGUF file can be written of such a model, and of the base's tokenizer; one on the hub is looked at later."""
    if GGUF not in context.config.format:
        return
    if find_spec("gguf") is None:
        raise RecipeError(
            "GGUF is written by the package gguf, which is not installed.",
            where="format",
            remedy="pip install 'lingraft[gguf]'",
        )
    from lingraft.export.gguf import architecture, vocabulary

    base = context.recipe.stages[BASE]
    config, _ = model_config(context.recipe, {})
    try:
        architecture.of(config, Path(BASE))
        if base.architecture is not None:
            raise InputError(
                "the tokenizer of a new model keeps combining marks on their letters, which llama.cpp cannot.",
                remedy="Leave gguf out of format.",
            )
        folder = local_folder(base.model, context.recipe.folder)
        if folder is not None:
            vocabulary.read(folder)
    except InputError as error:
        raise RecipeError(error.what, where="format", remedy=error.remedy) from error


def forecast(context: Check) -> Forecast:
    """The size of the model, once for each of its forms."""
    config, model = context.config, context.figures[context.config.model]
    size, parameters = model.get("weight_bytes") or 0, model.get("parameters") or 0
    files = [BITS[weights] / 8 * parameters for weights in config.gguf_weights] if GGUF in config.format else []
    return Forecast(
        reads="model",
        writes=", ".join([f"{FOLDER}/", *([f"{GGUF}/"] if files else [])]),
        disk_bytes=size + sum(files),
        seconds=20 * (1 + len(files)) + (size + sum(files)) / 200e6,
    )


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
    written = _gguf(job, f"{base or language.name}-{language.tag}", texts) if GGUF in config.format else []
    return {"formats": config.format, "folder": FOLDER, "files": files, "gate": verdict, GGUF: written}


def _gguf(job: Job, name: str, texts: list[str]) -> list[dict[str, Any]]:
    """A file for each kind of weights; what holds the model's own weights exactly must give what the model gives."""
    from lingraft.export import gate
    from lingraft.export.gguf import file

    folder, exported = job.folder / GGUF, job.folder / FOLDER
    folder.mkdir(exist_ok=True)
    made = []
    for weights in job.config.gguf_weights:
        job.progress.start(f"writing {weights} for llama.cpp")
        path = folder / f"model-{weights}.gguf"
        figures = {"file": f"{GGUF}/{path.name}", **file.write(exported, path, weights, name)}
        if figures["exact"]:
            figures["gate"] = gate.check(exported, exported, texts, gguf=path)
        made.append(figures)
    return made


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


STAGE = Stage(
    "export", 2, Export, makes=("export",), run=run, uses=("language", "replay"), check=check, forecast=forecast
)
