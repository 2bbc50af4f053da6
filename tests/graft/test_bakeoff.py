from pathlib import Path

import pytest
from made_tokenizers import save_extended
from transformers import AutoModelForCausalLM

from lingraft.core.errors import InputError, RecipeError
from lingraft.evaluate import bits
from lingraft.graft import initialize
from lingraft.graft.bakeoff import Rest
from lingraft.tokenizer import family

CANDIDATES = ["gaussian", "subwords"]


@pytest.fixture(scope="module")
def extended(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_extended(tiny_base, tmp_path_factory.mktemp("extended"))


def measured(folder: Path, texts: list[str]) -> float:
    model = AutoModelForCausalLM.from_pretrained(folder)
    return bits.bits_per_byte(bits.measure(model, family.open(folder), texts, context_tokens=128))


def test_every_pair_is_measured_as_the_grafted_model_would_be(
    tiny_untied_base: Path, extended: Path, polish: list[str], tmp_path: Path
) -> None:
    texts, folder = polish * 5, tmp_path / "auto"
    figures = initialize(tiny_untied_base, extended, folder, strategy="auto", candidates=CANDIDATES, text=texts)
    bakeoff = figures["bakeoff"]
    sample = texts[::10]
    assert bakeoff["documents"] == len(sample) == 4
    assert bakeoff["base_bits_per_byte"] == pytest.approx(measured(tiny_untied_base, sample))
    rows = {(row["input"], row["output"]): row for row in bakeoff["table"]}
    assert list(rows) == [(a, b) for a in CANDIDATES for b in CANDIDATES]
    for row in rows.values():
        assert row["low"] <= row["bits_per_byte"] <= row["high"]
        assert row["rows_random"] == {side: 30 if row[side] == "gaussian" else 0 for side in ("input", "output")}
        assert row["seconds"] >= 0
    initialize(tiny_untied_base, extended, tmp_path / "means", strategy="subwords")
    assert rows["subwords", "subwords"]["bits_per_byte"] == pytest.approx(measured(tmp_path / "means", sample))
    winner = min(rows, key=lambda pair: rows[pair]["bits_per_byte"])
    assert (bakeoff["winner"]["input"], bakeoff["winner"]["output"]) == winner
    assert (figures["strategy"], figures["output_strategy"]) == winner
    assert measured(folder, sample) == pytest.approx(rows[winner]["bits_per_byte"])


def test_one_table_has_one_strategy(tiny_base: Path, extended: Path, polish: list[str], tmp_path: Path) -> None:
    figures = initialize(tiny_base, extended, tmp_path, strategy="auto", candidates=CANDIDATES, text=polish * 5)
    assert [(row["input"], row["output"]) for row in figures["bakeoff"]["table"]] == [(c, None) for c in CANDIDATES]
    assert figures["output_strategy"] is None


def test_one_side_chosen_the_other_tried(
    tiny_untied_base: Path, extended: Path, polish: list[str], tmp_path: Path
) -> None:
    figures = initialize(
        tiny_untied_base,
        extended,
        tmp_path,
        strategy="subwords",
        output_strategy="auto",
        candidates=CANDIDATES,
        text=polish * 5,
    )
    assert [(row["input"], row["output"]) for row in figures["bakeoff"]["table"]] == [
        ("subwords", candidate) for candidate in CANDIDATES
    ]


def test_the_same_twice(tiny_base: Path, extended: Path, polish: list[str], tmp_path: Path) -> None:
    for name in ("a", "b"):
        initialize(tiny_base, extended, tmp_path / name, strategy="auto", candidates=CANDIDATES, text=polish * 5)
    first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "b"))
    assert first == second


def test_what_is_measured_on_is_kept_from_the_strategies() -> None:
    assert list(Rest("abcdefgh", 3)) == ["b", "c", "e", "f", "h"]
    assert list(Rest("abcdefgh", 3)) == ["b", "c", "e", "f", "h"]


def test_no_text(tiny_base: Path, extended: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be compared without target text(.|\n)*or name one strategy"):
        initialize(tiny_base, extended, tmp_path, strategy="auto", candidates=CANDIDATES)


def test_options_of_no_strategy(tiny_base: Path, extended: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"options: the strategy auto takes no options(.|\n)*Name one strategy"):
        initialize(tiny_base, extended, tmp_path, strategy="auto", options={"lr": 1.0})
