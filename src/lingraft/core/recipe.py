"""A recipe: base model, language and named stages, read from YAML with every mistake named at once."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Union, get_args

from pydantic import BaseModel, ConfigDict, Field, Tag, TypeAdapter, ValidationError

from . import yaml_source
from .errors import RecipeError
from .registry import did_you_mean
from .stage import ANYTHING, Settings, Stage, StageConfig
from .yaml_source import Override

BASE = "base"
NAME = re.compile(r"[\w-]+")


class _Head(BaseModel):
    """The keys of a recipe beside `base` and `stages`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    language: Annotated[str, Field(description="BCP 47 code of the language to graft: pl, sr-Latn, zh-Hant.")]
    replay: Annotated[str | None, Field(description="BCP 47 code of the language that must not be lost.")] = None
    seed: int = 17


@dataclass(frozen=True)
class Recipe:
    """What is to be done: the base and every stage in order, all references written out."""

    name: str
    folder: Path
    language: str
    replay: str | None
    seed: int
    stages: Mapping[str, StageConfig]
    """By name, in order; the first is `base`."""

    def settings(self, stage: Stage, config: StageConfig) -> Settings:
        """The recipe-wide values that this stage uses."""
        return Settings(**{key: getattr(self, key) for key in stage.used(config)})

    def yaml(self) -> str:
        """The recipe as it will be carried out, every default and reference written out."""
        head = {"language": self.language, "replay": self.replay, "seed": self.seed}
        configs = {name: config.model_dump(mode="json") for name, config in self.stages.items()}
        base = configs.pop(BASE)
        del base["kind"]
        return yaml_source.write({"base": base, **head, "stages": configs})


def load(path: Path, table: Mapping[str, Stage], overrides: Sequence[str | Override] = ()) -> Recipe:
    """Read a recipe against the table of stages (kind -> Stage); an override is `a.b=value`, or its parts.

    Raises RecipeError that lists every mistake as `file:line: dotted.key: what is wrong`.
    """
    source = yaml_source.read(path)
    for override in overrides:
        source.override(yaml_source.assigned(override) if isinstance(override, str) else override)
    yaml_source.fill(source)
    head = validate(source, "", _Head, {k: v for k, v in source.data.items() if k not in (BASE, "stages")}, _TOP)
    stages: dict[str, StageConfig | None] = {BASE: _base(source, table[BASE])}
    written = source.data.get("stages")
    if not isinstance(written, dict) or not written:
        source.mistake("stages", "a recipe needs stages, a mapping of names to their settings.")
        written = {}
    for name, values in written.items():
        stages[name] = _stage(source, name, values, table)
    if not source.mistakes:
        stages = _resolve_references(source, stages, table)
    if source.mistakes:
        raise RecipeError("\n".join(source.mistakes))
    return Recipe(path.stem, path.parent.absolute(), head.language, head.replay, head.seed, stages)


def json_schema(table: Mapping[str, Stage]) -> dict[str, Any]:
    """The JSON Schema of a recipe, for editors."""
    kinds = [stage.config for kind, stage in table.items() if kind != BASE]
    schema = _Head.model_json_schema()
    stages = TypeAdapter(Union[tuple(kinds)]).json_schema()  # noqa: UP007
    schema["title"] = "lingraft recipe"
    schema["$defs"] = {**stages.pop("$defs"), "Base": table[BASE].config.model_json_schema()}
    schema["properties"] |= {
        "base": {"$ref": "#/$defs/Base"},
        "stages": {
            "type": "object",
            "properties": {
                kind: {"$ref": f"#/$defs/{stage.config.__name__}"} for kind, stage in table.items() if kind != BASE
            },
            "additionalProperties": stages,
        },
    }
    schema["required"] = ["base", "language", "stages"]
    return schema


_TOP = ("base", "language", "replay", "seed", "stages")


def _base(source: yaml_source.Source, stage: Stage) -> StageConfig | None:
    values = source.data.get(BASE)
    if isinstance(values, dict):
        return validate(source, BASE, stage.config, {"kind": BASE, **values})
    source.mistake(BASE, "a recipe needs a base: {model: folder or hub id} or {architecture: ...}.")
    return None


def _stage(source: yaml_source.Source, name: str, values: Any, table: Mapping[str, Stage]) -> StageConfig | None:
    key = f"stages.{name}"
    if name == BASE or not NAME.fullmatch(name):
        source.mistake(key, 'a stage is named with letters, digits, _ and -, and not "base".')
        return None
    values = {} if values is None else values
    if not isinstance(values, dict):
        source.mistake(key, f"the settings of a stage are a mapping (got {values!r}).")
        return None
    kinds = [kind for kind in table if kind != BASE]
    kind = values.get("kind", name)
    if kind not in kinds:
        hint = did_you_mean(str(kind), kinds)
        written = f"{key}.kind" if "kind" in values else key
        source.mistake(written, f'there is no stage of the kind "{kind}". {hint} Another name needs `kind:`.')
        return None
    return validate(source, key, table[kind].config, {**values, "kind": kind})


def validate(
    source: yaml_source.Source,
    key: str,
    model: type[BaseModel],
    values: dict[str, Any],
    known: Sequence[str] | None = None,
) -> Any:
    """The values as the model; None where they are wrong, each mistake told in the source."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        for mistake in error.errors():
            place, fields = _place(model, mistake["loc"])
            dotted = ".".join(str(part) for part in place if part != "[key]")
            full = f"{key}.{dotted}" if key and dotted else key or dotted
            if mistake["type"] == "extra_forbidden":
                names = known or [name for name in fields if name != "kind"]
                source.mistake(full, f"this key is not known. {did_you_mean(str(mistake['loc'][-1]), names)}")
            elif mistake["type"] == "missing":
                source.mistake(full, "this key is needed and is not there.")
            else:
                message = mistake["msg"].removeprefix("Value error, ")
                got = "" if mistake["type"] == "value_error" else f" (got {mistake['input']!r})"
                source.mistake(full, f"{message[0].lower()}{message[1:]}{got}.")
        return None


def _place(model: type[BaseModel], place: tuple[int | str, ...]) -> tuple[list[int | str], list[str]]:
    """A place without the tags of unions, and the field names of the model one level above its last part."""
    path: list[int | str] = []
    tagged: dict[str, type[BaseModel]] = {}
    for part in place[:-1]:
        if part in tagged:
            model, tagged = tagged[part], {}
            continue
        path.append(part)
        if isinstance(part, str) and part in model.model_fields:
            parts = list(_parts(model.model_fields[part].annotation))
            tagged = {
                mark.tag: get_args(found)[0] for found in parts for mark in get_args(found)[1:] if type(mark) is Tag
            }
            model = next((found for found in parts if isinstance(found, type) and issubclass(found, BaseModel)), model)
    return [*path, *(place[-1:] if place[-1:] and place[-1] not in tagged else ())], list(model.model_fields)


def _parts(annotation: Any) -> Iterator[Any]:
    """An annotation and all that it is made of."""
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


def _resolve_references(
    source: yaml_source.Source, stages: Mapping[str, StageConfig], table: Mapping[str, Stage]
) -> dict[str, StageConfig]:
    resolved: dict[str, StageConfig] = {}
    for name, config in stages.items():
        filled = {}
        for field, (needs, many) in config.references().items():
            makers = [n for n, c in resolved.items() if needs.makes in (*table[c.kind].makes, ANYTHING)]
            key, given = f"stages.{name}.{field}", getattr(config, field)
            for reference in (given if isinstance(given, list) else [given]) if given is not None else []:
                if reference not in makers:
                    source.mistake(key, _no_such_step(reference, needs.makes, makers, stages))
            if given == []:
                source.mistake(key, "no stage is named; leave the key out for all of them.")
            elif given is None and not needs.nearest:
                continue
            elif given is None and not makers and not needs.optional:
                kinds = [kind for kind, stage in table.items() if needs.makes in stage.makes]
                source.mistake(
                    f"stages.{name}",
                    f"it needs {needs.makes}, and no earlier stage makes any. "
                    f"Put a stage of the kind {' or '.join(kinds)} before it.",
                )
            elif given is None and makers:
                filled[field] = makers if many else makers[-1]
        resolved[name] = config.model_copy(update=filled)
    return resolved


def _no_such_step(reference: str, makes: str, makers: list[str], stages: Mapping[str, StageConfig]) -> str:
    if reference in stages and reference not in makers:
        return f'the stage "{reference}" does not come before this one, or makes no {makes}.'
    return f'there is no earlier stage "{reference}" that makes a {makes}. {did_you_mean(reference, makers)}'
