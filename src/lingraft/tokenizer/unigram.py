"""New pieces for a Unigram tokenizer, scored so that they stand for what the base would cut them into."""

from collections.abc import Iterable

from tokenizers import Tokenizer

MARGIN = 1e-3
"""In natural logarithms: what a piece of two old ones gains over them; small against the gaps between old scores."""


def scores(backend: Tokenizer, pieces: Iterable[str], old: dict[str, float]) -> list[float]:
    """The score (natural logarithm) of each new piece.

    Unigram takes the segmentation whose scores add up to most (Kudo 2018, arXiv 1804.10959, eq. 4). A piece of n old
    ones gets their sum and n (n - 1) / 2 margins: a new piece wins over the old ones, a longer one over any shorter
    ones that make it up, and where no new piece fits the order of the old segmentations is as it was.
    """
    found = []
    for piece in pieces:
        parts = [token.value for token in backend.model.tokenize(piece)]
        found.append(sum(old[part] for part in parts) + MARGIN * len(parts) * (len(parts) - 1) / 2)
    return found
