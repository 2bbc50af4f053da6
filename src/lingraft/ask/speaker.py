"""A model in a conversation: its prompt, its answer token by token, and what it has read kept for the next turn."""

import inspect
import json
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from jinja2.exceptions import TemplateError
from transformers import DynamicCache, PreTrainedTokenizerBase
from transformers.cache_utils import DynamicLayer

from lingraft.core.errors import InputError
from lingraft.evaluate.generate import Loaded

from .message import ASSISTANT, SYSTEM, USER, Message, Messages
from .pieces import Piece, Pieces
from .templated import templated

READ_TOKENS = 512
"""Of a prompt at once: between two runs an answer can be stopped."""
DONE = -1
PROBE = "lingraft-probe"


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen; the likeliest at temperature 0."""

    temperature: float = 0.7
    top_p: float = 0.95
    max_new_tokens: int = 512
    seed: int = 17


class Speaker:
    """A model that answers token by token. What it has read and written is not read again while it stays the same."""

    def __init__(
        self, name: str, loaded: Loaded, *, context_tokens: int | None = None, new_ids: Collection[int] = ()
    ) -> None:
        self.name, self.tokenizer, self.new_ids = name, loaded.tokenizer, frozenset(new_ids)
        self._model = loaded.model
        self.context_tokens = context_tokens
        self.ends = _ends(loaded)
        wanted = inspect.signature(self._model.forward).parameters
        self._last_only = {"logits_to_keep": 1} if "logits_to_keep" in wanted else {}
        self.forget()

    @property
    def has_template(self) -> bool:
        """Whether it is made for turns; else it goes on with a text."""
        return bool(self.tokenizer.chat_template)

    def forget(self) -> None:
        """Nothing read so far is kept."""
        self._read: list[int] = []
        self._cache = DynamicCache(config=self._model.config)

    def prompt(self, messages: Messages) -> list[int]:
        """The ids to read: through the chat template, or without one as one text in which a user begins a new line.

        A control token that stands written in a message is text. Raises InputError where the template refuses or leaves
        out the system message.
        """
        if not self.has_template:
            turns = (message.content if message.role != USER else f"\n{message.content}" for message in messages)
            return self.tokenizer("".join(turns).removeprefix("\n"), split_special_tokens=True)["input_ids"]
        text = _render(self, messages, add_generation_prompt=True)
        system = messages[0].content.strip() if messages[0].role == SYSTEM else ""
        if system not in text:
            raise InputError(
                f"the chat template of {self.name} leaves the system message out.",
                remedy="Say it in your first message.",
            )
        return templated(self.tokenizer, messages)

    @torch.inference_mode()
    def tokens(self, prompt: list[int], sampling: Sampling) -> Iterator[int | None]:
        """The tokens of an answer; None for each run of the prompt that was read before the first.

        Ends after a token that ends a turn, which is not given. Whoever stops asking stops the answer.
        """
        chosen = torch.Generator().manual_seed(sampling.seed)
        todo = self._not_read(prompt)
        while True:
            for first in range(0, len(todo), READ_TOKENS):
                logits_V = self._step(todo[first : first + READ_TOKENS])
                if first + READ_TOKENS < len(todo):
                    yield None
            token = _choose(logits_V, sampling, chosen)
            if token in self.ends:
                return
            yield token
            todo = [token]

    def _not_read(self, prompt: list[int]) -> list[int]:
        """What of a prompt is to be read yet, its last token always; the cache is brought to what comes before."""
        same = 0
        for ours, theirs in zip(self._read, prompt[:-1], strict=False):
            if ours != theirs:
                break
            same += 1
        beyond = len(self._read) - same
        if beyond and all(type(layer) is DynamicLayer for layer in self._cache.layers):
            self._cache.crop(-beyond)
            del self._read[same:]
        elif beyond:  # other kinds of layers keep a state that cannot be taken back
            self.forget()
        return prompt[len(self._read) :]

    def _step(self, ids: list[int]) -> torch.Tensor:
        """Read on; the logits of what comes next. What is kept stays whole when this is interrupted."""
        cache, self._cache = self._cache, None
        read, self._read = self._read, []
        try:
            inputs = torch.tensor([ids], device=self._model.device)
            out = self._model(input_ids=inputs, past_key_values=cache, use_cache=True, **self._last_only)
        except BaseException:
            self.forget()
            raise
        self._cache, self._read = out.past_key_values, [*read, *ids]
        return out.logits[0, -1].float().cpu()


class Writing:
    """An answer on its way: gives its pieces, and knows its text, its speed and why it ended."""

    def __init__(self, speaker: Speaker, prompt: list[int], sampling: Sampling) -> None:
        self.speaker, self.pieces, self.seconds = speaker, Pieces(speaker.tokenizer, speaker.new_ids), 0.0
        self.ended: str | None = None
        """`whole`, `length`, `context` or `stopped`; None while it is written."""
        self._tokens = speaker.tokens(prompt, sampling)
        self._most, self._room = sampling.max_new_tokens, None
        if speaker.context_tokens is not None:
            self._room = speaker.context_tokens - len(prompt)

    @property
    def text(self) -> str:
        return self.pieces.text

    def __iter__(self) -> Iterator[Piece | None]:
        """Each piece as soon as it is whole; None where a token or a run of the prompt gave no text yet."""
        while self.ended is None:
            with self._timed():
                token = next(self._tokens, DONE)
                piece = None if token in (None, DONE) else self.pieces.take(token)
            if token == DONE:
                self.stop("whole")
            elif len(self.pieces.ids) == self._room:
                self.stop("context")
            elif len(self.pieces.ids) == self._most:
                self.stop("length")
            yield piece
        if (rest := self.pieces.rest()) is not None:
            yield rest

    def stop(self, why: str = "stopped") -> None:
        """No more is written."""
        self._tokens.close()
        self.ended = self.ended or why

    def told(self) -> str:
        """How it went, in a line."""
        count = len(self.pieces.ids)
        parts = [f"{count} {'token' if count == 1 else 'tokens'}"]
        if count and self.seconds:
            parts.append(f"{count / self.seconds:.1f} tokens/s")
            parts.append(f"{len(self.text.encode()) / count:.2f} bytes a token")
        why = {
            "length": "cut off at --max-new-tokens",
            "context": f"the context of {self.speaker.context_tokens} tokens is full: /reset begins anew",
            "stopped": "stopped",
        }
        return ", ".join(parts) + (f"; {why[self.ended]}" if self.ended in why else "")

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - began


def new_ids(folder: Path, tokenizer: PreTrainedTokenizerBase, before: PreTrainedTokenizerBase | None) -> frozenset[int]:
    """The tokens that another tokenizer has not; without one those that the folder's artifact.json calls new."""
    if before is not None:
        known = before.get_vocab()
        return frozenset(index for token, index in tokenizer.get_vocab().items() if token not in known)
    manifest = folder / "artifact.json"
    if not manifest.exists():
        return frozenset()
    found = json.loads(manifest.read_text(encoding="utf-8")).get("figures", {}).get("new_ids", [])
    return frozenset(index for first, end in found for index in range(first, end))


def _choose(logits_V: torch.Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    """The next token: the likeliest, or one drawn from the smallest set that holds `top_p` of the probability."""
    if not sampling.temperature:
        return int(logits_V.argmax())
    # The largest is 0, so that nothing but what is far below it overflows, however small the temperature is.
    logits_V = (logits_V - logits_V.max()) / max(sampling.temperature, torch.finfo(torch.float32).tiny)
    shares_V, ids_V = torch.softmax(logits_V, dim=-1).sort(descending=True)
    shares_V[shares_V.cumsum(0) - shares_V >= sampling.top_p] = 0
    shares_V[0] = max(float(shares_V[0]), torch.finfo(torch.float32).tiny)
    return int(ids_V[torch.multinomial(shares_V, 1, generator=generator)])


def _render(speaker: Speaker, messages: Messages, **how: bool) -> str:
    rows = [message.as_json() for message in messages]
    try:
        return speaker.tokenizer.apply_chat_template(rows, tokenize=False, **how)
    except (TemplateError, ValueError) as error:  # ValueError: several templates, and none of them the default
        raise InputError(f"the chat template of {speaker.name} refuses the conversation: {error}") from error


def _ends(loaded: Loaded) -> frozenset[int]:
    """What ends an answer: every EOS of the generation config, that of the tokenizer, the template's end of a turn."""
    own = loaded.model.generation_config.eos_token_id
    found = {*(own if isinstance(own, list) else [own]), loaded.tokenizer.eos_token_id}
    if loaded.tokenizer.chat_template:
        turn = [Message(USER, PROBE), Message(ASSISTANT, PROBE)]
        try:
            text = loaded.tokenizer.apply_chat_template([message.as_json() for message in turn], tokenize=False)
        except (TemplateError, ValueError):  # what it does take is found out in the conversation
            text = ""
        special = {index for index, token in loaded.tokenizer.added_tokens_decoder.items() if token.special}
        after = loaded.tokenizer(text.rpartition(PROBE)[2], add_special_tokens=False)["input_ids"]
        found |= set([index for index in after if index in special][:1])
    return frozenset(found - {None})
