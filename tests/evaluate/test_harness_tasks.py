"""Suites that lm-evaluation-harness has in the same words: its own task and ours, on the same rows, item by item."""

from pathlib import Path
from typing import Any

import datasets
import lm_eval.tasks
import pytest
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks._yaml_loader import load_yaml
from made_suites import MADE, Made, Part, save

from lingraft.core.registry import resolve
from lingraft.corpus.language import find
from lingraft.evaluate import harness
from lingraft.evaluate.evaluate import load
from lingraft.evaluate.suites import SUITES
from lingraft.evaluate.suites.source import Source
from lingraft.evaluate.suites.words import WRITTEN

TASKS = Path(lm_eval.tasks.__file__).parent
TURKISH = [
    ("Kız kapıyı açtı.", "Kedi içeri girdi.", "Bardak boştu.", "effect", 0),
    ("Adam güldü.", "Film bitti.", "Şaka komikti.", "cause", 1),
    ("Yol kapandı.", "Kar yağdı.", "Otobüs gelmedi.", "effect", 1),
]
COLUMNS = ("premise", "choice1", "choice2", "question", "label")
XCOPA = [{"idx": n, **dict(zip(COLUMNS, row, strict=True))} for n, row in enumerate(TURKISH)]


def made(name: str) -> Made:
    if name != "xcopa":
        return MADE[name]
    first, second = MADE["xcopa"].parts
    # The harness would write the capital I of Turkish with the small letter of English.
    return Made("tr", [Part("tur.test", first.hub, "tr", "test", XCOPA, None), second])


@pytest.mark.parametrize(
    ("name", "file", "split", "metric"),
    [
        ("lambada", "lambada/lambada_openai.yaml", "test", "accuracy"),
        ("xwinograd", "xwinograd/xwinograd_en.yaml", "test", "accuracy"),
        ("xstorycloze", "xstorycloze/default_en.yaml", "validation", "accuracy_sum"),
        ("xcopa", "xcopa/default_tr.yaml", "test", "accuracy_sum"),
    ],
)
def test_our_task_is_that_of_the_harness(
    name: str, file: str, split: str, metric: str, tiny_base: Path, tmp_path: Path
) -> None:
    language = made(name).language
    source = Source(find(language), save(made(name), tmp_path))
    (task,) = resolve(SUITES, name, "suite")(source, WRITTEN[language])
    loaded = load(tiny_base)
    ours = harness.answer(loaded, task.reduced(None, 0), context_tokens=128)

    rows = datasets.Dataset.from_list(made(name).parts[0].rows)
    own: dict[str, Any] = load_yaml(TASKS / file)
    config = {**own, "custom_dataset": lambda **_: {own[f"{split}_split"]: rows}, "num_fewshot": 0}
    del config["dataset_path"]
    config |= {f"{other}_split": None for other in ("training", "validation", "test") if other != split}
    asked = harness.Asked(loaded, context_tokens=128)
    theirs = harness.run(asked, {name: ConfigurableTask(config=config)})[name]
    theirs.sort(key=lambda sample: sample["doc_id"])

    assert len(ours) == len(theirs) == len(rows)
    for our, their in zip(ours, theirs, strict=True):
        assert our.logprobs == pytest.approx([response[0][0] for response in their["resps"]], abs=1e-6)
        assert our.counts[metric][0] == their["acc"]
