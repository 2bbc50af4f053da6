"""What the page shows of answers and of what judges and people said of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import format as fmt

PLAIN = ("characters",)
"""Metrics of answers that are no shares."""


@dataclass(frozen=True)
class Row:
    """Who said what of one model against another."""

    pair: str
    who: str
    pairs: int
    win_rate: Mapping[str, float | None]
    counts: str
    """Wins, ties and losses."""
    p: float
    consistency: Mapping[str, float | None] | None = None
    """The share of pairs with the same outcome in both orders; of judges alone."""
    first_share: Mapping[str, float | None] | None = None


@dataclass(frozen=True)
class Figure:
    """One figure of every model, side by side."""

    title: str
    direction: str
    """Which is better, or that neither is."""
    cells: list[tuple[str, str, str]]
    """The figure, its interval and a verdict against the first model."""


def warnings(report: Mapping[str, Any]) -> list[str]:
    """Judges that prefer a place or length, or could not be read."""
    found = report.get("judgement", {})
    missing = [f"{one['suite']} is missing: {one['why']}" for one in found.get("missing", [])]
    return [*found.get("warnings", []), *missing]


def answers(report: Mapping[str, Any]) -> list[Figure]:
    """What is counted of the answers, one figure a line."""
    return _figures(report["judgement"]["answers"]["rows"])


def scores(report: Mapping[str, Any]) -> dict[str, list[Figure]]:
    """Of every judge, the axes."""
    by_judge = report["judgement"].get("axes", {}).get("judges", {})
    return {judge: _figures(found["rows"]) for judge, found in by_judge.items() if found["rows"]}


def comparisons(report: Mapping[str, Any]) -> list[Row]:
    """For every pair of models each judge, what most of several judges say, and people."""
    rows = []
    for found in report["judgement"].get("pairwise", []):
        pair = f"{found['model']} against {found['against']}"
        for judge, said in found["judges"].items():
            consistency, first = said["consistency"]["share"], said["position"]["first_share"]
            rows.append(_row(pair, judge, said, consistency, first))
        if "majority" in found:
            rows.append(_row(pair, "most of them", found["majority"]))
        if "with_people" in found:
            rows.append(_row(pair, "people", found["with_people"]["people"]))
    return rows


def agreement(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Between whom, by which coefficient, and how far they agree."""
    found = []
    for of_pair in report["judgement"].get("pairwise", []):
        pair = f"{of_pair['model']} against {of_pair['against']}"
        if "agreement" in of_pair:
            found += _coefficients(pair, of_pair["agreement"])
        for judge, said in of_pair.get("with_people", {}).get("judges", {}).items():
            found.append((pair, f"{judge}, people: Cohen’s kappa", _with_interval(said["kappa"])))
    for axis, of_axis in (report["judgement"].get("axes", {}).get("agreement") or {}).items():
        found += _coefficients(axis, of_axis)
    return found


def _coefficients(what: str, found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    names = {f"{judges}: Cohen’s kappa": value for judges, value in found["cohen"].items()}
    names |= {"all: Fleiss’ kappa": found["fleiss"], "all: Krippendorff’s alpha": found["krippendorff"]}
    return [(what, name, _with_interval(value)) for name, value in names.items()]


def _with_interval(value: Mapping[str, float | None]) -> str:
    if value["value"] is None:
        return "nothing to agree about"
    return f"{fmt.decimal(value['value'], 2)} {fmt.interval(value['low'], value['high'], 2)}"


def _row(pair: str, who: str, said: Mapping[str, Any], *more: Mapping[str, float | None]) -> Row:
    counts = [said[name] for name in ("wins", "ties", "losses")]
    told = " / ".join(fmt.count(count) for count in counts)
    return Row(pair, who, sum(counts), said["win_rate"], told, said["p"], *more)


def _figures(rows: list[Mapping[str, Any]]) -> list[Figure]:
    by_metric: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_metric.setdefault(row["metric"], []).append(row)
    return [_figure(metric, of_metric) for metric, of_metric in by_metric.items()]


def _figure(metric: str, rows: list[Mapping[str, Any]]) -> Figure:
    is_share = metric not in PLAIN and not metric.startswith("score_")

    def shown(value: float) -> str:
        return fmt.percent(value) if is_share else fmt.decimal(value, rows[0]["digits"])

    cells = [
        ("nothing to count", "", "")
        if row["value"] is None
        else (
            shown(row["value"]),
            f"{shown(row['low'])} to {shown(row['high'])}",
            (row["against"] or {}).get("verdict") or "",
        )
        for row in rows
    ]
    better = "lower is better" if rows[0]["lower_is_better"] else "higher is better"
    return Figure(rows[0]["metric_title"], "" if metric in PLAIN else better, cells)
