"""Input rows of new tokens that have the frozen model go on as it does after the pieces they replace.

V rows of the old table, N new rows, D columns; B snippets of a batch, S their longest, P scored positions in all.
"""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from lingraft.core.errors import InputError
from lingraft.tokenizer import family

from . import model as models
from . import snippets, subwords
from .snippets import Snippet
from .strategy import INPUT, OUTPUT, Grafting
from .training import train_rows

EDGE = 50
"""Steps at each end over which the losses of the figures are means."""


def rows(
    grafting: Grafting,
    *,
    num_snippets: int = 25,
    snippet_tokens: int = 50,
    lr: float = 1e-4,
    batch_snippets: int = 16,
) -> dict[str, torch.Tensor]:
    """The rows (N, D) that minimize the squared distance of last hidden states, from `subwords` on; one pass.

    Token Distillation, Dobler et al. 2025, arXiv 2505.20133, with its 25 snippets of 50 tokens, 16 a batch at 1e-4:
    of a snippet that holds the pieces of a token the student reads the token in their place, the teacher, the same
    frozen model, the pieces; compared are the token with the last of its pieces, and every position after it.
    A token with fewer snippets is trained on those there are, where the paper skips it; the figures count those with
    none, which stay at `subwords`. So do output rows: the hidden states do not depend on them. A tied table is
    trained as input.
    Raises InputError when no snippet is found.
    """
    starts = subwords.rows(grafting)
    if INPUT not in grafting.tables:
        return starts
    documents = (ids for _, ids in family.encode(grafting.old, grafting.text))
    found = list(snippets.find(documents, grafting.spellings, per_token=num_snippets, tokens=snippet_tokens))
    if not found:
        raise InputError(
            "none of the new tokens occurs in the target text.",
            where=grafting.base,
            remedy="Give `distill` the text that the tokenizer was extended with.",
        )
    model = models.load(grafting)
    # Old and new rows side by side, whatever the ids: the teacher needs also those that the new tokenizer lacks.
    num_old = len(models.weight(model, INPUT))
    model.resize_token_embeddings(num_old + len(starts[INPUT]), mean_resizing=False)
    model.requires_grad_(False)
    order = torch.randperm(len(found), generator=torch.Generator().manual_seed(grafting.seed)).tolist()
    batches = [order[first : first + batch_snippets] for first in range(0, len(order), batch_snippets)]
    tracked = grafting.progress.track(batches, "distilling the new rows", total=len(batches), unit="steps")
    start_id = grafting.old.bos_token_id
    learned, losses = train_rows(
        model,
        range(num_old, num_old + len(starts[INPUT])),
        {INPUT: starts[INPUT]},
        ([found[at] for at in batch] for batch in tracked),
        lambda model, batch: _hidden_distance(model, batch, num_old, [] if start_id is None else [start_id]),
        steps=len(batches),
        lr=lr,
    )
    grafting.figures.update(
        snippets=len(found),
        tokens_without_snippet=len(starts[INPUT]) - len({snippet.token for snippet in found}),
        loss={"first": _mean(losses[:EDGE]), "last": _mean(losses[-EDGE:])},
    )
    trained = {INPUT: learned[INPUT].to(grafting.tables[INPUT].dtype)}
    return trained if OUTPUT not in starts else {**trained, OUTPUT: starts[OUTPUT]}


def _hidden_distance(
    model: PreTrainedModel, batch: Sequence[Snippet], num_old: int, before: Sequence[int]
) -> torch.Tensor:
    """The mean squared difference over the scored positions and dimensions."""
    teacher_ids = [[*before, *s.ids] for s in batch]
    student_ids = [[*before, *s.ids[: s.first], num_old + s.token, *s.ids[s.last :]] for s in batch]
    with torch.no_grad():
        teacher_PD = _after(model, teacher_ids, [len(before) + s.last - 1 for s in batch])
    student_PD = _after(model, student_ids, [len(before) + s.first for s in batch])
    return torch.nn.functional.mse_loss(student_PD, teacher_PD)


def _after(model: PreTrainedModel, sequences: Sequence[Sequence[int]], firsts: Sequence[int]) -> torch.Tensor:
    """The last hidden states (P, D) of each sequence from its first scored position on."""
    # Padding stands at the right, where causal attention never looks.
    ids_BS = torch.zeros(len(sequences), max(map(len, sequences)), dtype=torch.long)
    scored_BS = torch.zeros_like(ids_BS, dtype=torch.bool)
    for row, (ids, first) in enumerate(zip(sequences, firsts, strict=True)):
        ids_BS[row, : len(ids)] = torch.as_tensor(ids)
        scored_BS[row, first : len(ids)] = True
    hidden_BSD = model.base_model(input_ids=ids_BS.to(model.device), use_cache=False).last_hidden_state
    return hidden_BSD[scored_BS.to(model.device)].float()


def _mean(losses: Sequence[float]) -> float:
    return sum(losses) / len(losses)
