"""preferences: read pairs of answers, or answers with a verdict, check them, split them by question."""

from typing import Any, Literal

from pydantic import Field

from lingraft.core.stage import Job, Stage

from .streams import Records, check_records, forecast_records, outside_of_records, run_records


class Preferences(Records):
    """Which preferences, and how much of them is held out."""

    kind: Literal["preferences"] = "preferences"
    wrong_language: Literal["drop", "swap"] = Field(
        "drop",
        description="A pair whose chosen answer is in another language: left out, or turned around where the rejected "
        "one is in the right language.",
    )


def run(job: Job) -> dict[str, Any]:
    """Read, check and split; see `lingraft.conversations.build`."""
    from lingraft.conversations.record import Preference, Verdict

    return run_records(job, (Preference, Verdict), wrong_language=job.config.wrong_language)


STAGE = Stage(
    "preferences",
    1,
    Preferences,
    makes=("preferences",),
    run=run,
    uses=("language", "replay", "seed"),
    no_effect=frozenset({"max_bad_share"}),
    check=check_records,
    outside=outside_of_records,
    forecast=forecast_records,
)
