from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lingraft.core.errors import StoreError
from lingraft.corpus.document import Document
from lingraft.corpus.shards import ShardWriter, documents, sample


def test_a_full_shard_is_followed_by_another_in_order(tmp_path: Path) -> None:
    written = [Document(f"text {number}", "s", None if number % 2 else "g", f"x:{number}") for number in range(3500)]
    with ShardWriter(tmp_path / "target" / "train", shard_bytes=1000) as writer:
        for document in written:
            writer.add(document, len(document.text))
    shards = sorted((tmp_path / "target" / "train").iterdir())
    assert [shard.name for shard in shards] == [f"{number:05}.parquet" for number in range(4)]
    assert [pq.ParquetFile(shard).metadata.num_rows for shard in shards] == [1000, 1000, 1000, 500]
    assert list(documents(tmp_path, "target", "train")) == [(d.text, d.source, d.group) for d in written]
    assert (writer.num_documents, writer.num_bytes) == (3500, sum(len(d.text) for d in written))


def test_a_row_group_is_bounded_by_bytes_too(tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "target" / "train") as writer:
        for number in range(10):
            writer.add(Document(str(number) * 8_000_000, "s", None, ""), 8_000_000)
    assert pq.ParquetFile(tmp_path / "target" / "train" / "00000.parquet").num_row_groups == 2


def test_a_folder_without_a_corpus_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"there is no corpus here(.|\n)*Run the corpus stage again"):
        documents(tmp_path, "target", "train")


def test_a_sample_is_spread_over_the_order_of_reading(tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "target" / "held_out") as writer:
        for number in range(10):
            writer.add(Document(str(number), "s", None, ""), 1)
    taken = {
        count: [text for text, _, _ in sample(tmp_path, "target", "held_out", count)] for count in (1, 4, 10, 11, None)
    }
    assert taken[1] == ["0"]
    assert taken[4] == ["0", "2", "5", "7"]
    assert taken[10] == taken[11] == taken[None] == [str(number) for number in range(10)]
