"""Tables of names and the recipes that come with the package."""

from pathlib import Path

import pytest

from lingraft.core.errors import InputError, LingraftError, RecipeError
from lingraft.core.hub import commit
from lingraft.core.registry import did_you_mean, resolve
from lingraft.core.shipped import as_template, find, recipes

TABLE = {"join": "posixpath:join", "split": "posixpath:split"}


def test_a_name_is_resolved_on_use() -> None:
    assert resolve(TABLE, "join", "function")("a", "b") == "a/b"
    with pytest.raises(RecipeError, match=r'no function is called "jion"\.\n  Did you mean "join"\?'):
        resolve(TABLE, "jion", "function")
    assert did_you_mean("xyzzy", TABLE) == "Known: join, split."


def test_an_error_says_where_what_and_what_next() -> None:
    assert str(LingraftError("it is wrong.")) == "it is wrong."
    assert str(LingraftError("it is wrong.", where="a:3", remedy="Mend it.")) == "a:3: it is wrong.\n  Mend it."


def test_every_shipped_recipe_has_a_summary() -> None:
    found = recipes()
    assert len(found) >= 2
    assert "starter" in found
    for path, summary in found.values():
        assert path.is_file()
        assert path.read_text(encoding="utf-8").startswith(f"# {summary}\n")


def test_a_recipe_is_found_by_path_or_name(tmp_path: Path) -> None:
    assert find("starter") == recipes()["starter"][0]
    assert find("own.yaml") == Path("own.yaml")
    (tmp_path / "own").write_text("", encoding="utf-8")
    assert find(str(tmp_path / "own")) == tmp_path / "own"
    with pytest.raises(RecipeError, match=r'no recipe file or shipped recipe "startr"\.\n  Did you mean "starter"\?'):
        find("startr")


def test_a_template_keeps_its_places(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.jsonl").write_text("", encoding="utf-8")
    path = tmp_path / "x.yaml"
    path.write_text("base: {model: owner/name}\nx: [{path: texts/*.jsonl}, {path: no/b.txt}]\n", encoding="utf-8")
    assert as_template(str(path)) == (
        f"base: {{model: owner/name}}\nx: [{{path: {tmp_path}/texts/*.jsonl}}, {{path: no/b.txt}}]\n"
    )
    with pytest.raises(RecipeError, match="the recipe cannot be read: No such file or directory"):
        as_template(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_a_hub_id_that_nothing_knows(kind: str) -> None:
    with pytest.raises(
        InputError, match=f'the hub cannot be reached, and the {kind} "no-owner/of-that-name" is not in'
    ):
        commit("no-owner/of-that-name", None, kind)
    with pytest.raises(InputError, match=f'"owner/na me" is no id of a {kind} on the hub'):
        commit("owner/na me", None, kind)
