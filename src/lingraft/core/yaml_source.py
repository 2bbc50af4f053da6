"""YAML with the line of every key, `${NAME}` filled in from the environment, and `a.b=c` overrides."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from .errors import RecipeError

VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass
class Source:
    """A YAML file as plain data, and where each dotted key stands: `file:line`, or the override that set it."""

    path: Path
    data: dict[str, Any]
    places: dict[str, str] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)

    def place(self, key: str) -> str:
        """Where a dotted key stands, or the nearest key above it that is written."""
        while key and key not in self.places:
            key = key.rpartition(".")[0]
        return self.places.get(key, f"{self.path}:1")

    def mistake(self, key: str, what: str) -> None:
        """Remember `file:line: dotted.key: what`."""
        self.mistakes.append(f"{self.place(key)}: {key}: {what}" if key else f"{self.place(key)}: {what}")

    def override(self, assignment: str, known_stages: dict[str, Any]) -> None:
        """Set one value from the command line: `seed=3`, or `pretrain.lr=1e-4` for a stage of the recipe."""
        dotted, equals, text = assignment.partition("=")
        keys = dotted.split(".")
        if not equals or not all(keys):
            raise RecipeError(f'the override "{assignment}" is not of the form a.b=value.', where="-s")
        if keys[0] in known_stages:
            keys.insert(0, "stages")
        where = f"-s {assignment}"
        scratch = Source(Path(where), {})
        given = _plain(_parse(text, where), "", scratch)
        self.mistakes += scratch.mistakes
        dotted_keys = [".".join(keys[: depth + 1]) for depth in range(len(keys))]
        self.places = {k: v for k, v in self.places.items() if not k.startswith(f"{dotted_keys[-1]}.")}
        place: Any = self.data
        for key, dotted_key in zip(keys, dotted_keys, strict=True):
            index: Any = int(key) if isinstance(place, list) and key.isdigit() else key
            if not isinstance(place, dict) and not (isinstance(index, int) and index < len(place)):
                raise RecipeError(f'"{dotted}" does not lead to a value of the recipe.', where=where)
            last = dotted_key == dotted_keys[-1]
            if last or (isinstance(place, dict) and place.get(index) is None):
                place[index] = given if last else {}
                self.places[dotted_key] = where
            place = place[index]


def read(path: Path) -> Source:
    """The file as plain data with its lines. Raises RecipeError when it cannot be read or is no YAML mapping."""
    tree = _parse(read_text(path), str(path))
    if not isinstance(tree, CommentedMap):
        raise RecipeError("a recipe is a mapping of keys to values.", where=path)
    source = Source(path, {})
    source.data = _plain(tree, "", source)
    return source


def read_text(path: Path) -> str:
    """The text of a recipe file. Raises RecipeError when it cannot be read or is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise RecipeError(
            f"the recipe cannot be read: {error.strerror}.", where=path, remedy="lingraft ls shows the shipped ones."
        ) from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"the recipe is not UTF-8 ({error.reason} at byte {error.start}).", where=path) from error


def fill(source: Source) -> None:
    """Replace `${NAME}` in every string; an unset variable is a mistake."""
    source.data = _filled(source.data, "", source)


def value(text: str, where: str) -> Any:
    """What a value means that stands on the command line. Raises RecipeError where it is no YAML, or of no use."""
    source = Source(Path(where), {})
    found = _plain(_parse(text, where), "", source)
    if source.mistakes:
        raise RecipeError(source.mistakes[0])
    return found


def write(data: Any) -> str:
    """The data as YAML text, keys in their order."""
    from io import StringIO

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.allow_unicode = True
    yaml.width = 110
    text = StringIO()
    yaml.dump(data, text)
    return text.getvalue()


def _parse(text: str, where: str) -> Any:
    try:
        return YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        what = ", ".join(part for part in (error.context, error.problem) if part)
        raise RecipeError(f"not valid YAML: {what}.", where=f"{where}{line}") from error
    except YAMLError as error:
        raise RecipeError(f"not valid YAML: {error}", where=where) from error


def _plain(node: Any, key: str, source: Source) -> Any:
    if isinstance(node, CommentedMap):
        plain = {}
        for name, value in node.items():
            below = f"{key}.{name}" if key else str(name)
            if name in node.lc.data:  # not so for a key that comes from an alias: <<: *name
                source.places[below] = f"{source.path}:{node.lc.key(name)[0] + 1}"
            plain[str(name)] = _plain(value, below, source)
        return plain
    if isinstance(node, CommentedSeq):
        for index in range(len(node)):
            source.places[f"{key}.{index}"] = f"{source.path}:{node.lc.item(index)[0] + 1}"
        return [_plain(value, f"{key}.{index}", source) for index, value in enumerate(node)]
    if isinstance(node, bool) or node is None:
        return node
    for plain_type in (int, float, str):  # ruamel keeps how a number was written in subclasses of these
        if isinstance(node, plain_type):
            return plain_type(node)
    source.mistake(key, f"a value of this kind ({type(node).__name__}) is not used in recipes.")
    return None


def _filled(value: Any, key: str, source: Source) -> Any:
    if isinstance(value, dict):
        return {name: _filled(below, f"{key}.{name}" if key else name, source) for name, below in value.items()}
    if isinstance(value, list):
        return [_filled(below, f"{key}.{index}", source) for index, below in enumerate(value)]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            source.mistake(
                key, f"the environment variable {match[1]} is not set; set it, or override this key with -s."
            )
        return os.environ.get(match[1], "")

    return VARIABLE.sub(variable, value)
