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
    """A YAML file as plain data, and where each dotted key stands."""

    path: Path
    data: dict[str, Any]
    lines: dict[str, int] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)

    def place(self, key: str) -> str:
        """`file:line` of a dotted key, or of the nearest key above it that is written."""
        while key and key not in self.lines:
            key = key.rpartition(".")[0]
        return f"{self.path}:{self.lines.get(key, 1)}"

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
        place: Any = self.data
        for key in keys[:-1]:
            place = place[int(key)] if isinstance(place, list) and key.isdigit() and int(key) < len(place) else place
            if isinstance(place, dict):
                if place.get(key) is None:
                    place[key] = {}
                place = place[key]
        if isinstance(place, dict):
            place[keys[-1]] = _parse(text, f"-s {assignment}")
        elif isinstance(place, list) and keys[-1].isdigit() and int(keys[-1]) < len(place):
            place[int(keys[-1])] = _parse(text, f"-s {assignment}")
        else:
            raise RecipeError(f'"{dotted}" does not lead to a value of the recipe.', where=f"-s {assignment}")


def read(path: Path) -> Source:
    """The file as plain data with its lines. Raises RecipeError when it is not there or is no YAML mapping."""
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError) as error:
        raise RecipeError(
            "there is no such recipe file.", where=path, remedy="lingraft ls shows the shipped ones."
        ) from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"the recipe is not UTF-8 ({error.reason} at byte {error.start}).", where=path) from error
    tree = _parse(text, str(path))
    if not isinstance(tree, CommentedMap):
        raise RecipeError("a recipe is a mapping of keys to values.", where=path)
    source = Source(path, {})
    source.data = _plain(tree, "", source)
    return source


def fill(source: Source) -> None:
    """Replace `${NAME}` in every string; an unset variable is a mistake."""
    source.data = _filled(source.data, "", source)


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
        raise RecipeError(f"not valid YAML: {error.problem}", where=f"{where}{line}") from error
    except YAMLError as error:
        raise RecipeError(f"not valid YAML: {error}", where=where) from error


def _plain(node: Any, key: str, source: Source) -> Any:
    if isinstance(node, CommentedMap):
        plain = {}
        for name, value in node.items():
            below = f"{key}.{name}" if key else str(name)
            source.lines[below] = node.lc.key(name)[0] + 1
            plain[str(name)] = _plain(value, below, source)
        return plain
    if isinstance(node, CommentedSeq):
        for index in range(len(node)):
            source.lines[f"{key}.{index}"] = node.lc.item(index)[0] + 1
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
