"""base: the model to begin with: from a local folder or the hub, checked and linked into the store, or a new one."""

import json
import os
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from lingraft.core.errors import InputError
from lingraft.core.hub import commit
from lingraft.core.progress import SILENT, Progress
from lingraft.core.stage import Check, Forecast, Job, Stage, StageConfig

SHIPPED = Path(__file__).parents[1] / "starter"
TOKENIZER = "tokenizer.json"
INDEX = "model.safetensors.index.json"
UNWANTED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack", "*.onnx", "*.gguf", "original/*")
SAFETENSORS = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}
PICKLES = (".bin", ".pt", ".pth", ".ckpt")


class Base(StageConfig):
    """A model in Hugging Face form, or the architecture of a new one."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["model"]}, {"required": ["architecture"]}]})

    kind: Literal["base"] = "base"
    model: str | None = Field(
        None,
        description="A folder beside the recipe, a hub id (owner/name), or `english-novels-7m`, which comes along.",
    )
    architecture: dict[str, Any] | None = Field(
        None,
        description="Instead of a model: a new one of random weights, in the keys of its config in transformers "
        "(`{model_type: llama, hidden_size: 256, ...}`), with a tokenizer of the 256 bytes to grow from.",
    )
    revision: str | None = Field(None, description="Commit, tag or branch on the hub.")
    trust_remote_code: bool = Field(False, description="Run Python code that comes with the model.")

    @model_validator(mode="after")
    def _one_beginning(self) -> "Base":
        if (self.model is None) == (self.architecture is None):
            raise ValueError("give either a model or the architecture of a new one")
        if self.architecture is not None and (self.revision is not None or self.trust_remote_code):
            raise ValueError("revision and trust_remote_code belong to a model, and this is a new one")
        return self


def check(context: Check) -> None:
    """The folder is there and holds config, safetensors and a tokenizer; a hub id, an architecture is known.

    To plan for other devices than those here, the weights need not be here either.
    """
    if context.config.architecture is not None:
        _configuration(context.config)
        return
    folder = local_folder(context.config.model, context.recipe.folder)
    if folder is None:
        _commit(context.config)
        return
    _check_folder(folder, weights=context.target is None)


def outside(context: Check) -> dict[str, str]:
    """The content of a local folder's files, the commit on the hub, or all keys of an architecture's config."""
    if context.config.architecture is not None:
        # The version of transformers is left out: what another one would change are the defaults.
        keys = _configuration(context.config).to_dict() | {"transformers_version": None}
        return {"architecture": json.dumps(keys, sort_keys=True)}
    folder = local_folder(context.config.model, context.recipe.folder)
    if folder is None:
        return {"model": f"{context.config.model}@{_commit(context.config)}", "revision": ""}
    return {"model": " ".join(f"{path.name}:{context.content_hash(path)}" for path in _files(folder))}


def forecast(context: Check) -> Forecast:
    """Parameters and sizes, from the headers of the weights or the architecture."""
    if context.config.architecture is not None:
        return _forecast_new(context.config)
    folder = local_folder(context.config.model, context.recipe.folder)
    trusted = {"trust_remote_code": context.config.trust_remote_code}
    if folder is None:
        figures = {"model": context.config.model, **trusted, **_expected(_config_folder(context.config), trusted)}
        return Forecast(
            reads=f"hub {context.config.model}",
            writes="links to the hub cache",
            disk_bytes=figures["weight_bytes"],
            figures=figures,
        )
    sizes = describe(folder) if any(folder.glob("*.safetensors")) else _expected(folder, trusted)
    figures = {"model": _name(folder), **trusted, **sizes}
    return Forecast(reads=str(folder), writes="links", disk_bytes=4096, seconds=1, figures=figures)


def run(job: Job) -> dict[str, Any]:
    """Link the base's files into the artifact, or make a new model there; figures of the model."""
    if job.config.architecture is not None:
        from lingraft.train.from_scratch import make

        make(job.config.architecture, job.folder, job.settings.seed)
        return {**_identity_of_new(job.config), **describe(job.folder)}
    source = source_folder(job.config, job.recipe_folder, job.progress)
    name = job.config.model if local_folder(job.config.model, job.recipe_folder) is None else _name(source)
    for path in _files(source):
        link = job.folder / path.name
        link.unlink(missing_ok=True)
        link.symlink_to(path.resolve())
    return {"model": name, "trust_remote_code": job.config.trust_remote_code, **describe(source)}


def local_folder(model: str, recipe_folder: Path) -> Path | None:
    """The folder that `base.model` means, or None for a hub id. Raises InputError when it can be neither."""
    folder = Path(os.path.normpath(recipe_folder / model))
    for place in (folder, SHIPPED / model):
        if place.is_dir():
            return place
    if model.startswith((".", "/", "~")) or model.count("/") != 1:
        raise InputError(
            f'there is no folder "{model}", and it is no hub id of the form owner/name.',
            where=folder,
            remedy="A relative folder is looked for beside the recipe file. Set base.model.",
        )
    return None


def _name(folder: Path) -> str:
    """What a folder is called; an exported one is called hf, as every other, and goes by the name of its run."""
    return folder.parents[1].name if folder.parts[-2:] == ("export", "hf") else folder.name


def source_folder(config: Base, recipe_folder: Path, progress: Progress = SILENT) -> Path:
    """The folder of a model, fetched where it is on the hub."""
    folder = local_folder(config.model, recipe_folder)
    if folder is None:
        progress.start(f"fetching {config.model}")
        folder = _snapshot(config)
    _check_folder(folder)
    return folder


def folder_of(model: str, trust_remote_code: bool) -> Path:
    """The folder of a model named on the command line."""
    return source_folder(Base(model=model, trust_remote_code=trust_remote_code), Path.cwd())


def tokenizer_folder(name: str) -> Path:
    """The folder of a tokenizer named on the command line: a folder, a hub id, or `english-novels-7m`."""
    return local_folder(name, Path.cwd()) or _fetched(Base(model=name), [TOKENIZER, "tokenizer.model", "*.json"])


def config_folder(config: Base, recipe_folder: Path) -> Path:
    """A folder with the config of a model, and the code that comes with it; no weights are fetched."""
    return local_folder(config.model, recipe_folder) or _config_folder(config)


def model_config(recipe: Any, figures: Mapping[str, Any]) -> tuple[Any, int]:
    """The config of a model that was made from the recipe's base and has these figures, and how many rows are new."""
    config = recipe.stages["base"]
    if config.architecture is not None:
        found = _configuration(config)
    else:
        found = loaded(config_folder(config, recipe.folder), config.trust_remote_code)
    rows = figures.get("vocabulary") or found.vocab_size
    num_new = max(0, rows - found.vocab_size)
    found.vocab_size = rows
    return found, num_new


def tokenizer_of(name: str, stages: Any) -> str:
    """The step that made the tokenizer which a model or packed text goes by."""
    config = stages[name]
    while config.kind not in ("base", "tokenizer"):
        name = config.model if hasattr(config, "model") else config.tokenizer
        config = stages[name]
    return name


def _snapshot(config: Base) -> Path:
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(config.model, revision=_commit(config), ignore_patterns=list(UNWANTED)))


def _config_folder(config: Base) -> Path:
    return _fetched(config, ["config.json", "*.py"])


def _fetched(config: Base, patterns: list[str]) -> Path:
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(config.model, revision=_commit(config), allow_patterns=patterns))


def loaded(folder: Path, trust_remote_code: bool) -> Any:
    """The config in a folder."""
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except (ValueError, OSError) as error:
        raise InputError(f"transformers cannot read this config: {error}", where=folder / "config.json") from error


def _expected(folder: Path, trusted: Mapping[str, bool]) -> dict[str, Any]:
    """What `describe` will find in weights that are not here yet."""
    from lingraft.forecast.rehearsal import weigh

    config = loaded(folder, **trusted)
    parameters, num_bytes = weigh(config)
    return {**_sizes(_mapping(folder / "config.json")), "parameters": parameters, "weight_bytes": num_bytes}


def origin(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Of a model's figures those that hold for every model made from it."""
    return {key: figures[key] for key in ("model", "trust_remote_code", "from_scratch", "new_ids") if key in figures}


def _uses(config: Base) -> tuple[str, ...]:
    return ("seed",) if config.architecture is not None else ()


def _configuration(config: Base) -> Any:
    from lingraft.train.from_scratch import configuration

    return configuration(config.architecture)


def _identity_of_new(config: Base) -> dict[str, Any]:
    return {"model": f"new {config.architecture['model_type']}", "trust_remote_code": False, "from_scratch": True}


def _forecast_new(config: Base) -> Forecast:
    from lingraft.train.from_scratch import skeleton

    found = _configuration(config)
    keys = found.to_dict()
    parameters = skeleton(found).num_parameters()
    width = 4 if keys["dtype"] == "float32" else 2
    figures = {"parameters": parameters, "dtype": SAFETENSORS[keys["dtype"]], "weight_bytes": width * parameters}
    return Forecast(
        reads="nothing",
        writes="a model folder",
        memory_bytes=5e8 + 4 * parameters,
        disk_bytes=width * parameters,
        seconds=5 + parameters / 1e8,
        figures={**_identity_of_new(config), **_sizes(keys), **figures},
    )


def _commit(config: Base) -> str:
    return commit(config.model, config.revision, "model")


def _files(folder: Path) -> list[Path]:
    names = [
        p
        for p in sorted(folder.iterdir())
        if p.is_file() and p.suffix in (".json", ".safetensors", ".model", ".jinja", ".py")
    ]
    return [path for path in names if path.name != "artifact.json"]


def _check_folder(folder: Path, *, weights: bool = True) -> None:
    names = sorted(path.name for path in folder.iterdir())
    if "config.json" not in names:
        raise InputError("this is no model folder: there is no config.json.", where=folder, remedy="Set base.model.")
    if weights and not any(name.endswith(".safetensors") for name in names):
        pickles = [name for name in names if name.endswith(PICKLES)]
        found = f"only {pickles[0]}, a pickle that can run code when it is opened" if pickles else "none at all"
        raise InputError(
            f"the weights must be safetensors, and there are {found}.",
            where=folder,
            remedy="Convert them once where you trust them: "
            "AutoModelForCausalLM.from_pretrained(folder).save_pretrained(new_folder).",
        )
    if TOKENIZER not in names:
        raise InputError(
            f"the base has no {TOKENIZER}.",
            where=folder,
            remedy="AutoTokenizer.from_pretrained(...).save_pretrained(folder) writes one beside the weights.",
        )
    if "model_type" not in _mapping(folder / "config.json"):
        raise InputError("config.json names no model_type.", where=folder / "config.json")
    if "model" not in _mapping(folder / TOKENIZER):
        raise InputError(f"{TOKENIZER} holds no tokenizer model.", where=folder / TOKENIZER)
    index = folder / INDEX
    if index.exists():
        shards = set(_mapping(index)["weight_map"].values())
        missing = sorted(shards - set(names))
        if weights and missing:
            raise InputError(f"{missing[0]} of the weights is not there.", where=folder, remedy="Download it again.")


def _mapping(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path.name} is not valid JSON: {error}.", where=path, remedy="Download it again.") from error
    return content if isinstance(content, dict) else {}


def describe(folder: Path) -> dict[str, Any]:
    """Sizes of a model from its config and the headers of its weights."""
    tensors = [tensor for path in sorted(folder.glob("*.safetensors")) for tensor in _header(path).values()]
    return {
        **_sizes(_mapping(folder / "config.json")),
        "parameters": sum(prod(tensor["shape"]) for tensor in tensors),
        "dtype": tensors[0]["dtype"],
        "weight_bytes": sum(path.stat().st_size for path in folder.glob("*.safetensors")),
    }


def describe_positions(folder: Path) -> int | None:
    """How many tokens the model in a folder has positions for, where its config says so."""
    return _sizes(_mapping(folder / "config.json"))["max_positions"]


def _sizes(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "model_type": config["model_type"],
        "vocabulary": config.get("vocab_size"),
        "hidden_size": config.get("hidden_size"),
        "layers": config.get("num_hidden_layers"),
        "max_positions": config.get("max_position_embeddings"),
        "tied": config.get("tie_word_embeddings"),
    }


def _header(path: Path) -> dict[str, Any]:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(min(length, size)))
        except ValueError:
            header = {}
    tensors = {name: tensor for name, tensor in header.items() if name != "__metadata__"}
    if not tensors or size != 8 + length + max(tensor["data_offsets"][1] for tensor in tensors.values()):
        raise InputError("this is not a whole safetensors file.", where=path, remedy="Download or copy it again.")
    return tensors


STAGE = Stage(
    "base", 1, Base, makes=("model", "tokenizer"), run=run, uses=_uses, check=check, outside=outside, forecast=forecast
)
