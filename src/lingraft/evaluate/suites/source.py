"""Where the rows of a suite come from: files in a folder, or a data set on the hub, with the same columns."""

import csv
import gzip
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import langcodes

from lingraft.core.errors import InputError
from lingraft.corpus.language import Language

ENDINGS = (".jsonl", ".json", ".tsv", ".csv", ".txt")
INDIVIDUAL = {
    "ara": "arb",
    "aze": "azj",
    "fas": "pes",
    "fil": "tgl",
    "kur": "kmr",
    "lav": "lvs",
    "mlg": "plt",
    "mon": "khk",
    "msa": "zsm",
    "nep": "npi",
    "nor": "nob",
    "ori": "ory",
    "orm": "gaz",
    "pus": "pbt",
    "sqi": "als",
    "swa": "swh",
    "uzb": "uzn",
    "yid": "ydd",
}
"""FLORES-200 names one language of each of these groups (https://github.com/facebookresearch/flores)."""


class NoDataError(InputError):
    """A suite has nothing in a language."""


class Row(dict[str, Any]):
    """A row that knows where it stands, so that what is missing or wrong in it is said with its place."""

    def __init__(self, columns: Mapping[str, Any], where: Path | str, number: int) -> None:
        super().__init__(columns)
        self.where, self.number = where, number

    def __missing__(self, column: str) -> Any:
        known = ", ".join(str(name) for name in self) or "none"
        raise self.wrong(f'has no column "{column}" (it has {known})')

    def wrong(self, what: str) -> InputError:
        """The error that says what is wrong with the row."""
        return InputError(
            f"row {self.number:,} {what}.",
            where=self.where,
            remedy="Leave the row out or mend it; docs/suites.md says what columns there are.",
        )

    def text(self, column: str) -> str:
        """The text of a column, without space around it or a byte order mark."""
        text = self[column]
        if not isinstance(text, str) or not (text := text.strip().strip("\ufeff").strip()):
            raise self.wrong(f'has no text in "{column}" ({text!r})')
        return text

    def texts(self, column: str, name: str | None = None) -> tuple[str, ...]:
        """The texts of a column that is a list, as they stand there.

        With `name`, those of that name in a list of objects, or in an object of lists, as the hub may have it.
        """
        texts = self[column]
        if name is not None and isinstance(texts, Mapping):
            texts = texts.get(name)
        elif name is not None and isinstance(texts, list):
            texts = [text.get(name) if isinstance(text, Mapping) else None for text in texts]
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            place = column if name is None else f"{column}.{name}"
            raise self.wrong(f'has no list of texts in "{place}" ({self[column]!r})')
        return tuple(texts)

    def below(self, column: str) -> "Row":
        """The columns within a column."""
        if not isinstance(self[column], Mapping):
            raise self.wrong(f'has no columns within "{column}" ({self[column]!r})')
        return Row(self[column], self.where, self.number)

    def index(self, column: str, labels: Sequence[str]) -> int:
        """Which of the labels stands in a column: by its name, or by its place from 0 where names are no numbers."""
        label = str(self[column]).strip()
        if label in labels:
            return labels.index(label)
        if label.isdecimal() and int(label) < len(labels) and not any(name.isdecimal() for name in labels):
            return int(label)
        raise self.wrong(f'has {label!r} as "{column}", which is none of {", ".join(labels)}')


@dataclass(frozen=True)
class Source:
    """Of one language; `folder` None is the hub."""

    language: Language
    folder: Path | None = None

    @cached_property
    def codes(self) -> dict[str, str]:
        """How data sets call the language: `{iso1}` pl, `{iso3}` pol, `{flores}` pol_Latn, `{name}` Polish."""
        found = langcodes.Language.get(self.language.tag)
        iso3 = found.to_alpha3()
        return {
            "iso1": found.language,
            "iso3": iso3,
            "flores": f"{INDIVIDUAL.get(iso3, iso3)}_{self.language.script}",
            "name": found.language_name(),
        }

    @property
    def space(self) -> str:
        """What stands between words, and before an answer that goes on with the text."""
        return " " if self.language.spaces else ""

    def rows(
        self, file: str, *, hub: str, config: str | None = None, split: str = "test", columns: Sequence[str] = ()
    ) -> list[Row]:
        """The rows of `file` (without its ending) in the folder, or of a split on the hub.

        `file` and `config` may hold the codes of the language in braces. A line of a .txt file is `{"text": line}`;
        a .tsv file has its columns in its first line, or no header where they are given as `columns`. Raises
        NoDataError where there is none, InputError for what is no row.
        """
        name = file.format(**self.codes)
        if self.folder is None:
            config = config and config.format(**self.codes)
            where: Path | str = "/".join(part for part in (hub, config, split) if part)
            found = self._from_hub(hub, config, split)
        else:
            where = self._find(name)
            found = _read(where, columns)
        if not found:
            raise self.nothing("there is not one row", where)
        return _rows(found, where)

    def has(self, file: str) -> bool:
        """Whether `file`, as `rows` takes it, is in the folder."""
        return self._path(file.format(**self.codes)) is not None

    def parts(self, file: str, *, hub: str) -> list[str]:
        """What can stand for `{part}` in the name of a file, or the configs of the data set on the hub."""
        if self.folder is None:
            import datasets

            try:
                return sorted(datasets.get_dataset_config_names(hub))
            except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
                raise self._not_on_hub(hub, "configs", error) from error
        pattern = re.compile(re.escape(file).replace(re.escape("{part}"), "(.+)"))
        names = {_stem(path): path for path in sorted((self.folder / file).parent.glob("*")) if _stem(path) != path}
        found = [match[1] for name in names if (match := pattern.fullmatch(str(name.relative_to(self.folder))))]
        if not found:
            raise self.nothing(f"there is no {file}{{{','.join(ENDINGS)}}}, plain or .gz", self.folder)
        return found

    def nothing(self, what: str, where: Path | str | None = None) -> NoDataError:
        """The error for data that holds nothing in the language."""
        return NoDataError(
            f"there is no {self.language.name} in this suite's data: {what}.",
            where=where or self.folder or "the hub",
            remedy="Set `data` to a folder that holds it (docs/suites.md names the files), or leave the suite out.",
        )

    def _find(self, name: str) -> Path:
        path = self._path(name)
        if path is None:
            raise self.nothing(f"no {name}{{{','.join(ENDINGS)}}}, plain or .gz")
        return path

    def _path(self, name: str) -> Path | None:
        paths = (self.folder / f"{name}{ending}{packed}" for ending in ENDINGS for packed in ("", ".gz"))
        return next((path for path in paths if path.is_file()), None)

    def _from_hub(self, hub: str, config: str | None, split: str) -> list[dict[str, Any]]:
        import datasets

        try:
            return list(datasets.load_dataset(hub, config, split=split))
        # RuntimeError is what comes of a data set that is a program, which is no longer run.
        except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
            raise self._not_on_hub(hub, f"{config or self.language.name} ({split})", error) from error

    def _not_on_hub(self, hub: str, what: str, error: Exception) -> NoDataError:
        return NoDataError(
            f"the data set {hub} gives no {what}: {error}",
            where=hub,
            remedy="Check the network and HF_HUB_OFFLINE, set `data` to a folder with the files, or leave it out.",
        )


def _stem(path: Path) -> Path:
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    return plain.with_suffix("") if plain.suffix in ENDINGS else path


def _rows(found: Iterable[Any], where: Path | str) -> list[Row]:
    rows = []
    for number, columns in enumerate(found, start=1):
        if not isinstance(columns, Mapping):
            raise InputError(
                f"row {number:,} is not an object with columns: {str(columns)[:60]!r}.",
                where=where,
                remedy="docs/suites.md says what columns there are.",
            )
        rows.append(Row(columns, where, number))
    return rows


def _read(path: Path, columns: Sequence[str]) -> list[Any]:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        ending = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
        text = data.decode("utf-8-sig")
        if ending == ".txt":
            return [{"text": line} for line in text.removesuffix("\n").split("\n")]
        if ending == ".json":
            rows = json.loads(text)
            if not isinstance(rows, list):
                raise ValueError("it holds no list of rows")
            return rows
        if ending == ".jsonl":
            return [json.loads(line) for line in text.split("\n") if line.strip()]
        # In tables with tabs a quotation mark is one; where commas divide, it encloses.
        form: Any = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if ending == ".tsv" else {}
        return list(csv.DictReader(io.StringIO(text, newline=""), columns or None, **form))
    except (ValueError, EOFError, gzip.BadGzipFile, csv.Error) as error:
        raise InputError(f"this file cannot be read: {error}.", where=path, remedy="Download it again.") from error
