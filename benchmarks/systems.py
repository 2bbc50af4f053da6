"""Runs the lab recipes of the five published systems and records what each took and what came out of it.

    python benchmarks/systems.py [NAME ...] --data FOLDER --store FOLDER [--runs FOLDER] [--only-recorded]

With --pictures also NAME.png, the beginning of the report in a browser: a whole one has two megabytes.
A stopped recipe goes on, a finished one costs nothing; one that has not ended is not recorded. Results:
benchmarks/results/systems/NAME.json; the pages are then made from them by python docs/systems_page.py.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from chromium import Chromium

HERE = Path(__file__).parent
FOLDER = HERE / "results" / "systems"
RECIPES = HERE.parent / "recipes" / "lab"
NAMES = ("sambalingo-hungarian", "beyond-english-turkish", "design-choices-hindi", "curie-polish", "chinese-mixtral")
LINGRAFT = [sys.executable, "-m", "lingraft"]

ALL: Any = ...
WITHIN = dict.fromkeys(("value", "low", "high"), ALL)
TRAINING = {
    **dict.fromkeys(("train", "trainable_share", "trainable_parameters", "parameters", "beta"), ALL),
    **dict.fromkeys(("steps", "tokens", "bytes", "epochs", "realized_mix", "flops", "seconds"), ALL),
    "energy": dict.fromkeys(("kwh", "kg_co2", "grid_g_per_kwh", "grid", "counted_by", "processor"), ALL),
}
ROW = {
    **dict.fromkeys(("task", "title", "language", "metric", "metric_title", "digits", "headline"), ALL),
    **dict.fromkeys(("lower_is_better", "model", "items", "shots", "value", "low", "high", "chance", "notes"), ALL),
    "against": dict.fromkeys(("difference", "low", "high", "p_holm", "verdict"), ALL),
}
TUNED = {"conversations": ALL, "pairs": ALL, "epochs": ALL}
SCORE = {"whole": WITHIN, "zero": {"by_layer": WITHIN, "num_differ": ALL}, "mask": {"by_layer": WITHIN}}
KEPT: dict[str, Any] = {
    "base": dict.fromkeys(("model_type", "parameters", "vocabulary", "layers", "hidden_size", "dtype"), ALL),
    "corpus": {"streams": {"*": {"train": ALL, "held_out": {"documents": ALL, "bytes": ALL}}}},
    "tokenizer": {
        **dict.fromkeys(("method", "old_size", "new_size", "new_tokens"), ALL),
        "proofs": {"unreachable": ALL, "new_tokens_unused": ALL},
        "fertility": {"*": {"*": dict.fromkeys(("bytes_per_token", "tokens_per_word", "tokens_per_document"), ALL)}},
    },
    "graft": {"strategy": ALL, "new_rows": ALL, "rows_random": ALL, "mean_pieces": ALL},
    "pretrain": TRAINING,
    "sft": TRAINING | {"streams": {"*": TUNED}, "held_out": {"*": {"*": WITHIN}}},
    "dpo": TRAINING | {"streams": {"*": TUNED}, "held_out": {"*": dict.fromkeys(("pairs", "accuracy", "margin"), ALL)}},
    "evaluate": {
        **dict.fromkeys(("models", "context_tokens", "coverage", "fertility", "missing"), ALL),
        "bits": ALL,
        "tasks": ROW,
        "writing": {"prompts": ALL, "rows": ROW, "reliability": ALL},
    },
    "judge": {
        **dict.fromkeys(("models", "asked_in", "prompts", "answered", "missing", "warnings"), ALL),
        "answers": {"rows": ROW, "reliability": ALL},
    },
    "analyze": {
        "models": ALL,
        "forgetting": {"skipped": ALL, "languages": ALL, "forgotten": ALL, "weights": {"whole": ALL}},
        "alignment": dict.fromkeys(("skipped", "pairs", "chance", "spelling", "models"), ALL),
        "quantization": dict.fromkeys(("skipped", "documents", "models", "measures", "rows"), ALL),
        "context": dict.fromkeys(("skipped", "most_tokens", "documents", "positions", "needles", "chance"), ALL),
        "experts": {
            **dict.fromkeys(("skipped", "documents", "bytes", "between_models"), ALL),
            "models": {"*": {"layers": ALL, "num_experts": ALL, "dead": ALL, "likeness": ALL, "scores": {"*": SCORE}}},
        },
        "efficiency": dict.fromkeys(("skipped", "costs_from", "trainings", "at_equal_cost"), ALL),
    },
    "export": {"gate": ALL},
}
"""Of the figures of each kind of step what is recorded: curves, examples and lists by item are not."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--runs", type=Path, help="where lab/english-mixtral was run; the store's own runs by default")
    parser.add_argument("--beside", default="", help="what else the machine did meanwhile, in words")
    parser.add_argument("--pictures", action="store_true", help="draw the report's beginning, by an installed Chromium")
    parser.add_argument("--only-recorded", action="store_true", help="write what the store has, run nothing")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"there is no lab recipe {', '.join(sorted(unknown))} of a system; there are {', '.join(NAMES)}")
    store = arguments.store.resolve()
    os.environ["LINGRAFT_DATA"] = str(arguments.data.resolve())
    os.environ["LINGRAFT_RUNS"] = str((arguments.runs or store / "runs").resolve())
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or NAMES:
        if not arguments.only_recorded:
            subprocess.run([*LINGRAFT, "run", str(RECIPES / f"{name}.yaml"), "--store", str(store)], check=False)
        show = [*LINGRAFT, "show", name, "--json", "--store", str(store)]
        shown = subprocess.run(show, capture_output=True, check=False)
        steps = json.loads(shown.stdout)["steps"] if shown.returncode == 0 else {}
        lacking = [step for step, manifest in steps.items() if manifest is None]
        if not steps or lacking:
            print(f"{name}: not recorded, {f'{lacking[0]} is not finished' if lacking else 'never begun'}")
            continue
        events = (store / "runs" / name / "events.jsonl").read_text(encoding="utf-8").splitlines()
        recorded = record(name, steps, [json.loads(event) for event in events], arguments.beside)
        written = json.dumps(recorded, indent=1, ensure_ascii=False) + "\n"
        if path := re.search(r'"(/[^"/]+/[^"]*)"', written):
            raise SystemExit(f"{name}: a path of this machine stands in the figures: {path[1]}")
        (FOLDER / f"{name}.json").write_text(written, encoding="utf-8")
        if arguments.pictures:
            picture(store / "runs" / name / "report" / "report.html", FOLDER / f"{name}.png")
        print(f"{name}: {recorded['seconds']:,.0f} s")


def picture(page: Path, png: Path) -> None:
    """The first screens of a page."""
    with (
        tempfile.TemporaryDirectory() as profile,
        closing(Chromium(Path(profile))) as browser,
        browser.tab(width=1280, height=2400) as tab,
    ):
        tab.open(page.resolve().as_uri())
        tab.wait("document.readyState === 'complete' && document.querySelector('.plotly .main-svg')")
        tab.screenshot(png)


def record(
    name: str, steps: Mapping[str, Mapping[str, Any]], events: list[dict[str, Any]], beside: str
) -> dict[str, Any]:
    """What each step took, and the figures that are kept of it."""
    last = max(steps.values(), key=lambda manifest: manifest["finished"])
    settings = steps["evaluate"]["settings"]
    stopped = {step: before_stops(step, manifest["fingerprint"], events) for step, manifest in steps.items()}
    return {
        "recipe": f"lab/{name}",
        **{key: settings[key] for key in ("language", "replay", "seed")},
        "finished": last["finished"],
        "machine": last["machine"],
        "versions": last["versions"],
        "precision": steps["pretrain"]["figures"]["precision"],
        "beside": beside,
        "seconds": sum(manifest["seconds"] + sum(stopped[step]) for step, manifest in steps.items()),
        "peak_memory_bytes": max(manifest["peak_memory_bytes"] for manifest in steps.values()),
        "took": [
            {
                "step": step,
                "kind": manifest["kind"],
                "seconds": round(manifest["seconds"] + sum(stopped[step]), 3),
                "cpu_seconds": manifest.get("cpu_seconds"),
                "stops": len(stopped[step]),
                "peak_memory_bytes": manifest["peak_memory_bytes"],
            }
            for step, manifest in steps.items()
        ],
        "steps": {
            step: rows_kept(pick(manifest["figures"], KEPT[manifest["kind"]]))
            for step, manifest in steps.items()
            if manifest["kind"] in KEPT
        },
    }


def before_stops(step: str, fingerprint: str, events: list[dict[str, Any]]) -> list[float]:
    """Seconds of each attempt at an artifact that was stopped or killed, until the last thing that it said.

    A manifest counts the attempt that came to the end alone.
    """
    found: list[float] = []
    begun = last = None
    for event in [*events, {"event": "run"}]:
        ours = event.get("step") == step
        if begun and (event["event"] == "run" or (ours and event["event"] == "start")):
            found.append((last - begun).total_seconds())
            begun = None
        if ours and event["event"] == "start" and event["fingerprint"] == fingerprint:
            begun = last = datetime.fromisoformat(event["time"])
        elif ours and begun:
            last = datetime.fromisoformat(event["time"])
            begun = None if event["event"] == "done" else begun
    return found


def pick(value: Any, wanted: Any) -> Any:
    """The wanted keys of mappings, of every entry of lists; `*` stands for every key that is there."""
    if isinstance(value, list) and wanted is not ALL:
        return [pick(entry, wanted) for entry in value]
    if wanted is ALL or not isinstance(value, Mapping):
        return value
    every = dict.fromkeys(value, wanted["*"]) if "*" in wanted else {}
    return {key: pick(value[key], inner) for key, inner in {**every, **wanted}.items() if key in value}


def rows_kept(figures: dict[str, Any]) -> dict[str, Any]:
    """Bits per byte of whole streams, and of tasks the score that counts."""
    if "bits" in figures:
        figures["bits"] = [row for row in figures["bits"] if row["source"] == "all"]
    if "tasks" in figures:
        figures["tasks"] = [row for row in figures["tasks"] if row["headline"]]
    return figures


if __name__ == "__main__":
    main()
