import math
import random

import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF
from sklearn.metrics import f1_score, matthews_corrcoef

from lingraft.evaluate import metrics
from lingraft.evaluate.metrics import METRICS

WRITTEN = ["Kot śpi na piecu.", "", "Idzie deszcz i wieje wiatr!", "a"]
REFERENCES = [
    ["Kot spał na piecu.", "Na piecu śpi kot."],
    ["Dom stoi."],
    ["Pada deszcz, wieje wiatr."],
    ["Ala ma kota"],
]


def total(name: str, counts: list[list[float]]) -> float:
    return float(METRICS[name].of_sums(np.array(counts).sum(axis=0, keepdims=True))[0])


def test_chrf_is_that_of_sacrebleu() -> None:
    counts = [metrics.chrf_counts(text, accepted) for text, accepted in zip(WRITTEN, REFERENCES, strict=True)]
    streams = [[r[0] for r in REFERENCES], [r[-1] for r in REFERENCES]]
    assert total("chrf", counts) == pytest.approx(CHRF(word_order=2).corpus_score(WRITTEN, streams).score, abs=1e-9)
    assert total("chrf", [metrics.chrf_counts("", ["nic"])]) == 0


def test_bleu_of_sums_is_that_of_sacrebleu() -> None:
    hypotheses = [" ".join(WRITTEN), "wieje wiatr i pada deszcz na dom"]
    references = ["Kot spał na piecu. Pada deszcz i wieje wiatr!", "wieje wiatr i pada grad na dom"]
    scorer = BLEU(tokenize="13a")
    counts = [
        [float(n) for n in scorer._extract_corpus_statistics([h], [[r]])[0]]
        for h, r in zip(hypotheses, references, strict=True)
    ]
    expected = scorer.corpus_score(hypotheses, [references]).score
    assert 0 < expected == pytest.approx(total("spbleu", counts), abs=1e-9)
    assert total("spbleu", [[0.0] * 10]) == 0


def test_the_scorer_of_spbleu_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """With words cut another way, as the model of FLORES-200 is not on every machine."""
    made = []
    scorer = BLEU(tokenize="13a")
    monkeypatch.setattr(metrics, "BLEU", lambda tokenize: made.append(tokenize) or scorer)
    metrics._spbleu.cache_clear()
    counts = [metrics.bleu_counts(text, ["wieje wiatr i pada grad"]) for text in WRITTEN]
    metrics._spbleu.cache_clear()
    assert made == ["flores200"]
    assert counts[0] == scorer._extract_corpus_statistics([WRITTEN[0]], [["wieje wiatr i pada grad"]])[0]


@pytest.mark.parametrize("num_classes", [2, 4])
def test_metrics_of_classes_are_those_of_scikit_learn(num_classes: int) -> None:
    draw = random.Random(num_classes)
    golds = [draw.randrange(num_classes) for _ in range(80)]
    predictions = [gold if draw.random() < 0.6 else draw.randrange(num_classes) for gold in golds]
    counts = [metrics.confusion(g, p, num_classes) for g, p in zip(golds, predictions, strict=True)]
    assert total("macro_f1", counts) == pytest.approx(f1_score(golds, predictions, average="macro"))
    assert total("weighted_f1", counts) == pytest.approx(f1_score(golds, predictions, average="weighted"))
    assert total("matthews", counts) == pytest.approx(matthews_corrcoef(golds, predictions))
    if num_classes == 2:
        assert total("positive_f1", counts) == pytest.approx(f1_score(golds, predictions))


def test_what_is_not_defined_for_one_class_is_nan() -> None:
    counts = [metrics.confusion(0, 0, 2)] * 5
    assert all(math.isnan(total(name, counts)) for name in ("macro_f1", "matthews", "positive_f1"))
    assert total("weighted_f1", counts) == 1


def test_spearman_is_that_of_ranks_with_ties() -> None:
    from scipy.stats import spearmanr

    draw = random.Random(3)
    golds = [float(draw.randrange(6)) for _ in range(50)]
    predictions = [gold + draw.gauss(0, 2) for gold in golds]
    counts = metrics.rank_counts(golds, predictions)
    assert total("spearman", counts) == pytest.approx(spearmanr(golds, predictions).statistic)
    assert math.isnan(total("spearman", metrics.rank_counts([1.0] * 4, predictions[:4])))


@pytest.mark.parametrize(
    ("text", "references", "f1", "exact"),
    [
        ("W  Warszawie!", ["w Warszawie"], 1, True),
        ("w stolicy Polski", ["stolicy"], 0.5, False),
        ("308", ["308 punktów", "308"], 1, True),
        ("", ["nic"], 0, False),
        ("東京都", ["東京"], 0.8, False),
        ("दिल्ली में।", ["दिल्ली में"], 1, True),
        ("---", ["..."], 1, True),
    ],
)
def test_words_of_an_answer(text: str, references: list[str], f1: float, exact: bool) -> None:
    assert metrics.word_f1(text, references) == pytest.approx(f1)
    assert metrics.is_exact(text, references) is exact


def test_every_metric_takes_many_resamples_at_once() -> None:
    widths = {"chrf": 24, "spbleu": 10, "macro_f1": 9, "weighted_f1": 9, "positive_f1": 9, "matthews": 9, "spearman": 6}
    assert len(METRICS) >= 12
    for name, metric in METRICS.items():
        sums_RD = np.random.default_rng(1).integers(1, 9, (5, widths.get(name, 2))).astype(float)
        together = metric.of_sums(sums_RD)
        one_by_one = [metric.of_sums(row[None])[0] for row in sums_RD]
        np.testing.assert_allclose(together, one_by_one, err_msg=name)
