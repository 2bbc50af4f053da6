"""What the same sentences cost in tokens, in both languages, with the tokenizer of every model.

N sentences, S sides (target, replay).
"""

from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerFast

from lingraft.tokenizer import family
from lingraft.tokenizer.fertility import measure
from lingraft.tokenizer.words_of_text import count_words

from . import parallel as sources
from .resampling import Resampling, interval
from .subject import Subject

STREAMS = ("target", "replay")


def fertility(subject: Subject, *, parallel: Path | None = None) -> dict[str, Any]:
    """Tokens per word and per sentence, bytes per token, and parity, for every model, and the change on the first.

    Parity is how many times the tokens of the replay language the target takes to say the same (Petrov et al. 2023,
    arXiv 2305.15425, eq. 1). Words stand between white space, or are ICU's in scripts without it; special tokens
    are not counted. What a sentence costs depends on what it is about: figures of other texts are other figures.
    `parallel` names a folder or file of translations in the target and the replay language, of which all are read; by
    default those of the starter. Intervals come from resampling sentences, the same for every model and language.
    """
    found = sources.of(subject.texts, parallel)
    if isinstance(found, str):
        return {"skipped": found}
    sides = dict(zip(STREAMS, ([pair[at] for pair in found.pairs] for at in range(2)), strict=True))
    draws = Resampling(len(found.pairs), subject.seed)
    words_NS, bytes_NS = (
        np.array([[size(text) for text in pair] for pair in found.pairs])
        for size in (count_words, lambda text: len(text.encode()))
    )
    rows: list[dict[str, Any]] = []
    first_RS: np.ndarray | None = None
    subject.progress.start("counting tokens", len(subject.models), "models")
    for name, folder in subject.models.items():
        tokenizer = family.open(folder)
        tokens_RS = draws.sums(_tokens(tokenizer, sides))
        totals = {stream: measure(tokenizer, texts) for stream, texts in sides.items()}
        per = {
            "tokens_per_word": tokens_RS / draws.sums(words_NS),
            "tokens_per_sentence": tokens_RS / len(found.pairs),
            "bytes_per_token": draws.sums(bytes_NS) / tokens_RS,
        }
        vocabulary = totals["target"]["vocabulary"]
        row = {
            "model": name,
            "vocabulary": vocabulary,
            "added_tokens": vocabulary - rows[0]["vocabulary"] if rows else 0,
            "parity": interval(tokens_RS[:, 0] / tokens_RS[:, 1]),
        }
        for at, stream in enumerate(STREAMS):
            row[stream] = {
                **{key: totals[stream][key] for key in ("tokens", "byte_fallback_rate")},
                **{key: interval(values_RS[:, at]) for key, values_RS in per.items()},
                "change": None if first_RS is None else interval(tokens_RS[:, at] / first_RS[:, at] - 1),
            }
        rows.append(row)
        first_RS = tokens_RS if first_RS is None else first_RS
        subject.progress.advance(1)
    return {
        "target": found.target,
        "replay": found.replay,
        "sentences": len(found.pairs),
        "source": found.source,
        "words": dict(zip(STREAMS, words_NS.sum(axis=0).tolist(), strict=True)),
        "bytes": dict(zip(STREAMS, bytes_NS.sum(axis=0).tolist(), strict=True)),
        "models": rows,
    }


def _tokens(tokenizer: PreTrainedTokenizerFast, sides: dict[str, list[str]]) -> np.ndarray:
    """How many each sentence takes (N, S)."""
    return np.array([[len(ids) for _, ids in family.encode(tokenizer, texts)] for texts in sides.values()]).T
