"""Tokens as text, as soon as they are whole characters."""

from collections.abc import Collection
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

MOST_HELD = 4
"""Tokens that one character can be split into: its bytes."""
HALF = "\ufffd"


@dataclass(frozen=True)
class Piece:
    """Text that one token stands for, or several where none of them is a whole character."""

    text: str
    tokens: int
    new: bool = False
    """Whether one of them is a token that the base has not."""


class Pieces:
    """Takes tokens one by one; gives text as soon as it is whole.

    A token is read after those of the piece before it: some tokenizers write a space only between words.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, new_ids: Collection[int] = ()) -> None:
        self._tokenizer, self._new_ids = tokenizer, new_ids
        self._before: list[int] = []
        self._held: list[int] = []
        self.ids: list[int] = []

    @property
    def text(self) -> str:
        """All of it."""
        return self._decode(self.ids)

    def take(self, token: int) -> Piece | None:
        """The text that the token completes, if any."""
        self.ids.append(token)
        self._held.append(token)
        text = self._text()
        if not text or (text.endswith(HALF) and len(self._held) < MOST_HELD):
            return None
        return self._give(text)

    def rest(self) -> Piece | None:
        """What is held when nothing more comes: half a character is shown as such."""
        text = self._text()
        return self._give(text) if text else None

    def _text(self) -> str:
        return self._decode([*self._before, *self._held])[len(self._decode(self._before)) :]

    def _give(self, text: str) -> Piece:
        piece = Piece(text, len(self._held), any(token in self._new_ids for token in self._held))
        self._before, self._held = self._held, []
        return piece

    def _decode(self, ids: list[int]) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
