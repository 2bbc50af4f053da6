"""Rows of a data set in Hugging Face form, streamed from the hub or from a folder."""

from collections.abc import Iterator
from typing import Any

import datasets
import pyarrow as pa

from lingraft.core.errors import InputError
from lingraft.core.outside import Source
from lingraft.core.progress import Progress


def rows(path: str, source: Source, progress: Progress) -> Iterator[tuple[str, dict[str, Any]]]:
    """Position and fields of every row of the split; `path` is a hub id or a folder."""
    row = 0
    try:
        stream = datasets.load_dataset(
            path, name=source.config, split=source.split, revision=source.revision, streaming=True
        )
        for fields in stream:
            row += 1
            yield f"#{row}", fields
            progress.advance()
    except (OSError, ValueError, pa.ArrowException, datasets.exceptions.DatasetsError) as error:
        raise InputError(
            f"the data set cannot be read past row {row:,}: {error}",
            where=path,
            remedy="Check `dataset`, `config`, `split` and `revision`, and that the hub can be reached.",
        ) from error
