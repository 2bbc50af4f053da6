"""What is made of answers: every metric is a function of sums of what was counted in each item.

So one paired bootstrap and one permutation test serve them all. R resamples, N items, D counts of an item, K classes.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.utils import SACREBLEU_DIR

SPBLEU_MODEL = Path(SACREBLEU_DIR) / "models" / "flores200sacrebleuspm"
"""Where sacrebleu keeps the SentencePiece model of FLORES-200 once it has fetched it."""


@dataclass(frozen=True)
class Metric:
    """A figure of a whole task."""

    title: str
    of_sums: Callable[[np.ndarray], np.ndarray]
    """From sums over items (R, D) to values (R,); nan where it is not defined."""
    digits: int = 3
    lower_is_better: bool = False
    is_share: bool = False
    """Whether each item is right or wrong, so that exact tests of counts apply."""


def ratio(sums_RD: np.ndarray) -> np.ndarray:
    """The first count over the second."""
    return _divided(sums_RD[:, 0], sums_RD[:, 1])


def chrf_of(sums_RD: np.ndarray) -> np.ndarray:
    """chrF from the counts of `chrf_counts`: F2 of mean precision and recall over n-gram orders (Popović 2017)."""
    hypothesis_RO, reference_RO, match_RO = (sums_RD[:, start::3] for start in range(3))
    counted_RO = (hypothesis_RO > 0) & (reference_RO > 0)
    orders_R = counted_RO.sum(axis=1)
    precision_R = _divided(np.where(counted_RO, _divided(match_RO, hypothesis_RO), 0).sum(axis=1), orders_R)
    recall_R = _divided(np.where(counted_RO, _divided(match_RO, reference_RO), 0).sum(axis=1), orders_R)
    score_R = _divided(500 * precision_R * recall_R, 4 * precision_R + recall_R)
    return np.nan_to_num(score_R, nan=0.0)


def bleu_of(sums_RD: np.ndarray) -> np.ndarray:
    """BLEU from the counts of `bleu_counts`: lengths of both sides, matches and totals of four orders."""
    scorer = BLEU.compute_bleu
    return np.array(
        [scorer(list(row[2:6]), list(row[6:10]), int(row[0]), int(row[1])).score if row[0] else 0.0 for row in sums_RD]
    )


def macro_f1_of(sums_RD: np.ndarray) -> np.ndarray:
    """The mean over classes of F1, from a confusion matrix with golds as rows; classes that never occur are left out.

    nan where only one class occurs among golds and predictions.
    """
    confusion_RKK = _square(sums_RD)
    f1_RK = _f1(confusion_RKK)
    value_R = np.nanmean(np.where(np.isnan(f1_RK).all(axis=1, keepdims=True), 0.0, f1_RK), axis=1)
    return np.where((~np.isnan(f1_RK)).sum(axis=1) > 1, value_R, np.nan)


def weighted_f1_of(sums_RD: np.ndarray) -> np.ndarray:
    """The mean of F1 weighted by how often a class is the gold one, from a confusion matrix."""
    confusion_RKK = _square(sums_RD)
    support_RK = confusion_RKK.sum(axis=2)
    return _divided((np.nan_to_num(_f1(confusion_RKK)) * support_RK).sum(axis=1), support_RK.sum(axis=1))


def positive_f1_of(sums_RD: np.ndarray) -> np.ndarray:
    """F1 of the last of the classes; nan where it is neither gold nor predicted anywhere."""
    return _f1(_square(sums_RD))[:, -1]


def matthews_of(sums_RD: np.ndarray) -> np.ndarray:
    """Matthews correlation for any number of classes (Gorodkin 2004, equation 8); nan where a side has one class."""
    confusion_RKK = _square(sums_RD)
    total_R = confusion_RKK.sum(axis=(1, 2))
    right_R = np.trace(confusion_RKK, axis1=1, axis2=2)
    gold_RK, predicted_RK = confusion_RKK.sum(axis=2), confusion_RKK.sum(axis=1)
    covariance_R = right_R * total_R - (gold_RK * predicted_RK).sum(axis=1)
    spread_R = (total_R**2 - (predicted_RK**2).sum(axis=1)) * (total_R**2 - (gold_RK**2).sum(axis=1))
    return _divided(covariance_R, np.sqrt(spread_R))


def pearson_of(sums_RD: np.ndarray) -> np.ndarray:
    """Pearson correlation from n, x, y, xx, yy, xy; of ranks it is Spearman's."""
    n, x, y, xx, yy, xy = sums_RD.T
    spread_R = np.clip(n * xx - x * x, 0, None) * np.clip(n * yy - y * y, 0, None)
    return _divided(n * xy - x * y, np.sqrt(spread_R))


METRICS: Mapping[str, Metric] = {
    "accuracy": Metric("Accuracy", ratio, is_share=True),
    "accuracy_sum": Metric("Accuracy, by whole likelihood", ratio, is_share=True),
    "exact": Metric("Exact match", ratio, is_share=True),
    "f1": Metric("F1 of words", ratio),
    "chrf": Metric("chrF++", chrf_of, digits=1),
    "spbleu": Metric("spBLEU", bleu_of, digits=1),
    "macro_f1": Metric("Macro F1", macro_f1_of),
    "weighted_f1": Metric("Weighted F1", weighted_f1_of),
    "positive_f1": Metric("F1 of the positive class", positive_f1_of),
    "matthews": Metric("Matthews correlation", matthews_of),
    "spearman": Metric("Spearman correlation", pearson_of),
    "weighted_mae": Metric("1 - weighted mean absolute error", lambda sums_RD: 1 - ratio(sums_RD)),
    "bits_per_byte": Metric("Bits per byte", ratio, lower_is_better=True),
    "in_target": Metric("Sentences in the language", ratio),
    "outputs_in_target": Metric("Outputs in the language", ratio, is_share=True),
    "switched": Metric("Outputs that switch code", ratio, lower_is_better=True, is_share=True),
    "foreign_words": Metric("Foreign words", ratio, lower_is_better=True),
    "repeated_4": Metric("Repeated runs of four words", ratio, lower_is_better=True),
    "loops": Metric("Outputs that end in a loop", ratio, lower_is_better=True, is_share=True),
    "distinct_2": Metric("Distinct pairs of words", ratio),
    "characters": Metric("Characters of an output", ratio, digits=0),
    "cut": Metric("Outputs cut off at the limit", ratio, lower_is_better=True, is_share=True),
    "score_accuracy": Metric("Accuracy, 0 to 3", ratio, digits=2),
    "score_fluency": Metric("Fluency, 0 to 3", ratio, digits=2),
    "score_informativeness": Metric("Informativeness, 0 to 3", ratio, digits=2),
    "score_coherence": Metric("Logical coherence, 0 to 3", ratio, digits=2),
    "score_harmlessness": Metric("Harmlessness, 0 to 3", ratio, digits=2),
    "score_average": Metric("Average without harmlessness, 0 to 3", ratio, digits=2),
    "empty": Metric("Empty outputs", ratio, lower_is_better=True, is_share=True),
}


def mean_of(name: str, counts: Iterable[Sequence[float]], *, lower_is_better: bool) -> Metric:
    """What a task of the harness names: its values tell whether items are right or wrong, its name does not."""
    is_share = all(count[0] in (0, 1) and count[1] == 1 for count in counts)
    return Metric(name, ratio, lower_is_better=lower_is_better, is_share=is_share)


_CHRF = CHRF(word_order=2)


def right(correct: bool) -> list[float]:
    """Counts of an item that is right or wrong."""
    return [float(correct), 1.0]


def chrf_counts(text: str, references: Sequence[str]) -> list[float]:
    """What chrF++ counts in a segment: n-grams of the text, of the best reference, and of both, by order."""
    counts = _CHRF._extract_corpus_statistics([text], [[reference] for reference in references])[0]
    return [float(count) for count in counts]


def bleu_counts(text: str, references: Sequence[str]) -> list[float]:
    """What spBLEU counts in a segment; the model of `SPBLEU_MODEL` has to be there."""
    counts = _spbleu()._extract_corpus_statistics([text], [[reference] for reference in references])[0]
    return [float(count) for count in counts]


def confusion(gold: int, predicted: int, num_classes: int) -> list[float]:
    """One item of a confusion matrix, flat, with golds as rows."""
    counts = [0.0] * num_classes**2
    counts[gold * num_classes + predicted] = 1.0
    return counts


def rank_counts(golds: Sequence[float], predictions: Sequence[float]) -> list[list[float]]:
    """For Spearman's correlation: each item's ranks (ties share theirs) and their products."""
    return [[1.0, x, y, x * x, y * y, x * y] for x, y in zip(_ranks(golds), _ranks(predictions), strict=True)]


def normalized(text: str) -> list[str]:
    """Words of an answer in lower case without punctuation; single characters of scripts that have no spaces.

    As SQuAD's evaluation has it (Rajpurkar et al. 2016), for any script: English articles are not removed.
    """
    text = "".join(
        char if unicodedata.category(char)[0] not in "PS" or char in "%" else " " for char in text.casefold()
    )
    return re.findall(r"[぀-ヿ㐀-鿿ก-๿က-႟ក-៿຀-໿]|[^\s぀-ヿ㐀-鿿ก-๿က-႟ក-៿຀-໿]+", text)


def word_f1(text: str, references: Sequence[str]) -> float:
    """F1 of the words of an answer against the reference that is nearest to it."""
    return max(_overlap(normalized(text), normalized(reference)) for reference in references)


def is_exact(text: str, references: Sequence[str]) -> bool:
    """Whether an answer is one of the references but for case and punctuation."""
    return any(normalized(text) == normalized(reference) for reference in references)


def has_spbleu() -> bool:
    """Whether the model that spBLEU cuts words with is on this machine."""
    return SPBLEU_MODEL.is_file()


@cache
def _spbleu() -> BLEU:
    """Reading its SentencePiece model takes longer than counting a segment."""
    return BLEU(tokenize="flores200")


def _overlap(words: list[str], reference: list[str]) -> float:
    if not words or not reference:
        return float(words == reference)
    common = sum((Counter(words) & Counter(reference)).values())
    return 2 * common / (len(words) + len(reference))


def _square(sums_RD: np.ndarray) -> np.ndarray:
    classes = math.isqrt(sums_RD.shape[1])
    return sums_RD.reshape(-1, classes, classes)


def _f1(confusion_RKK: np.ndarray) -> np.ndarray:
    right_RK = np.diagonal(confusion_RKK, axis1=1, axis2=2)
    return _divided(2 * right_RK, confusion_RKK.sum(axis=1) + confusion_RKK.sum(axis=2))


def _divided(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / below, np.nan)


def _ranks(values: Sequence[float]) -> np.ndarray:
    order = np.argsort(values, kind="stable")
    ranks = np.empty(len(values))
    ranks[order] = np.arange(len(values), dtype=float)
    distinct, group = np.unique(values, return_inverse=True)
    means = np.bincount(group, weights=ranks) / np.bincount(group)
    # Around zero, so that the products stay small and their sums exact enough.
    return means[group] - (len(values) - 1) / 2 if len(distinct) else ranks
