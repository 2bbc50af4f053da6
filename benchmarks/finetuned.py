"""KLEJ's CDSC-E and CDSC-R: two models fine-tuned on the same items, whole and with LoRA, over several seeds.

    python benchmarks/finetuned.py --data FOLDER --against FOLDER --work FOLDER [--only cdsc_e cdsc_r]
        [--base FOLDER] [--methods full lora] [--seeds 1 2 3] [--train 1000] [--dev 200]

`--data` holds the files of the corpus (CDS_train.txt.gz, CDS_trial.txt, CDS_test_annotated.txt) or KLEJ's own folders;
`--against` is an adapted model. Training is on a part of the items, drawn once, so that it takes minutes on one core:
figures compare the two models, not either with published ones. What is finished is kept in `--work`. The rates were set
before any test item was answered, for models of a few million weights. Results: benchmarks/results/finetuned.json.
"""

import argparse
from pathlib import Path
from typing import Any

from initialization import interval
from record import record

import lingraft
from lingraft.evaluate import compare, statistics
from lingraft.evaluate.labeled.data import read
from lingraft.evaluate.labeled.finetune import Finetuning, measure
from lingraft.evaluate.labeled.suites import asked
from lingraft.evaluate.labeled.tasks import TASKS

STARTER = Path(lingraft.__file__).parent / "starter" / "english-novels-7m"
SETTINGS = {
    "full": Finetuning(method="full", lr=5e-4, epochs=3),
    "lora": Finetuning(method="lora", lr=2e-3, epochs=3),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--against", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--base", type=Path, default=STARTER)
    parser.add_argument("--only", nargs="+", choices=["cdsc_e", "cdsc_r"], default=["cdsc_r", "cdsc_e"])
    parser.add_argument("--methods", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--train", type=int, default=1000)
    parser.add_argument("--dev", type=int, default=200)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    for name in arguments.only:
        record("finetuned", name, measured(arguments, name))


def measured(arguments: argparse.Namespace, name: str) -> dict[str, Any]:
    """A row for every method and model; items are resampled with all their seeds."""
    task = TASKS[name]
    whole = read(task, arguments.data)
    data = whole.at_most(train=arguments.train, dev=arguments.dev)
    models = {"base": arguments.base, "adapted": arguments.against}
    tasks, answers, runs = [], {}, []
    for method in arguments.methods:
        results = measure(models, task, data, arguments.work, [SETTINGS[method]], seeds=arguments.seeds)
        made, by_model = asked(task, data, results, suite="klej")
        tasks.append(made)
        answers[made.name] = by_model
        runs += [
            {key: value for key, value in result.items() if key not in ("items", "golds", "answers")}
            for result in results
        ]
        for result in results:
            print(name, method, result["model"], result["seed"], result["score"], flush=True)
    return {
        "task": task.title,
        "source": task.source,
        "metric": task.metric,
        "items_of_the_task": whole.figures(),
        "items_used": data.figures(),
        "coverage": statistics.COVERAGE,
        "table": compare.table(tasks, answers, base="base", seed=0),
        "scores_over_seeds": {
            f"{method}, {model}": interval(
                [run["score"] for run in runs if (run["method"], run["model"]) == (method, model)]
            )
            for method in arguments.methods
            for model in models
        },
        "runs": runs,
        "settings": {method: vars(SETTINGS[method]) for method in arguments.methods},
    }


if __name__ == "__main__":
    main()
