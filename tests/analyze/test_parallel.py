import gzip
import json
from pathlib import Path

import pytest

from lingraft.analyze import parallel
from lingraft.core.errors import InputError

POLISH = ["Pada śnieg.", "Kot śpi.", "Idę do domu."]
ENGLISH = ["It snows.", "The cat sleeps.", "I go home."]
PAIRS = list(zip(POLISH, ENGLISH, strict=True))


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_two_files_of_lines(tmp_path: Path) -> None:
    write(tmp_path / "pol.txt", POLISH)
    with gzip.open(tmp_path / "eng.txt.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(ENGLISH))
    assert parallel.read(tmp_path, "pl", "en") == PAIRS
    assert parallel.read(tmp_path, "en", "pl") == [(right, left) for left, right in PAIRS]
    assert parallel.read(tmp_path, "pl-PL", "en-Latn") == PAIRS


@pytest.mark.parametrize("name", ["eng-pol.tsv", "pol-eng.tsv", "pl-en.tsv", "eng-pol.tsv.gz"])
def test_a_table_of_two_columns(tmp_path: Path, name: str) -> None:
    english_first = name.startswith("eng")
    text = "".join(f"{e}\t{p}\tfrom Tatoeba\n" if english_first else f"{p}\t{e}\n" for p, e in PAIRS)
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    assert parallel.read(tmp_path / name, "pl", "en") == PAIRS
    assert parallel.read(tmp_path, "pl", "en") == PAIRS


def test_json_lines(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.jsonl", [json.dumps({"en": e, "pl": p, "domain": "news"}) for p, e in PAIRS])
    assert parallel.read(file, "pl", "en") == PAIRS


def test_the_shipped_sentences() -> None:
    pairs = parallel.shipped("pl", "en")
    assert len(pairs) >= 120
    assert pairs[0][0].startswith("W nocy na Pomorzu")
    assert parallel.shipped("hu", "en") == []


def test_empty_and_repeated_sentences_are_left_out(tmp_path: Path) -> None:
    write(tmp_path / "pol.txt", ["Tak.", "", "Nie.", "No.", "Tak.", " Dom. "])
    write(tmp_path / "eng.txt", ["Yes.", "What?", "No.", "No.", "Yeah.", "House."])
    assert parallel.read(tmp_path, "pl", "en") == [("Tak.", "Yes."), ("Nie.", "No."), ("Dom.", "House.")]


def test_a_line_holds_signs_that_end_lines_elsewhere(tmp_path: Path) -> None:
    write(tmp_path / "pol.txt", ["a\x0cb", "c\u2028d"])
    write(tmp_path / "eng.txt", ["x", "y"])
    assert parallel.read(tmp_path, "pl", "en") == [("a\x0cb", "x"), ("c\u2028d", "y")]


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file or folder"):
        parallel.read(tmp_path / "none", "pl", "en")
    with pytest.raises(InputError, match=r"neither pol\.txt and eng\.txt nor eng-pol\.tsv"):
        parallel.read(tmp_path, "pl", "en")
    write(tmp_path / "pol.txt", POLISH)
    write(tmp_path / "eng.txt", ENGLISH[:2])
    with pytest.raises(InputError, match=r"pol\.txt has 3 lines and eng\.txt 2: they are not aligned"):
        parallel.read(tmp_path, "pl", "en")
    with pytest.raises(InputError, match="the name does not tell which language stands in which column"):
        parallel.read(write(tmp_path / "sentences.tsv", ["a\tb"]), "pl", "en")
    with pytest.raises(InputError, match=r"eng-pol\.tsv:2: this line has no second column"):
        parallel.read(write(tmp_path / "eng-pol.tsv", ["a\tb", "alone"]), "pl", "en")
    with pytest.raises(InputError, match=r'lines\.jsonl:1: this record has no "pl"'):
        parallel.read(write(tmp_path / "lines.jsonl", ['{"en": "a"}']), "pl", "en")
    with pytest.raises(InputError, match=r"lines\.jsonl:1: this line is no JSON"):
        parallel.read(write(tmp_path / "lines.jsonl", ["{"]), "pl", "en")
    (tmp_path / "eng.txt").write_bytes("żółw\n".encode("iso-8859-2"))
    with pytest.raises(InputError, match="this is no UTF-8 text"):
        parallel.read(tmp_path, "pl", "en")
