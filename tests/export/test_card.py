import pytest
from ruamel.yaml import YAML

from lingraft.export import card

RESULTS = "| | Base |\n|---|---|\n| Polish | 1.5 |\n"
RECIPE = "# A recipe.\nlanguage: pl\n"


def parts(text: str) -> tuple[dict, str]:
    opening, head, body = text.split("---\n", 2)
    assert opening == ""
    return YAML(typ="safe").load(head), body


def test_card() -> None:
    head, body = parts(card.write("mistralai/Mistral-7B-v0.1", "pl", "Polish", RESULTS, "apache-2.0", RECIPE))
    assert head == {
        "language": "pl",
        "license": "apache-2.0",
        "base_model": "mistralai/Mistral-7B-v0.1",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["lingraft", "continued-pretraining"],
    }
    assert body.startswith("\n# mistralai/Mistral-7B-v0.1 adapted to Polish\n\n| | Base |")
    assert RESULTS in body
    assert body.endswith(f"```yaml\n{RECIPE}```\n")


def test_a_new_model_has_no_base() -> None:
    head, body = parts(card.write(None, "pl", "Polish", RESULTS, None, RECIPE))
    assert "base_model" not in head
    assert head["tags"] == ["lingraft", "pretraining"]
    assert body.startswith("\n# Polish from scratch\n")


def test_no_license_is_no_line() -> None:
    head, _ = parts(card.write("base", "pl", "Polish", "", None, RECIPE))
    assert "license" not in head


@pytest.mark.parametrize(
    ("base", "title"),
    [
        ("a: b # c", "a: b # c"),
        ("x\n---\nlicense: mit", "x --- license: mit"),
        ('"quoted" \\ name', '"quoted" \\\\ name'),
        ("<script>alert(1)</script>", r"\<script\>alert(1)\</script\>"),
        ("[a](http://b) *c* `d`_e", r"\[a\](http://b) \*c\* \`d\`\_e"),
        ("żółć/模型", "żółć/模型"),
        ("no", "no"),
    ],
)
def test_hostile_names(base: str, title: str) -> None:
    head, body = parts(card.write(base, "pl", "Polish", RESULTS, None, RECIPE))
    assert head["base_model"] == " ".join(base.split())
    assert "license" not in head
    assert body.splitlines()[1] == f"# {title} adapted to Polish"


def test_a_recipe_does_not_leave_its_fence() -> None:
    recipe = "# ```\n# <b>````</b>\nlanguage: pl"
    assert card.write("base", "pl", "Polish", "", None, recipe).endswith(f"\n`````yaml\n{recipe}\n`````\n")
