"""What fine-tuning on conversations and on preferences changed, before against after on what was held out."""

from collections.abc import Mapping, Sequence
from typing import Any

from . import format as fmt
from .charts import Chart, Series, chart, over_cost, share
from .figures import finite, thin
from .forest import PERCENT, Forest, Group, before_and_after, forest
from .forest import share as with_interval
from .headline import language

STREAMS = ("target", "replay")
CHANCE = 0.5
FEWEST_PAIRS = 6
"""In fewer no test at 5 % tells anything from chance, though all of them say the same."""
FEW_POINTS = 30
"""Of a curve of training batches, which are noisy: more are drawn as means of neighbors."""


def trainings(report: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    """The trainings of a kind, in the order of the run."""
    return [training for training in report.get("training", []) if training["kind"] == kind]


def streams(report: Mapping[str, Any], training: Mapping[str, Any], part: str) -> list[tuple[str, str, Any]]:
    """Each stream that has figures of a part, with the name of its language."""
    found = training["figures"].get(part) or {}
    return [(stream, language(report, stream)["name"], found[stream]) for stream in STREAMS if stream in found]


def answers(report: Mapping[str, Any], training: Mapping[str, Any]) -> Forest | None:
    """Bits per byte of held-out answers before and after fine-tuning."""
    groups = [
        Group(
            name,
            (f"{fmt.count(found['conversations'])} conversations", *_left_out(found)),
            stream,
            before_and_after(found, lower_is_better=True, digits=3),
        )
        for stream, name, found in streams(report, training, "held_out")
    ]
    about = "bits per byte, of what the assistant says alone; lower is better"
    return forest("Held-out answers", about, ("Language", "Model", "Bits per byte", "Change"), groups, digits=3)


def accuracies(report: Mapping[str, Any], training: Mapping[str, Any]) -> Forest | None:
    """The share of held-out pairs whose chosen answer is preferred, by reward and by likelihood."""
    groups = [
        Group(
            f"{name}, {title}",
            (f"{fmt.count(found['pairs'])} pairs",),
            stream,
            before_and_after(found[measure], lower_is_better=False, digits=0, factor=PERCENT),
        )
        for stream, name, found in streams(report, training, "held_out")
        for measure, title in (("accuracy", "by reward"), ("by_likelihood", "by likelihood"))
    ]
    return forest(
        "Held-out preferences",
        "% of pairs in which the chosen answer is preferred; the dashed line is chance",
        ("Pairs", "Model", "%", "Change"),
        groups,
        digits=0,
        chance=PERCENT * CHANCE,
    )


def margins(report: Mapping[str, Any], training: Mapping[str, Any]) -> Forest | None:
    """The reward of chosen less that of rejected answers."""
    groups = [
        Group(
            name,
            (f"{fmt.count(found['pairs'])} pairs",),
            stream,
            before_and_after(found["margin"], lower_is_better=False, digits=3),
        )
        for stream, name, found in streams(report, training, "held_out")
    ]
    about = "reward of the chosen less that of the rejected answer, in nats; higher is better"
    return forest("Margin", about, ("Language", "Model", "Margin", "Change"), groups, digits=3, chance=0.0)


def answer_charts(report: Mapping[str, Any], training: Mapping[str, Any]) -> list[Chart]:
    """Held-out answers and the training loss along a fine-tuning."""
    return [
        *_held_out(report, training, "bits_per_byte", "Held-out answers", "bits per byte, by tokens seen"),
        *_batches(training, "loss", "Training loss", "nats per token of answers"),
    ]


def preference_charts(report: Mapping[str, Any], training: Mapping[str, Any]) -> list[Chart]:
    """Held-out accuracy, and the margin and accuracy of the pairs that are trained on."""
    half = {"levels": {"chance": CHANCE}, "written": share}
    return [
        *_held_out(report, training, "accuracy", "Held-out accuracy", "share of pairs, by tokens seen", **half),
        *_batches(training, "accuracy", "Accuracy in training", "share of pairs of a batch", **half),
        *_batches(training, "margin", "Margin in training", "nats", levels={"none": 0.0}),
    ]


def lengths(report: Mapping[str, Any], training: Mapping[str, Any]) -> list[str]:
    """A sentence for each stream on whether the model goes by the length of an answer."""
    told = []
    for _, name, found in streams(report, training, "held_out"):
        preferred = (found.get("length") or {}).get("longer_preferred")
        if preferred is None:
            continue
        bias = length_bias(found)
        seen = f"it prefers {bias} answers" if bias else "no length bias seen"
        told.append(
            f"{name}: the longer answer is preferred in {with_interval(preferred)} of {fmt.count(found['pairs'])} "
            f"held-out pairs, and is the chosen one in {fmt.percent(found['length']['chosen_longer'], 0)}: {seen}."
        )
    return told


def length_bias(found: Mapping[str, Any]) -> str:
    """`longer` or `shorter` where such answers are preferred beyond chance and beyond what people chose; else empty."""
    preferred, chosen = found["length"]["longer_preferred"], found["length"]["chosen_longer"]
    if found["pairs"] < FEWEST_PAIRS:
        return ""
    if preferred["low"] > max(CHANCE, chosen):
        return "longer"
    return "shorter" if preferred["high"] < min(CHANCE, chosen) else ""


def mix(training: Mapping[str, Any]) -> dict[str, float]:
    """The share of each stream in what a training saw, where it was counted."""
    figures = training["figures"]
    return figures.get("realized_mix") or {s: f["share"] for s, f in (figures.get("streams") or {}).items()}


def warnings(report: Mapping[str, Any]) -> list[str]:
    """Held-out answers that became worse, preferences not told from chance, length bias, what was cut or left out."""
    told = []
    for training in trainings(report, "sft"):
        step = training["name"]
        for _, name, found in streams(report, training, "held_out"):
            if (change := found["difference"])["low"] > 0:
                told.append(
                    f"Held-out {name} answers became worse in {step}: {fmt.signed(change['value'])} "
                    f"{fmt.signed_interval(change['low'], change['high'])} bits per byte."
                )
        for _, name, found in streams(report, training, "streams"):
            if found["shortened"]:
                told.append(
                    f"{fmt.count(found['shortened'])} of {fmt.count(found['conversations'])} {name} conversations "
                    f"lost their end in {step}: they are longer than a row of tokens."
                )
    for training in trainings(report, "dpo"):
        step, trained_on = training["name"], mix(training)
        for stream, name, found in streams(report, training, "held_out"):
            after = found["accuracy"]["after"]
            few = found["pairs"] < FEWEST_PAIRS
            if trained_on.get(stream) and (few or after["low"] <= CHANCE <= after["high"]):
                told.append(
                    f"The accuracy of {step} on held-out {name} preferences, {with_interval(after)}, is not told "
                    f"from chance by {fmt.count(found['pairs'])} {'pair' if found['pairs'] == 1 else 'pairs'}."
                )
            elif not few and after["high"] < CHANCE:
                told.append(f"{step} prefers the rejected {name} answers: accuracy {with_interval(after)}.")
            length = found.get("length") or {}
            if length.get("longer_preferred") and (bias := length_bias(found)):
                told.append(
                    f"{step} prefers {bias} answers: of {name} pairs the longer one in "
                    f"{with_interval(length['longer_preferred'])}, where it is the chosen one in "
                    f"{fmt.percent(length['chosen_longer'], 0)}."
                )
    for training in (*trainings(report, "sft"), *trainings(report, "dpo")):
        for _, name, found in streams(report, training, "streams"):
            if reasons := left_out(found):
                told.append(f"{name} records were left out of {training['name']}: {reasons}.")
    return told


def left_out(found: Mapping[str, Any]) -> str:
    """How many records a training could not use, by reason."""
    return ", ".join(f"{fmt.count(number)} × {why}" for why, number in (found.get("left_out") or {}).items())


def _left_out(found: Mapping[str, Any]) -> tuple[str, ...]:
    reasons = left_out(found)
    return (f"left out: {reasons}",) if reasons else ()


def _held_out(
    report: Mapping[str, Any], training: Mapping[str, Any], measure: str, title: str, about: str, **options: Any
) -> list[Chart]:
    points = [point for point in training.get("held_out_curve") or [] if measure in point]
    series = [
        Series(
            language(report, stream)["name"],
            "adapted" if stream == "target" else "between",
            [(point["tokens"], point[measure][stream], None, None) for point in points if stream in point[measure]],
        )
        for stream in STREAMS
    ]
    return _drawn(series, title, about, **options)


def _batches(training: Mapping[str, Any], measure: str, title: str, about: str, **options: Any) -> list[Chart]:
    points = [point for point in training.get("curve") or [] if finite(point.get(measure)) is not None]
    thinned, averaged = thin(points, measure, FEW_POINTS)
    if averaged > 1:
        about += f"; each point is the mean of {averaged} steps"
    line = Series("in training", "adapted", [(point["tokens"], point[measure], None, None) for point in thinned])
    return _drawn([line], title, about, **options)


def _drawn(series: Sequence[Series], title: str, about: str, **options: Any) -> list[Chart]:
    tokens = [point[0] for one in series for point in one.points]
    if not tokens:
        return []
    return [chart(title, about, series, **over_cost(tokens, fmt.amount), **options)]
