"""What the page shows of the analyses: their figures as sentences, rows and drawings."""

from collections.abc import Mapping
from typing import Any

from . import alignment, context, efficiency, experts, fertility, forgetting, quantization

__all__ = [
    "alignment",
    "context",
    "efficiency",
    "experts",
    "fertility",
    "forgetting",
    "quantization",
    "shown",
    "skipped",
]

TITLES = {
    "forgetting": "Forgetting",
    "experts": "Experts",
    "alignment": "Alignment of the languages",
    "context": "Context",
    "fertility": "Fertility on the same sentences",
    "quantization": "Quantization",
    "efficiency": "Efficiency",
}
"""In the order of the page."""


def shown(report: Mapping[str, Any]) -> list[str]:
    """The analyses that have figures."""
    found = report.get("analysis", {})
    return [name for name in TITLES if name in found and "skipped" not in found[name]]


def skipped(report: Mapping[str, Any]) -> dict[str, str]:
    """Title of every analysis that did not apply -> why."""
    found = report.get("analysis", {})
    return {TITLES[name]: found[name]["skipped"] for name in TITLES if "skipped" in found.get(name, {})}
