"""conversations: read instructions and their answers in any of the usual forms, check them, split them by question."""

from typing import Any, Literal

from lingraft.core.stage import Job, Stage

from .streams import Records, check_records, forecast_records, outside_of_records, run_records


class Conversations(Records):
    """Which conversations, and how much of them is held out."""

    kind: Literal["conversations"] = "conversations"


def run(job: Job) -> dict[str, Any]:
    """Read, check and split; see `lingraft.conversations.build`."""
    from lingraft.conversations.record import Conversation

    return run_records(job, Conversation)


STAGE = Stage(
    "conversations",
    1,
    Conversations,
    makes=("conversations",),
    run=run,
    uses=("language", "replay", "seed"),
    no_effect=frozenset({"max_bad_share"}),
    check=check_records,
    outside=outside_of_records,
    forecast=forecast_records,
)
