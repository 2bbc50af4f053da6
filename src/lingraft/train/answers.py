"""What a model learns answers from: conversations as packed rows in which only the assistant's tokens count.

N rows, S tokens of a row.
"""

import hashlib
import inspect
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel
from trl import pack_dataset

from lingraft.conversations.record import Conversation
from lingraft.conversations.template import Template
from lingraft.conversations.tokens import LeftOut, Tokenized, tokenize
from lingraft.core.errors import InputError
from lingraft.evaluate import bits
from lingraft.evaluate.bits import Bits, Window

from .loss import IGNORED

TOLERANCE = 0.05
"""Of the logits, between two orders of summation in bfloat16; what sees another text differs by its half and more."""


@dataclass(frozen=True)
class Sequences:
    """The conversations of one stream as tokens."""

    of: Sequence[Sequence[Tokenized]]
    """By conversation: one sequence, or one an answer (see `conversations.tokens`)."""
    left_out: Mapping[str, int]
    """How many conversations are not there, by reason."""
    shortened: int
    """How many lost exchanges at their end, to fit."""


def sequences(records: Sequence[Conversation], template: Template, most_tokens: int, system: str) -> Sequences:
    """The records as tokens of at most `most_tokens`; what cannot be trained on is counted."""
    found, left_out, shortened = [], Counter(), 0
    for conversation in records:
        tokenized = tokenize(template, conversation.messages, most_tokens=most_tokens, system=system)
        if isinstance(tokenized, LeftOut):
            left_out[tokenized.why] += 1
            continue
        found.append(tokenized[0])
        shortened += tokenized[1] > 0
    return Sequences(found, dict(left_out), shortened)


@dataclass(frozen=True)
class Rows:
    """Packed rows of a stream, all of S tokens."""

    ids_NS: np.ndarray
    labels_NS: np.ndarray
    positions_NS: np.ndarray
    answer_bytes_N: np.ndarray
    tokens_N: np.ndarray
    """Without padding."""
    answer_tokens_N: np.ndarray


def keeps_apart(model: PreTrainedModel, streams: Iterable[Sequences]) -> bool:
    """Whether sequences of one row do not see each other, tried on two: models that do not go by positions let them."""
    two = list(islice((sequence for stream in streams for of in stream.of for sequence in of), 2))
    if len(two) < 2:
        return True
    ids, positions = ([*parts[0], *parts[1]] for parts in ([s.ids for s in two], [range(len(s.ids)) for s in two]))
    if "position_ids" not in inspect.signature(model.forward).parameters:
        return False
    with torch.no_grad():
        row, alone = (
            model(
                input_ids=torch.tensor([list(tokens)], device=model.device),
                position_ids=torch.tensor([list(places)], device=model.device),
                use_cache=False,
            ).logits[0, -len(two[1].ids) :]
            for tokens, places in ((ids, positions), (two[1].ids, range(len(two[1].ids))))
        )
    return bool((row - alone).float().norm() <= TOLERANCE * alone.float().norm())


def pack(stream: Sequences, row_tokens: int, pad_id: int, *, together: bool = True) -> Rows:
    """Whole sequences in rows of `row_tokens`, best fit first (TRL's `bfd`); each keeps to itself by its positions.

    A place is labeled where its token is one that the assistant says. Where not `together` a row holds one sequence.
    """
    whole = [sequence for of in stream.of for sequence in of]
    if not whole:
        empty = np.zeros((0, row_tokens), dtype=np.int64)
        none = np.zeros(0, dtype=np.int64)
        return Rows(empty, empty, empty, none, none, none)
    table = Dataset.from_dict(
        {
            "ids": [list(sequence.ids) for sequence in whole],
            "labels": [_labels(sequence) for sequence in whole],
            # To find out which sequence is in which row: a number a token, as all that is packed has to have.
            "sequence": [[number] * len(sequence.ids) for number, sequence in enumerate(whole)],
        }
    )
    if together:
        packed = pack_dataset(table, row_tokens, "bfd", {"load_from_cache_file": False, "keep_in_memory": True})
    else:
        packed = table.add_column("seq_lengths", [[len(sequence.ids)] for sequence in whole])
    size = (len(packed), row_tokens)
    ids_NS, labels_NS, positions_NS = np.full(size, pad_id), np.full(size, IGNORED), np.zeros(size, dtype=np.int64)
    answer_bytes, tokens = np.zeros(size[0], dtype=np.int64), np.zeros(size[0], dtype=np.int64)
    for row, found in enumerate(packed):
        length = len(found["ids"])
        ids_NS[row, :length], labels_NS[row, :length], tokens[row] = found["ids"], found["labels"], length
        lengths = [*found["seq_lengths"], row_tokens - length]
        positions_NS[row] = np.concatenate([np.arange(n) for n in lengths])
        answer_bytes[row] = sum(whole[number].answer_bytes for number in set(found["sequence"]))
    return Rows(ids_NS, labels_NS, positions_NS, answer_bytes, tokens, (labels_NS != IGNORED).sum(axis=1))


def dataset(streams: Sequence[Rows], order: np.ndarray, *, together: bool = True) -> Dataset:
    """The rows of all streams in the order of a training: (stream, row) by place.

    Where not `together` a mask of what is no padding stands for the positions, which some models do not take.
    """
    first = np.cumsum([0, *(len(rows.ids_NS) for rows in streams)])
    columns = {
        "input_ids": np.concatenate([rows.ids_NS for rows in streams]).astype(np.int32),
        "labels": np.concatenate([rows.labels_NS for rows in streams]).astype(np.int32),
    }
    if together:
        columns["position_ids"] = np.concatenate([rows.positions_NS for rows in streams]).astype(np.int32)
    else:
        tokens_N1 = np.concatenate([rows.tokens_N for rows in streams])[:, None]
        columns["attention_mask"] = (np.arange(columns["labels"].shape[1]) < tokens_N1).astype(np.int32)
    table = Dataset.from_dict({name: list(values) for name, values in columns.items()}).with_format("numpy")
    return table.select([int(first[stream] + row) for stream, row in order])


def digest(streams: Iterable[Rows]) -> str:
    """Of all rows and of what counts in them."""
    found = hashlib.sha256()
    for rows in streams:
        found.update(rows.ids_NS.tobytes() + rows.labels_NS.tobytes())
    return found.hexdigest()


def collate(rows: Sequence[Mapping[str, np.ndarray]]) -> dict[str, torch.Tensor]:
    """A batch, every value of shape (rows, tokens of a row)."""
    return {key: torch.from_numpy(np.stack([row[key] for row in rows]).astype(np.int64)) for key in rows[0]}


def answer_bits(model: PreTrainedModel, stream: Sequences, template: Template, pad_id: int) -> list[Bits]:
    """What the answers of each conversation cost under the model, with the tokens that end them.

    Bytes are those of the answers as text, so that models with other tokenizers and templates can be compared.
    """
    windows = [
        Window(number, sequence.ids, sequence.answer_places) for number, of in enumerate(stream.of) for sequence in of
    ]
    found = bits.bits_of(model, windows, vocabulary=len(template.tokenizer), pad_id=pad_id)
    return [
        Bits(found[number], sum(s.answer_bytes for s in of), sum(len(s.answer_places) for s in of))
        for number, of in enumerate(stream.of)
    ]


def require_some(streams: Mapping[str, Sequences], shares: Mapping[str, float], folder: Path) -> None:
    """Raise InputError where a stream of the mix has no conversation to train on."""
    for name, share in shares.items():
        if share and not streams[name].of:
            why = ", ".join(f"{count} {reason}" for reason, count in streams[name].left_out.items())
            raise InputError(
                f"the mix asks for {share:.0%} of {name}, and there is no {name} conversation to train on"
                + (f": {why}." if why else "."),
                where=folder,
                remedy=f"Give {name} conversations, leave {name} out of the mix, or raise sequence_tokens.",
            )


def _labels(sequence: Tokenized) -> list[int]:
    labels = [IGNORED] * len(sequence.ids)
    for place in sequence.answer_places:
        labels[place] = sequence.ids[place]
    return labels
