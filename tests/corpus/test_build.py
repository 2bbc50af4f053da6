import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import lingraft.corpus
from lingraft.core.errors import InputError, StageError
from lingraft.core.outside import TextSource
from lingraft.corpus.build import build
from lingraft.corpus.shards import documents

DEFAULTS = {"held_out_docs": 4, "max_document_bytes": 10_000, "max_bad_share": 0.5, "seed": 1}
NUM_NOVELS, NUM_CHAPTERS = 10, 3


def write(path: Path, records: list[object]) -> None:
    lines = [record if isinstance(record, str) else json.dumps(record, ensure_ascii=False) for record in records]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    chapters = [(novel, chapter) for novel in range(NUM_NOVELS) for chapter in range(NUM_CHAPTERS)]
    write(
        folder / "novels.jsonl",
        [
            *({"text": f"Powieść {novel} rozdział {chapter}", "source": f"n{novel}"} for novel, chapter in chapters),
            {"text": "Powies\u0301c\u0301 0 rozdział 0", "source": "n9"},
            "{broken",
            {"body": "x"},
            {"body": "y"},
        ],
    )
    write(folder / "web.txt", ["A first line.", "A second line.", "A first line."])
    write(folder / "english.txt", [*(f"Line {number}." for number in range(20)), "A first line."])
    return folder


def run(raw: Path, folder: Path, target: tuple[str, ...] = ("novels.jsonl", "web.txt"), **changes: object) -> dict:
    sources = [TextSource(path=path) for path in target]
    return build(sources, [TextSource(path="english.txt")], folder, base_folder=raw, **(DEFAULTS | changes))


def test_figures(raw: Path, tmp_path: Path) -> None:
    figures = run(raw, tmp_path / "corpus")
    target, replay = figures["streams"]["target"], figures["streams"]["replay"]
    texts = [f"Powieść {novel} rozdział {chapter}" for novel in range(NUM_NOVELS) for chapter in range(NUM_CHAPTERS)]
    assert target["sources"] == {
        "novels": {
            "documents": 30,
            "bytes": sum(len(text.encode()) for text in texts),
            "characters": sum(len(text) for text in texts),
            "words": 120,
            "groups": 10,
            "duplicates": 1,
            "bad_records": 3,
        },
        "web": {
            "documents": 2,
            "bytes": 27,
            "characters": 27,
            "words": 6,
            "groups": 0,
            "duplicates": 1,
            "bad_records": 0,
        },
    }
    assert (replay["sources"]["english"]["documents"], replay["sources"]["english"]["duplicates"]) == (20, 1)
    assert (figures["bad_records"], figures["bad_reasons"]) == (3, {"no text field": 2, "not JSON": 1})
    for stream in (target, replay):
        for unit in ("documents", "bytes"):
            kept = sum(source[unit] for source in stream["sources"].values())
            assert stream["train"][unit] + stream["held_out"][unit] == kept
    assert 4 <= target["held_out"]["documents"] <= 6
    quarantine = (tmp_path / "corpus" / "quarantine.jsonl").read_text().splitlines()
    assert [json.loads(line)["place"] for line in quarantine] == [f"novels.jsonl:{line}" for line in (32, 33, 34)]
    assert set(json.loads(quarantine[0])) == {"place", "reason", "detail", "excerpt", "source"}
    json.dumps(figures)


def test_groups_stay_whole_and_nothing_is_lost(raw: Path, tmp_path: Path) -> None:
    figures = run(raw, tmp_path / "corpus")
    parts = {part: list(documents(tmp_path / "corpus", "target", part)) for part in ("train", "held_out")}
    groups = {part: {group for _, _, group in rows} - {None} for part, rows in parts.items()}
    assert not groups["train"] & groups["held_out"]
    assert len(groups["train"] | groups["held_out"]) == NUM_NOVELS
    texts = [text for rows in parts.values() for text, _, _ in rows]
    assert len(texts) == len(set(texts)) == 32
    named = [group for group in figures["streams"]["target"]["held_out"]["groups"] if group.startswith("n")]
    assert {name for name in named if ":" not in name} == groups["held_out"]


def test_rows_keep_the_order_of_reading(raw: Path, tmp_path: Path) -> None:
    run(raw, tmp_path / "corpus")
    table = pq.read_table(tmp_path / "corpus" / "replay" / "train" / "00000.parquet")
    assert table.column_names == ["text", "source", "group", "place"]
    lines = [int(place.split(":")[1]) for place in table["place"].to_pylist()]
    assert lines == sorted(lines)


def test_a_second_call_on_a_half_filled_folder_gives_the_same_bytes(raw: Path, tmp_path: Path) -> None:
    first = run(raw, tmp_path / "first")
    with pytest.raises(InputError):
        run(raw, tmp_path / "second", target=("novels.jsonl", "missing.txt"))
    assert (tmp_path / "second" / "spill").exists()
    assert run(raw, tmp_path / "second") == first
    written = [path.relative_to(tmp_path / "first") for path in sorted((tmp_path / "first").rglob("*"))]
    assert written == [path.relative_to(tmp_path / "second") for path in sorted((tmp_path / "second").rglob("*"))]
    files = [path for path in written if (tmp_path / "first" / path).is_file()]
    assert len(files) == 5
    for path in files:
        assert (tmp_path / "first" / path).read_bytes() == (tmp_path / "second" / path).read_bytes()


def test_another_seed_holds_out_others(raw: Path, tmp_path: Path) -> None:
    names = {
        tuple(run(raw, tmp_path / str(seed), seed=seed)["streams"]["target"]["held_out"]["groups"]) for seed in range(5)
    }
    assert len(names) > 1


def test_without_replay_its_parts_are_empty(raw: Path, tmp_path: Path) -> None:
    target = [TextSource(path="novels.jsonl")]
    figures = build(target, [], tmp_path / "corpus", base_folder=raw, **DEFAULTS)
    assert set(figures["streams"]) == {"target"}
    for part in ("train", "held_out"):
        assert list(documents(tmp_path / "corpus", "replay", part)) == []


def test_too_many_bad_records_stop_the_build(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError) as error:
        run(raw, tmp_path / "corpus", max_bad_share=0.01)
    message = str(error.value)
    assert "3 of 37 target records are bad: 8.11%, above max_bad_share = 1.00%." in message
    assert "quarantine.jsonl: " in message
    assert '2 x no text field, first novels.jsonl:33 no "text"; there are: body' in message
    assert "1 x not JSON, first novels.jsonl:32" in message
    assert "raise `max_bad_share`" in message


def test_an_empty_stream_stops_the_build(raw: Path, tmp_path: Path) -> None:
    write(raw / "empty.txt", [])
    with pytest.raises(StageError, match=r"the target stream is empty: 0 records(.|\n)*Give `target` sources"):
        run(raw, tmp_path / "corpus", target=("empty.txt",))
    with pytest.raises(StageError, match="the replay stream is empty: 21 records, none of them a new document"):
        run(raw, tmp_path / "corpus", target=("english.txt", "web.txt"))


def test_one_novel_cannot_be_split(raw: Path, tmp_path: Path) -> None:
    write(raw / "one.jsonl", [{"text": f"Chapter {number}", "source": "novel"} for number in range(9)])
    with pytest.raises(InputError, match="target: all 9 documents are one group"):
        run(raw, tmp_path / "corpus", target=("one.jsonl",))


def test_the_public_names_resolve() -> None:
    assert len(lingraft.corpus.__all__) == 7
    for name in lingraft.corpus.__all__:
        assert getattr(lingraft.corpus, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        lingraft.corpus.nothing  # noqa: B018
