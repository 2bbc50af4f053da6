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


@dataclass(frozen=True)
class Override:
    """A value that takes the place of what a recipe says: `pretrain.lr` for a stage, `seed` for the recipe."""

    key: str
    value: Any
    where: str
    """The place that a mistake in it is told with."""


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

    def override(self, override: Override) -> None:
        """Set one value of a recipe; a whole stage set to null is left out."""
        keys, where = override.key.split("."), override.where
        stages = self.data.get("stages") or {}
        if keys[0] in stages:
            keys.insert(0, "stages")
        dotted_keys = [".".join(keys[: depth + 1]) for depth in range(len(keys))]
        self.places = {k: v for k, v in self.places.items() if not k.startswith(f"{dotted_keys[-1]}.")}
        place: Any = self.data
        if keys[0] == "stages" and len(keys) == 2 and keys[1] in stages and override.value is None:
            del stages[keys[1]]
            return
        for key, dotted_key in zip(keys, dotted_keys, strict=True):
            index: Any = int(key) if isinstance(place, list) and key.isdigit() else key
            if not isinstance(place, dict) and not (isinstance(index, int) and index < len(place)):
                raise RecipeError(f'"{override.key}" does not lead to a value of the recipe.', where=where)
            last = dotted_key == dotted_keys[-1]
            if last or (isinstance(place, dict) and place.get(index) is None):
                place[index] = override.value if last else {}
                self.places[dotted_key] = where
            place = place[index]


def assigned(assignment: str) -> Override:
    """An override as the command line has it: `seed=3`, `pretrain.lr=1e-4`."""
    dotted, equals, text = assignment.partition("=")
    if not equals or not all(dotted.split(".")):
        raise RecipeError(f'the override "{assignment}" is not of the form a.b=value.', where="-s")
    where = f"-s {assignment}"
    return Override(dotted, value(text, where), where)


def read(path: Path, what: str = "recipe") -> Source:
    """The file as plain data with its lines. Raises RecipeError when it cannot be read or is no YAML mapping."""
    tree = _parse(read_text(path, what), str(path))
    if not isinstance(tree, CommentedMap):
        raise RecipeError(f"a {what} is a mapping of keys to values.", where=path)
    source = Source(path, {})
    source.data = _plain(tree, "", source)
    return source


def read_text(path: Path, what: str = "recipe") -> str:
    """The text of a recipe or study. Raises RecipeError when it cannot be read or is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise RecipeError(
            f"the {what} cannot be read: {error.strerror}.", where=path, remedy="lingraft ls shows the shipped ones."
        ) from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"the {what} is not UTF-8 ({error.reason} at byte {error.start}).", where=path) from error


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
