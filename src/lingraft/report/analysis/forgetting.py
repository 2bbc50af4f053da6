"""What adaptation cost: languages that are forgotten, weights that moved, tokens that learned nothing."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lingraft.report import format as fmt
from lingraft.report.charts import Chart, Series, change, chart, over_cost
from lingraft.report.figures import Axis, axis
from lingraft.report.headline import language

from .roles import roles

SIDES = {"input": "Embedding", "output": "LM head"}
VISIBLE = {" ": "␣", "\n": "⏎", "\t": "⇥"}


@dataclass(frozen=True)
class Bar:
    """A row of a list of bars; the length is in percent of the longest."""

    label: str
    text: str
    length: float


@dataclass(frozen=True)
class Found:
    """Tokens of which the same can be said."""

    claim: str
    tokens: int
    share: float
    note: str
    examples: list[str]


def figures(report: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those of the analysis; empty where it was not made or did not apply."""
    found = report.get("analysis", {}).get("forgetting", {})
    return {} if "skipped" in found else found


def sentences(report: Mapping[str, Any]) -> list[str]:
    """The verdict on every language under the adapted model, but those that it plainly writes better than before."""
    found = figures(report)
    rows = [row for row in found.get("languages", []) if row["model"] == found["adapted"] and row["rise"]]
    return [_sentence(found, row) for row in rows if row["verdict"] != "kept" or row["rise"]["high"] >= 0]


def forgotten(report: Mapping[str, Any]) -> list[str]:
    """The sentences on languages that are forgotten."""
    found = figures(report)
    rows = [row for row in found.get("languages", []) if row["model"] == found["adapted"]]
    return [_sentence(found, row) for row in rows if row["verdict"] == "forgotten"]


def _sentence(found: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    rise, name, limit = row["rise"], row["language"], fmt.percent(found["forgotten_above"], 0)
    how_much = f"{fmt.signed_percent(rise['value'])} {_ends(rise)}"
    if row["verdict"] == "forgotten":
        return (
            f"{name} is forgotten: under {row['model']} its held-out text takes {how_much} bits per byte "
            f"against {found['base']}, more than the limit of +{limit}."
        )
    if row["verdict"] == "kept":
        return f"{name} is kept: {how_much} bits per byte against {found['base']}, within the limit of +{limit}."
    return (
        f"Whether {name} is forgotten is not clear: {how_much} bits per byte against {found['base']}, "
        f"where the limit is +{limit}, on {fmt.count(row['documents'])} documents."
    )


def _ends(rise: Mapping[str, float]) -> str:
    return f"[{fmt.signed_percent(rise['low'])}, {fmt.signed_percent(rise['high'])}]"


def rises(report: Mapping[str, Any]) -> tuple[Axis, dict[str, list[dict[str, Any]]]]:
    """The axis, and for every stream a row for each model but the first."""
    found = figures(report)
    rows = [row for row in found["languages"] if row["rise"]]
    role = roles(row["model"] for row in found["languages"] if row["stream"] == found["languages"][0]["stream"])
    by_stream: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        shown = {**row, "role": role[row["model"]], "ends": _ends(row["rise"])}
        by_stream.setdefault(row["stream"], []).append(shown)
    ends = [row["rise"][end] for row in rows for end in ("low", "high")]
    return axis([*ends, 0.0, found["forgotten_above"]]), by_stream


def course(report: Mapping[str, Any]) -> Chart | None:
    """How far the replay language rose while models were trained; None where no training measured it."""
    curves = {name: [p for p in points if "replay" in p["rise"]] for name, points in figures(report)["curves"].items()}
    curves = {name: points for name, points in curves.items() if points}
    if not curves:
        return None
    role = roles(curves)
    return chart(
        f"{language(report, 'replay')['name']} during training",
        "bits per byte against the start, by text seen; few documents, no intervals",
        [
            Series(name, role[name], [(point["bytes"], point["rise"]["replay"], None, None) for point in points])
            for name, points in curves.items()
        ],
        stream="replay",
        levels={"limit": figures(report)["forgotten_above"]},
        written=change,
        **over_cost([point["bytes"] for points in curves.values() for point in points], fmt.size),
    )


def drift(report: Mapping[str, Any]) -> dict[str, list[Bar]]:
    """Relative change of the weights by layer, and by kind of matrix from the most to the least."""
    weights = figures(report)["weights"]
    kinds = sorted(weights["kinds"], key=lambda row: -(row["relative"] or 0))
    rows = [*((f"Layer {row['layer']}", row) for row in weights["layers"]), *((row["kind"], row) for row in kinds)]
    longest = max((row["relative"] or 0 for _, row in rows), default=0) or 1
    bars = [
        Bar(label, fmt.percent(row["relative"]), round(100 * (row["relative"] or 0) / longest, 1))
        for label, row in rows
    ]
    cut = len(weights["layers"])
    return {"By layer": bars[:cut], "By kind of matrix": bars[cut:]}


def moved(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How far old and new rows turned, as terms and what is said of them."""
    told = []
    sides = figures(report)["new_tokens"]["rows"]
    for side in sides:
        where = "" if len(sides) == 1 else f", {SIDES[side['side']]}"
        for which, label in (("old", "Old rows turned"), ("new", "New rows turned")):
            if degrees := side[which].get("degrees"):
                median = degrees["quantiles"][len(degrees["quantiles"]) // 2]
                told.append((f"{label}{where}", f"{fmt.decimal(median, 1)}° in the median"))
    return told


def neighbors(report: Mapping[str, Any]) -> tuple[list[str], list[dict[str, Any]]]:
    """The tables that were searched, and the most frequent new tokens with the nearest old ones."""
    rows = figures(report)["new_tokens"].get("neighbors", [])
    sides = [side for side in SIDES if rows and side in rows[0]]
    shown = [
        {
            "token": visible(row["token"]),
            "count": row["count"],
            "nearest": [[(visible(one["token"]), one["cosine"]) for one in row[side]] for side in sides],
        }
        for row in rows
    ]
    return sides, shown


def dead(report: Mapping[str, Any]) -> dict[str, list[Found]]:
    """For each table, what is said of new tokens that learned little."""
    new = figures(report)["new_tokens"]
    claims = {
        "dead": ("Dead", "not used by the text, and the row learned nothing"),
        "unused": ("Not used", "by the held-out text"),
        "still": ("Still", f"turned by less than {new.get('still_degrees', 0):g}° since they began"),
        "pushed": ("Pushed", "moved only as rows do that no text uses"),
    }
    tables = {}
    for side, found in new.get("dead", {}).items():
        rows = [
            Found(title, found[key]["tokens"], found[key]["share"], note, [*map(visible, found[key]["examples"])])
            for key, (title, note) in claims.items()
            if found[key]
        ]
        far = found["norm_far_off"]
        note = f"twice or half the median norm of old rows, or beyond; of old rows {fmt.percent(far['share_of_old'])}"
        rows.append(Found("Far off", far["tokens"], far["share"], note, [*map(visible, far["examples"])]))
        tables[SIDES[side]] = rows
    return tables


def visible(token: str) -> str:
    """A token so that white space and control characters can be seen."""
    if token.isspace() and set(token) <= set(VISIBLE):
        return "".join(VISIBLE[char] for char in token)
    return "".join(
        VISIBLE.get(char, f"\\x{ord(char):02x}") if unicodedata.category(char) == "Cc" else char for char in token
    )
