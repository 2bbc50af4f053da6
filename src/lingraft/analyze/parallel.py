"""Sentences of two languages, line by line translations of each other, from the forms in which they come."""

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

import langcodes

from lingraft.core.errors import InputError
from lingraft.evaluate.evaluate import HeldOut

SHIPPED = Path(__file__).parents[1] / "starter" / "tasks" / "parallel.jsonl"
ENDINGS = ("", ".gz")
LEAST = 20

Pair = tuple[str, str]


@dataclass(frozen=True)
class Sentences:
    """Sentences of two languages, the names of these, and of where the sentences come from."""

    target: str
    replay: str
    source: str
    pairs: Sequence[Pair]

    def spread(self, most: int) -> "Sentences":
        """At most so many, evenly spread."""
        size = len(self.pairs)
        return replace(self, pairs=[self.pairs[at * size // most] for at in range(most)]) if size > most else self


def of(texts: Iterable[HeldOut], place: Path | None) -> Sentences | str:
    """Those of the languages of these texts in a file or folder, by default the starter's; or why there are none."""
    languages = {text.stream: text.language for text in texts}
    if len(languages) < 2:
        return "there is no replay text, and so no second language."
    target, replay = languages["target"], languages["replay"]
    pairs = shipped(target.tag, replay.tag) if place is None else read(place, target.tag, replay.tag)
    if len(pairs) < LEAST:
        what = f"{len(pairs)} parallel sentences of {target.name} and {replay.name}"
        return f"there are {what}, too few; name a file of more as the option parallel."
    return Sentences(target.name, replay.name, "starter" if place is None else place.name, pairs)


def read(place: Path, target: str, replay: str) -> list[Pair]:
    """Sentences of the target language (a BCP 47 tag) with those of the replay language, in the file's order.

    A folder has a file a language with as many lines (`pol.txt`, `eng.txt`: NTREX), or a table of both
    (`eng-pol.tsv`: Tatoeba), named by ISO 639-3 or BCP 47; `.gz` may follow. A file is such a table, or JSON lines with
    a key for each language. Pairs with an empty side are left out, and so is every pair of which one side stood before:
    of two equal sentences none could be found. Raises InputError when there is nothing to read, and when the
    sides have not as many lines.
    """
    if not place.exists():
        raise InputError("there is no such file or folder.", where=place, remedy="Set the option parallel.")
    if place.is_dir():
        pairs = _of_folder(place, target, replay)
    elif place.name.endswith((".jsonl", ".jsonl.gz")):
        pairs = _of_json_lines(place, target, replay)
    else:
        pairs = _of_table(place, target, replay)
    return list(_distinct(pairs))


def shipped(target: str, replay: str) -> list[Pair]:
    """The starter's sentences; none where it has not both languages."""
    with SHIPPED.open(encoding="utf-8") as lines:
        known = json.loads(next(lines)).keys()
    both = all(any(name in known for name in names(tag)) for tag in (target, replay))
    return read(SHIPPED, target, replay) if both else []


def names(tag: str) -> list[str]:
    """What a file or key of a language may be called: its tag, its language alone, and ISO 639-3."""
    language = langcodes.Language.get(tag)
    return list(dict.fromkeys([tag, language.language, language.to_alpha3()]))


def _distinct(pairs: Iterable[Pair]) -> Iterator[Pair]:
    seen: tuple[set[str], set[str]] = (set(), set())
    for pair in pairs:
        left, right = (side.strip() for side in pair)
        if left and right and left not in seen[0] and right not in seen[1]:
            yield left, right
        seen[0].add(left)
        seen[1].add(right)


def _of_folder(folder: Path, target: str, replay: str) -> Iterable[Pair]:
    sides = [_found(folder, [f"{name}.txt" for name in names(tag)]) for tag in (target, replay)]
    if all(sides):
        lines = [_lines(path) for path in sides]
        if len(lines[0]) != len(lines[1]):
            raise InputError(
                f"{sides[0].name} has {len(lines[0])} lines and {sides[1].name} {len(lines[1])}: they are not aligned.",
                where=folder,
                remedy="A line of the one must be the translation of the same line of the other.",
            )
        return zip(*lines, strict=True)
    table = _found(folder, [f"{a}-{b}.tsv" for a, b in _orders(target, replay)])
    if table is not None:
        return _of_table(table, target, replay)
    wanted = " and ".join(f"{names(tag)[-1]}.txt" for tag in (target, replay))
    raise InputError(
        f"there are no sentences of both languages here: neither {wanted} nor "
        f"{names(replay)[-1]}-{names(target)[-1]}.tsv.",
        where=folder,
        remedy="Name the files by the three letters of ISO 639-3.",
    )


def _found(folder: Path, candidates: Iterable[str]) -> Path | None:
    paths = (folder / f"{name}{ending}" for name in candidates for ending in ENDINGS)
    return next((path for path in paths if path.is_file()), None)


def _orders(target: str, replay: str) -> list[tuple[str, str]]:
    ours, theirs = names(target), names(replay)
    return [pair for a in ours for b in theirs for pair in ((a, b), (b, a))]


def _of_table(path: Path, target: str, replay: str) -> Iterator[Pair]:
    columns = path.name.split(".")[0].split("-", 1)
    if tuple(columns) not in _orders(target, replay):
        raise InputError(
            "the name does not tell which language stands in which column.",
            where=path,
            remedy=f"Call it {names(replay)[-1]}-{names(target)[-1]}.tsv, in the order of its columns.",
        )
    target_first = columns[0] in names(target)
    for number, line in enumerate(_lines(path), start=1):
        cells = line.split("\t")
        if len(cells) < 2:
            raise InputError("this line has no second column.", where=f"{path}:{number}", remedy="Mend or remove it.")
        yield (cells[0], cells[1]) if target_first else (cells[1], cells[0])


def _of_json_lines(path: Path, target: str, replay: str) -> Iterator[Pair]:
    for number, line in enumerate(_lines(path), start=1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"this line is no JSON: {error}", where=f"{path}:{number}", remedy="Mend it.") from error
        sides = [next((record[name] for name in names(tag) if name in record), None) for tag in (target, replay)]
        if None in sides:
            raise InputError(
                f'this record has no "{names((target, replay)[sides.index(None)])[0]}".',
                where=f"{path}:{number}",
                remedy="Give every record a key for each language.",
            )
        yield sides[0], sides[1]


def _lines(path: Path) -> list[str]:
    """Without splitlines: that would cut at form feeds and other signs inside of a sentence too."""
    try:
        with _open(path) as file:
            return [line.rstrip("\n") for line in file]
    except UnicodeDecodeError as error:
        raise InputError(f"this is no UTF-8 text: {error}", where=path, remedy="Convert it to UTF-8.") from error


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")
