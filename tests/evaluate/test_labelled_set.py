"""The labelled set of code-switching is what its README says."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "labelled" / "code_switching"
LANGUAGES = ("pl", "tr", "hi")


def read(language: str) -> list[dict]:
    return [json.loads(line) for line in (FOLDER / f"{language}.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(params=LANGUAGES)
def items(request: pytest.FixtureRequest) -> list[dict]:
    return read(request.param)


def test_every_item_is_whole(items: list[dict]) -> None:
    assert len(items) >= 120
    assert len({item["id"] for item in items}) == len({item["text"] for item in items}) == len(items)
    for item in items:
        assert list(item) == ["id", "text", "prompt", "switched", "kind", "part"]
        assert item["text"] == item["text"].strip() != ""
        assert item["part"] in {"dev", "test"}


def test_switched_words_stand_in_the_text_in_their_order(items: list[dict]) -> None:
    for item in items:
        at = 0
        for word in item["switched"]:
            # Chinese has no spaces: its words may touch others.
            edge = "" if re.search(r"[\u4e00-\u9fff]", word) else r"\b"
            found = re.compile(edge + re.escape(word) + edge).search(item["text"], at)
            assert found, f"{item['id']}: {word}"
            at = found.end()


def test_switched_words_are_none_of_the_prompt_and_no_code(items: list[dict]) -> None:
    for item in items:
        said = set(re.findall(r"[^\W\d_]+", item["prompt"].casefold()))
        assert not said & {word.casefold() for word in item["switched"]}, item["id"]
        running = re.sub(r"```.*?```|`[^`]*`|https?://\S+|\S+@\S+", " ", item["text"], flags=re.DOTALL)
        assert all(word in running for word in item["switched"]), item["id"]


def test_both_classes_and_both_parts_are_balanced(items: list[dict]) -> None:
    switched = sum(bool(item["switched"]) for item in items)
    assert 0.4 <= switched / len(items) <= 0.6
    assert 0.15 <= sum(bool(item["prompt"]) for item in items) / len(items) <= 0.25
    parts = Counter((item["kind"], item["part"]) for item in items)
    for kind in {item["kind"] for item in items}:
        assert parts[kind, "dev"] == parts[kind, "test"], kind


def test_a_kind_is_switched_always_or_never(items: list[dict]) -> None:
    pairs = {(item["kind"], bool(item["switched"])) for item in items}
    assert len(pairs) == len({kind for kind, _ in pairs})


def test_the_readme_counts_the_kinds() -> None:
    rows = re.findall(
        r"^\| `?([\w-]+)`? \|.*\| (\d+) \| (\d+) \| (\d+) \|$", (FOLDER / "README.md").read_text(encoding="utf-8"), re.M
    )
    counted = {kind: tuple(map(int, counts)) for kind, *counts in rows}
    kinds = [Counter(item["kind"] for item in read(language)) for language in LANGUAGES]
    expected = {kind: tuple(count[kind] for count in kinds) for kind in set().union(*kinds)}
    assert counted == {**expected, "all": tuple(count.total() for count in kinds)}
