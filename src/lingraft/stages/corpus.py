"""corpus: read the target and replay texts, clean, deduplicate, split into training and held-out text."""

from typing import Any, Literal

from pydantic import Field

from lingraft.core.outside import TextSource
from lingraft.core.stage import Check, Forecast, Job, Stage, StageConfig

from .streams import check_languages, files_here, identities, num_bytes, told_sources


class Corpus(StageConfig):
    """Which texts, and how much of them is held out."""

    kind: Literal["corpus"] = "corpus"
    target: list[TextSource] = Field(min_length=1, description="Text in the language to graft.")
    replay: list[TextSource] = Field([], description="Text in the language to keep.")
    held_out_docs: int = Field(200, ge=1, description="Documents of each stream kept out of training, whole groups.")
    max_document_bytes: int = Field(10_000_000, ge=1, description="A longer document is a bad record.")
    max_bad_share: float = Field(0.01, ge=0, le=1, description="Share of bad records above which the stage stops.")


def check(context: Check) -> None:
    """Both languages are known and every file or local data set is there."""
    from lingraft.corpus import files

    check_languages(context)
    for source in (*context.config.target, *context.config.replay):
        files_here(context, source, files)


def outside(context: Check) -> dict[str, str]:
    """The content of every file; the revision of a data set on the hub."""
    from lingraft.corpus import files

    return identities(context, files)


def forecast(context: Check) -> Forecast:
    """Sizes from those of the files."""
    from lingraft.corpus import files

    sizes = num_bytes(context, files)
    known = None not in sizes.values()
    total = sum(size or 0 for size in sizes.values())
    streams = {}
    for name, size in sizes.items():
        # 5 kB is a usual document; nothing has been counted yet.
        held_out = min(0.2 * (size or 0), 5e3 * context.config.held_out_docs)
        streams[name] = {
            "train": {"bytes": (size or 0) - held_out},
            "held_out": {"bytes": held_out, "documents": context.config.held_out_docs},
        }
    return Forecast(
        reads=told_sources(context, sizes),
        writes="parquet",
        memory_bytes=3e8,
        disk_bytes=total / 2 if known else None,
        seconds=total / 20e6 + 1 if known else None,
        figures={"streams": streams},
        warnings=_warnings(context),
    )


def _warnings(context: Check) -> tuple[str, ...]:
    if context.recipe.replay is None or context.config.replay:
        return ()
    return ("no replay text is given, so that nothing will tell how much of the base's language is lost.",)


def run(job: Job) -> dict[str, Any]:
    """Build the corpus; see `lingraft.corpus.build`."""
    from lingraft.corpus.build import build

    config = job.config
    return build(
        config.target,
        config.replay,
        job.folder,
        base_folder=job.recipe_folder,
        held_out_docs=config.held_out_docs,
        max_document_bytes=config.max_document_bytes,
        max_bad_share=config.max_bad_share,
        seed=job.settings.seed,
        progress=job.progress,
    )


STAGE = Stage(
    "corpus",
    1,
    Corpus,
    makes=("text",),
    run=run,
    uses=("language", "replay", "seed"),
    check=check,
    outside=outside,
    forecast=forecast,
)
