"""A causal language model in a folder, asked through its chat template or in plain text."""

import json
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from jinja2.exceptions import TemplateError

from lingraft.core.errors import InputError
from lingraft.core.progress import SILENT, Progress
from lingraft.evaluate.context import context_tokens, start_token
from lingraft.evaluate.evaluate import load
from lingraft.evaluate.generate import Loaded, Passage, write_passages
from lingraft.evaluate.kept import model_digest

from .message import Messages
from .respondent import Reply
from .templated import templated


class Local:
    """Asks a model on this machine; it is loaded when it is first asked.

    Without `prompt` a conversation goes through the tokenizer's chat template, with its generation prompt; `prompt`
    makes plain text of one instead (see `Transcript`; its `repr` is part of the identity), and what is written ends at
    the first of `stop`. With `whole` an answer that is empty, or does not come to its end within `max_tokens`, is a
    failed reply; without, it is a reply like any other. Sampling, at a temperature above 0, is repeatable for the same
    questions in the same call.

    Raises InputError for a folder that holds no model, and without `prompt` for a model that has no chat template.
    """

    def __init__(
        self,
        folder: Path,
        *,
        prompt: Callable[[Messages], str] | None = None,
        stop: Sequence[str] = (),
        temperature: float = 0.0,
        max_tokens: int = 512,
        context_tokens: int | None = None,
        trust_remote_code: bool = False,
        whole: bool = True,
        name: str | None = None,
    ) -> None:
        check_folder(folder, chat=prompt is None)
        self._folder, self._prompt, self._stop = folder, prompt, tuple(stop)
        self._temperature, self._max_tokens, self._context_tokens = temperature, max_tokens, context_tokens
        self._trusted, self._whole = trust_remote_code, whole
        self.name = name or folder.name

    @cached_property
    def identity(self) -> str:
        """The content of the model's files, and the settings."""
        found = {
            "model": model_digest(self._folder),
            "prompt": repr(self._prompt),
            "stop": self._stop,
            "temperature": self._temperature,
            "max_tokens": self._max_tokens,
            "context_tokens": self._context_tokens,
            "whole": self._whole,
        }
        return json.dumps(found, sort_keys=True)

    @cached_property
    def _loaded(self) -> Loaded:
        loaded = load(self._folder, trust_remote_code=self._trusted)
        # A template ends a turn with the tokenizer's EOS, which not every generation_config.json lists.
        config, end = loaded.model.generation_config, loaded.tokenizer.eos_token_id
        ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
        config.eos_token_id = [token for token in dict.fromkeys([*ends, end]) if token is not None] or None
        return loaded

    def reply(self, asked: Sequence[Messages], *, progress: Progress = SILENT) -> list[Reply]:
        """One reply to each conversation, in their order; see `Respondent`.

        A prompt that leaves no room in the context for `max_tokens` is a failed reply. A control token that stands
        written in a message is text.
        """
        trusted = [self._folder] if self._trusted else []
        room = context_tokens({self.name: self._folder}, self._context_tokens, trusted=trusted)
        prompts: dict[int, str | list[int]] = {}
        failures: dict[int, str] = {}
        for place, messages in enumerate(asked):
            try:
                prompts[place] = self._checked(messages, room)
            except _Unaskable as error:
                failures[place] = str(error)
        sampling = {"do_sample": False}
        if self._temperature:
            sampling = {"do_sample": True, "temperature": self._temperature, "top_k": 0}
        written = write_passages(
            self._loaded,
            list(prompts.values()),
            stop=self._stop,
            max_new_tokens=self._max_tokens,
            context_tokens=room,
            sampling=sampling,
            bos=self._prompt is not None,
            special_tokens=False,
            progress=progress,
        )
        passages = dict(zip(prompts, written, strict=True))
        return [
            Reply("", failures[place], lasting=True) if place in failures else self._read(passages[place])
            for place in range(len(asked))
        ]

    def _read(self, passage: Passage) -> Reply:
        tokens = (passage.read, passage.written)
        if not self._whole:
            return Reply(passage.text, None, tokens, not passage.ended)
        if not passage.ended:
            return Reply("", f"The answer was cut off at {self._max_tokens} tokens.", tokens)
        if not passage.text.strip():
            return Reply("", "The answer is empty.", tokens)
        return Reply(passage.text, None, tokens)

    def _checked(self, messages: Messages, room: int) -> str | list[int]:
        tokenizer = self._loaded.tokenizer
        if self._prompt is not None:
            prompt = self._prompt(messages)
            found = tokenizer(prompt, add_special_tokens=False, split_special_tokens=True, verbose=False)
            count = len([start_token(tokenizer), *found.input_ids])
        else:
            try:
                prompt = templated(tokenizer, messages)
            except TemplateError as error:
                raise _Unaskable(f"The chat template refuses the conversation: {error}.") from None
            count = len(prompt)
        if count + self._max_tokens > room:
            raise _Unaskable(
                f"The question has {count} tokens, and a context of {room} leaves {room - self._max_tokens} for it."
            )
        return prompt


class _Unaskable(Exception):
    """Why one conversation cannot be put to the model."""


def check_folder(folder: Path, *, chat: bool) -> None:
    """Raises InputError where a folder holds no model with a tokenizer, or with `chat` none with a chat template."""
    for name in ("config.json", "tokenizer_config.json"):
        if not (folder / name).is_file():
            raise InputError(
                f"this is no folder of a model: it has no {name}.",
                where=folder,
                remedy="Give the folder of a model in Hugging Face form.",
            )
    if not any(folder.glob("*.safetensors")):
        raise InputError("the folder has no weights as safetensors.", where=folder, remedy="Download the model again.")
    if chat and not has_template(folder):
        raise InputError(
            "the model has no chat template, so it is likely no chat model.",
            where=folder,
            remedy="Take an instruct model, or ask it in plain text with examples.",
        )


def has_template(folder: Path) -> bool:
    """Whether a model's folder has a chat template."""
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    try:
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"this is not valid JSON: {error}.", where=folder / "tokenizer_config.json") from error
    return bool(config.get("chat_template"))
