"""Recipes that come with the package."""

import re
from pathlib import Path

from .errors import RecipeError
from .registry import did_you_mean
from .yaml_source import read_text

PACKAGE = Path(__file__).parents[1]


def recipes() -> dict[str, tuple[Path, str]]:
    """Every shipped recipe by name: its file and the first line of its comment."""
    # In a checkout the recipes stand at the top; a wheel carries them inside the package.
    folder = next(place for place in (PACKAGE / "recipes", PACKAGE.parents[1] / "recipes") if place.is_dir())
    files = {path.stem: path for path in sorted((PACKAGE / "starter").glob("*.yaml"), key=lambda path: path.stem)}
    files |= {str(path.relative_to(folder).with_suffix("")): path for path in sorted(folder.rglob("*.yaml"))}
    return {name: (path, _summary(path)) for name, path in files.items()}


def find(name: str) -> Path:
    """The file of a recipe given by its path or its shipped name."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return path
    known = recipes()
    if name not in known:
        raise RecipeError(f'there is no recipe file or shipped recipe "{name}".', remedy=did_you_mean(name, known))
    return known[name][0]


def as_template(name: str) -> str:
    """The text of a recipe with its relative places made absolute, to be copied elsewhere."""
    path = find(name)
    text = read_text(path)

    def absolute(match: re.Match[str]) -> str:
        place = path.parent / match[2]
        return f"{match[1]}{place.resolve()}" if any(place.parent.glob(place.name)) else match[0]

    return re.sub(r"(\b(?:path|model): )([\w./*-]+)", absolute, text)


def _summary(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
