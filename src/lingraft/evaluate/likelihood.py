"""How likely a model finds an answer after a context: what multiple choice is decided by.

A context and its answer are tokenized as one text, as a model has learned it. An extended vocabulary may then have a
token that ends the one and begins the other. What is asked for is P(answer | context), so such a token counts by its
share among all tokens that go on with the end of the context as it does.

B rows, S places, V tokens of the vocabulary, N places that predict a token of an answer, D columns.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lingraft.core.errors import InputError
from lingraft.core.progress import SILENT, Progress

BATCH_TOKENS = 8192
BATCH_LOGITS = 1 << 26


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
    prefix: tuple[int, ...]
    rest: tuple[int, ...]
    siblings: tuple[int, ...]
    """Tokens that begin with what the first of `rest` has of the context; none where it begins at the answer."""


@dataclass
class _Row:
    """Answers that follow one prefix, scored in one sequence without seeing each other."""

    prefix: tuple[int, ...]
    answers: list[_Answer] = field(default_factory=list)

    def places(self) -> int:
        return len(self.prefix) + sum(len(answer.rest) - 1 for answer in self.answers)


class Splitter:
    """Cuts the tokens of a context and an answer where the answer begins.

    Spaces at the end of a context count as the beginning of the answer, as in lm-evaluation-harness: tokens have their
    space in front.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, bos: bool, special_tokens: bool = False) -> None:
        start = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
        if start is None:
            raise InputError(
                "the tokenizer has neither a BOS nor an EOS token to begin a text with.",
                where=tokenizer.name_or_path,
                remedy='Name one in tokenizer_config.json: "bos_token": "...".',
            )
        self._tokenizer, self._start, self._bos = tokenizer, start, bos
        self._special_tokens = special_tokens
        self._pieces = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
        self._begin_with: dict[str, tuple[int, ...]] = {}

    def split(self, context: str, answer: str) -> tuple[list[int], list[int], tuple[int, ...]]:
        """Tokens before the answer, those from where it begins, and what the first of these has to share with.

        Raises InputError where the answer is empty.
        """
        if not answer:
            raise InputError("an answer is empty.", where=context[-60:], remedy="Leave the item out, or mend it.")
        kept = context.rstrip(" ")
        encoded = self._tokenizer(
            kept + context[len(kept) :] + answer,
            add_special_tokens=False,
            split_special_tokens=not self._special_tokens,
            return_offsets_mapping=True,
            verbose=False,
        )
        ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
        cut = next((index for index, (_, end) in enumerate(offsets) if end > len(kept)), len(ids))
        begin, end = offsets[cut]
        siblings: tuple[int, ...] = ()
        if begin < len(kept):
            siblings = self._siblings(ids[cut], kept[begin:], (context + answer)[begin:end])
        prefix = ([self._start] if self._bos or not cut else []) + ids[:cut]
        return prefix, ids[cut:], siblings

    def _siblings(self, token: int, shared: str, text: str) -> tuple[int, ...]:
        piece = self._pieces[token]
        # The pieces of a byte-level vocabulary have a letter a byte.
        letters = len(shared.encode()) if len(piece) == len(text.encode()) else len(shared)
        beginning = piece[:letters]
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
    answers, cut = [], {}
    for number, question in enumerate(questions):
        for index, text in enumerate(question.answers):
            prefix, rest, siblings = splitter.split(question.context, text)
            room = context_tokens - len(rest) + 1
            if room < 1:
                raise InputError(
                    f"an answer has {len(rest)} tokens, more than the {context_tokens} of the context.",
                    where=text[:60],
                    remedy="Leave the item out, or raise context_tokens.",
                )
            cut[number, index] = max(0, len(prefix) - room)
            answers.append(_Answer(number, index, tuple(prefix[-room:]), tuple(rest), siblings))
    found: dict[tuple[int, int], Score] = {}
    rows = _rows(answers, together=_takes_masks(model))
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


def _takes_masks(model: PreTrainedModel) -> bool:
    """Whether a mask of one's own decides what every token sees: not where layers see windows, or keep a state."""
    config = model.config
    others = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    plain = not others and getattr(config, "sliding_window", None) is None
    return plain and config._attn_implementation in ("sdpa", "eager")


def _rows(answers: Iterable[_Answer], *, together: bool) -> list[_Row]:
    rows: dict[object, _Row] = {}
    for answer in answers:
        key = (answer.question, answer.prefix) if together else (answer.question, answer.answer)
        rows.setdefault(key, _Row(answer.prefix)).answers.append(answer)
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
    positions_BS = torch.zeros_like(ids_BS)
    sees_BSS = torch.zeros(len(batch), longest, longest, dtype=torch.bool)
    rows, places, predicted = [], [], []
    for number, row in enumerate(batch):
        length = len(row.prefix)
        ids_BS[number, :length] = torch.tensor(row.prefix)
        positions_BS[number, :length] = torch.arange(length)
        begin = length
        for answer in row.answers:
            end = begin + len(answer.rest) - 1
            ids_BS[number, begin:end] = torch.tensor(answer.rest[:-1])
            positions_BS[number, begin:end] = torch.arange(length, length + end - begin)
            sees_BSS[number, begin:end, :length] = True
            sees_BSS[number, begin:end, begin:end] = True
            rows += [number] * len(answer.rest)
            places += [length - 1, *range(begin, end)]
            predicted += answer.rest
            begin = end
        sees_BSS[number, :length, :length] = True
    sees_BSS = sees_BSS.tril_()
    sees_BSS.diagonal(dim1=1, dim2=2).fill_(True)  # padding sees itself: a row of nothing has no softmax
    if all(len(row.answers) == 1 for row in batch):
        mask = None  # padding stands at the right, attention is causal
    else:
        lowest = torch.finfo(model.dtype).min
        mask = torch.zeros(sees_BSS.shape, dtype=model.dtype).masked_fill_(~sees_BSS, lowest)[:, None].to(model.device)
    logits_NV = _logits(model, ids_BS, positions_BS, mask, rows, places)
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


def _logits(
    model: PreTrainedModel,
    ids_BS: torch.Tensor,
    positions_BS: torch.Tensor,
    mask: torch.Tensor | None,
    rows: list[int],
    places: list[int],
) -> torch.Tensor:
    """The logits (N, V) of some places: the LM head is given no others."""
    head = model.get_output_embeddings()
    hook = head.register_forward_pre_hook(lambda _, given: (given[0][rows, places][None],))
    try:
        return model(
            input_ids=ids_BS.to(model.device),
            position_ids=positions_BS.to(model.device),
            attention_mask=mask,
            use_cache=False,
        ).logits[0]
    finally:
        hook.remove()
