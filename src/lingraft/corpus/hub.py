"""Documents of a data set in Hugging Face form, streamed from the hub or from a folder."""

from collections.abc import Iterator
from functools import partial

import datasets
import pyarrow as pa

from lingraft.core.errors import InputError
from lingraft.core.outside import TextSource
from lingraft.core.progress import Progress

from .document import check
from .formats import Raw, require_column


def rows(path: str, source: TextSource, max_bytes: int, progress: Progress) -> Iterator[Raw]:
    """Every row of the split; `path` is a hub id or a folder."""
    row = 0
    try:
        stream = datasets.load_dataset(
            path, name=source.config, split=source.split, revision=source.revision, streaming=True
        )
        for fields in stream:
            row += 1
            require_column(list(fields), source, path)
            text, group = fields[source.text], fields.get(source.group)
            yield f"#{row}", text, partial(check, text, group, max_bytes)
            progress.advance()
    except (OSError, ValueError, pa.ArrowException, datasets.exceptions.DatasetsError) as error:
        raise InputError(
            f"the data set cannot be read past row {row:,}: {error}",
            where=path,
            remedy="Check `dataset`, `config`, `split` and `revision`, and that the hub can be reached.",
        ) from error
