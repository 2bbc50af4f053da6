import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_subjects import SHIPPED, grafted, moved, subject

from conftest import ENGLISH
from lingraft.analyze import forgetting as analysis
from lingraft.analyze.forgetting import FORGOTTEN, KEPT, UNCLEAR, curve, forgetting, language_table, verdict
from lingraft.analyze.subject import Subject
from lingraft.core.errors import InputError, RecipeError
from lingraft.core.registry import check_options
from lingraft.corpus.language import find
from lingraft.evaluate.bits import Bits
from lingraft.evaluate.evaluate import HeldOut
from lingraft.evaluate.statistics import RESAMPLES, Interval


@pytest.fixture
def given(tiny_untied_base: Path, tmp_path: Path) -> Subject:
    graft = grafted(tiny_untied_base, tmp_path)
    models = {"base": tiny_untied_base, "graft": graft, "pretrain": moved(graft, tmp_path / "pretrain", 0.1)}
    return subject(models, tmp_path / "kept")


def by_model(found: dict[str, Any], stream: str) -> dict[str, dict[str, Any]]:
    return {row["model"]: row for row in found["languages"] if row["stream"] == stream}


def test_a_planted_forgotten_language_is_found_and_named(tmp_path: Path) -> None:
    """Weights moved so far that English is gone, and so little that it is not."""
    slightly = moved(SHIPPED, tmp_path / "slightly", 0.01)
    models = {"base": SHIPPED, "slightly": slightly, "ruined": moved(SHIPPED, tmp_path / "ruined", 1.0)}
    found = forgetting(subject(models, tmp_path / "kept"))
    assert found["forgotten"] == ["Polish", "English"]
    english = by_model(found, "replay")
    assert english["base"]["verdict"] is None
    assert english["slightly"]["verdict"] == KEPT
    assert english["ruined"]["verdict"] == FORGOTTEN
    assert english["ruined"]["rise"]["low"] > 0.5
    assert english["ruined"]["language"] == "English"


def test_one_language_is_forgotten_and_the_other_kept() -> None:
    """Bits as a model that learned Polish and lost English would have them."""
    texts = [HeldOut("target", find("pl"), ["a"] * 6, ["s"] * 6), HeldOut("replay", find("en"), ["a"] * 6, ["s"] * 6)]
    base = [Bits(100.0 + at, 50, 20) for at in range(6)]
    measured = {
        "base": {"target": base, "replay": base},
        "adapted": {
            "target": [Bits(0.5 * record.bits, 50, 20) for record in base],
            "replay": [Bits((1.3 + 0.01 * at) * record.bits, 50, 20) for at, record in enumerate(base)],
        },
    }
    rows = language_table(measured, texts, forgotten_above=0.1, seed=3)
    assert [(row["model"], row["language"], row["verdict"]) for row in rows] == [
        ("base", "Polish", None),
        ("adapted", "Polish", KEPT),
        ("base", "English", None),
        ("adapted", "English", FORGOTTEN),
    ]
    # The share by which bits rose, from its definition: documents drawn anew, sums over sums.
    before, after = (np.array([record.bits for record in measured[name]["replay"]]) for name in measured)
    draw = np.random.default_rng(3)
    rises = sorted(after[at].sum() / before[at].sum() - 1 for at in (draw.integers(0, 6, 6) for _ in range(RESAMPLES)))
    rise = rows[3]["rise"]
    assert rise["value"] == pytest.approx(sum(after) / sum(before) - 1)
    assert rise["low"] == pytest.approx(rises[int(0.025 * RESAMPLES)], abs=2e-3)
    assert rise["high"] == pytest.approx(rises[int(0.975 * RESAMPLES)], abs=2e-3)
    assert rows[3]["gap"]["value"] == pytest.approx((sum(after) - sum(before)) / 300)


def test_verdicts() -> None:
    assert verdict(Interval(0.2, 0.11, 0.3), 20, 0.1) == FORGOTTEN
    assert verdict(Interval(0.2, 0.09, 0.3), 20, 0.1) == UNCLEAR
    assert verdict(Interval(0.05, 0.0, 0.1), 20, 0.1) == KEPT
    assert verdict(Interval(0.9, 0.9, 0.9), 4, 0.1) == UNCLEAR


def test_all_that_is_told(given: Subject) -> None:
    figures = {"held_out_curve": [{"bytes": 0, "bits_per_byte": {"replay": 2.0}}]}
    figures["held_out_curve"].append({"bytes": 900, "bits_per_byte": {"replay": 2.5}})
    found = forgetting(dataclasses.replace(given, trainings={"pretrain": figures}))
    json.dumps(found, allow_nan=False)
    assert (found["base"], found["adapted"]) == ("base", "pretrain")
    assert found["curves"] == {
        "pretrain": [{"bytes": 0, "rise": {"replay": 0}}, {"bytes": 900, "rise": {"replay": 0.25}}]
    }
    assert by_model(found, "replay")["graft"]["documents"] == len(ENGLISH)
    assert found["weights"]["whole"]["relative"] == pytest.approx(0.1, rel=0.05)
    tokens = found["new_tokens"]
    assert (tokens["tied"], tokens["tokens"], tokens["dropped"], tokens["start"]) == (False, 40, 0, "graft")
    assert [row["side"] for row in tokens["rows"]] == ["input", "output"]
    assert len(tokens["neighbors"]) == 20
    assert tokens["neighbors"][0].keys() == {"token", "id", "count", "input", "output"}
    assert tokens["dead"].keys() == {"input", "output"}


def test_no_neighbors(given: Subject) -> None:
    assert forgetting(given, neighbors=0)["new_tokens"]["neighbors"] == []


def test_what_is_measured_is_kept(given: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    first = forgetting(given)
    monkeypatch.delattr(analysis.drift, "matrices")
    assert forgetting(given) == first
    (given.folder / "drift.json").unlink()
    with pytest.raises(AttributeError):
        forgetting(given)


def test_text_beyond_the_held_out(given: Subject, tmp_path: Path) -> None:
    unused = forgetting(given)["new_tokens"]["dead"]["input"]["unused"]
    without = dataclasses.replace(given, texts=given.texts[1:])
    assert forgetting(without)["new_tokens"]["dead"]["input"]["unused"]["tokens"] > unused["tokens"]
    (tmp_path / "more.txt").write_text("\n".join(given.texts[0].texts), encoding="utf-8")
    assert forgetting(without, text=tmp_path / "more.txt")["new_tokens"]["dead"]["input"]["unused"] == unused
    with pytest.raises(InputError, match="there is no such file"):
        forgetting(given, text=tmp_path / "none.txt")


def test_a_model_against_itself(tiny_base: Path, tmp_path: Path) -> None:
    found = forgetting(subject({"base": tiny_base, "again": tiny_base}, tmp_path / "kept"))
    assert found["forgotten"] == []
    assert by_model(found, "replay")["again"]["gap"] == {"value": 0, "low": 0, "high": 0}
    assert found["weights"]["whole"]["relative"] == 0
    assert found["new_tokens"]["skipped"] == "the adapted model has no tokens that the base has not."
    (row,) = found["new_tokens"]["rows"]
    assert row["old"]["relative"]["mean"] == 0
    assert math.isclose(row["old"]["cosine"]["mean"], 1)


def test_one_model(tiny_base: Path, tmp_path: Path) -> None:
    found = forgetting(subject({"base": tiny_base}, tmp_path / "kept"))
    assert found == {"skipped": "there is one model, and none to compare it with."}


def test_options_are_checked() -> None:
    check_options(forgetting, {"forgotten_above": 0.2, "neighbors": 0, "still_degrees": 2, "text": None}, "options")
    with pytest.raises(RecipeError, match="greater than 0"):
        check_options(forgetting, {"forgotten_above": 0.0}, "options")


def test_no_curve() -> None:
    assert curve([]) == []
