"""Where the rows of a suite come from: files in a folder, or a data set on the hub, with the same columns."""

import csv
import gzip
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import langcodes

from lingraft.core.errors import InputError
from lingraft.corpus.language import Language

ENDINGS = (".jsonl", ".json", ".tsv", ".txt")


class NoDataError(InputError):
    """A suite has nothing in a language."""


@dataclass(frozen=True)
class Source:
    """Of one language; `folder` None is the hub."""

    language: Language
    folder: Path | None = None

    @property
    def codes(self) -> dict[str, str]:
        """How data sets call the language: `{iso1}` pl, `{iso3}` pol, `{flores}` pol_Latn, `{name}` Polish."""
        found = langcodes.Language.get(self.language.tag)
        iso3 = found.to_alpha3()
        return {
            "iso1": found.language,
            "iso3": iso3,
            "flores": f"{iso3}_{self.language.script}",
            "name": found.language_name(),
        }

    def rows(
        self, file: str, *, hub: str, config: str | None = None, split: str = "test", columns: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """The rows of `file` (without its ending) in the folder, or of a split on the hub.

        `file` and `config` may hold the codes of the language in braces. A line of a .txt file is `{"text": line}`;
        a .tsv file has its columns in its first line, or no header where they are given as `columns`. Raises
        NoDataError where there is none.
        """
        name = file.format(**self.codes)
        if self.folder is None:
            return self._from_hub(hub, config and config.format(**self.codes), split)
        path = self._find(name)
        return _read(path, columns)

    def _find(self, name: str) -> Path:
        for ending in ENDINGS:
            for path in (self.folder / f"{name}{ending}", self.folder / f"{name}{ending}.gz"):
                if path.is_file():
                    return path
        raise NoDataError(
            f"there is no {self.language.name} in this suite's data: no {name}{{{','.join(ENDINGS)}}}, plain or .gz.",
            where=self.folder,
            remedy="Set `data` to the folder that holds these files, or leave the suite out.",
        )

    def _from_hub(self, hub: str, config: str | None, split: str) -> list[dict[str, Any]]:
        import datasets

        try:
            return list(datasets.load_dataset(hub, config, split=split))
        except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
            raise NoDataError(
                f"the data set {hub} gives no {config or self.language.name} ({split}): {error}",
                where=hub,
                remedy="Check the network and HF_HUB_OFFLINE, set `data` to a folder with the files, or leave it out.",
            ) from error


def _read(path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    ending = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    try:
        text = data.decode("utf-8-sig")
        if ending == ".txt":
            return [{"text": line} for line in text.removesuffix("\n").split("\n")]
        if ending == ".json":
            return json.loads(text)
        if ending == ".jsonl":
            return [json.loads(line) for line in text.split("\n") if line.strip()]
        return list(csv.DictReader(io.StringIO(text), columns or None, delimiter="\t", quoting=csv.QUOTE_NONE))
    except ValueError as error:
        raise InputError(f"this file cannot be read: {error}.", where=path, remedy="Download it again.") from error
