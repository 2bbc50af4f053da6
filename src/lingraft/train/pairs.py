"""What a model learns preferences from: two answers to each prompt, as tokens.

The columns are those of TRL's trainers: prompt, chosen and rejected as ids.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import Dataset
from transformers import PreTrainedModel

from lingraft.ask.message import ASSISTANT, Message
from lingraft.conversations.record import Preference, Verdict, record
from lingraft.conversations.template import Template
from lingraft.conversations.tokens import LeftOut, Tokenized, tokenize
from lingraft.evaluate import bits
from lingraft.evaluate.bits import Window


@dataclass(frozen=True)
class Pair:
    """Two answers to a prompt."""

    prompt: Sequence[int]
    chosen: Sequence[int]
    rejected: Sequence[int]
    chosen_bytes: int
    rejected_bytes: int

    @property
    def tokens(self) -> int:
        """What a model reads for it: the prompt twice."""
        return 2 * len(self.prompt) + len(self.chosen) + len(self.rejected)

    @property
    def bytes(self) -> int:
        """Of both answers."""
        return self.chosen_bytes + self.rejected_bytes


@dataclass(frozen=True)
class Judged:
    """One answer to a prompt, and whether it was found good."""

    prompt: Sequence[int]
    answer: Sequence[int]
    good: bool
    bytes: int

    @property
    def tokens(self) -> int:
        return len(self.prompt) + len(self.answer)


@dataclass(frozen=True)
class Stream:
    """The preferences of one stream as tokens."""

    pairs: Sequence[Pair]
    judged: Sequence[Judged]
    left_out: Mapping[str, int]
    """How many records are not there, by reason."""

    def rows(self, *, apart: bool) -> Sequence[Pair | Judged]:
        """What is trained on; with `apart` every answer by itself."""
        return [*_apart(self.pairs), *self.judged] if apart else self.pairs


def read(folder: Path, stream: str, part: str) -> list[Preference | Verdict]:
    """The records of `part` (`train` or `held_out`) of a stream in an artifact of preferences; none without it."""
    path = folder / (f"{stream}.jsonl" if part == "train" else f"{stream}.{part}.jsonl")
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as lines:
        return [record(json.loads(line)) for line in lines]


def stream(records: Sequence[Preference | Verdict], template: Template, most_tokens: int, system: str) -> Stream:
    """The records as tokens; those of which an answer does not fit in `most_tokens` are left out."""
    pairs, judged, left_out = [], [], Counter()

    def answered(prompt: Sequence[Message], answer: str) -> Tokenized | LeftOut:
        messages = [*prompt, Message(ASSISTANT, answer)]
        found = tokenize(template, messages, most_tokens=most_tokens, system=system)
        if isinstance(found, LeftOut):
            return found
        sequences, shortened = found
        return LeftOut("longer than the context") if shortened else sequences[-1]

    for entry in records:
        answers = [entry.answer] if isinstance(entry, Verdict) else [entry.chosen, entry.rejected]
        found = [answered(entry.prompt, answer) for answer in answers]
        why = next((one.why for one in found if isinstance(one, LeftOut)), None)
        if why is not None:
            left_out[why] += 1
        elif isinstance(entry, Verdict):
            first = _last_answer(found[0])
            judged.append(Judged(found[0].ids[:first], found[0].ids[first:], entry.good, len(answers[0].encode())))
        else:
            pairs.append(_pair(*found, *(len(answer.encode()) for answer in answers)))
    return Stream(pairs, judged, dict(left_out))


def table(rows: Sequence[Pair | Judged]) -> Dataset:
    """The rows in the columns of TRL's trainers."""
    if isinstance(rows[0], Pair):
        columns = {
            f"{name}_ids": [list(getattr(row, name)) for row in rows] for name in ("prompt", "chosen", "rejected")
        }
    else:
        columns = {
            "prompt_ids": [list(row.prompt) for row in rows],
            "completion_ids": [list(row.answer) for row in rows],
            "label": [row.good for row in rows],
        }
    return Dataset.from_dict(columns)


def logprobs(model: PreTrainedModel, pairs: Sequence[Pair], vocabulary: int, pad_id: int) -> np.ndarray:
    """The natural log-probability of every pair's chosen and rejected answer after its prompt, shape (pairs, 2)."""
    windows = [
        Window(2 * number + side, ids, range(len(pair.prompt), len(ids)))
        for number, pair in enumerate(pairs)
        for side, ids in enumerate(([*pair.prompt, *pair.chosen], [*pair.prompt, *pair.rejected]))
    ]
    found = bits.bits_of(model, windows, vocabulary=vocabulary, pad_id=pad_id)
    return -np.log(2) * np.array([found[number] for number in range(2 * len(pairs))]).reshape(-1, 2)


def _pair(chosen: Tokenized, rejected: Tokenized, chosen_bytes: int, rejected_bytes: int) -> Pair:
    # Where the first letters of an answer are one token with the end of the prompt, the prompt ends before it.
    first = min(_last_answer(chosen), _last_answer(rejected))
    same = next((place for place in range(first) if chosen.ids[place] != rejected.ids[place]), first)
    return Pair(chosen.ids[:same], chosen.ids[same:], rejected.ids[same:], chosen_bytes, rejected_bytes)


def _last_answer(sequence: Tokenized) -> int:
    """Where the last answer begins: those before it are part of the prompt."""
    places = sequence.answer_places
    return next(
        (places[index] for index in range(len(places) - 1, 0, -1) if places[index - 1] != places[index] - 1), places[0]
    )


def _apart(pairs: Sequence[Pair]) -> list[Judged]:
    """Each answer of the pairs by itself."""
    return [
        one
        for pair in pairs
        for one in (
            Judged(pair.prompt, pair.chosen, True, pair.chosen_bytes),
            Judged(pair.prompt, pair.rejected, False, pair.rejected_bytes),
        )
    ]
