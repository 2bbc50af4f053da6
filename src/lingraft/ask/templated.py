"""A conversation as the tokens of a chat template, in which a control token that stands written in a message is text.

Else an answer, or a text that is judged, could end its turn and begin another one.
"""

import hashlib
import re

from transformers import PreTrainedTokenizerBase

from .message import Messages


def templated(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> list[int]:
    """The ids up to where the answer begins. Raises what the template raises."""
    rows = [message.as_json() for message in messages]
    spelled: list[str] = []
    control = _control_tokens(tokenizer)
    # What stands for a control token while the template is filled: a word that no message holds.
    word = f"q{hashlib.sha256(repr(rows).encode(errors='replace')).hexdigest()[:20]}q"

    def stand_in(found: re.Match[str]) -> str:
        spelled.append(found[0])
        return f"{word}{len(spelled) - 1}{word}"

    if control:
        written = re.compile("|".join(re.escape(token) for token in control))
        rows = [{**row, "content": written.sub(stand_in, row["content"])} for row in rows]
    text = tokenizer.apply_chat_template(rows, tokenize=False, add_generation_prompt=True)
    ids: list[int] = []
    for place, part in enumerate(re.split(f"{word}(\\d+){word}", text)):
        is_text = place % 2 == 1
        content = spelled[int(part)] if is_text else part
        if content:
            found = tokenizer(content, add_special_tokens=False, split_special_tokens=is_text, verbose=False)
            ids += found["input_ids"]
    return ids


def _control_tokens(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The longest first: of two that begin alike it is the one that is written."""
    added = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    return sorted({*tokenizer.all_special_tokens, *added} - {""}, key=lambda token: (-len(token), token))
