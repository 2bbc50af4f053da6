"""pretrain: continue the pretraining of a model on the mixed streams."""

from collections.abc import Mapping
from math import ceil
from shutil import which
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lingraft.core import launch, machine
from lingraft.core.errors import RecipeError
from lingraft.core.stage import Check, Demand, Forecast, Job, Needs, Stage

from .base import model_config, tokenizer_of
from .training_keys import WITHOUT_EFFECT, Alarm, Cut, PackedTraining, check_training, made, settings_of

MOST_PASSES = 4
BYTES_PER_TOKEN = 3.0
"""Before any text has been seen."""


class Pretrain(PackedTraining):
    """How long, on which mix, and how fast the weights move."""

    kind: Literal["pretrain"] = "pretrain"
    model: Annotated[str | None, Needs("model")] = None
    data: Annotated[str | None, Needs("tokens")] = None
    corpus: Annotated[str | None, Needs("text")] = Field(None, description="Its held-out text gives the curve.")
    mix: dict[Literal["target", "replay"], Annotated[float, Field(ge=0)]] = Field(
        {"target": 1.0}, description="Shares of tokens: {target: 0.75, replay: 0.25}."
    )
    budget_bytes: float | None = Field(None, gt=0, description="Text to show, in bytes.")
    budget_tokens: float | None = Field(None, gt=0, description="Text to show, in tokens.")
    epochs: float | None = Field(None, gt=0, description="Text to show, in passes over the target.")
    batch_tokens: int = Field(8192, ge=8, description="Tokens an optimizer step sees.")
    sequence_schedule: list[Cut] = Field(
        [], description="Shorter sequences first, as many tokens a step: [{until: 0.5, tokens: 512}]."
    )
    compile: bool = Field(
        False, description="Have torch compile the model: a minute or more at the start, steps faster by a third."
    )
    curve_points: int = Field(10, ge=2, description="How often held-out text is measured on the way.")
    curve_bytes: list[Annotated[float, Field(gt=0)]] = Field(
        [], description="Bytes of text at which it is measured as well: at the steps right before and after them."
    )
    curve_documents: int = Field(16, ge=1, description="Held-out documents of each stream that it is measured on.")
    forgetting: Alarm = Field(Alarm(), description="When too much of the replay language is lost.")
    keep_state: bool = Field(
        False, description="Keep optimizer and exact weights, for a later stage to go on from: 12 bytes a weight."
    )
    go_on: bool = Field(
        False,
        description="Go on where `model` ended, a pretrain stage with keep_state: its optimizer, the text after its "
        "text. A stable training may so be followed by several decays.",
    )

    @model_validator(mode="after")
    def _one_budget(self) -> "Pretrain":
        if sum(budget is not None for budget in (self.budget_bytes, self.budget_tokens, self.epochs)) != 1:
            raise ValueError("give exactly one of budget_bytes, budget_tokens and epochs")
        if not self.mix.get("target"):
            raise ValueError("the mix needs a share of target above 0")
        if abs(sum(self.mix.values()) - 1) > 1e-6:
            raise ValueError(f"the shares of the mix sum to {sum(self.mix.values()):g}, not 1")
        ends = [part.until for part in self.sequence_schedule]
        if ends != sorted(set(ends)):
            raise ValueError("the parts of sequence_schedule must end one after the other")
        return self


def check(context: Check) -> None:
    """The batch is made of whole sequences, and model and tokens share a tokenizer."""
    config, stages = context.config, context.recipe.stages
    sequence_tokens = stages[config.data].sequence_tokens
    multiple = sequence_tokens * (config.micro_batch_sequences or 1)
    if config.batch_tokens % multiple:
        raise RecipeError(
            f"batch_tokens ({config.batch_tokens}) is no multiple of {multiple}, "
            f"the tokens of {config.micro_batch_sequences or 1} sequences of {sequence_tokens}.",
            where="batch_tokens",
            remedy=f"Set it to {max(1, round(config.batch_tokens / multiple)) * multiple}.",
        )
    if config.mix.get("replay") and not stages[stages[config.data].corpus].replay:
        raise RecipeError(
            "the mix has replay, and the corpus has no replay texts.",
            where="mix.replay",
            remedy="Give corpus.replay sources, or leave replay out of the mix.",
        )
    if (config.keep_state or config.go_on) and config.train in ("lora", "qlora"):
        raise RecipeError(
            "adapters are merged into the model at the end of a training, and none can go on with them.",
            where="go_on" if config.go_on else "keep_state",
            remedy="Leave it out, or set train to full.",
        )
    if config.go_on:
        _check_can_go_on(config, stages)
    for part in config.sequence_schedule:
        if sequence_tokens % part.tokens:
            raise RecipeError(
                f"sequences of {sequence_tokens} tokens cannot be cut into ones of {part.tokens}.",
                where="sequence_schedule",
                remedy=f"Choose lengths that divide {sequence_tokens}, or another pack.sequence_tokens.",
            )
    check_training(context)
    if config.compile and context.target is None and not any(map(which, ("g++", "clang++", "cl"))):
        raise RecipeError(
            "torch compiles with a C++ compiler, and none is found.",
            where="compile",
            remedy="Install one (apt install g++), or leave compile out.",
        )
    alarm = config.forgetting
    if alarm.limit is not None and not stages[config.corpus].replay:
        raise RecipeError(
            "there are no replay texts to measure forgetting by.",
            where="forgetting.limit",
            remedy="Give corpus.replay sources, or leave the limit out.",
        )
    if alarm.limit is not None and alarm.action == "raise_replay" and not config.mix.get("replay"):
        raise RecipeError(
            "a share of replay that is not in the mix cannot be raised.",
            where="forgetting.action",
            remedy="Name replay in the mix, with a share of 0.01 for example.",
        )
    ours, theirs = tokenizer_of(config.model, stages), tokenizer_of(config.data, stages)
    if ours != theirs:
        raise RecipeError(
            f'the model "{config.model}" has the tokenizer of "{ours}", '
            f'the tokens of "{config.data}" have that of "{theirs}".',
            where="data",
            remedy=f'Put the pack stage after "{ours}", or set its tokenizer.',
        )


def _check_can_go_on(config: Pretrain, stages: Any) -> None:
    before = stages[config.model]
    if before.kind != "pretrain" or not before.keep_state:
        raise RecipeError(
            f'"{config.model}" keeps no state to go on from.',
            where="go_on",
            remedy="Name a pretrain stage with keep_state: true as model.",
        )
    for key in ("data", "train", "optimizer"):
        ours, theirs = getattr(config, key), getattr(before, key)
        if ours != theirs:
            raise RecipeError(
                f'"{config.model}" has {key}: {theirs}, and this stage {ours}.',
                where=key,
                remedy="A training that goes on from another has the same.",
            )


def forecast(context: Check) -> Forecast:
    """Memory, speed and time by the code that trains; see `lingraft.forecast.planner`."""
    from lingraft.core.devices import recognized
    from lingraft.forecast.planner import alternatives, predict

    config, target = context.config, context.target
    model, data = context.figures[config.model], context.figures[config.data]
    tokens = _tokens(config, data)
    of_devices = {} if target is None else {"precision": config.precision or "bf16"}  # which all known devices have
    settings = _settings(config, data["sequence_tokens"], context.settings.seed, **of_devices)
    base, num_new = model_config(context.recipe, model)
    devices = (
        {"num_devices": launch.num_processes()}
        if target is None
        else {"device": target.device, "num_devices": target.num_devices, "sharded": target.sharded}
    )
    found = predict(base, settings, num_new=num_new, measure=context.measure, **devices)
    gpu = next(iter(machine.gpus()), None)
    known = target.device if target else recognized(gpu.name) if gpu else None
    memory = target.device.memory_bytes if target else gpu.memory_bytes if gpu else machine.describe()["memory_bytes"]
    fits = found.device_bytes <= memory
    demand = Demand(
        device=target.device.name if target else gpu.name if gpu else "this machine",
        num_devices=found.num_devices,
        device_bytes=found.device_bytes,
        parts=found.parts,
        device_memory_bytes=memory,
        sharded=found.sharded,
        tokens_per_second=found.tokens_per_second,
        speed_from=found.speed_from,
        watts=known.watts if known else None,
        alternatives=() if fits else alternatives(base, settings, memory, num_new=num_new, **devices),
    )
    return Forecast(
        reads="model, token shards",
        writes="a model folder",
        tokens=tokens,
        flops=None if tokens is None else found.flops_per_token * tokens,
        memory_bytes=found.device_bytes,
        disk_bytes=found.disk_bytes,
        seconds=None
        if tokens is None or found.tokens_per_second is None
        else found.start_seconds + tokens / found.tokens_per_second,
        figures=model,
        training=demand,
        warnings=(*_warnings(config, data, tokens), *_unused(config, context.recipe)),
    )


def _warnings(config: Pretrain, data: Mapping[str, Any], tokens: float | None) -> tuple[str, ...]:
    shown_bytes = (tokens or 0) * data["text_bytes"] / max(1, data["tokens"])
    passes = {
        stream: share * shown_bytes / data["streams"][stream]["text_bytes"]
        for stream, share in config.mix.items()
        if share and data["streams"].get(stream, {}).get("text_bytes")
    }
    return tuple(
        f"the {stream} text is shown {number:.1f} times; from the fourth on repeated text teaches less and less "
        "(Muennighoff et al. 2023, arXiv 2305.16264)."
        for stream, number in passes.items()
        if number > MOST_PASSES
    )


def _unused(config: Pretrain, recipe: Any) -> tuple[str, ...]:
    """That text of the base's language is there, and none of it is trained on for want of a word."""
    if "mix" in config.model_fields_set or not recipe.stages[config.corpus].replay:
        return ()
    return (
        "there is replay text and no mix: it is measured, not trained on. Write mix, with its share or target alone.",
    )


def _tokens(config: Pretrain, data: Mapping[str, Any]) -> float | None:
    """Those that are shown, whole batches of them; None for passes over a text whose size is not known."""
    bytes_per_token = data["text_bytes"] / data["tokens"] if data["tokens"] else BYTES_PER_TOKEN
    if config.budget_tokens is not None:
        tokens = config.budget_tokens
    elif config.budget_bytes is not None:
        tokens = config.budget_bytes / bytes_per_token
    elif not data["streams"]["target"]["text_bytes"]:
        return None
    else:
        target_tokens = data["streams"]["target"]["text_bytes"] / bytes_per_token
        tokens = config.epochs * target_tokens / (config.mix["target"] / sum(config.mix.values()))
    return ceil(tokens / config.batch_tokens) * config.batch_tokens


def _settings(config: Pretrain, sequence_tokens: int, seed: int, **own: Any) -> Any:
    from lingraft.train.settings import Forgetting, Settings, Shorter

    return settings_of(
        config,
        Settings,
        forgetting=Forgetting(**config.forgetting.model_dump()),
        sequence_schedule=[Shorter(**part.model_dump()) for part in config.sequence_schedule],
        sequence_tokens=sequence_tokens,
        seed=seed,
        **own,
    )


def run(job: Job) -> dict[str, Any]:
    """Train; see `lingraft.train.pretrain`."""
    from lingraft.tokenizer.id_ranges import in_ranges
    from lingraft.train.pretrain import check_same_tokenizer, pretrain

    config, model, data = job.config, job.inputs[job.config.model], job.inputs[job.config.data]
    check_same_tokenizer(model.folder, data.figures["tokenizer_sha256"])
    settings = _settings(config, data.figures["sequence_tokens"], job.settings.seed)
    figures = pretrain(
        model.folder,
        data.folder,
        job.inputs[config.corpus].folder,
        job.folder,
        settings,
        new_ids=in_ranges(model.figures.get("new_ids", [])),
        trust_remote_code=model.figures["trust_remote_code"],
        progress=job.progress,
    )
    return made(job, figures)


STAGE = Stage(
    "pretrain",
    3,
    Pretrain,
    makes=("model", "tokenizer", "training"),
    run=run,
    uses=("seed",),
    shared=True,
    no_effect=WITHOUT_EFFECT,
    check=check,
    forecast=forecast,
)
