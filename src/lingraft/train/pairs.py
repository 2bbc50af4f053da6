"""What a model learns preferences from: two answers to each prompt, as tokens.

The columns are those of TRL's trainers: prompt, chosen and rejected as ids.
"""

import hashlib
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel

from lingraft.ask.message import ASSISTANT, Message
from lingraft.conversations.record import Preference, Verdict
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


@dataclass(frozen=True)
class Reference:
    """A model whose log-probabilities a training compares with."""

    model: PreTrainedModel
    vocabulary: int
    pad_id: int
    autocast: bool
    """Whether the training multiplies in bfloat16: then so does the reference, and both are wrong alike."""

    def logprobs(self, asked: Sequence[tuple[Sequence[int], Sequence[int]]]) -> np.ndarray:
        """The natural log-probability of every answer after its prompt, shape (len(asked),)."""
        windows = [
            Window(number, [*prompt, *answer], range(len(prompt), len(prompt) + len(answer)))
            for number, (prompt, answer) in enumerate(asked)
        ]
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.autocast):
            found = bits.bits_of(self.model, windows, vocabulary=self.vocabulary, pad_id=self.pad_id)
        return -np.log(2) * np.array([found[number] for number in range(len(asked))])

    def of_pairs(self, pairs: Sequence[Pair]) -> np.ndarray:
        """Those of every pair's chosen and rejected answer, shape (len(pairs), 2)."""
        asked = [(pair.prompt, answer) for pair in pairs for answer in (pair.chosen, pair.rejected)]
        return self.logprobs(asked).reshape(-1, 2)


def table(
    rows: Sequence[Pair | Judged], order: Sequence[int], at_once: int, most_tokens: int, reference: Reference | None
) -> Dataset:
    """The rows in an order, in the columns of TRL's trainers, with what the reference says of each.

    Of answers judged one by one, `at_once` are in memory together: each gets the answer of another of these, by which
    KTO estimates how far the model has moved; what of it does not fit in `most_tokens` after the prompt is cut off.
    """
    if isinstance(rows[0], Pair):
        sides = ("prompt", "chosen", "rejected")
        columns = {f"{side}_ids": [list(getattr(row, side)) for row in rows] for side in sides}
        if reference is not None:
            before_N2 = reference.of_pairs(rows)
            columns |= {"ref_chosen_logps": before_N2[:, 0], "ref_rejected_logps": before_N2[:, 1]}
        return Dataset.from_dict(columns).select(order)
    shown = [rows[row] for row in order]
    others = [
        rows[order[place - 1 if place % at_once else min(place + at_once, len(order)) - 1]].answer[
            : most_tokens - len(row.prompt)
        ]
        for place, row in enumerate(shown)
    ]
    columns = {
        "prompt_ids": [list(row.prompt) for row in shown],
        "completion_ids": [list(row.answer) for row in shown],
        "KL_completion_ids": [list(other) for other in others],
        "label": [row.good for row in shown],
    }
    if reference is not None:
        own = reference.logprobs([(row.prompt, row.answer) for row in rows])[order]
        mixed = reference.logprobs([(row.prompt, other) for row, other in zip(shown, others, strict=True)])
        columns |= {"ref_logps": own, "ref_KL_logps": mixed}
    return Dataset.from_dict(columns)


def digest(rows: Sequence[Pair | Judged]) -> str:
    """Of all that is learned from, in its order."""
    found = hashlib.sha256()
    for row in rows:
        sides = (
            (row.prompt, row.chosen, row.rejected) if isinstance(row, Pair) else (row.prompt, row.answer, [row.good])
        )
        for side in sides:
            found.update(array("i", [len(side), *side]).tobytes())
    return found.hexdigest()


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
