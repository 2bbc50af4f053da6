"""Chat templates: the one a model has, or one given to a model that has none, tried before it is used."""

import json
from datetime import date
from pathlib import Path

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from lingraft.ask.message import ASSISTANT, SYSTEM, USER, Message, Messages
from lingraft.core.artifact import write_json
from lingraft.core.errors import InputError
from lingraft.core.registry import did_you_mean

FOLDER = Path(__file__).parent / "templates"
TEMPLATES = {
    "zephyr": "Marks written as text, no token of its own: <|user|>, <|assistant|>; for any base "
    "(Tunstall et al. 2023, arXiv 2310.16944; the chat models of SambaLingo have it).",
    "llama2": "[INST] ... [/INST], as text (Touvron et al. 2023, arXiv 2307.09288).",
    "chatml": "<|im_start|> and <|im_end|>, which the tokenizer must have as tokens.",
}
DEFAULT = "zephyr"
OWN = "own"
FILE = "chat_template.jinja"
DATE = date(2024, 7, 26)
"""Which Llama 3 has where a template is not told the day."""
TODAY = "".join(
    (
        "{%- macro strftime_now(format) -%}{{ format",
        *(f"|replace('%{code}', '{DATE.strftime('%' + code)}')" for code in "dbBmyYjaAHMS"),
        " }}{%- endmacro -%}",
    )
)
"""Gives templates that write today's date always the same one: a conversation is the same tokens tomorrow."""
_CHATML = ("<|im_start|>", "<|im_end|>")


def named(tokenizer: PreTrainedTokenizerBase, wanted: str, folder: Path) -> tuple[str, str]:
    """What a template is called, and its text: the model's own, one of `TEMPLATES`, or a .jinja file.

    `auto` is the model's own, or `zephyr` for a model that has none. A file is looked for from `folder`.
    Raises InputError where there is no such template, or it needs tokens that are not there.
    """
    own = tokenizer.chat_template
    if isinstance(own, dict):
        own = own.get("default")
    if wanted in ("auto", OWN) and own:
        return OWN, own
    if wanted == OWN:
        raise InputError(
            "the model has no chat template of its own.",
            where=tokenizer.name_or_path,
            remedy=f"Set template to auto, which gives it {DEFAULT}, or to one of {', '.join(TEMPLATES)}.",
        )
    if wanted == "auto":
        wanted = DEFAULT
    if wanted in TEMPLATES:
        if wanted == "chatml" and (lacking := [token for token in _CHATML if token not in tokenizer.get_vocab()]):
            raise InputError(
                f"the template chatml needs the token {lacking[0]}, and the tokenizer has none.",
                where=tokenizer.name_or_path,
                remedy=f"Set template to {DEFAULT}, which needs no tokens of its own.",
            )
        return wanted, (FOLDER / f"{wanted}.jinja").read_text(encoding="utf-8")
    path = folder / wanted
    if path.suffix != ".jinja":
        raise InputError(f'there is no template "{wanted}".', remedy=did_you_mean(wanted, ["auto", OWN, *TEMPLATES]))
    if not path.is_file():
        raise InputError("there is no such template.", where=path, remedy="It is looked for beside the recipe.")
    return path.name, path.read_text(encoding="utf-8")


def put(folder: Path, text: str) -> None:
    """Make this the chat template of the tokenizer in `folder`."""
    (folder / FILE).write_text(text, encoding="utf-8")
    config = folder / "tokenizer_config.json"
    content = json.loads(config.read_text(encoding="utf-8"))
    if content.pop("chat_template", None) is not None:  # there would be two
        write_json(config, content)


class Template:
    """A chat template as it works with a tokenizer.

    Raises InputError where the prompt for an answer is not what stands before the answer, or where no token tells that
    an answer ends: a model cannot learn to stop by such a template.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, text: str) -> None:
        self.tokenizer, self.text = tokenizer, text
        self._special = sorted(
            {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}, key=len, reverse=True
        )
        turns = [Message(USER, "ab"), Message(ASSISTANT, "cd")]
        tail = self.answer(turns, 1)[1].partition("cd")[2]
        self.end_ids = [tokenizer.convert_tokens_to_ids(token) for token in self._special if tail.strip() == token]
        self.takes_system = self._takes_system(turns)

    def render(self, messages: Messages, *, prompt: bool = False) -> str:
        """The text of a conversation; with `prompt` also what an answer begins after."""
        try:
            return self.tokenizer.apply_chat_template(
                [message.as_json() for message in messages],
                chat_template=TODAY + self.text,
                tokenize=False,
                add_generation_prompt=prompt,
            )
        except TemplateError as error:
            raise InputError(
                f"the chat template does not take this conversation: {error}.",
                where=self.tokenizer.name_or_path,
                remedy="Choose another template, or leave such conversations out.",
            ) from error

    def answer(self, messages: Messages, turn: int) -> tuple[str, str]:
        """What stands before the answer at this turn, and the answer with all that ends it.

        What follows the first control token after the answer is left out: a model has stopped there.
        """
        before, after = self.render(messages[:turn], prompt=True), self.render(messages[: turn + 1])
        if not after.startswith(before):
            raise InputError(
                "the chat template writes an answer otherwise than it asks for one: a model would be trained on a "
                "prompt that it never sees.",
                where=self.tokenizer.name_or_path,
                remedy="Choose another template: zephyr works with every tokenizer.",
            )
        piece, content = after[len(before) :], messages[turn].content.strip()
        place = piece.find(content)
        ends = [(piece.find(token, place + len(content)), token) for token in self._special] if place >= 0 else []
        end = min((where + len(token) for where, token in ends if where >= 0), default=None)
        if end is None:
            raise InputError(
                "the chat template does not end an answer with a control token: a model would not learn to stop.",
                where=self.tokenizer.name_or_path,
                remedy="Choose another template: zephyr ends answers with the EOS token.",
            )
        return before, piece[:end]

    def has_control_tokens(self, messages: Messages) -> bool:
        """Whether a message holds, written as text, a token that steers: it would be read as one."""
        return any(token in message.content for token in self._special for message in messages)

    def _takes_system(self, turns: Messages) -> bool:
        try:
            return "lingraft-system" in self.render([Message(SYSTEM, "lingraft-system"), *turns])
        except InputError:
            return False
