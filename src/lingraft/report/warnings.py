"""What a reader has to know before anything else, in a sentence each; the details stand where they belong."""

from collections.abc import Mapping
from typing import Any

from . import judgement, tasks
from .analysis import experts, forgetting


def warnings(report: Mapping[str, Any]) -> list[str]:
    """Languages that were forgotten, dead experts, leaked items, what is missing, judges not to be believed."""
    return [
        *forgetting.forgotten(report),
        *experts.dead_in_short(report),
        *(sentence for sentence, _ in tasks.leaks(report)),
        *tasks.missing_in_short(report),
        *judgement.warnings(report),
    ]
