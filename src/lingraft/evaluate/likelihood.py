"""How likely a model finds an answer after a context: what multiple choice is decided by.

A context and its answer are tokenized as one text, as a model has learned it. An extended vocabulary may then have a
token that ends the one and begins the other. What is asked for is P(answer | context), so such a token counts by its
share among all tokens that go on with the end of the context as it does.

B rows, S places, V tokens of the vocabulary, N places that predict a token of an answer, D columns.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from tokenizers import Encoding
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lingraft.core.errors import InputError
from lingraft.core.progress import SILENT, Progress

from .context import start_token
from .places import logits_at

BATCH_TOKENS = 8192
BATCH_LOGITS = 1 << 26
BATCH_TEXTS = 1000
"""Tokenized at once."""
TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-4}
"""Between two orders of summation: of log-likelihoods, relative where they are large."""
TOLERANCE_OF_HALVES = 2e-2


@dataclass(frozen=True)
class Question:
    """A text, and what could follow it."""

    context: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Score:
    """Of one answer."""

    logprob: float
    """Natural logarithm of P(answer | context)."""
    is_greedy: bool
    """Whether every one of its tokens is the most likely one."""
    bytes: int
    """Of the answer in UTF-8, to normalize by."""
    cut_tokens: int = 0
    """Tokens of the context that were left out because it is longer than the model's positions."""


@dataclass(frozen=True)
class _Answer:
    question: int
    answer: int
    prefix: array
    rest: array
    siblings: tuple[int, ...]
    """Tokens that begin with what the first of `rest` has of the context; none where it begins at the answer."""


@dataclass
class _Row:
    """Answers that follow one prefix, scored in one sequence without seeing each other."""

    prefix: array
    answers: list[_Answer] = field(default_factory=list)

    def places(self) -> int:
        return len(self.prefix) + self.places_of_answers()

    def places_of_answers(self) -> int:
        return sum(len(answer.rest) - 1 for answer in self.answers)

    def apart(self) -> "list[_Row]":
        """Each of its answers in a sequence of its own."""
        return [_Row(self.prefix, [answer]) for answer in self.answers]


class Splitter:
    """Cuts the tokens of a context and an answer where the answer begins.

    Spaces at the end of a context count as the beginning of the answer, as in lm-evaluation-harness: tokens have their
    space in front.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, bos: bool, special_tokens: bool = False) -> None:
        self._tokenizer, self._start, self._bos = tokenizer, start_token(tokenizer), bos
        self._special_tokens = special_tokens
        self._pieces = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
        self._normalizer = tokenizer.backend_tokenizer.normalizer
        # The pieces of a byte-level vocabulary have a letter a byte.
        self._is_byte_level = "ByteLevel" in str(tokenizer.backend_tokenizer.decoder)
        self._begin_with: dict[str, tuple[int, ...]] = {}

    def split(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[array, array, tuple[int, ...]]]:
        """Of each context and answer: the tokens before the answer, those from where it begins, and what the first of
        these has to share with.

        Raises InputError where an answer is empty.
        """
        for first in range(0, len(pairs), BATCH_TEXTS):
            batch = pairs[first : first + BATCH_TEXTS]
            for context, answer in batch:
                if not answer:
                    where = context[-60:]
                    raise InputError("an answer is empty.", where=where, remedy="Leave the item out, or mend it.")
            encoded = self._tokenizer(
                [context + answer for context, answer in batch],
                add_special_tokens=False,
                split_special_tokens=not self._special_tokens,
                return_attention_mask=False,
                return_token_type_ids=False,
                verbose=False,
            )
            for (context, answer), ids, encoding in zip(batch, encoded["input_ids"], encoded.encodings, strict=True):
                yield self._cut(context, answer, ids, encoding)

    def _cut(
        self, context: str, answer: str, ids: list[int], encoding: Encoding
    ) -> tuple[array, array, tuple[int, ...]]:
        text, border = context + answer, len(context.rstrip(" "))
        # A letter may belong to no token, and a token have none: spaces, where offsets are trimmed.
        tokens = (encoding.char_to_token(place) for place in range(border, len(text)))
        cut = next((token for token in tokens if token is not None), len(ids) - 1)
        while cut and encoding.token_to_chars(cut - 1)[1] > border:
            cut -= 1
        begin, end = encoding.token_to_chars(cut)
        siblings: tuple[int, ...] = ()
        if begin < border:
            siblings = self._siblings(ids[cut], self._letters(text[border:], text[border:end], ids[cut + 1 :]))
        start = [self._start] if self._bos or not cut else []
        return array("i", start + ids[:cut]), array("i", ids[cut:]), siblings

    def _letters(self, rest: str, of_token: str, after: list[int]) -> int:
        """How many letters of a token's piece are of the answer, of which tokens `after` it hold the remainder."""
        if not self._is_byte_level:
            return len(of_token)
        # A token may end inside a letter: its bytes are those that no later token has.
        normal = rest if self._normalizer is None else self._normalizer.normalize_str(rest)
        return len(normal.encode()) - sum(len(self._pieces[token]) for token in after)

    def _siblings(self, token: int, letters: int) -> tuple[int, ...]:
        """The tokens that begin as this one does before its last letters."""
        piece = self._pieces[token]
        beginning = piece[: max(1, len(piece) - letters)]
        if beginning not in self._begin_with:
            found = (number for number, other in enumerate(self._pieces) if other.startswith(beginning))
            self._begin_with[beginning] = tuple(found)
        return self._begin_with[beginning]


@torch.inference_mode()
def score(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[Question],
    *,
    context_tokens: int,
    bos: bool = True,
    special_tokens: bool = False,
    progress: Progress = SILENT,
) -> list[list[Score]]:
    """The scores of every answer, in the order given.

    `special_tokens` says that control tokens written in a context are meant, as in a chat template; else they are text.

    Answers that follow the same tokens are one sequence with them, so that a long context is read once. Contexts are
    cut at their beginning where they are too long. Raises InputError where an answer alone is too long.
    """
    splitter = Splitter(tokenizer, bos=bos, special_tokens=special_tokens)
    places = [(number, index) for number, question in enumerate(questions) for index in range(len(question.answers))]
    pairs = [(questions[number].context, questions[number].answers[index]) for number, index in places]
    answers: list[_Answer] = []
    cut: dict[tuple[int, int], int] = {}
    for (number, index), (prefix, rest, siblings) in zip(places, splitter.split(pairs), strict=True):
        room = context_tokens - len(rest) + 1
        if room < 1:
            raise InputError(
                f"an answer has {len(rest)} tokens, more than the {context_tokens} of the context.",
                where=questions[number].answers[index][:60],
                remedy="Leave the item out, or raise context_tokens.",
            )
        cut[number, index] = max(0, len(prefix) - room)
        kept = prefix[-room:]
        if index and kept == answers[-1].prefix:
            kept = answers[-1].prefix  # held once
        answers.append(_Answer(number, index, kept, rest, siblings))
    found: dict[tuple[int, int], Score] = {}
    rows = _rows(answers)
    if not _takes_masks(model, rows):
        rows = [alone for row in rows for alone in row.apart()]
    progress.start("scoring answers", len(answers), "answers")
    for batch in _batches(rows, vocabulary=len(tokenizer)):
        for answer, (logprob, is_greedy) in _scored(model, batch):
            place = (answer.question, answer.answer)
            size = len(questions[answer.question].answers[answer.answer].encode())
            found[place] = Score(logprob, is_greedy, size, cut[place])
        progress.advance(sum(len(row.answers) for row in batch))
    return [
        [found[number, index] for index in range(len(question.answers))] for number, question in enumerate(questions)
    ]


def _takes_masks(model: PreTrainedModel, rows: Sequence[_Row]) -> bool:
    """Whether answers in one sequence do not see each other: not where layers see windows, or keep a state, or count
    how far tokens stand apart.

    That is not looked up but tried, on the rows in which most could go wrong.
    """
    shared = [row for row in rows if len(row.answers) > 1]
    if not shared:
        return False
    tolerance = TOLERANCES.get(model.dtype, TOLERANCE_OF_HALVES)
    longest, most = max(shared, key=_Row.places), max(shared, key=_Row.places_of_answers)
    for row in (longest,) if longest is most else (longest, most):
        apart = [logprob for alone in row.apart() for _, (logprob, _) in _scored(model, [alone])]
        try:
            together = [logprob for _, (logprob, _) in _scored(model, [row])]
        except (RuntimeError, ValueError, TypeError, IndexError):  # a mask of such a shape is not taken
            return False
        if not all(abs(a - b) <= tolerance * max(1.0, abs(a)) for a, b in zip(apart, together, strict=True)):
            return False
    return True


def _rows(answers: Iterable[_Answer]) -> list[_Row]:
    rows: dict[tuple[int, bytes], _Row] = {}
    for answer in answers:
        rows.setdefault((answer.question, answer.prefix.tobytes()), _Row(answer.prefix)).answers.append(answer)
    return list(rows.values())


def _batches(rows: Sequence[_Row], vocabulary: int) -> Iterator[list[_Row]]:
    """Rows of like length together; the longest first, so that memory is short at once."""
    batch: list[_Row] = []
    predicted = 0
    for row in sorted(rows, key=lambda row: -row.places()):
        more = sum(len(answer.rest) for answer in row.answers)
        full = batch and (
            (len(batch) + 1) * batch[0].places() > BATCH_TOKENS or (predicted + more) * vocabulary > BATCH_LOGITS
        )
        if full:
            yield batch
            batch, predicted = [], 0
        batch.append(row)
        predicted += more
    if batch:
        yield batch


def _scored(model: PreTrainedModel, batch: Sequence[_Row]) -> Iterator[tuple[_Answer, tuple[float, bool]]]:
    longest = max(row.places() for row in batch)
    ids_BS = torch.zeros(len(batch), longest, dtype=torch.long)
    rows: list[int] = []
    places: list[int] = []
    predicted: list[int] = []
    for number, row in enumerate(batch):
        ids_BS[number, : len(row.prefix)] = torch.tensor(row.prefix)
        for answer, begin in _begins(row):
            end = begin + len(answer.rest) - 1
            ids_BS[number, begin:end] = torch.tensor(answer.rest[:-1])
            rows += [number] * len(answer.rest)
            places += [len(row.prefix) - 1, *range(begin, end)]
            predicted += answer.rest
    inputs = {"input_ids": ids_BS.to(model.device)}
    if any(len(row.answers) > 1 for row in batch):  # else padding stands at the right, and attention is causal
        inputs |= _each_alone(model, batch, longest)
    (logits_NV,) = logits_at(model, inputs, rows, places, at_once=len(places))
    logprobs_NV = logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32)).log_softmax(dim=1)
    predicted_N = torch.tensor(predicted, device=logprobs_NV.device)
    chosen_N = logprobs_NV.gather(1, predicted_N[:, None])[:, 0].double().cpu()
    greedy_N = (logprobs_NV.argmax(dim=1) == predicted_N).cpu()
    first = 0
    for row in batch:
        for answer in row.answers:
            after = first + len(answer.rest)
            logprob = chosen_N[first:after].sum().item()
            if answer.siblings:
                logprob -= logprobs_NV[first, list(answer.siblings)].logsumexp(dim=0).item()
            yield answer, (logprob, bool(greedy_N[first:after].all()))
            first = after


def _begins(row: _Row) -> Iterator[tuple[_Answer, int]]:
    """Every answer with the place of its first token; its last one is only predicted."""
    begin = len(row.prefix)
    for answer in row.answers:
        yield answer, begin
        begin += len(answer.rest) - 1


def _each_alone(model: PreTrainedModel, batch: Sequence[_Row], longest: int) -> dict[str, torch.Tensor]:
    """Positions and mask by which every answer sees its prefix and itself."""
    positions_BS = torch.zeros(len(batch), longest, dtype=torch.long)
    sees_BSS = torch.zeros(len(batch), longest, longest, dtype=torch.bool)
    for number, row in enumerate(batch):
        length = len(row.prefix)
        positions_BS[number, :length] = torch.arange(length)
        sees_BSS[number, :length, :length] = True
        for answer, begin in _begins(row):
            end = begin + len(answer.rest) - 1
            positions_BS[number, begin:end] = torch.arange(length, length + end - begin)
            sees_BSS[number, begin:end, :length] = True
            sees_BSS[number, begin:end, begin:end] = True
    sees_BSS.tril_()
    sees_BSS.diagonal(dim1=1, dim2=2).fill_(True)  # padding sees itself: a row of nothing has no softmax
    lowest = torch.finfo(model.dtype).min
    mask = torch.zeros(sees_BSS.shape, dtype=model.dtype).masked_fill_(~sees_BSS, lowest)[:, None]
    return {"position_ids": positions_BS.to(model.device), "attention_mask": mask.to(model.device)}
