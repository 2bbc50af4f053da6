"""Static vectors of words or tokens: learned from text, or read from a file.

W words, C dimensions of the vectors, N new tokens, A anchors they are compared with.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from icu4py.breakers import WordBreaker
from torch.nn.functional import normalize
from transformers import PreTrainedTokenizerFast

from lingraft.core.errors import InputError
from lingraft.core.progress import SILENT, Progress
from lingraft.tokenizer import family

from . import gaussian
from .strategy import Grafting
from .subwords import weighted

MAX_WORDS = 200_000
# fastText has 2,000,000, at 300 dimensions 2.4 GB: far more than tokens or frequent words have n-grams.
NGRAM_BUCKETS = 200_000
# gensim drops what goes beyond 10,000 words of a sentence; fastText cuts lines at 1,024.
SENTENCE_WORDS = 1024
CHUNK = 256


@dataclass(frozen=True)
class Vectors:
    """Words with their vectors, the most frequent first."""

    words: list[str]
    vectors_WC: torch.Tensor
    frequencies_W: torch.Tensor
    """Counts in the text, or what stands for them; only their ratios matter."""


@dataclass(frozen=True)
class Training:
    """How vectors are learned."""

    dimensions: int
    epochs: int
    fewest: int
    """A word that occurs less often gets no vector."""
    ngrams: tuple[int, int]
    """The shortest and the longest that count toward a word, in characters."""


@dataclass(frozen=True)
class Sentences:
    """Texts in numbered words, 4 bytes each, to be read any number of times."""

    names: list[str]
    texts: list[array]

    def __iter__(self) -> Iterator[list[str]]:
        for text in self.texts:
            for first in range(0, len(text), SENTENCE_WORDS):
                yield [self.names[number] for number in text[first : first + SENTENCE_WORDS]]


def split(text: str) -> list[str]:
    """The words of a text in any script, marks of punctuation being words too (Unicode Standard Annex 29, by ICU)."""
    return [piece for piece in WordBreaker(text, "und") if not piece.isspace()]


def in_words(texts: Iterable[str], max_megabytes: float) -> Sentences:
    """The words of the texts, to the end of the one in which the size is reached."""
    numbers: dict[str, int] = {}
    found = [
        array("I", [numbers.setdefault(word, len(numbers)) for word in split(text)])
        for text in _first(texts, max_megabytes)
    ]
    return Sentences(list(numbers), found)


def in_tokens(tokenizer: PreTrainedTokenizerFast, texts: Iterable[str], max_megabytes: float) -> Sentences:
    """The tokens of the texts, to the end of the one in which the size is reached."""
    found = [array("I", ids) for _, ids in family.encode(tokenizer, _first(texts, max_megabytes))]
    return Sentences(names_of(tokenizer), found)


def names_of(tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """The tokens by id, as the model writes them."""
    return tokenizer.convert_ids_to_tokens(range(max(tokenizer.get_vocab().values()) + 1))


def _first(texts: Iterable[str], megabytes: float) -> Iterator[str]:
    left = megabytes * 1e6
    for text in texts:
        yield text
        left -= len(text.encode())
        if left <= 0:
            return


def learn(sentences: Sentences, training: Training, *, where: Path, seed: int, progress: Progress = SILENT) -> Vectors:
    """fastText CBOW vectors (Bojanowski et al. 2017, arXiv 1607.04606) of the words that are frequent enough.

    Ten negative samples, as FOCUS and WECHSEL have it; otherwise as fastText does, but on one thread, which makes the
    result depend on the seed alone. Raises InputError when no word is frequent enough, or gensim is not installed.
    """
    try:
        from gensim.models import FastText
    except ImportError as error:
        raise InputError(
            "word vectors are learned with gensim, which is not installed.",
            where=where,
            remedy="pip install 'lingraft[vectors]'",
        ) from error
    shortest, longest = training.ngrams
    model = FastText(
        vector_size=training.dimensions,
        alpha=0.05,
        window=5,
        negative=10,
        sample=1e-4,
        min_count=training.fewest,
        min_n=shortest,
        max_n=longest,
        bucket=NGRAM_BUCKETS,
        seed=seed,
        workers=1,
    )
    model.build_vocab(sentences)
    if not len(model.wv):
        raise InputError(
            f"no word or token stands {training.fewest} times in the text that vectors are to be learned from.",
            where=where,
            remedy="Give more text, or a lower number as the option fewest.",
        )
    model.train(
        _Passes(sentences, training.epochs, progress),
        total_examples=model.corpus_count,
        total_words=model.corpus_total_words,
        epochs=training.epochs,
    )
    counts = torch.from_numpy(model.wv.expandos["count"]).float()
    return Vectors(list(model.wv.index_to_key), torch.from_numpy(model.wv.vectors), counts)


class _Passes:
    """Sentences that say how far their reader is."""

    def __init__(self, sentences: Sentences, epochs: int, progress: Progress) -> None:
        self.sentences, self.progress = sentences, progress
        progress.start("learning vectors", epochs * sum(map(len, sentences.texts)), "words")

    def __iter__(self) -> Iterator[list[str]]:
        for sentence in self.sentences:
            yield sentence
            self.progress.advance(len(sentence))


def load(path: Path) -> Vectors:
    """The first 200,000 vectors of a text file as word2vec and fastText write it (`.vec`), with or without its header.

    Such files have the most frequent word first and no counts: 1 / rank stands for them (Zipf's law).
    Raises InputError, with the line, where a vector is not one or is longer or shorter than the first.
    """
    words: list[str] = []
    rows: list[np.ndarray] = []
    with path.open(encoding="utf-8", newline="\n") as lines:
        for number, line in enumerate(lines, start=1):
            word, *values = line.rstrip().split(" ")
            if number == 1 and len(values) == 1:
                continue
            try:
                row = np.array(values, dtype=np.float32)
            except ValueError as error:
                raise _no_vector(path, number, f"what follows {word!r} is not all numbers") from error
            if not len(row) or (rows and len(row) != len(rows[0])):
                wanted = f", not {len(rows[0])}" if rows else ""
                raise _no_vector(path, number, f"{word!r} is followed by {len(row)} numbers{wanted}")
            words.append(word)
            rows.append(row)
            if len(words) == MAX_WORDS:
                break
    if not words:
        raise _no_vector(path, 1, "there are no vectors here")
    ranks = torch.arange(1, len(words) + 1, dtype=torch.float32)
    return Vectors(words, torch.from_numpy(np.stack(rows)), 1 / ranks)


def _no_vector(path: Path, line: int, what: str) -> InputError:
    return InputError(
        f"{what}.",
        where=f"{path}:{line}",
        remedy="Give word vectors as text, a word and its numbers on each line, as fastText's .vec files have them.",
    )


def cosines(new_NC: torch.Tensor, anchors_AC: torch.Tensor) -> Iterator[torch.Tensor]:
    """The cosines of the new vectors with all anchors, some rows (A) at a time."""
    anchors_CA = normalize(anchors_AC, dim=1).T
    for part in normalize(new_NC, dim=1).split(CHUNK):
        yield part @ anchors_CA


def combined(
    grafting: Grafting, known: Sequence[int], pieces: Sequence[Sequence[int]], weights: Sequence[Sequence[float]]
) -> dict[str, torch.Tensor]:
    """The rows: those at the places `known` weighted sums of old rows, the others drawn by `gaussian`."""
    rows = gaussian.rows(grafting)
    if known:
        for side, table_VD in grafting.tables.items():
            rows[side][known] = weighted(table_VD, pieces, weights)
    return rows
