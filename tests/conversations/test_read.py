import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from lingraft.ask.message import ASSISTANT, USER, Message
from lingraft.conversations.read import Read, files_of, read
from lingraft.conversations.record import Conversation, Preference, Verdict
from lingraft.core.errors import InputError
from lingraft.core.outside import RecordSource

ROW = {"instruction": "Zażółć?", "input": "", "output": "Gęślą jaźń."}
ASKED = (Message(USER, "Q"), Message(ASSISTANT, "A"))
TURNS = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]


def everything(folder: Path, wanted: Any = Conversation, limit: int = 1000, **source: Any) -> list[Read]:
    return list(read(RecordSource(**source), folder, wanted, max_record_bytes=limit))


def lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


@pytest.mark.parametrize(("suffix", "compress"), [("", bytes), (".gz", gzip.compress), (".zst", zstandard.compress)])
@pytest.mark.parametrize(
    ("name", "content", "places"),
    [
        ("x.jsonl", lines(ROW, ROW), ["x.jsonl{}:1", "x.jsonl{}:2"]),
        ("x.json", lines(ROW, ROW), ["x.json{}:1", "x.json{}:2"]),
        ("x.json", b"\xef\xbb\xbf \n" + json.dumps([ROW, ROW], indent=2).encode(), ["x.json{}#1", "x.json{}#2"]),
    ],
)
def test_lines_and_arrays_plain_and_compressed(
    tmp_path: Path, name: str, content: bytes, places: list[str], suffix: str, compress: Callable[[bytes], bytes]
) -> None:
    (tmp_path / f"{name}{suffix}").write_bytes(compress(content))
    found = everything(tmp_path, path=f"{name}{suffix}")
    assert [entry.place for entry in found] == [place.format(suffix) for place in places]
    assert {entry.source for entry in found} == {"x"}
    assert all(entry.record is not None and entry.record.answers == ("Gęślą jaźń.",) for entry in found)


def test_parquet_with_lists_of_turns(tmp_path: Path) -> None:
    rows = [{"messages": TURNS, "other": None}, {"messages": None, "other": 1}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    good, bad = everything(tmp_path, path="x.parquet")
    assert good.record == Conversation("", ASKED)
    assert (bad.place, bad.why, bad.detail) == ("x.parquet#2", "no known form", "it has the keys messages, other")


def test_parquet_that_is_not_utf8(tmp_path: Path) -> None:
    broken = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff"))
    asked = pa.concat_arrays([pa.array(["Q"]), broken])
    pq.write_table(pa.table({"prompt": asked, "completion": ["A", "A"]}), tmp_path / "x.parquet")
    good, bad = everything(tmp_path, path="x.parquet")
    assert good.record is not None
    assert bad.why == "invalid UTF-8"


def test_a_data_set_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.jsonl").write_bytes(lines(ROW, {**ROW, "output": None}))
    found = everything(tmp_path, dataset="set", name="mine")
    assert [(entry.source, entry.place, entry.why) for entry in found] == [
        ("mine", "set#1", ""),
        ("mine", "set#2", "no known form"),
    ]


def test_turns_of_a_data_set(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    pq.write_table(pa.Table.from_pylist([{"messages": TURNS}] * 2), tmp_path / "set" / "train.parquet")
    found = everything(tmp_path, dataset="set")
    assert [entry.record for entry in found] == [Conversation("", ASKED)] * 2


@pytest.mark.parametrize(
    ("line", "why", "detail"),
    [
        (b'{"instruction": "half', "not JSON", "Unterminated string"),
        (b'"text"', "not a JSON object", "but str"),
        (b"[]", "not a JSON object", "but list"),
        (b'{"instruction": "\xff"}', "invalid UTF-8", "byte 0xff"),
        (b'{"output": "' + b"x" * 1000 + b'"}', "longer than max_record_bytes", ""),
        (b'{"\\udc80": 1}', "no known form", "\\udc80"),
        (b'{"messages": [{"role": "tool"}]}', "uses tools", ""),
    ],
)
def test_a_bad_line_does_not_stop_the_reading(tmp_path: Path, line: bytes, why: str, detail: str) -> None:
    (tmp_path / "x.jsonl").write_bytes(lines(ROW) + line + b"\n\n" + lines(TURNS))
    first, bad, last = everything(tmp_path, path="x.jsonl")
    assert first.record is not None
    assert last.record is not None
    assert (bad.place, bad.record) == ("x.jsonl:2", None)
    assert bad.why.startswith(why)
    assert detail in bad.detail


def test_a_long_row_of_an_array_is_a_bad_one(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps([ROW, {**ROW, "output": "x" * 1000}]))
    assert [entry.why for entry in everything(tmp_path, path="x.json")] == ["", "longer than max_record_bytes"]


def test_an_array_that_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps([ROW, ROW])[:-20])
    with pytest.raises(InputError, match=r"x\.json: this is not valid JSON: (.|\n)*write a row a line as \.jsonl"):
        everything(tmp_path, path="x.json")


def test_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(lines(*[ROW] * 9))[:-9])
    with pytest.raises(InputError, match="the file cannot be read to its end; 0 rows could be read"):
        everything(tmp_path, path="x.jsonl.gz")


@pytest.mark.parametrize("number", [1, 3000])
def test_a_file_of_no_known_form(tmp_path: Path, number: int) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(ROW))
    (tmp_path / "b.jsonl").write_bytes(lines(*[{"title": "x", "body": "y"}] * number))
    with pytest.raises(InputError) as error:
        everything(tmp_path, path="*.jsonl")
    said = str(error.value)
    assert f"b.jsonl: none of {min(number, 1000):,} rows has a form that can be used here" in said
    assert "the first has the keys title, body" in said
    assert "Known forms" in said
    assert "\n  sharegpt: conversations\n" in said


def test_keys_that_are_not_unicode_are_spelled_out(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b'{"\\udc80": 1}\n')
    with pytest.raises(InputError, match=r"the first has the keys \\udc80: it has the keys \\udc80"):
        everything(tmp_path, path="x.jsonl")


def test_rows_of_no_known_form_among_others_are_set_apart(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(lines({"title": "x"}, ROW))
    assert [entry.why for entry in everything(tmp_path, path="x.jsonl")] == ["no known form", ""]


def test_a_form_by_name(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(lines({**ROW, "messages": TURNS}))
    by_keys, by_name = (everything(tmp_path, path="x.jsonl", **form)[0].record for form in ({}, {"form": "alpaca"}))
    assert by_keys == Conversation("", ASKED)
    assert by_name != by_keys
    with pytest.raises(InputError, match="the keys instruction, input, output, messages: as kto it needs messages"):
        everything(tmp_path, path="x.jsonl", form="kto")


def test_records_of_the_wrong_kind(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(lines({"prompt": "Q", "chosen": "A", "rejected": "B"}))
    assert len(everything(tmp_path, (Preference, Verdict), path="x.jsonl")) == 1
    with pytest.raises(InputError, match="the keys prompt, chosen, rejected: as preference it holds a preference"):
        everything(tmp_path, path="x.jsonl")
    (tmp_path / "x.jsonl").write_bytes(lines(ROW))
    with pytest.raises(InputError, match="as alpaca it holds a conversation"):
        everything(tmp_path, (Preference, Verdict), path="x.jsonl")


def test_files_that_have_no_reader(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("x")
    with pytest.raises(InputError, match=r'no reader for files that end in "\.csv"(.|\n)*\.jsonl and \.json are read'):
        files_of(RecordSource(path="x.csv"), tmp_path)
