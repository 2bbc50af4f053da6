"""Rows of new tokens as sparse combinations of the old tokens that stand in like places of the target text.

N new tokens, A anchors, D columns.
"""

import torch

from lingraft.core.errors import InputError

from .matching import match
from .strategy import Grafting
from .word_vectors import Training, combined, cosines, in_tokens, learn, names_of

NGRAMS = (3, 6)
# Of so many anchors most weights are zero; where these do not suffice, twice as many are looked at, and so on.
FIRST = 256


def rows(
    grafting: Grafting, *, dimensions: int = 300, epochs: int = 3, fewest: int = 10, max_megabytes: float = 50.0
) -> dict[str, torch.Tensor]:
    """E(v) = sum over the anchors u of w(u) E(u), w = sparsemax over u of cos(x(v), x(u)).

    FOCUS, Dobler and de Melo 2023, arXiv 2305.14481, section 3: x are fastText vectors of the tokens, learned on the
    target text as the new tokenizer cuts it; anchors are the tokens of both tokenizers that stand in it at least
    `fewest` times. A new token that does not is drawn from a normal with the mean and deviation of the old columns and
    counts in `random`. The weights are the same for input and output; the text is read up to `max_megabytes`.
    Raises InputError when there is too little text, or gensim is not installed.
    """
    vectors = learn(
        in_tokens(grafting.new, grafting.text, max_megabytes),
        Training(dimensions, epochs, fewest, NGRAMS),
        where=grafting.base,
        seed=grafting.seed,
        progress=grafting.progress,
    )
    # A vector of zeros, which has no direction, counts as none (as in the authors' code).
    place = {token: at for at, token in enumerate(vectors.words) if vectors.vectors_WC[at].any()}
    names = names_of(grafting.new)
    shared = match(grafting.old, grafting.new, grafting.base).copied
    anchors = {old: place[names[new]] for new, old in shared.items() if names[new] in place}
    if not anchors:
        raise InputError(
            f"no token of both tokenizers stands {fewest} times in the target text.",
            where=grafting.base,
            remedy="Give more text, a lower number as the option fewest, or take the strategy subwords.",
        )
    known = [at for at, index in enumerate(grafting.new_ids) if names[index] in place]
    targets = [place[names[grafting.new_ids[at]]] for at in known]
    pieces, weights = weigh(
        vectors.vectors_WC[targets], vectors.vectors_WC[list(anchors.values())], torch.tensor(list(anchors))
    )
    grafting.figures.update(
        random=len(grafting.new_ids) - len(known),
        anchors=len(anchors),
        anchors_per_token=sum(map(len, pieces)) / max(1, len(pieces)),
    )
    return combined(grafting, known, pieces, weights)


def weigh(
    new_NC: torch.Tensor, anchors_AC: torch.Tensor, ids_A: torch.Tensor
) -> tuple[list[list[int]], list[list[float]]]:
    """For each new vector the ids of the anchors with weight, and their weights."""
    pieces, weights = [], []
    for part in cosines(new_NC, anchors_AC):
        places_NK, weights_NK = sparsemax(part)
        for places, found in zip(places_NK, weights_NK, strict=True):
            pieces.append(ids_A[places[found > 0]].tolist())
            weights.append(found[found > 0].tolist())
    return pieces, weights


def sparsemax(scores_NA: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The point of the simplex nearest to each row (Martins and Astudillo 2016, arXiv 1602.02068, algorithm 1).

    As the places (N, K) that may have weight and the weights (N, K): the largest scores decide alone.
    """
    num_looked_at = min(FIRST, scores_NA.shape[1])
    while True:
        ranked_NK, places_NK = scores_NA.topk(num_looked_at)
        sums_NK = ranked_NK.cumsum(dim=1)
        ranks_K = torch.arange(1, num_looked_at + 1)
        support_NK = 1 + ranks_K * ranked_NK > sums_NK
        if num_looked_at == scores_NA.shape[1] or not support_NK[:, -1].any():
            break
        num_looked_at = min(2 * num_looked_at, scores_NA.shape[1])
    size_N1 = support_NK.sum(dim=1, keepdim=True)
    threshold_N1 = (sums_NK.gather(1, size_N1 - 1) - 1) / size_N1
    return places_NK, (ranked_NK - threshold_N1).clamp(min=0)
