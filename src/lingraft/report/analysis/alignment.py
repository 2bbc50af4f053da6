"""Whether translations lie together in the model: accuracy of finding them, layer by layer."""

from collections.abc import Mapping
from typing import Any

from lingraft.report import format as fmt
from lingraft.report.charts import Chart, Series, chart, over_layers, share
from lingraft.report.figures import Axis, axis

from .roles import roles

VARIANTS = {
    "cosine": "By cosine",
    "margin": "By cosine, less that of near neighbors",
    "centered_cosine": "By cosine of centered states",
    "centered_margin": "By cosine of centered states, less that of near neighbors",
}


def models(report: Mapping[str, Any]) -> tuple[Axis, list[dict[str, Any]]]:
    """The mean accuracy of every model, with its gain on the first and whether it is above what spelling finds."""
    found = report["analysis"]["alignment"]
    role = roles(row["model"] for row in found["models"])
    shown = [
        {
            **row,
            "role": role[row["model"]],
            "ends": _ends(row["accuracy"]),
            "verdict": _verdict(row["gain"]),
            "gained": row["gain"] and f"{_points(row['gain']['value'])} {_point_ends(row['gain'])}",
            "spelling": _against_spelling(row["against_spelling"]),
        }
        for row in found["models"]
    ]
    ends = [row["accuracy"][end] for row in found["models"] for end in ("low", "high")]
    return axis([*ends, found["chance"], found["spelling"]["value"]]), shown


def layers(report: Mapping[str, Any]) -> tuple[Chart, list[Chart]]:
    """Accuracy by layer as the headline counts it, and as the other variants do."""
    found = report["analysis"]["alignment"]
    telling = found["headline"].partition(",")[0]
    drawn = {variant: _chart(found, variant) for variant in found["variants"]}
    return drawn[telling], [one for variant, one in drawn.items() if variant != telling]


def _chart(found: Mapping[str, Any], variant: str) -> Chart:
    role = roles(row["model"] for row in found["models"])
    by_model: dict[str, list[tuple[float, float, float | None, float | None]]] = {name: [] for name in role}
    for row in found["layers"]:
        both = row["accuracy"][variant]["both"]
        by_model[row["model"]].append((row["layer"], both["value"], both["low"], both["high"]))
    return chart(
        VARIANTS[variant],
        "share of sentences whose translation is found, by layer; 0 are the embeddings",
        [Series(name, role[name], points) for name, points in by_model.items()],
        levels={"spelling alone": found["spelling"]["value"], "chance": found["chance"]},
        written=share,
        **over_layers(sorted({row["layer"] for row in found["layers"]})),
    )


def _verdict(gain: Mapping[str, float] | None) -> str:
    if gain is None:
        return ""
    if gain["low"] <= 0 <= gain["high"]:
        return "no difference"
    return "better" if gain["value"] > 0 else "worse"


def _against_spelling(figure: Mapping[str, float]) -> str:
    if figure["low"] <= 0 <= figure["high"]:
        return "no more than spelling"
    return "above spelling" if figure["value"] > 0 else "below spelling"


def _ends(figure: Mapping[str, float]) -> str:
    return f"[{fmt.percent(figure['low'])}, {fmt.percent(figure['high'])}]"


def _points(value: float) -> str:
    return fmt.signed(100 * value, 1)


def _point_ends(figure: Mapping[str, float]) -> str:
    return f"[{_points(figure['low'])}, {_points(figure['high'])}] points"
