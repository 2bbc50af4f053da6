"""The corpus: two streams, normalized, deduplicated, split by group."""

import hashlib
import json
import shutil
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from lingraft.core.errors import StageError
from lingraft.core.outside import TextSource
from lingraft.core.progress import SILENT, Progress

from .document import BadRecord, Document
from .read import read
from .shards import ShardWriter, rows
from .split import hold_out

QUARANTINE = "quarantine.jsonl"
SPILL = "spill"
NUM_GROUP_NAMES = 20


@dataclass
class _Source:
    """What came from one source."""

    documents: int = 0
    bytes: int = 0
    characters: int = 0
    words: int = 0
    groups: set[str] = field(default_factory=set)
    duplicates: int = 0
    bad_records: int = 0

    def count(self, text: str, num_bytes: int, group: str | None) -> None:
        self.documents += 1
        self.bytes += num_bytes
        self.characters += len(text)
        self.words += len(text.split())
        if group is not None:
            self.groups.add(group)

    def figures(self) -> dict[str, int]:
        return vars(self) | {"groups": len(self.groups)}


@dataclass
class _Stream:
    """What came from the sources of one stream, and the number of documents in every group."""

    sources: dict[str, _Source] = field(default_factory=dict)
    groups: Counter[bytes] = field(default_factory=Counter)
    bad_reasons: Counter[str] = field(default_factory=Counter)
    first_bad: dict[str, BadRecord] = field(default_factory=dict)

    def count_bad(self, record: BadRecord) -> None:
        self.sources.setdefault(record.source, _Source()).bad_records += 1
        self.bad_reasons[record.reason] += 1
        self.first_bad.setdefault(record.reason, record)


def build(
    target: Sequence[TextSource],
    replay: Sequence[TextSource],
    folder: Path,
    *,
    base_folder: Path,
    held_out_docs: int,
    max_document_bytes: int,
    max_bad_share: float,
    seed: int,
    progress: Progress = SILENT,
) -> dict:
    """Write the corpus to `folder` and give its figures.

    Each stream is read once: NFC, exact duplicates dropped (in replay also what stands in target), bad records set
    apart in `quarantine.jsonl`, then split by `split.hold_out`; a document without a group is a group of its own.
    Relative paths start at `base_folder`. What an earlier call left in `folder` is written anew. Memory grows by
    some hundred bytes a document and group, not with the text. `documents` to `words` (whitespace-separated)
    count what was kept; `groups` of a source are those that have a name.

    Raises StageError when the share of bad records in a stream is above `max_bad_share` or a stream is empty, and
    InputError as `read` and `split.hold_out` do.
    """
    parts = {"target": target, "replay": replay}
    for name in (*parts, SPILL):
        if (folder / name).exists():
            shutil.rmtree(folder / name)
    folder.mkdir(parents=True, exist_ok=True)
    seen: set[bytes] = set()
    bad_reasons: Counter[str] = Counter()
    streams = {}
    with (folder / QUARANTINE).open("w", encoding="utf-8") as quarantine:
        for name, sources in parts.items():
            if name == "replay" and not sources:
                for part in ("train", "held_out"):
                    with ShardWriter(folder / name / part):
                        pass
                continue
            with ShardWriter(folder / SPILL) as spill:
                stream = _Stream()
                for source in sources:
                    for record in read(source, base_folder, max_document_bytes=max_document_bytes, progress=progress):
                        _take(record, stream, seen, spill, quarantine)
            _require_text(name, stream, spill.num_documents, max_bad_share, folder / QUARANTINE)
            chosen = hold_out(stream.groups, held_out_docs, seed=seed, where=name)
            figures = _divide(name, chosen, spill.num_documents, folder, progress)
            streams[name] = {"sources": {key: value.figures() for key, value in stream.sources.items()}} | figures
            bad_reasons += stream.bad_reasons
            shutil.rmtree(folder / SPILL)
    return {"streams": streams, "bad_records": bad_reasons.total(), "bad_reasons": dict(bad_reasons.most_common())}


def _take(
    record: Document | BadRecord, stream: _Stream, seen: set[bytes], spill: ShardWriter, quarantine: TextIO
) -> None:
    if isinstance(record, BadRecord):
        stream.count_bad(record)
        quarantine.write(json.dumps(record._asdict(), ensure_ascii=False) + "\n")
        return
    source = stream.sources.setdefault(record.source, _Source())
    text = unicodedata.normalize("NFC", record.text)
    data = text.encode()
    digest = hashlib.blake2b(data, digest_size=16).digest()
    if digest in seen:
        source.duplicates += 1
        return
    seen.add(digest)
    source.count(text, len(data), record.group)
    stream.groups[_group(record.group, data)] += 1
    spill.add(record._replace(text=text), len(data))


def _group(group: str | None, data: bytes) -> bytes:
    """The key of a document's group; without a name, that of its text."""
    kind, key = (b"text", data) if group is None else (b"group", group.encode())
    return hashlib.blake2b(key, digest_size=16, person=kind).digest()


def _divide(name: str, chosen: set[bytes], num_documents: int, folder: Path, progress: Progress) -> dict:
    """Write the spilled documents to train and held_out; their figures."""
    names: dict[str, None] = {}
    with ShardWriter(folder / name / "train") as train, ShardWriter(folder / name / "held_out") as held_out:
        for row in progress.track(rows(folder / SPILL), f"split {name}", num_documents, "documents"):
            document = Document(*row)
            data = document.text.encode()
            if _group(document.group, data) not in chosen:
                train.add(document, len(data))
                continue
            held_out.add(document, len(data))
            if document.group is not None and len(names) < NUM_GROUP_NAMES:
                names.setdefault(document.group)
    return {
        "train": {"documents": train.num_documents, "bytes": train.num_bytes},
        "held_out": {"documents": held_out.num_documents, "bytes": held_out.num_bytes, "groups": list(names)},
    }


def _require_text(name: str, stream: _Stream, num_kept: int, max_bad_share: float, quarantine: Path) -> None:
    num_bad = stream.bad_reasons.total()
    num_records = num_kept + num_bad + sum(source.duplicates for source in stream.sources.values())
    if num_bad > max_bad_share * num_records:
        common = [
            f"{count:,} x {reason}, first {stream.first_bad[reason].place} {stream.first_bad[reason].detail}".rstrip()
            for reason, count in stream.bad_reasons.most_common(3)
        ]
        raise StageError(
            f"{num_bad:,} of {num_records:,} {name} records are bad: {num_bad / num_records:.2%}, "
            f"above max_bad_share = {max_bad_share:.2%}.",
            where=quarantine,
            remedy="\n  ".join([*common, "Mend the sources, or raise `max_bad_share`."]),
        )
    if num_kept == 0:
        raise StageError(
            f"the {name} stream is empty: {num_records:,} records, none of them a new document.",
            remedy=f"Give `{name}` sources with text that does not stand in another stream.",
        )
