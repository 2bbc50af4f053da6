"""Tables of what a lab run of a published system has recorded; docs/systems_page.py puts them into its page."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lingraft.corpus import find
from lingraft.report import format as fmt
from lingraft.report.study.tables import Table

TRAININGS = ("pretrain", "sft", "dpo")

Record = Mapping[str, Any]


def tables(found: Record) -> Iterator[Table]:
    """Every part that the run has figures of."""
    steps, analyzed = found["steps"], found["steps"].get("analyze", {})
    yield bits(found)
    yield trainings(found)
    if tuned := [name for name, step in kinds(found, ("sft", "dpo")) if step.get("held_out")]:
        yield held_out(steps, tuned)
    if steps["evaluate"].get("tasks"):
        yield tasks(steps["evaluate"], found["language"])
    written = {"written on from held-out text": steps["evaluate"].get("writing"), "answers": answers(steps)}
    if any(written.values()):
        yield language(written)
    for name, make in (("quantization", quantization), ("experts", experts), ("context", context)):
        if "skipped" not in analyzed.get(name, {"skipped": ""}):
            yield make(analyzed[name], found)
    if "skipped" not in analyzed.get("alignment", {"skipped": ""}):
        yield alignment(analyzed["alignment"])


def kinds(found: Record, wanted: Sequence[str]) -> list[tuple[str, Mapping[str, Any]]]:
    """The steps of these kinds."""
    return [(took["step"], found["steps"][took["step"]]) for took in found["took"] if took["kind"] in wanted]


def answers(steps: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return steps["judge"]["answers"] if "judge" in steps else None


def stream_name(found: Record, stream: str) -> str:
    """Hungarian"""
    return find(found["language" if stream == "target" else "replay"]).name


def bits(found: Record) -> Table:
    rows = found["steps"]["evaluate"]["bits"]
    streams = list(dict.fromkeys(row["stream"] for row in rows))
    columns = ["model", *(part for s in streams for part in (stream_name(found, s), "against the base"))]
    told = []
    for model in dict.fromkeys(row["model"] for row in rows):
        cells = [model]
        for row in (row for row in rows if row["model"] == model):
            against = row["against_base"]
            cells.append(f"{fmt.decimal(row['bits_per_byte'])} {fmt.interval(row['low'], row['high'])}")
            cells.append(
                f"{fmt.signed(against['difference'])} {fmt.signed_interval(against['low'], against['high'])}"
                if against
                else fmt.MISSING
            )
        told.append(cells)
    return Table("Bits per byte of held-out text", columns, told)


def trainings(found: Record) -> Table:
    took = {one["step"]: one for one in found["took"]}
    columns = ("training", "trains", "of the weights", "text", "tokens", "FLOPs", "step", "memory", "energy", "carbon")
    rows, grids = [], {}
    for name, step in kinds(found, TRAININGS):
        energy = step["energy"] or {}
        done = [
            step["train"],
            fmt.percent(step["trainable_share"]),
            fmt.size(step["bytes"]),
            fmt.amount(step["tokens"]),
        ]
        cost = [fmt.duration(took[name]["seconds"]), fmt.size(took[name]["peak_memory_bytes"])]
        cost += [fmt.energy(energy.get("kwh")), fmt.mass(energy.get("kg_co2"))]
        rows.append([name, *done, fmt.scientific(step["flops"]), *cost])
        if energy:
            counted = f"{energy['counted_by']}, the processor {energy['processor']}"
            grids[f"{energy['grid']}, {energy['grid_g_per_kwh']:.0f} g of CO2 a kWh; {counted}"] = None
    notes = [f"Energy and carbon by {'; '.join(grids)}."] if grids else []
    return Table("Trainings", columns, rows, notes)


def held_out(steps: Mapping[str, Any], names: Sequence[str]) -> Table:
    rows = []
    for name in names:
        for stream, part in steps[name]["held_out"].items():
            measured, unit, items = (
                (part["accuracy"], "share of pairs told apart", part["pairs"])
                if "accuracy" in part
                else (part, "bits per byte of answers", part["conversations"])
            )
            cells = [f"{fmt.decimal(measured[w]['value'])} {_within(measured[w])}" for w in ("before", "after")]
            rows.append([f"{name}, {stream}", unit, fmt.count(items), *cells])
    return Table("Held-out answers and pairs", ("training, stream", "measured", "of", "before", "after"), rows)


def _within(one: Mapping[str, float], digits: int = 3) -> str:
    return fmt.interval(one["low"], one["high"], digits)


def tasks(evaluated: Mapping[str, Any], target: str) -> Table:
    rows = evaluated["tasks"]
    columns = ["task", "items", "shots", "chance", *evaluated["models"]]
    told = []
    for task in dict.fromkeys((row["task"], row["metric"]) for row in rows):
        of_task = {row["model"]: row for row in rows if (row["task"], row["metric"]) == task}
        first = next(iter(of_task.values()))
        chance = fmt.decimal(first["chance"], first["digits"])
        elsewhere = "" if first["language"] == target else f", {find(first['language']).name}"
        method = task[0].partition("@")[2]
        tuned = f", a head trained ({method})" if method else ""
        asked = f"{first['title']}{elsewhere}{tuned}: {first['metric_title']}"
        cells = [asked, fmt.count(first["items"]), str(first["shots"]), chance]
        for model in evaluated["models"]:
            row = of_task.get(model)
            against = (row or {}).get("against") or {}
            mark = f", {against['verdict']}" if against.get("verdict") in ("better", "worse") else ""
            cells.append(
                f"{fmt.decimal(row['value'], row['digits'])} {_within(row, row['digits'])}{mark}" if row else ""
            )
        told.append(cells)
    notes = ["Better and worse: than the first model, paired over items, corrected for the number of tests (Holm)."]
    notes += [f"Left out: {one['suite']}: {one['why']}" for one in evaluated.get("missing", [])]
    return Table("Tasks", columns, told, notes)


def language(written: Mapping[str, Mapping[str, Any] | None]) -> Table:
    metrics = ("outputs_in_target", "in_target", "switched", "foreign_words", "loops")
    found = [row for part in written.values() if part for row in part["rows"] if row["metric"] in metrics]
    titles = {row["metric"]: row["metric_title"] for row in found}
    shown = [metric for metric in metrics if metric in titles]
    rows = []
    for what, part in written.items():
        models = dict.fromkeys(row["model"] for row in part["rows"]) if part else ()
        for model in models:
            of_model = {row["metric"]: row for row in part["rows"] if row["model"] == model}
            cells = [
                f"{fmt.decimal(of_model[m]['value'], 2)} {_within(of_model[m], 2)}" if m in of_model else fmt.MISSING
                for m in shown
            ]
            rows.append([f"{model}, {what}", *cells])
    doubted = any(part and not part["reliability"]["enough"] for part in written.values())
    notes = ["The texts are too small to rely on the figures of language."] if doubted else []
    return Table("Language of what is written", ("model", *(titles[metric] for metric in shown)), rows, notes)


def quantization(part: Mapping[str, Any], found: Record) -> Table:
    wanted = [m for m in ("target", "replay") if m in part["measures"]]
    changes = {(row["model"], row["precision"], row["measure"]): row.get("change") for row in part["rows"]}
    rows = []
    for model, precisions in part["models"].items():
        for precision, weights in precisions.items():
            told = [changes.get((model, precision, m)) for m in wanted]
            cells = [f"{fmt.signed(c['value'], 4)} {fmt.signed_interval(c['low'], c['high'], 4)}" for c in told if c]
            if cells:
                rows.append([f"{model}, {precision} bits", fmt.decimal(weights["bits_per_weight"], 1), *cells])
    columns = ("model", "bits a weight", *(f"{stream_name(found, m)}, bits per byte more" for m in wanted))
    notes = ["Embeddings and LM head, a large part of a small model, stay in 16 bits, as does what has one axis."]
    return Table("Fewer bits a weight", columns, rows, notes)


def experts(part: Mapping[str, Any], found: Record) -> Table:
    rows = []
    for model, one in part["models"].items():
        for stream, scores in one["scores"].items():
            for mode in ("zero", "mask"):
                cells = [f"{fmt.signed(layer['value'])} {_within(layer)}" for layer in scores[mode]["by_layer"]]
                name = stream_name(found, stream) if stream in ("target", "replay") else stream
                rows.append([f"{model}, {name}, {mode}", *cells])
    layers = next(iter(part["models"].values()))["layers"]
    notes = ["zero: its output is left out; mask: the next expert is chosen in its place."]
    title = "Bits per byte more without one expert, mean of the layer"
    return Table(title, ("", *(f"layer {layer}" for layer in layers)), rows, notes)


def context(part: Mapping[str, Any], found: Record) -> Table:
    models = list(dict.fromkeys(model for row in part["positions"] for model in row["models"]))
    rows = [
        [f"{stream_name(found, row['stream'])}, {fmt.count(row['from_byte'])} to {fmt.count(row['to_byte'])}"]
        + [fmt.count(row["documents"])]
        + [_bits_at(row["models"][model]) for model in models]
        for row in part["positions"]
        if row["models"]
    ]
    return Table("Bits per byte by position in the text", ("bytes before", "documents", *models), rows)


def _bits_at(figure: Mapping[str, Any]) -> str:
    return f"{fmt.decimal(figure['bits_per_byte']['value'])} {_within(figure['bits_per_byte'])}"


def alignment(part: Mapping[str, Any]) -> Table:
    rows = [
        [one["model"], f"{fmt.decimal(one['accuracy']['value'])} {_within(one['accuracy'])}"] for one in part["models"]
    ]
    rows.append(["by spelling alone", f"{fmt.decimal(part['spelling']['value'])} {_within(part['spelling'])}"])
    rows.append(["chance", fmt.decimal(part["chance"])])
    return Table("Sentences found in the other language", ("", f"share of {fmt.count(part['pairs'])} pairs"), rows)
