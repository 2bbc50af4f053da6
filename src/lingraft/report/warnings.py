"""What a reader has to know before anything else, in a sentence each; the details stand where they belong."""

from collections.abc import Mapping
from typing import Any

from . import judgement, records, tasks, tuning
from .analysis import experts, forgetting


def warnings(report: Mapping[str, Any]) -> list[str]:
    """What was forgotten, is dead, leaked or missing; what went wrong in alignment, and judges not to be believed."""
    return [
        *forgetting.forgotten(report),
        *experts.dead_in_short(report),
        *(sentence for sentence, _ in tasks.leaks(report)),
        *tasks.missing_in_short(report),
        *records.warnings(report),
        *tuning.warnings(report),
        *judgement.warnings(report),
    ]
