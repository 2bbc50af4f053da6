import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from lingraft.core.errors import InputError
from lingraft.core.outside import TextSource
from lingraft.core.progress import Progress
from lingraft.corpus.document import BadRecord, Document
from lingraft.corpus.read import files, read

LIMIT = 1000


def everything(folder: Path, limit: int = LIMIT, **source: object) -> list[Document | BadRecord]:
    return list(read(TextSource(**source), folder, max_document_bytes=limit))


def jsonl(*records: object) -> bytes:
    return b"".join(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)


@pytest.mark.parametrize(
    ("suffix", "compress"), [("", bytes), (".gz", gzip.compress), (".zst", zstandard.compress), (".GZ", gzip.compress)]
)
def test_jsonl_plain_and_compressed(tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes]) -> None:
    data = jsonl({"text": "Zażółć", "source": "a"}, {"text": "gęślą", "source": ""}, {"text": "jaźń"})
    (tmp_path / f"x.v2.jsonl{suffix}").write_bytes(compress(data) + compress(jsonl({"text": "5", "source": 7})))
    assert everything(tmp_path, path=f"x.v2.jsonl{suffix}") == [
        Document("Zażółć", "x.v2", "a", f"x.v2.jsonl{suffix}:1"),
        Document("gęślą", "x.v2", None, f"x.v2.jsonl{suffix}:2"),
        Document("jaźń", "x.v2", None, f"x.v2.jsonl{suffix}:3"),
        Document("5", "x.v2", "7", f"x.v2.jsonl{suffix}:4"),
    ]


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        (b"{text", "not JSON", "at character 1"),
        (b"[" * 200_000, "not JSON", "recursion"),
        (b'{"text": ' + b"9" * 5000 + b"}", "not JSON", "digits"),
        (b'["text"]', "not a JSON object", "list"),
        (b'{"body": "x", "id": 3}', "no text field", 'no "text"; there are: body, id'),
        (b"{}", "no text field", "there are: none"),
        (b'{"\\udfff": 1}', "no text field", "\\udfff"),
        (b'{"text": null}', "text is not a string", "NoneType"),
        (b'{"text": ["x"]}', "text is not a string", "list"),
        (b'{"text": ""}', "empty text", ""),
        (b'{"text": " \\n"}', "empty text", ""),
        (b'{"text": "\xc5"}', "invalid UTF-8", "byte 0xc5 at offset 10"),
        (b'{"text": "\\ud800"}', "not valid Unicode", "lone surrogate"),
        (b'{"text": "x", "source": "\\ud800"}', "not valid Unicode", "lone surrogate"),
    ],
)
def test_a_bad_json_line_does_not_stop_the_reading(tmp_path: Path, line: bytes, reason: str, detail: str) -> None:
    (tmp_path / "x.jsonl").write_bytes(b'{"text": "one"}\n' + line + b'\n\n{"text": "two"}')
    one, bad, two = everything(tmp_path, path="x.jsonl", limit=10**6)
    assert (one.text, two.text, two.place) == ("one", "two", "x.jsonl:4")
    assert isinstance(bad, BadRecord)
    assert (bad.place, bad.reason, bad.source) == ("x.jsonl:2", reason, "x")
    assert detail in bad.detail
    assert bad.excerpt[:5] == line.decode(errors="replace")[:5]
    (bad.excerpt + bad.detail).encode()


def test_a_record_may_be_as_long_as_the_limit_and_no_longer(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"a" * LIMIT + b"\r\n" + b"b" * (LIMIT + 1) + b"\n" + b"c" * LIMIT)
    first, bad, last = everything(tmp_path, path="x.txt")
    assert (len(first.text), bad.reason, len(last.text)) == (LIMIT, "longer than max_document_bytes", LIMIT)
    for size, kind in ((LIMIT, Document), (LIMIT + 1, BadRecord)):
        for mark in (b"", b"\xef\xbb\xbf"):
            (tmp_path / "y.txt").write_bytes(mark + b"a" * size)
            assert isinstance(everything(tmp_path, path="y.txt", document="file")[0], kind)


@pytest.mark.parametrize("name", ["x.jsonl.gz", "x.txt.gz", "x.csv.gz"])
def test_a_line_of_50_mb_is_read_past_in_bounded_memory(tmp_path: Path, name: str) -> None:
    small = b'{"text": "small"}\n' if "jsonl" in name else b"small\n"
    header = b"text\n" if "csv" in name else b""
    with gzip.open(tmp_path / name, "wb", compresslevel=1) as file:
        file.write(header + small)
        for _ in range(50):
            file.write(b"x" * 10**6)
        file.write(b"\n" + small)
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    found, arrow = [], 0
    for record in read(TextSource(path=name), tmp_path, max_document_bytes=10**6):
        found.append(record)
        arrow = max(arrow, pa.total_allocated_bytes() - before)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    first, bad, last = found
    assert (first.text, last.text) == ("small", "small")
    assert (bad.reason, bad.excerpt) == ("longer than max_document_bytes", "x" * 200)
    assert peak < 6e6
    assert arrow < 6e6


def test_txt_by_line_paragraph_and_file(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"\xef\xbb\xbf\r\nA\r\nB\r\n \r\n\r\nC\xff\r\n\r\nD")
    line = everything(tmp_path, path="x.txt")
    assert [(r.place, r.text) for r in line if isinstance(r, Document)] == [
        ("x.txt:2", "A"),
        ("x.txt:3", "B"),
        ("x.txt:8", "D"),
    ]
    first, bad, last = everything(tmp_path, path="x.txt", document="paragraph")
    assert (first.place, first.text) == ("x.txt:2", "A\nB")
    assert (bad.place, bad.reason, bad.detail) == ("x.txt:6", "invalid UTF-8", "byte 0xff at offset 1")
    assert (last.place, last.text) == ("x.txt:8", "D")
    (tmp_path / "x.txt").write_bytes(b"\xef\xbb\xbfA\n\nB\n")
    assert everything(tmp_path, path="x.txt", document="file") == [Document("A\n\nB\n", "x", None, "x.txt")]
    (tmp_path / "x.txt").write_bytes(b"")
    assert everything(tmp_path, path="x.txt", document="file")[0].reason == "empty text"
    (tmp_path / "x.txt").write_bytes(b"a\n" * LIMIT + b"\nB\n")
    long, short = everything(tmp_path, path="x.txt", document="paragraph")
    assert (long.reason, short.text) == ("longer than max_document_bytes", "B")


def test_csv(tmp_path: Path) -> None:
    rows = b'\xef\xbb\xbfid,body,site\r\n1,"a ""b"",\nc",s\r\n2,,s\r\n\r\n3,x\r\n4,"x"y,s\r\n5,\xff,s\r\n6,end,\r\n'
    (tmp_path / "x.csv").write_bytes(rows)
    found = everything(tmp_path, path="x.csv", text="body", group="site")
    assert [(r.place, r.text, r.group) for r in found if isinstance(r, Document)] == [
        ("x.csv:2", 'a "b",\nc', "s"),
        ("x.csv:9", "end", None),
    ]
    assert [(r.place, r.reason, r.detail) for r in found if isinstance(r, BadRecord)] == [
        ("x.csv:4", "empty text", ""),
        ("x.csv:6", "broken csv row", "2 fields under 3 columns"),
        ("x.csv:7", "broken csv row", "',' expected after '\"'"),
        ("x.csv:8", "invalid UTF-8", "byte 0xff at offset 2"),
    ]


def test_a_csv_field_may_be_longer_than_the_default_of_the_csv_module(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"text\n" + b"x" * 200_000 + b"\n")
    assert len(everything(tmp_path, path="x.csv", limit=10**6)[0].text) == 200_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id,body\n1,x\n", 'there is no column "text"; there are: id, body(.|\n)*Name the column'),
        (b"", 'there is no column "text"; there are: none'),
        (b"\xff\n", "the header cannot be read: invalid UTF-8 byte 0xff"),
        (b'text\nx\n"y\nz\n', r'x\.csv:3: a quote \("\) is opened here and never closed(.|\n)*Double the quotes'),
    ],
)
def test_a_csv_file_that_cannot_be_used(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(InputError, match=message):
        everything(tmp_path, path="x.csv")


def test_parquet(tmp_path: Path) -> None:
    broken = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff"))
    texts = pa.concat_arrays([pa.array(["A", None, "", "x" * (LIMIT + 1)]), broken, pa.array(["B"])])
    groups = pa.array(["g", "g", "g", "g", "g", None])
    pq.write_table(pa.table({"other": groups, "body": texts, "source": groups}), tmp_path / "x.parquet")
    first, *bad, last = everything(tmp_path, path="x.parquet", text="body")
    assert first == Document("A", "x", "g", "x.parquet#1")
    assert last == Document("B", "x", None, "x.parquet#6")
    assert [(record.place, record.reason) for record in bad] == [
        ("x.parquet#2", "text is not a string"),
        ("x.parquet#3", "empty text"),
        ("x.parquet#4", "longer than max_document_bytes"),
        ("x.parquet#5", "invalid UTF-8"),
    ]
    with pytest.raises(InputError, match='there is no column "text"; there are: other, body, source'):
        everything(tmp_path, path="x.parquet")


def test_parquet_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 or not, this is no parquet file")
    with pytest.raises(InputError, match=r"x\.parquet: the file cannot be read to its end; 0 documents(.|\n)*fetch it"):
        everything(tmp_path, path="x.parquet")


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip.compress), (".zst", zstandard.compress)])
def test_compressed_files_that_are_damaged(tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes]) -> None:
    lines = jsonl(*({"text": f"{number**9:x}" * 20} for number in range(2000)))
    whole = compress(lines)
    for content in (b"", b"plain text\n", whole[: len(whole) // 2], whole[:-3], whole + b"junk!"):
        (tmp_path / f"x.jsonl{suffix}").write_bytes(content)
        found = read(TextSource(path=f"x.jsonl{suffix}"), tmp_path, max_document_bytes=LIMIT)
        documents: list[Document | BadRecord] = []
        with pytest.raises(InputError, match=r"x\.jsonl\.\w+: the file cannot be read to its end") as error:
            documents.extend(found)
        assert f"{len(documents):,} documents could be read" in str(error.value)
        assert bool(documents) == (len(content) > 100)


def test_files_sorts_a_glob_and_reads_places_as_written(tmp_path: Path) -> None:
    for name in ("b/2.txt", "a.txt", "b/c/1.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    source = TextSource(path="**/*.txt", name="all")
    assert files(source, tmp_path) == [tmp_path / name for name in ("a.txt", "b/2.txt", "b/c/1.txt")]
    found = list(read(source, tmp_path, max_document_bytes=LIMIT))
    assert [record.place for record in found] == ["a.txt:1", "b/2.txt:1", "b/c/1.txt:1"]
    assert {record.source for record in found} == {"all"}
    assert files(TextSource(path=str(tmp_path / "b" / "*.txt")), Path("elsewhere")) == [tmp_path / "b/2.txt"]


def test_a_file_name_that_is_not_utf8_is_spelled_out(tmp_path: Path) -> None:
    (tmp_path / "\udcb3.txt").write_text("x")
    (document,) = everything(tmp_path, path="*.txt")
    assert (document.source, document.place) == ("\\udcb3", "\\udcb3.txt:1")


def test_a_file_name_may_hold_the_signs_of_a_glob(tmp_path: Path) -> None:
    (tmp_path / "a[1].txt").write_text("x")
    assert files(TextSource(path="a[1].txt"), tmp_path) == [tmp_path / "a[1].txt"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none.jsonl", r"none\.jsonl: there is no such file(.|\n)*starts at the recipe's folder"),
        ("*.jsonl", r"\*\.jsonl: no file matches this pattern(.|\n)*starts at the recipe's folder"),
        ("folder", 'this is a folder(.|\n)*"folder/\\*.jsonl"'),
        ("x.pdf", 'no reader for files that end in ".pdf"(.|\n)*.jsonl, .txt and .csv are read'),
        ("x.parquet.gz", 'no reader for files that end in ".parquet.gz"'),
        ("x.*", "no reader for files"),
    ],
)
def test_a_path_that_cannot_be_read(tmp_path: Path, path: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "x.pdf").write_text("x")
    (tmp_path / "x.parquet.gz").write_text("x")
    with pytest.raises(InputError, match=message):
        files(TextSource(path=path), tmp_path)


def test_a_data_set_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.jsonl").write_bytes(jsonl({"text": "A", "source": "s"}, {"text": None, "source": "s"}))
    (tmp_path / "set" / ".hidden").write_text("x")
    source = TextSource(dataset="set")
    assert files(source, tmp_path) == [tmp_path / "set" / "train.jsonl"]
    document, bad = read(source, tmp_path, max_document_bytes=LIMIT)
    assert document == Document("A", "set", "s", "set#1")
    assert (bad.place, bad.reason) == ("set#2", "text is not a string")
    with pytest.raises(InputError, match='there is no column "body"; there are: text, source'):
        everything(tmp_path, dataset="set", text="body")
    with pytest.raises(InputError, match=r"cannot be read past row 0: Bad split: test(.|\n)*Check `dataset`"):
        everything(tmp_path, dataset="set", split="test")


def test_a_data_set_that_is_not_there(tmp_path: Path) -> None:
    assert files(TextSource(dataset="someone/something"), tmp_path) == []
    with pytest.raises(InputError, match="someone/something: the data set cannot be read past row 0"):
        everything(tmp_path, dataset="someone/something")
    with pytest.raises(InputError, match=r"there is no such folder(.|\n)*A data set is a folder or a hub id"):
        files(TextSource(dataset="./nowhere"), tmp_path)


def test_progress_counts_the_bytes_of_the_files(tmp_path: Path) -> None:
    class Counting(Progress):
        total, done = 0.0, 0.0

        def start(self, what: str, total: float | None = None, unit: str = "") -> None:
            self.total = total

        def advance(self, amount: float = 1) -> None:
            self.done += amount

    (tmp_path / "1.txt").write_text("x\n" * 50)
    (tmp_path / "2.txt.gz").write_bytes(gzip.compress(b"x\n" * 5000))
    pq.write_table(pa.table({"text": ["x"] * 1000}), tmp_path / "3.parquet")
    progress = Counting()
    assert len(list(read(TextSource(path="*"), tmp_path, max_document_bytes=9, progress=progress))) == 6050
    assert progress.done == pytest.approx(progress.total)
    assert progress.total > 0
