"""What experts are worth and what they are chosen for: heat maps, loads, and the dead ones by name."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lingraft.report import format as fmt
from lingraft.report.charts import Chart, Series, chart, over_layers
from lingraft.report.headline import language

from .roles import roles

MODES = {"zero": "its output set to zero", "mask": "hidden from the router"}
MOST_WRITTEN = 16
"""Experts of a layer; in a wider map the cells are small and bear signs alone."""
FEW = 6
"""Dead experts of a model that are named where there is little room."""


@dataclass(frozen=True)
class Cell:
    """One expert of one layer."""

    text: str
    told: str
    side: str
    """worse or better without it; load"""
    strength: int
    """Of the color, in percent."""
    differs: bool
    dead: bool


@dataclass(frozen=True)
class HeatMap:
    """Layers from the first to the last, each with its experts."""

    title: str
    about: str
    stream: str
    written: bool
    columns: range
    rows: list[tuple[int, list[Cell]]]


def figures(report: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those of the analysis; empty where it was not made or did not apply."""
    found = report.get("analysis", {}).get("experts", {})
    return {} if "skipped" in found else found


def dead(report: Mapping[str, Any]) -> list[str]:
    """A sentence for every dead expert."""
    return [
        f"Layer {one['layer']}, expert {one['expert']} of {model} is dead: {', and '.join(one['why'])}."
        for model, found in figures(report).get("models", {}).items()
        for one in found["dead"]
    ]


def dead_in_short(report: Mapping[str, Any]) -> list[str]:
    """The same, but of a model that has many in one sentence."""
    told = []
    for model, found in figures(report).get("models", {}).items():
        places = [f"layer {one['layer']}, expert {one['expert']}" for one in found["dead"]]
        if len(places) == 1:
            told.append(f"{_capital(places[0])} of {model} is dead: {', and '.join(found['dead'][0]['why'])}.")
        elif places:
            rest = [f"{fmt.count(len(places) - FEW)} more"] if len(places) > FEW else []
            told.append(f"{len(places)} experts of {model} are dead: {'; '.join([*places[:FEW], *rest])}.")
    return told


def heat_maps(report: Mapping[str, Any]) -> tuple[list[HeatMap], list[HeatMap]]:
    """What a score loses without each expert: the first and the last model on held-out text, and all other maps."""
    found = figures(report)
    ends = (next(iter(found["models"])), [*found["models"]][-1])
    telling, others = [], []
    for measure, described in found["measures"].items():
        for mode in MODES:
            maps = {model: parts["scores"][measure][mode] for model, parts in found["models"].items()}
            most = max(abs(_number(cell["value"])) for one in maps.values() for row in one["change"] for cell in row)
            for model, heat in maps.items():
                shown = _heat_map(found["models"][model], heat, measure, described, most, f"{model}, {MODES[mode]}")
                (telling if mode == "zero" and model in ends and measure in found["languages"] else others).append(
                    shown
                )
    return telling, others


def _heat_map(
    model: Mapping[str, Any],
    heat: Mapping[str, Any],
    measure: str,
    described: Mapping[str, Any],
    most: float,
    about: str,
) -> HeatMap:
    gone = {(one["layer"], one["expert"]) for one in model["dead"]}
    rows = []
    for layer, changes in zip(model["layers"], heat["change"], strict=True):
        cells = []
        for expert, change in enumerate(changes):
            worse = (_number(change["value"]) > 0) == described["lower_is_better"]
            cells.append(
                Cell(
                    fmt.signed(change["value"], 2),
                    f"layer {layer}, expert {expert}: {fmt.signed(change['value'], 4)} "
                    f"{fmt.signed_interval(change['low'], change['high'], 4)}",
                    "worse" if worse else "better",
                    _strength(_number(change["value"]), most),
                    change["differs"],
                    (layer, expert) in gone,
                )
            )
        rows.append((layer, cells))
    size = model["num_experts"]
    about += f" · noise ±{fmt.decimal(heat['noise'], 4)}, {heat['num_differ']} of {len(rows) * size} differ"
    stream = measure if measure in ("target", "replay") else "target"
    title = f"{described['title']}, {_in_a_sentence(described['metric'])}"
    return HeatMap(title, about, stream, size <= MOST_WRITTEN, range(size), rows)


def load_maps(report: Mapping[str, Any]) -> tuple[list[HeatMap], list[HeatMap]]:
    """How often each expert is chosen in every language: of the last model, and of all others."""
    found = figures(report)
    last = [*found["models"]][-1]
    telling, others = [], []
    for name, model in found["models"].items():
        gone = {(one["layer"], one["expert"]) for one in model["dead"]}
        for stream, routing in model["routing"].items():
            most = max(_number(cell["value"]) for row in routing["load"] for cell in row)
            rows = [
                (
                    layer,
                    [
                        Cell(
                            fmt.percent(load["value"], 0),
                            f"layer {layer}, expert {expert}: {fmt.percent(load['value'], 2)}",
                            "load",
                            _strength(_number(load["value"]), most),
                            False,
                            (layer, expert) in gone,
                        )
                        for expert, load in enumerate(loads)
                    ],
                )
                for layer, loads in zip(model["layers"], routing["load"], strict=True)
            ]
            size = model["num_experts"]
            even = f"{name} · an even load is {fmt.percent(1 / size)}"
            shown = HeatMap(language(report, stream)["name"], even, stream, size <= MOST_WRITTEN, range(size), rows)
            (telling if name == last else others).append(shown)
    return telling, others


def by_layer(report: Mapping[str, Any]) -> list[Chart]:
    """How far apart two languages are routed, and how evenly the routers choose in each."""
    models = figures(report)["models"]
    role = roles(models)
    layers = sorted({layer for model in models.values() for layer in model["layers"]})
    drawn = []
    for place, pair in enumerate(next(iter(models.values()))["overlap"]):
        series = [
            Series(name, role[name], _points(model, model["overlap"][place]["divergence"]))
            for name, model in models.items()
        ]
        last = [*models.values()][-1]
        by_chance = zip(last["layers"], last["overlap"][place]["divergence"], strict=True)
        series.append(
            Series("by chance", "chance", [(layer, one["by_chance"], None, None) for layer, one in by_chance])
        )
        names = " and ".join(language(report, stream)["name"] for stream in pair["streams"])
        about = "divergence in bits: 0 where both use the same experts, 1 where they share none"
        drawn.append(chart(f"Routing of {names}", about, series, **over_layers(layers)))
    for stream in next(iter(models.values()))["routing"]:
        series = [
            Series(name, role[name], _points(model, model["routing"][stream]["entropy"]))
            for name, model in models.items()
        ]
        even = max(model["even_entropy"] for model in models.values())
        title = f"Router entropy, {language(report, stream)['name']}"
        levels = {"all experts alike": even}
        drawn.append(chart(title, "bits a token", series, stream=stream, levels=levels, **over_layers(layers)))
    return drawn


def likeness(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How alike heat maps are between languages and between models, as terms and what is said of them."""
    found = figures(report)
    titles = {name: described["title"] for name, described in found["measures"].items()}
    told = []
    for model, parts in found["models"].items():
        for pair in parts["likeness"]:
            first, second = (titles[name] for name in pair["scores"])
            told.append((f"{first} and {second}, {model}", _correlation(pair["zero"])))
    for pair in found["between_models"]:
        between = " and ".join(pair["models"])
        told += [
            (f"{titles[name]}, {between}", _correlation(alike["zero"])) for name, alike in pair["likeness"].items()
        ]
    return told


def _points(
    model: Mapping[str, Any], values: Sequence[Mapping[str, float]]
) -> list[tuple[float, float, float | None, float | None]]:
    pairs = zip(model["layers"], values, strict=True)
    return [(layer, one["value"], one["low"], one["high"]) for layer, one in pairs if one["value"] is not None]


def _correlation(figure: Mapping[str, float | None]) -> str:
    return f"{fmt.signed(figure['value'], 2)} {fmt.signed_interval(figure['low'], figure['high'], 2)}"


def _number(value: float | None) -> float:
    return value or 0.0


def _strength(value: float, most: float) -> int:
    """By the square root, so that small ones can be seen beside large ones."""
    return round(85 * math.sqrt(abs(value) / most)) if most else 0


def _in_a_sentence(metric: str) -> str:
    """With a small letter, unless it is called so: bits per byte, chrF++."""
    return metric[0].lower() + metric[1:] if metric[1:].islower() else metric


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
