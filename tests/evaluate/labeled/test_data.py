"""Labeled items from every form of file, splits that share no item, and scores against slow ones."""

import gzip
import json
import math
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lingraft.core.errors import InputError
from lingraft.evaluate import metrics
from lingraft.evaluate.labeled.data import LabeledItem, LabeledTask, Splits, read
from lingraft.evaluate.labeled.scores import chance, constant, counts, score
from lingraft.evaluate.labeled.tasks import HINDI_TASKS, HULU_TASKS, KLEJ, TASKS
from lingraft.evaluate.suites.source import NoDataError

SHOWS = LabeledTask("shows", "?", "pl", ("one", "two"), "label", "accuracy", "here", classes=("no", "yes"))
RATED = LabeledTask("rated", "?", "pl", ("text",), "stars", "weighted_mae", "here", scale=(1, 5))
ROWS = [{"one": f"text {n}", "two": f'of "{n}"', "label": "yes" if n % 3 else "no"} for n in range(40)]


def tsv(rows: list[dict]) -> bytes:
    return "\n".join("\t".join(map(str, row)) for row in [list(rows[0]), *(r.values() for r in rows)]).encode()


def write(folder: Path, **files: list[dict]) -> Path:
    """A .tsv for every name."""
    for name, rows in files.items():
        (folder / f"{name}.tsv").write_bytes(tsv(rows))
    return folder


def test_every_task_names_a_metric_and_what_can_be_answered() -> None:
    assert (len(KLEJ), len(HULU_TASKS), len(HINDI_TASKS), len(TASKS)) == (9, 2, 2, 13)
    for task in TASKS.values():
        assert task.metric in metrics.METRICS
        assert bool(task.classes) != bool(task.scale)
        assert len(set(task.classes)) == len(task.classes)
        assert "http" in task.source
    assert all(task.hub.startswith("allegro/klej-") for task in KLEJ)


def test_splits_are_read_from_every_form_of_file(tmp_path: Path) -> None:
    parts = {"train": ROWS[:20], "dev": ROWS[20:30], "test": ROWS[30:]}
    forms = {
        "tsv": tsv,
        "tsv.gz": lambda rows: gzip.compress(tsv(rows)),
        "jsonl": lambda rows: "\n".join(json.dumps(row) for row in rows).encode(),
        "json": lambda rows: "\ufeff".encode() + json.dumps(rows).encode(),
        "csv": lambda rows: (
            "one,two,label\n" + "".join(f'{r["one"]},"of ""{r["one"][5:]}""",{r["label"]}\n' for r in rows)
        ).encode(),
    }
    for form, of in forms.items():
        folder = tmp_path / form
        folder.mkdir()
        for split, rows in parts.items():
            (folder / f"{split}.{form}").write_bytes(of(rows))
    shards = tmp_path / "parquet" / "data"
    shards.mkdir(parents=True)
    for split, rows in parts.items():
        name = {"dev": "validation"}.get(split, split)
        for part, half in enumerate((rows[:7], rows[7:])):
            pq.write_table(pa.Table.from_pylist(half), shards / f"{name}-0000{part}-of-00002.parquet")
    found = {form: read(SHOWS, tmp_path / form) for form in (*forms, "parquet")}
    expected = Splits(
        *(
            [LabeledItem(str(n), (r["one"], r["two"]), int(r["label"] == "yes")) for n, r in enumerate(rows, start=1)]
            for rows in parts.values()
        ),
        left_out={"train": 0, "dev": 0},
    )
    for form, splits in found.items():
        assert splits == expected, form


def test_files_of_the_sources_are_found_by_their_own_names(tmp_path: Path) -> None:
    cds = [
        {
            "pair_ID": n,
            "sentence_A": f"a{n}",
            "sentence_B": "b",
            "relatedness_score": n / 10,
            "entailment_judgment": "NEUTRAL",
        }
        for n in range(30)
    ]
    for name, rows in (("train", cds[:10]), ("trial", cds[10:20]), ("test_annotated", cds[20:])):
        (tmp_path / f"CDS_{name}.txt").write_bytes(tsv(rows))
    splits = read(TASKS["cdsc_r"], tmp_path)
    assert [item.gold for item in splits.test] == [row["relatedness_score"] for row in cds[20:]]
    assert splits.test[0].id == "20"
    assert len(read(TASKS["cdsc_e"], tmp_path).train) == 10
    own = tmp_path / "klej_cdsc-e"
    own.mkdir()
    write(own, train=cds[:5], dev=cds[10:12], test=cds[20:])
    assert len(read(TASKS["cdsc_e"], tmp_path).train) == 5
    write(own, dev=[*cds[10:12], {**cds[10], "sentence_A": "other"}])
    with pytest.raises(InputError, match=r'dev.tsv:4: two items have the pair_ID "10"'):
        read(TASKS["cdsc_e"], tmp_path)


def test_where_test_has_no_labels_dev_is_test_and_part_of_train_dev(tmp_path: Path) -> None:
    rows = [{"one": f"text {n // 4}", "two": f"{n}", "label": "yes" if n % 3 else "no"} for n in range(400)]
    hidden = [{"one": row["one"], "two": "x"} for row in rows[:5]]
    splits = read(SHOWS, write(tmp_path, train=rows[:300], dev=rows[300:], test_features=hidden))
    assert splits.figures() == {
        "train": len(splits.train),
        "dev": len(splits.dev),
        "test": 100,
        "dev_from": "one in 10 of train",
        "test_from": "dev",
        "left_out": {"train": 0, "dev": 0},
    }
    assert len(splits.train) + len(splits.dev) == 300
    assert 8 <= len(splits.dev) <= 60
    assert not {item.texts[0] for item in splits.dev} & {item.texts[0] for item in splits.train}
    marked = [{**row, "label": -1} for row in rows[:5]]
    (tmp_path / "test_features.tsv").unlink()
    assert read(SHOWS, write(tmp_path, test=marked)).test_from == "dev"


def test_no_item_of_test_is_learned_from(tmp_path: Path) -> None:
    told = [{**row, "one": f" TEXT   {n} "} for n, row in enumerate(ROWS[:12])]
    splits = read(SHOWS, write(tmp_path, train=[*told, *ROWS[12:25]], dev=[*ROWS[20:30], *ROWS[:3]], test=ROWS[:10]))
    assert splits.left_out == {"train": 15, "dev": 3}
    seen = [{item.content for item in part} for part in (splits.train, splits.dev, splits.test)]
    assert all(not one & other for one, other in combinations(seen, 2))
    assert len(splits.test) == 10


def test_fewer_items_are_always_the_same_ones(tmp_path: Path) -> None:
    splits = read(SHOWS, write(tmp_path, train=ROWS[:20], dev=ROWS[20:30], test=ROWS[30:]))
    few = splits.at_most(train=5, dev=100)
    assert few.train == splits.at_most(train=5).train
    assert len(few.train) == 5
    assert few.dev == splits.dev


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, r"there is no train split of shows that has labels.\n.*train.tsv"),
        ({"train": ROWS}, r"neither a test nor a dev split with labels"),
        ({"train": ROWS, "dev": ROWS[:5], "val": ROWS[:5]}, r"several files could be dev of shows: dev.tsv, val.tsv"),
        ({"train": [{"one": "a", "label": "yes"}]}, r'train.tsv:2: there is no "two"; there are: one, label'),
        (
            {"train": [*ROWS[:2], {**ROWS[2], "label": "yess"}]},
            r'train.tsv:4: "yess" is no label of shows.\n  Did you mean "yes"\?',
        ),
        ({"train": [*ROWS[:2], {**ROWS[2], "label": ""}]}, r"train.tsv:4: an item has no label, others have"),
        ({"train": ROWS[:9], "dev": ROWS[:9], "test": ROWS[:9]}, r"shows has no train items left that are not tested"),
        ({"train": ROWS[:9], "dev": ROWS[:2], "test": ROWS[:2]}, r"shows has no dev items left that are not tested"),
    ],
)
def test_what_cannot_be_used_is_told(tmp_path: Path, files: dict[str, list[dict]], told: str) -> None:
    with pytest.raises(InputError, match=told):
        read(SHOWS, write(tmp_path, **files))


@pytest.mark.parametrize("stars", ["many", "6", "nan"])
def test_a_score_outside_its_scale_is_told(tmp_path: Path, stars: str) -> None:
    with pytest.raises(InputError, match=rf'"{stars}" is no stars of rated.\n  It is a number from 1 to 5'):
        read(RATED, write(tmp_path, train=[{"text": "fine", "stars": stars}]))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("train.jsonl", b"{"),
        ("train.jsonl", b"[1]"),
        ("train.json", b"{}"),
        ("train.tsv", b"one\ttwo\tlabel\nonly one"),
        ("train.tsv", b"\xff\xfe"),
        ("train.csv", b'one,two,label\n"a,b,c'),
        ("train.tsv.gz", b"no gzip"),
        ("train.parquet", b"PAR0"),
    ],
)
def test_a_broken_file_is_told(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=r"train.*: the file cannot be read"):
        read(SHOWS, tmp_path)


def test_a_folder_or_hub_id_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoDataError, match="there is no such folder"):
        read(SHOWS, tmp_path / "gone")
    with pytest.raises(NoDataError, match=r"shows is on no hub.\n  Give the folder of its files: here"):
        read(SHOWS, None)
    with pytest.raises(NoDataError, match=r"allegro/klej-cdsc-e: the data set cannot be had"):
        read(TASKS["cdsc_e"], None)


def test_a_data_set_that_is_a_program_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "of" / "program").mkdir(parents=True)
    (tmp_path / "of" / "program" / "program.py").write_text("raise SystemExit", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoDataError, match=r"of/program: the data set cannot be had: .*scripts are no longer supported"):
        read(replace(SHOWS, hub="of/program"), None)


def test_one_less_weighted_error_is_that_of_klej() -> None:
    draw = np.random.default_rng(0)
    golds = draw.choice([1.0, 2.0, 5.0], 50, p=[0.1, 0.2, 0.7]).tolist()
    answers = draw.uniform(1, 5, 50).tolist()
    errors = [
        np.mean([abs(gold - answer) for gold, answer in zip(golds, answers, strict=True) if gold == stars])
        for stars in sorted(set(golds))
    ]
    assert score(RATED, golds, answers) == pytest.approx(1 - np.mean(errors) / 4)
    assert np.shape(counts(RATED, golds, answers)) == (50, 2)


def test_scores_are_the_tasks_own() -> None:
    golds, answers = [0, 0, 1, 1, 1], [0, 1, 1, 1, 0]
    assert score(SHOWS, golds, answers) == pytest.approx(3 / 5)
    assert score(TASKS["cbd"], golds, answers) == pytest.approx(2 / 3)
    assert score(TASKS["hucola"], golds, answers) == pytest.approx(1 / 6)
    assert score(TASKS["cdsc_r"], [1.0, 2.0, 4.0], [0.1, 0.2, 0.3]) == pytest.approx(1)
    weighted = score(TASKS["hindi_reviews"], golds, answers)
    assert weighted == pytest.approx(2 / 5 * 0.5 + 3 / 5 * 2 / 3)


def test_what_is_not_defined_for_one_class_has_no_score() -> None:
    assert score(TASKS["hucola"], [1, 1, 1], [1, 1, 1]) is None
    assert score(TASKS["cbd"], [0, 0], [0, 0]) is None
    assert score(TASKS["cdsc_r"], [2.0, 2.0], [1.0, 3.0]) is None
    assert score(SHOWS, [1, 1], [1, 1]) == 1


def test_chance_is_the_best_answer_that_never_changes() -> None:
    def items(*golds: float) -> list[LabeledItem]:
        return [LabeledItem(str(n), (str(n),), gold) for n, gold in enumerate(golds)]

    train, test = items(0, 0, 0, 1), items(0, 1, 1)
    assert (constant(SHOWS, train), chance(SHOWS, train, test)) == (0, pytest.approx(1 / 3))
    # Of F1 of the positive class it is to say always yes, however rare that is.
    assert (constant(TASKS["cbd"], train), chance(TASKS["cbd"], train, test)) == (1, pytest.approx(4 / 5))
    assert chance(TASKS["hucola"], train, test) == chance(TASKS["cdsc_r"], train, test) == 0
    assert chance(TASKS["cbd"], train, items(0, 0)) == 0
    stars = items(5, 5, 5, 5, 1, 3)
    assert (constant(RATED, stars), chance(RATED, stars, stars)) == (3, pytest.approx(1 - (2 + 2 + 0) / 3 / 4))
    assert math.isfinite(constant(TASKS["cdsc_r"], stars))
