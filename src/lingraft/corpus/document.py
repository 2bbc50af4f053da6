"""A document, a record that cannot become one, and the test between the two."""

from typing import NamedTuple

EXCERPT_CHARACTERS = 200

TOO_LONG = "longer than max_document_bytes"
INVALID_UTF8 = "invalid UTF-8"
NOT_JSON = "not JSON"
NOT_AN_OBJECT = "not a JSON object"
NO_TEXT_FIELD = "no text field"
NOT_A_STRING = "text is not a string"
EMPTY = "empty text"
NOT_UNICODE = "not valid Unicode"
BROKEN_ROW = "broken csv row"


class Document(NamedTuple):
    """A text, the source and the group it belongs to, and its place: "file:line" or "file#row"."""

    text: str
    source: str
    group: str | None
    place: str


class BadRecord(NamedTuple):
    """A record without usable text: its reason (one of few), the detail of this case, how it begins."""

    place: str
    reason: str
    detail: str
    excerpt: str
    source: str


class Unusable(Exception):
    """Raised while a record is parsed; becomes a BadRecord."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


def decode(data: bytes, max_bytes: int) -> str:
    """The text of `data`; raises Unusable when it is longer than `max_bytes` or not UTF-8."""
    if len(data) > max_bytes:
        raise Unusable(TOO_LONG)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Unusable(INVALID_UTF8, f"byte 0x{data[error.start]:02x} at offset {error.start}") from None


def check(text: object, group: object, max_bytes: int) -> tuple[str, str | None]:
    """The text and the group as strings, an empty group as None; raises Unusable when the text is no document."""
    if not isinstance(text, str):
        raise Unusable(NOT_A_STRING, f"but {type(text).__name__}")
    if not text or text.isspace():
        raise Unusable(EMPTY)
    name = "" if group is None else str(group)
    try:
        num_bytes = len(text.encode())
        name.encode()
    except UnicodeEncodeError as error:  # JSON can spell one half of a surrogate pair
        raise Unusable(NOT_UNICODE, f"lone surrogate at character {error.start}") from None
    if num_bytes > max_bytes:
        raise Unusable(TOO_LONG)
    return text, name or None


def printable(text: str) -> str:
    """The text with lone surrogates spelled out: file names that are not UTF-8 and names in JSON can hold them."""
    return text.encode(errors="backslashreplace").decode()


def excerpt(record: object) -> str:
    """How a record begins, printable whatever is in it."""
    if isinstance(record, bytes):
        return record[: 4 * EXCERPT_CHARACTERS].decode(errors="backslashreplace")[:EXCERPT_CHARACTERS]
    return printable(str(record)[:EXCERPT_CHARACTERS])
