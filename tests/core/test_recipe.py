"""Reading recipes: every mistake named with its place, references and defaults written out."""

from pathlib import Path

import pytest
from stages_for_tests import RECIPE, TABLE, write_recipe

from lingraft.core.errors import RecipeError
from lingraft.core.recipe import Recipe, json_schema, load
from lingraft.core.shipped import find
from lingraft.stages import table


def read(folder: Path, text: str, *overrides: str) -> Recipe:
    return load(write_recipe(folder, text), TABLE, overrides)


def mistakes(folder: Path, text: str, *overrides: str) -> list[str]:
    """What is said of a recipe, without the path of its folder."""
    with pytest.raises(RecipeError) as error:
        read(folder, text, *overrides)
    return str(error.value).replace(f"{folder}/", "").splitlines()


def test_references_and_defaults_are_written_out(tmp_path: Path) -> None:
    recipe = read(tmp_path, RECIPE)
    assert list(recipe.stages) == ["base", "words", "count", "summary"]
    assert recipe.stages["count"].words == "words"
    assert recipe.stages["summary"].parts == ["base", "words", "count"]
    assert recipe.stages["summary"].count == "count"
    assert (recipe.name, recipe.folder, recipe.seed, recipe.replay) == ("recipe", tmp_path, 17, None)
    text = recipe.yaml()
    assert "seed: 17" in text
    assert "words: words" in text
    assert "shout: false" in text


def test_a_saved_recipe_reads_the_same(tmp_path: Path) -> None:
    recipe = read(tmp_path, RECIPE)
    assert read(tmp_path, recipe.yaml()) == recipe


def test_a_reference_left_out_is_the_nearest_before(tmp_path: Path) -> None:
    text = RECIPE.replace("  count:\n", "  loud: {kind: words, shout: true, files: [{path: words.txt}]}\n  count:\n")
    assert read(tmp_path, text).stages["count"].words == "loud"
    assert read(tmp_path, text, "count.words=words").stages["count"].words == "words"


def test_an_optional_reference_may_be_missing(tmp_path: Path) -> None:
    recipe = read(tmp_path, RECIPE.replace("  count:\n", ""))
    assert recipe.stages["summary"].count is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("language: pl", "langauge: pl", 'recipe.yaml:3: langauge: this key is not known. Did you mean "language"?'),
        ("language: pl\n", "", "recipe.yaml:1: language: this key is needed and is not there."),
        ("language: pl", "language: 3", "recipe.yaml:3: language: input should be a valid string (got 3)."),
        ("{files: [{path: words.txt}]}", "{}", "recipe.yaml:5: stages.words.files: this key is needed"),
        ("{path: words", "{pth: words", "recipe.yaml:5: stages.words.files.0.pth: this key is not known. Did you mean"),
        ("words.txt}]", "words.txt}], shuot: true", 'stages.words.shuot: this key is not known. Did you mean "shout"?'),
        ("words.txt}]", "words.txt}], xyzzy: 1", "this key is not known. Known: files, shout, scale, workers."),
        ("words.txt}]", "words.txt}], scale: 0", "stages.words.scale: input should be greater than 0 (got 0)."),
        ("words.txt}]", "words.txt}], shout: 1", "stages.words.shout: input should be a valid boolean (got 1)."),
        ("  count:\n", "  count: {shares: {lft: 1.0}}\n", "stages.count.shares.lft: input should be 'left' or 'right'"),
        ("  count:\n", "  cuont: {}\n", 'stages.cuont: there is no stage of the kind "cuont". Did you mean "count"?'),
        (
            "  count:\n",
            "  two: {kind: cuont}\n",
            'recipe.yaml:6: stages.two.kind: there is no stage of the kind "cuont"',
        ),
        ("  count:\n", "  two: {kind: [a]}\n", "stages.two.kind: there is no stage of the kind \"['a']\""),
        ("  count:\n", "  count: 3\n", "recipe.yaml:6: stages.count: the settings of a stage are a mapping (got 3)."),
        ("  count:\n", "  a/b: {kind: count}\n", "stages.a/b: a stage is named with letters, digits, _ and -"),
        (
            "  count:\n",
            "  base: {kind: count}\n",
            "stages.base: a stage is named with letters, digits, _ and -, and not",
        ),
        ("  count:\n", "  count: {words: wrods}\n", 'there is no earlier stage "wrods" that makes a words. Did you'),
        (
            "  count:\n",
            "  count: {words: base}\n",
            'the stage "base" does not come before this one, or makes no words.',
        ),
        ("  count:\n", "  count: {words: summary}\n", 'the stage "summary" does not come before this one'),
        ("summary: {}", "summary: {parts: []}", "stages.summary.parts: no stage is named; leave the key out for all"),
        (
            "base: {model: none}",
            "base: none",
            "recipe.yaml:2: base: a recipe needs a base: {model: folder or hub id} or",
        ),
        ("base: {model: none}\n", "", "recipe.yaml:1: base: a recipe needs a base"),
        ("base: {model: none}", "base: {}", "recipe.yaml:2: base.model: this key is needed and is not there."),
        ("language: pl", "language: 2024-01-01", "language: a value of this kind (date) is not used in recipes."),
        (
            "language: pl",
            "language: pl\nseed: ${UNSET_HERE}",
            "recipe.yaml:4: seed: the environment variable UNSET_HERE",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, said: str
) -> None:
    monkeypatch.delenv("UNSET_HERE", raising=False)
    assert old in RECIPE
    found = mistakes(tmp_path, RECIPE.replace(old, new))
    assert any(said in line for line in found), found


def test_a_stage_before_what_it_needs(tmp_path: Path) -> None:
    lines = RECIPE.splitlines(keepends=True)
    lines[4], lines[5] = lines[5], lines[4]
    assert mistakes(tmp_path, "".join(lines)) == [
        "recipe.yaml:5: stages.count: it needs words, and no earlier stage makes any. "
        "Put a stage of the kind words before it."
    ]


@pytest.mark.parametrize("stages", ["stages: {}", "stages: [count]", "stages: 3", ""])
def test_a_recipe_without_stages(tmp_path: Path, stages: str) -> None:
    text = f"base: {{model: none}}\nlanguage: pl\n{stages}\n"
    assert "stages: a recipe needs stages, a mapping of names to their settings." in mistakes(tmp_path, text)[0]


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    text = RECIPE.replace("pl", "3").replace("model: none", "modle: none").replace("  count:\n", "  cuont: {}\n")
    found = mistakes(tmp_path, text.replace("{path:", "{pth:"))
    assert len(found) == 6
    assert [line.split(": ")[1] for line in found] == [
        "language",
        "base.model",
        "base.modle",
        "stages.words.files.0.path",
        "stages.words.files.0.pth",
        "stages.cuont",
    ]


def test_values_from_a_validator_are_not_echoed() -> None:
    with pytest.raises(RecipeError, match=r"stages\.corpus\.target\.0: name either a path or a dataset\.$"):
        load(find("starter"), table(), ["corpus.target=[{}]"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a recipe is a mapping of keys to values."),
        ("- a\n- b\n", "a recipe is a mapping of keys to values."),
        ("base: {model: x\nlanguage: pl\n", "recipe.yaml:2: not valid YAML"),
        (
            "base: a\nseed: 1\nseed: 2\n",
            'recipe.yaml:3: not valid YAML: while constructing a mapping, found duplicate key "seed"',
        ),
        ("a: \x00\n", "not valid YAML: "),
        ("--- 1\n--- 2\n", "not valid YAML: expected a single document"),
    ],
)
def test_what_is_no_recipe(tmp_path: Path, text: str, said: str) -> None:
    assert said in "\n".join(mistakes(tmp_path, text))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none\.yaml: the recipe cannot be read: No such file or directory\."):
        load(tmp_path / "none.yaml", TABLE)
    with pytest.raises(RecipeError, match="the recipe cannot be read: Is a directory"):
        load(tmp_path, TABLE)
    path = tmp_path / "latin2.yaml"
    path.write_bytes("language: ąę".encode("iso-8859-2"))
    with pytest.raises(RecipeError, match=r"latin2\.yaml: the recipe is not UTF-8 \(invalid start byte at byte 10\)"):
        load(path, TABLE)


def test_a_byte_order_mark_and_merged_keys(tmp_path: Path) -> None:
    text = RECIPE.replace("  words: {f", "  words: &w {f").replace("  count:\n", "  loud: {<<: *w, kind: words}\n")
    assert read(tmp_path, "\ufeff" + text).stages["loud"].files[0].path == "words.txt"
    wrong = text.replace("<<: *w,", "<<: *w, shuot: 1,")
    assert mistakes(tmp_path, wrong)[0].startswith("recipe.yaml:6: stages.loud.shuot: this key is not known.")


def test_variables_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "words")
    text = RECIPE.replace("path: words.txt", 'path: "${PLACE}.txt"')
    assert read(tmp_path, text).stages["words"].files[0].path == "words.txt"
    monkeypatch.delenv("PLACE")
    assert mistakes(tmp_path, text) == [
        "recipe.yaml:5: stages.words.files.0.path: the environment variable PLACE is not set; "
        "set it, or override this key with -s."
    ]
    assert read(tmp_path, text, "words.files.0.path=a.txt").stages["words"].files[0].path == "a.txt"


def test_overrides(tmp_path: Path) -> None:
    recipe = read(
        tmp_path,
        RECIPE,
        "seed=3",
        "replay=en",
        "words.scale=1e-4",
        "stages.words.shout=true",
        "words.files=[{path: a}, {path: b}]",
        "words.files.1.path=c",
        "count.act=a=b",
        "base.model=other",
    )
    words = recipe.stages["words"]
    assert (recipe.seed, recipe.replay, words.scale, words.shout) == (3, "en", 1e-4, True)
    assert [source.path for source in words.files] == ["a", "c"]
    assert recipe.stages["count"].act == "a=b"
    assert recipe.stages["base"].model == "other"
    assert read(tmp_path, recipe.yaml()) == recipe
    assert read(tmp_path, RECIPE, "replay=en", "replay=").replay is None
    assert set(read(tmp_path, RECIPE, "count=").stages) == set(recipe.stages) - {"count"}


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("seed", '-s: the override "seed" is not of the form a.b=value.'),
        ("=3", '-s: the override "=3" is not of the form a.b=value.'),
        ("words..scale=3", "is not of the form a.b=value."),
        ("language.deep=3", '-s language.deep=3: "language.deep" does not lead to a value of the recipe.'),
        ("seed.deep=3", "-s seed.deep=3: seed: input should be a valid integer (got {'deep': 3})."),
        ("words.files.7.path=x", '"words.files.7.path" does not lead to a value of the recipe.'),
        ("words.files.first=x", '"words.files.first" does not lead to a value of the recipe.'),
        ("seed=[", "-s seed=[:1: not valid YAML"),
        ("seed=x", "-s seed=x: seed: input should be a valid integer (got 'x')."),
        ("words.scael=2", '-s words.scael=2: stages.words.scael: this key is not known. Did you mean "scale"?'),
        ("words.files=[{pth: x}]", "-s words.files=[{pth: x}]: stages.words.files.0.pth: this key is not known."),
        ("seed=2024-01-01", "-s seed=2024-01-01:1: a value of this kind (date) is not used in recipes."),
        ("evaluate.samples=3", "-s evaluate.samples=3: evaluate: this key is not known. Known: base, language"),
        ("stages.nothing=null", 'there is no stage of the kind "nothing"'),
    ],
)
def test_bad_overrides(tmp_path: Path, override: str, said: str) -> None:
    assert said in "\n".join(mistakes(tmp_path, RECIPE, override))


def test_the_schema_knows_every_key_of_the_starter() -> None:
    schema, stages = json_schema(table()), table()
    recipe = load(find("starter"), stages)
    assert schema["required"] == ["base", "language", "stages"]
    assert set(schema["properties"]) == {"base", "language", "replay", "seed", "stages"}
    assert schema["additionalProperties"] is False
    known = schema["properties"]["stages"]["properties"]
    assert set(known) == set(stages) - {"base"}
    for name, config in recipe.stages.items():
        reference = schema["properties"]["base"] if name == "base" else known[name]
        described = schema["$defs"][reference["$ref"].rpartition("/")[2]]
        assert set(config.model_dump()) == set(described["properties"])
        assert described["additionalProperties"] is False
    references = str(schema).count("#/$defs/")
    assert references >= len(stages)
    assert {part.split("'")[0] for part in str(schema).split("#/$defs/")[1:]} <= set(schema["$defs"])
