"""Rows of new tokens as means of the old tokens nearest in meaning, found with a bilingual dictionary.

W words, C dimensions of their vectors, V tokens of a tokenizer, N new tokens, D columns.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast

from lingraft.core.errors import InputError

from .strategy import Grafting
from .word_vectors import Training, Vectors, combined, cosines, in_words, learn, load

TRAINING = Training(dimensions=100, epochs=20, fewest=5, ngrams=(5, 5))
BATCH_WORDS = 4096


def rows(
    grafting: Grafting,
    *,
    dictionary: Path,
    old_vectors: Path | None = None,
    new_vectors: Path | None = None,
    neighbors: int = 10,
    temperature: float = 0.1,
    max_megabytes: float = 50.0,
) -> dict[str, torch.Tensor]:
    """E(v) = sum over the `neighbors` old tokens u nearest to v of softmax(cos(x(v), x(u) R) / temperature) E(u).

    WECHSEL, Minixhofer et al. 2022, arXiv 2112.06598, section 3. A token's vector x is the mean of the vectors of the
    words that it is a piece of, by their frequency (the paper's way for vectors without n-grams), each word with and
    without a space before it; R is the rotation that best turns the old words of the dictionary into the new
    (orthogonal Procrustes). The dictionary has an old word, a tab, and a new word on each line, and counts as written,
    in lower case and capitalized. Word vectors are read from text files (`.vec`); those not given are learned from the
    first `max_megabytes` of the replay text (old) and the target text (new).
    A new token that is in no word is drawn from a normal with the mean and deviation of the old columns and counts in
    `random`. The weights are the same for input and output.
    Raises InputError for a line that is no pair, vectors of two lengths, or a dictionary of unknown words.
    """
    entries = list(read(dictionary))
    old_words = load(old_vectors) if old_vectors else _learned(grafting, grafting.replay, "old", max_megabytes)
    new_words = load(new_vectors) if new_vectors else _learned(grafting, grafting.text, "new", max_megabytes)
    rotation_CC, num_pairs = rotation(old_words, new_words, entries, dictionary)
    old_VC = of_tokens(old_words, grafting.old) @ rotation_CC
    new_NC = of_tokens(new_words, grafting.new)[list(grafting.new_ids)]
    candidates = old_VC.any(dim=1).nonzero()[:, 0]
    known = new_NC.any(dim=1).nonzero()[:, 0].tolist()
    pieces, weights = [], []
    for part in cosines(new_NC[known], old_VC[candidates]):
        nearest = part.topk(min(neighbors, len(candidates)))
        pieces += candidates[nearest.indices].tolist()
        weights += (nearest.values / temperature).softmax(dim=1).tolist()
    grafting.figures.update(random=len(grafting.new_ids) - len(known), word_pairs=num_pairs)
    return combined(grafting, known, pieces, weights)


def _learned(grafting: Grafting, texts: Iterable[str], which: str, max_megabytes: float) -> Vectors:
    words = in_words(texts, max_megabytes)
    if not words.texts:
        raise InputError(
            f"there is no text to learn the {which} word vectors from.",
            where=grafting.base,
            remedy=f"Set the option {which}_vectors of wechsel to a file of word vectors, fastText's .vec for example.",
        )
    return learn(words, TRAINING, where=grafting.base, seed=grafting.seed, progress=grafting.progress)


def read(dictionary: Path) -> Iterator[tuple[str, str]]:
    """The pairs of a dictionary. Raises InputError for a line that is none."""
    with dictionary.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            words = [word.strip() for word in line.split("\t")]
            if len(words) != 2 or not all(words):
                raise InputError(
                    f"{line.strip()!r} is no pair of words.",
                    where=f"{dictionary}:{number}",
                    remedy="Write a word of the base's language, a tab and its translation on each line.",
                )
            yield words[0], words[1]


def rotation(
    old: Vectors, new: Vectors, entries: Iterable[tuple[str, str]], dictionary: Path
) -> tuple[torch.Tensor, int]:
    """R (C, C), orthogonal, with the least squared distance of x_old R from x_new over the pairs, and their number.

    Schönemann 1966: R = U V' of the singular value decomposition U S V' = X_old' X_new.
    """
    sizes = old.vectors_WC.shape[1], new.vectors_WC.shape[1]
    if sizes[0] != sizes[1]:
        raise InputError(
            f"the old word vectors have {sizes[0]} numbers, the new ones {sizes[1]}.",
            where=dictionary,
            remedy="Set old_vectors and new_vectors to files of one length, or leave both out.",
        )
    old_places, new_places = ({word: at for at, word in enumerate(known.words)} for known in (old, new))
    pairs = {
        (old_places[left], new_places[right]): None
        for old_word, new_word in entries
        for left in _forms(old_word)
        for right in _forms(new_word)
        if left in old_places and right in new_places
    }
    if not pairs:
        raise InputError(
            "no pair of this dictionary has word vectors for both its words.",
            where=dictionary,
            remedy="Each line needs a word of the base's language first and one of the target language after a tab.",
        )
    left, right = (list(places) for places in zip(*pairs, strict=True))
    covariance_CC = old.vectors_WC[left].double().T @ new.vectors_WC[right].double()
    u_CC, _, v_CC = torch.linalg.svd(covariance_CC)
    return (u_CC @ v_CC).float(), len(pairs)


def _forms(word: str) -> tuple[str, ...]:
    return word, word.lower(), word.title()


def of_tokens(words: Vectors, tokenizer: PreTrainedTokenizerFast) -> torch.Tensor:
    """The vectors (V, C) of all tokens by id; zeros for those that are in no word."""
    num_ids = max(tokenizer.get_vocab().values()) + 1
    sums_VC = torch.zeros(num_ids, words.vectors_WC.shape[1])
    totals_V = torch.zeros(num_ids)
    for first in range(0, len(words.words), BATCH_WORDS):
        batch = words.words[first : first + BATCH_WORDS]
        for before in ("", " "):
            found = tokenizer.backend_tokenizer.encode_batch_fast([before + w for w in batch], add_special_tokens=False)
            tokens = [sorted(set(encoding.ids)) for encoding in found]
            ids = torch.tensor([index for spelled in tokens for index in spelled], dtype=torch.long)
            places = torch.arange(first, first + len(batch)).repeat_interleave(torch.tensor([len(t) for t in tokens]))
            frequencies = words.frequencies_W[places]
            sums_VC.index_add_(0, ids, words.vectors_WC[places] * frequencies[:, None])
            totals_V.index_add_(0, ids, frequencies)
    return sums_VC / totals_V.clamp(min=torch.finfo(torch.float32).tiny)[:, None]
