"""Replies on disk, so that nothing is asked twice and a killed job goes on where it was."""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lingraft.core.errors import StoreError
from lingraft.core.progress import SILENT, Progress
from lingraft.evaluate.kept import digest

from .message import Messages
from .respondent import Reply, Respondent

BATCH = 64
"""Questions after whose replies the file is written out: what a kill can cost."""
TAIL_BYTES = 1 << 16
"""In which the end of the last whole line is looked for at once."""


class _Within(Progress):
    """Moves a bar that is open already."""

    def __init__(self, outer: Progress) -> None:
        self.advance = outer.advance
        self.event = outer.event


class Kept:
    """Asks a respondent what it has not answered before; every answer is kept in `file`, failures are not.

    One JSON object a line, only ever added to: {"key", "text", "tokens", "cut"}; the key is of the respondent's
    identity and the messages, so that several respondents can share a file, in several processes too: each locks it
    while it reads or writes. Half a last line, of a process that was killed, is dropped.

    Raises StoreError for another line that is damaged.
    """

    def __init__(self, respondent: Respondent, file: Path, *, batch: int = BATCH) -> None:
        self.name, self.identity = respondent.name, respondent.identity
        self._respondent, self._file, self._batch = respondent, file, batch
        self._known: dict[str, Reply] = {}
        self._open()

    def reply(self, asked: Sequence[Messages], *, progress: Progress = SILENT) -> list[Reply]:
        """One reply to each conversation, in their order; see `Respondent`. The same question is asked once."""
        keys = [self._key(messages) for messages in asked]
        questions = dict(zip(keys, asked, strict=True))
        found = {key: self._known[key] for key in questions if key in self._known}
        progress.start(f"asking {self.name}", len(questions), "answers")
        progress.advance(len(found))
        # The batches do not depend on what is known: what a local model answers can depend on its neighbors.
        everything = list(questions)
        for start in range(0, len(everything), self._batch):
            batch = [key for key in everything[start : start + self._batch] if key not in found]
            if batch:
                replies = self._respondent.reply([questions[key] for key in batch], progress=_Within(progress))
                answers = dict(zip(batch, replies, strict=True))
                self._add({key: reply for key, reply in answers.items() if reply.failure is None})
                found |= answers
        return [found[key] for key in keys]

    def _key(self, messages: Messages) -> str:
        return digest([self.identity, [message.as_json() for message in messages]])

    def _open(self) -> None:
        if not self._file.exists():
            return
        with _locked(self._file) as file:
            whole = file.read()
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                row = json.loads(line)
                tokens = None if row["tokens"] is None else tuple(row["tokens"])
                self._known[row["key"]] = Reply(row["text"], None, tokens, row.get("cut", False))
            except (ValueError, KeyError, TypeError) as error:
                raise StoreError(
                    "this line of kept answers is damaged.",
                    where=f"{self._file}:{number}",
                    remedy="Delete the line, and it is asked again; or the file, and all of it is.",
                ) from error

    def _add(self, answers: dict[str, Reply]) -> None:
        if not answers:
            return
        self._known |= answers
        self._file.parent.mkdir(parents=True, exist_ok=True)
        rows = (
            {"key": key, "text": reply.text, "tokens": reply.tokens, "cut": reply.cut} for key, reply in answers.items()
        )
        with _locked(self._file) as file:
            file.writelines(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """The file while no other process reads or writes it, made when missing, without half a last line."""
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(_whole_bytes(file))
        file.seek(0)
        yield file


def _whole_bytes(file: BinaryIO) -> int:
    """Up to the end of the last whole line."""
    end = file.seek(0, os.SEEK_END)
    while end:
        begin = max(0, end - TAIL_BYTES)
        file.seek(begin)
        if (place := file.read(end - begin).rfind(b"\n")) >= 0:
            return begin + place + 1
        end = begin
    return 0
