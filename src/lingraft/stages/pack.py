"""pack: tokenize the training text into memory-mapped shards, losing no token."""

from typing import Annotated, Any, Literal

from pydantic import Field

from lingraft.core.stage import Check, Forecast, Job, Needs, Stage, StageConfig


class Pack(StageConfig):
    """Which text, by which tokenizer, in sequences of which length."""

    kind: Literal["pack"] = "pack"
    corpus: Annotated[str | None, Needs("text")] = None
    tokenizer: Annotated[str | None, Needs("tokenizer")] = None
    sequence_tokens: int = Field(2048, ge=8, description="Tokens a sequence.")


def forecast(context: Check) -> Forecast:
    """Three bytes of text a token, unless the corpus says better."""
    streams = context.figures[context.config.corpus]["streams"]
    text = sum(stream["train"]["bytes"] for stream in streams.values())
    tokens = text / 3
    return Forecast(
        reads=f"{text / 1e6:.1f} MB of text",
        writes="token shards",
        tokens=tokens or None,
        memory_bytes=5e8,
        disk_bytes=4 * tokens or None,
        seconds=2 + text / 3e6 if text else None,
        figures={
            "tokens": tokens,
            "text_bytes": text,
            "sequence_tokens": context.config.sequence_tokens,
            "streams": {name: {"text_bytes": stream["train"]["bytes"]} for name, stream in streams.items()},
        },
    )


def run(job: Job) -> dict[str, Any]:
    """Write the shards; see `lingraft.train.pack`."""
    from lingraft.train.pack import pack

    return pack(
        job.inputs[job.config.corpus].folder,
        job.inputs[job.config.tokenizer].folder,
        job.folder,
        sequence_tokens=job.config.sequence_tokens,
        progress=job.progress,
    )


STAGE = Stage("pack", 1, Pack, makes=("tokens",), run=run, forecast=forecast)
