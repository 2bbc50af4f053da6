"""Our scorer beneath lm-evaluation-harness, against the harness's own, and tests of a model against itself.

    python benchmarks/harness.py --data FOLDER --adapted FOLDER [--only agreement speed null]

FOLDER of --data holds bench/xcopa, bench/xquad and bench/exams as in docs/suites.md; --adapted is a model with an
extended tokenizer. Every part is written to benchmarks/results/harness.json as soon as it is there.
"""

import argparse
import gzip
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lm_eval
import torch
from lm_eval.models.huggingface import HFLM
from record import record

from lingraft.corpus.language import find
from lingraft.evaluate import compare, evaluate, harness
from lingraft.evaluate.generate import Loaded
from lingraft.evaluate.harness import Asked
from lingraft.evaluate.suites.loading import load
from lingraft.evaluate.task import Answer, Task
from lingraft.evaluate.wanted import Wanted

BASE = Path(__file__).parents[1] / "src" / "lingraft" / "starter" / "english-novels-7m"
CONTEXT_TOKENS = 1024
BATCHES = (1, 8, 32)
ROUNDS = 3
ITEMS = 100
RESAMPLES = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--adapted", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=sorted(PARTS), default=list(PARTS))
    arguments = parser.parse_args()
    for part in arguments.only:
        record("harness", part, PARTS[part](arguments.data, arguments.adapted))


def agreement(data: Path, adapted: Path) -> dict[str, Any]:
    """Likelihoods, greedy flags and written texts on tasks that the harness defines, in float64."""
    found: dict[str, Any] = {}
    for name, path in (("base", BASE), ("adapted", adapted)):
        loaded = evaluate.load(path)
        loaded = Loaded(loaded.model.double(), loaded.tokenizer)
        theirs = HFLM(
            pretrained=loaded.model,
            tokenizer=loaded.tokenizer,
            add_bos_token=True,
            batch_size=8,
            max_length=CONTEXT_TOKENS,
            softmax_dtype="float64",
        )
        with tempfile.TemporaryDirectory() as folder:
            for task, defined in _their_tasks(data, Path(folder)).items():
                ours = _samples(Asked(loaded, context_tokens=CONTEXT_TOKENS), defined)
                other = _samples(theirs, defined)
                found[f"{name}, {task}"] = _agreement(ours, other, theirs)
    return found


def speed(data: Path, adapted: Path) -> dict[str, Any]:
    """CPU and wall time for the same suites on one core; the harness in the quickest of its batch sizes."""
    torch.set_num_threads(1)
    loaded = evaluate.load(BASE)
    suites = {
        "xcopa": Wanted("xcopa", data / "bench" / "xcopa", items=ITEMS, shots=4),
        "exams": Wanted("exams", data / "bench" / "exams", items=ITEMS, shots=2),
    }
    found = {}
    for name, wanted in suites.items():
        tasks = load(wanted, find("tr"))
        asked = {"lingraft": Asked(loaded, context_tokens=CONTEXT_TOKENS)} | {
            f"harness, batch {size}": HFLM(
                pretrained=loaded.model,
                tokenizer=loaded.tokenizer,
                add_bos_token=True,
                batch_size=size,
                max_length=CONTEXT_TOKENS,
            )
            for size in BATCHES
        }
        times: dict[str, list[tuple[float, float]]] = {way: [] for way in asked}
        for _ in range(ROUNDS):
            for way, model in asked.items():
                times[way].append(_timed(lambda model=model, tasks=tasks: [_run(model, task) for task in tasks]))
        medians = {
            way: [statistics.median(column) for column in zip(*runs, strict=True)] for way, runs in times.items()
        }
        quickest = min((way for way in asked if way != "lingraft"), key=lambda way: medians[way][0])
        found[name] = {
            "items": ITEMS,
            "cpu_and_wall_seconds": medians,
            "quickest_of_the_harness": quickest,
            "cpu_ratio": medians[quickest][0] / medians["lingraft"][0],
            "wall_ratio": medians[quickest][1] / medians["lingraft"][1],
        }
    return found


def null(data: Path, adapted: Path) -> dict[str, Any]:
    """How often no difference is called one: answers of two models that trade places by chance, 200 resamples.

    Every resample is a table of tasks as the report has it; uncorrected p values are counted beside the corrected.
    """
    models = {"base": evaluate.load(BASE), "adapted": evaluate.load(adapted)}
    tasks = load(Wanted("xcopa", data / "bench" / "xcopa"), find("tr"))
    tasks += [task.reduced(40, None) for task in load(Wanted("starter"), find("pl"))]
    given = {
        task.name: {name: harness.answer(loaded, task, context_tokens=512) for name, loaded in models.items()}
        for task in tasks
    }
    draw = random.Random(5)
    comparisons, called, uncorrected, tables = 0, 0, 0, 0
    per_metric: dict[str, list[bool]] = {}
    for resample in range(RESAMPLES):
        swapped = {task.name: _traded(given[task.name], draw) for task in tasks}
        rows = [
            row
            for row in compare.table(tasks, swapped, base="one", seed=resample)
            if row["against"] and row["against"]["p"]
        ]
        comparisons += len(rows)
        called += sum(row["against"]["verdict"] != "no difference" for row in rows)
        uncorrected += sum(row["against"]["p"] < compare.LEVEL for row in rows)
        tables += any(row["against"]["verdict"] != "no difference" for row in rows)
        for row in rows:
            per_metric.setdefault(row["metric"], []).append(row["against"]["p"] < compare.LEVEL)
    itself = {task.name: {"one": given[task.name]["base"], "two": given[task.name]["base"]} for task in tasks}
    same = [row for row in compare.table(tasks, itself, base="one", seed=1) if row["against"] and row["against"]["p"]]
    return {
        "tasks": {task.name: len(task.items) for task in tasks},
        "resamples": RESAMPLES,
        "comparisons": comparisons,
        "share_called_different": called / comparisons,
        "share_called_different_without_correction": uncorrected / comparisons,
        "share_of_tables_with_any": tables / RESAMPLES,
        "without_correction_by_metric": {name: sum(found) / len(found) for name, found in per_metric.items()},
        "a_model_against_its_own_answers": sum(row["against"]["verdict"] != "no difference" for row in same),
    }


PARTS: dict[str, Callable[[Path, Path], dict[str, Any]]] = {"agreement": agreement, "speed": speed, "null": null}


def _their_tasks(data: Path, folder: Path) -> dict[str, Callable[[], Any]]:
    """Tasks of the harness, reading local files in place of the hub."""
    lambada = _lines(data / "bench" / "lambada" / "eng.jsonl.gz")
    passages = _lines(data / "bench" / "xquad" / "tur.jsonl.gz")
    xquad = [
        {"context": passage["context"], "question": asked["question"], "answer": asked["answers"][0]}
        for passage in passages
        for asked in passage["qas"]
    ]
    for name, rows in (("lambada", lambada), ("xquad", xquad)):
        text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows[:ITEMS])
        (folder / f"{name}.jsonl").write_text(f"{text}\n", encoding="utf-8")
    xcopa = {split: str(data / "bench" / "xcopa" / f"tur.{file}.jsonl") for split, file in SPLITS.items()}
    theirs = Path(lm_eval.__file__).parent / "tasks"
    definitions = {
        "xcopa_tr": {"include": str(theirs / "xcopa/default_tr.yaml"), "dataset_kwargs": {"data_files": xcopa}},
        "lambada_openai": {
            "include": str(theirs / "lambada/lambada_openai.yaml"),
            "dataset_kwargs": {"data_files": {"test": str(folder / "lambada.jsonl")}},
        },
        # The harness's own XQuAD imports what transformers 5 no longer has; its prompt and stop are these.
        "xquad_tr": {
            "task": "xquad_tr",
            "dataset_kwargs": {"data_files": {"test": str(folder / "xquad.jsonl")}},
            "test_split": "test",
            "output_type": "generate_until",
            "doc_to_text": "Bağlam: {{context}}\n\nSoru: {{question}}\n\nCevap:",
            "doc_to_target": "{{answer}}",
            "generation_kwargs": {"until": ["\n"], "do_sample": False, "max_gen_toks": 32},
            "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        },
    }
    made = {}
    for name, definition in definitions.items():
        file = folder / f"{name}.yaml"
        local = {"dataset_path": "json", "dataset_name": None}
        file.write_text(json.dumps(definition | local), encoding="utf-8")  # JSON is YAML
        made[name] = lambda file=file: harness.defined(str(file), own_file=True)
    return made


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]


SPLITS = {"test": "test", "validation": "val"}


def _agreement(ours: list[dict[str, Any]], theirs: list[dict[str, Any]], lm: HFLM) -> dict[str, Any]:
    written = isinstance(ours[0]["filtered_resps"][0], str)
    if written:
        same = [a["filtered_resps"] == b["filtered_resps"] for a, b in zip(ours, theirs, strict=True)]
        return {"items": len(ours), "texts_that_are_the_same": sum(same)}
    gaps, flags, unlike = [], [], 0
    for mine, other in zip(ours, theirs, strict=True):
        for argument, (logprob, greedy), (expected, is_greedy) in zip(
            mine["arguments"], mine["filtered_resps"], other["filtered_resps"], strict=True
        ):
            if not _can_score(lm, *argument):
                unlike += 1
                continue
            gaps.append(abs(logprob - expected))
            flags.append(greedy == is_greedy)
    metrics = {name: [sum(sample[name] for sample in side) for side in (ours, theirs)] for name in ours[0]["metrics"]}
    return {
        "items": len(ours),
        "answers": len(gaps),
        "answers_it_cannot_score": unlike,
        "largest_difference_in_nats": max(gaps),
        "greedy_flags_that_are_the_same": sum(flags),
        "sums_of_its_metrics": metrics,
    }


def _can_score(lm: HFLM, context: str, answer: str) -> bool:
    """Whether the tokens of the context begin those of the whole; else the harness scores other tokens than meant."""
    spaces = len(context) - len(context.rstrip())
    kept = context[: len(context) - spaces]
    whole, before = lm.tok_encode(context + answer), lm.tok_encode(kept)
    return whole[: len(before)] == before


def _samples(model: Any, defined: Callable[[], Any]) -> list[dict[str, Any]]:
    (samples,) = harness.run(model, {"task": defined()}).values()
    return sorted(samples, key=lambda sample: sample["doc_id"])


def _run(model: Any, task: Task) -> None:
    harness.run(model, {task.name: harness.configured(task)})


def _timed(work: Callable[[], Any]) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def _traded(given: dict[str, list[Answer]], draw: random.Random) -> dict[str, list[Answer]]:
    sides: dict[str, list[Answer]] = {"one": [], "two": []}
    for pair in zip(given["base"], given["adapted"], strict=True):
        first = draw.random() < 0.5
        sides["one"].append(pair[not first])
        sides["two"].append(pair[first])
    return sides


if __name__ == "__main__":
    main()
