"""Writes docs/recipe.md from the stages' own configs: python docs/recipe_page.py"""

from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lingraft.core.asked import EndpointSettings, LocalSettings
from lingraft.core.outside import RecordSource, TextSource
from lingraft.core.stage import Needs, Stage
from lingraft.stages import table
from lingraft.stages.evaluate import Suite
from lingraft.stages.translate import FewShotSettings, Seq2SeqSettings

PAGE = Path(__file__).with_name("recipe.md")
INTRODUCTION = """# The recipe

This page is written by `docs/recipe_page.py` from the code; do not edit it by hand.

A recipe is a YAML file that says what is to be done. Under `stages` stand named steps in their order; a name that is
also a kind of stage needs no `kind:`. The same kind may appear twice under two names.

```yaml
base:     {model: folder-or-hub-id, revision: null, trust_remote_code: false}   # or {architecture: {...}}
language: pl      # BCP 47
replay:   en      # the language that must not be lost; may be left out
seed:     17
stages:
  corpus: {target: [{path: texts/*.jsonl}]}
```

- A relative path is looked for beside the recipe file.
- `${NAME}` is filled in from the environment.
- `-s stage.key=value` on the command line overrides one value; `-s seed=3` one beside the stages.
- A key that names an earlier step may be left out: it means the nearest earlier step that makes what is needed (a list:
  all of them). The copy of the recipe in the run has them all written out. `base` is the name of the base itself.
- Runs may share a store, at the same time too: what another one is making is waited for, and then used.
- Mistakes of one kind are reported together, each as `file:line: dotted.key: what is wrong`.
"""


def page() -> str:
    """The whole page as Markdown."""
    parts = [INTRODUCTION, "## A text source\n\n" + (TextSource.__doc__ or "") + "\n\n" + fields(TextSource)]
    parts += ["## A source of records\n\n" + (RecordSource.__doc__ or "") + "\n\n" + fields(RecordSource)]
    parts += ["## A suite of tasks\n\n" + (Suite.__doc__ or "") + "\n\n" + fields(Suite)]
    parts.append("## A model that is asked\n\nThe key that only one kind has tells which is meant.\n")
    parts += [f"{kind.__doc__}\n\n{fields(kind)}" for kind in (EndpointSettings, LocalSettings)]
    parts.append("## A translator\n\nOne of the two above, or one of these.\n")
    parts += [f"{kind.__doc__}\n\n{fields(kind)}" for kind in (Seq2SeqSettings, FewShotSettings)]
    parts += [stage(kind, found) for kind, found in table().items()]
    return "\n".join(parts)


def stage(kind: str, found: Stage) -> str:
    makes = ", ".join(found.makes)
    return f"## {kind}\n\n{found.config.__doc__} Makes: {makes}.\n\n{fields(found.config)}"


def fields(config: Any) -> str:
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for name, info in config.model_fields.items():
        if name == "kind":
            continue
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            rows += [
                f"| `{name}.{key}` | {default_of(inner)} | {inner.description} |"
                for key, inner in info.annotation.model_fields.items()
            ]
            continue
        needs = next(
            (f"An earlier step that makes: {mark.makes}." for mark in info.metadata if isinstance(mark, Needs)), ""
        )
        meaning = " ".join(part for part in (needs, info.description or "") if part)
        rows.append(f"| `{name}` | {default_of(info)} | {meaning} |")
    return "\n".join(rows) + "\n"


def default_of(info: FieldInfo) -> str:
    if info.default_factory is not None:  # its description says what it goes by
        return ""
    return "needed" if info.is_required() else f"`{info.get_default()}`".replace("`None`", "")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
