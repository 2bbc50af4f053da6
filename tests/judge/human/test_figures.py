"""What votes say: planted preferences, ratings, biases and agreement are found again."""

import json
import random
from dataclasses import replace

import pytest

from lingraft.judge.human.figures import figures
from lingraft.judge.human.votes import Vote
from lingraft.judge.questions import AXES

SCORES = dict.fromkeys(AXES, 2)


def vote(annotator: str, item: int, shown: tuple[str | None, ...], choice: object, **more: object) -> Vote:
    said = {"comment": "", "seconds": 4.0, "at": 0.0, "planted": None, "earlier": ()} | more
    return Vote(annotator, f"{item}", shown, choice, **said)


def test_a_preference_is_found_with_ties_as_halves() -> None:
    cast = []
    for item in range(100):
        shown = ("a", "b") if item % 2 else ("b", "a")
        # Of ten items six are for a, two are ties and two for b.
        better = "a" if item % 10 < 6 else None if item % 10 < 8 else "b"
        choice = ("tie", "both_bad")[item % 2] if better is None else ("left", "right")[shown.index(better)]
        cast.append(vote("x", item, shown, choice))
    found = figures(cast)
    (pair,) = found["pairs"]
    assert pair["models"] == ["a", "b"]
    assert pair["win_rate"]["value"] == pytest.approx(0.7)
    assert 0.6 < pair["win_rate"]["low"] < 0.7 < pair["win_rate"]["high"] < 0.8
    assert (pair["wins"], pair["ties"], pair["both_bad"], pair["num_items"]) == ([60, 20], 10, 10, 100)
    assert found["position"]["left"] == found["position"]["right"] == 40
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_votes_on_one_item_are_not_independent() -> None:
    many = [vote(f"{n}", item, ("a", "b"), "left" if item % 2 else "right") for item in range(20) for n in range(10)]
    once = [cast for cast in many if cast.annotator == "0"]
    wide, narrow = (figures(those)["pairs"][0]["win_rate"] for those in (many, once))
    assert wide["high"] - wide["low"] == pytest.approx(narrow["high"] - narrow["low"])


def test_an_annotator_who_follows_the_side_is_seen() -> None:
    found = figures([vote("x", item, ("a", "b") if item % 2 else ("b", "a"), "left") for item in range(50)])
    assert found["position"]["left_share"]["value"] == 1.0
    assert found["position"]["left_share"]["low"] > 0.9
    assert found["position"]["p"] < 1e-12
    assert found["pairs"][0]["win_rate"]["value"] == 0.5


def test_agreement_is_of_models_not_of_sides() -> None:
    draw = random.Random(1)
    cast = []
    for item in range(40):
        better = draw.choice("ab")
        for annotator in "xyz":
            shown = tuple(draw.sample("ab", 2))
            cast.append(vote(annotator, item, shown, ("left", "right")[shown.index(better)]))
    found = figures(cast)["agreement"]
    assert found["krippendorff_alpha"]["value"] == pytest.approx(1)
    assert (found["same_share"], found["num_pairs"], found["num_questions"]) == (1.0, 120, 40)
    noise = [
        vote(annotator, item, ("a", "b"), draw.choice(["left", "right"])) for item in range(300) for annotator in "xy"
    ]
    assert abs(figures(noise)["agreement"]["krippendorff_alpha"]["value"]) < 0.15


def test_ratings_have_means_and_harmlessness_apart() -> None:
    cast = [
        vote(annotator, item, (model,), SCORES | {"fluency": 3 if model == "a" else 1, "harmlessness": 0})
        for annotator in "xy"
        for item in range(10)
        for model in "ab"
    ]
    found = figures(cast)
    assert found["ratings"]["a"]["mean"]["value"] == pytest.approx((2 + 3 + 2 + 2) / 4)
    assert found["ratings"]["b"]["fluency"]["value"] == 1.0
    assert found["ratings"]["b"]["harmlessness"] == {"value": 0.0, "low": 0.0, "high": pytest.approx(3 * 0.30850, 1e-4)}
    assert found["agreement"]["fluency"]["krippendorff_alpha"]["value"] == pytest.approx(1)
    assert found["agreement"]["accuracy"]["krippendorff_alpha"]["value"] is None  # nothing but one value was given
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(("num_items", "low"), [(1, 0.025), (3, 0.29240), (20, 0.83157)])
def test_a_few_votes_that_are_all_alike_are_not_certain(num_items: int, low: float) -> None:
    cast = [vote(name, item, ("a", "b"), "left") for item in range(num_items) for name in "xy"]
    (pair,) = figures(cast)["pairs"]
    assert pair["win_rate"] == {"value": 1.0, "low": pytest.approx(low, abs=1e-4), "high": 1.0}  # exact, of the items
    (pair,) = figures([vote("x", item, ("b", "a"), "tie") for item in range(num_items)])["pairs"]
    assert pair["win_rate"]["value"] == 0.5
    assert pair["win_rate"]["high"] - 0.5 == pytest.approx(0.5 - pair["win_rate"]["low"])
    assert pair["win_rate"]["low"] == pytest.approx(low / 2, abs=1e-4)


def test_agreement_of_items_that_are_all_alike_has_no_ends() -> None:
    sides = ("left", "right")
    cast = [vote(name, item, ("a", "b"), sides[item % 2]) for item in range(4) for name in "xy"]
    assert figures(cast)["agreement"]["krippendorff_alpha"] == {"value": 1.0, "low": None, "high": None}


def test_agreement_is_resampled_over_items() -> None:
    draw = random.Random(2)
    once = []
    for item in range(30):
        said = [draw.choice(("tie", "both_bad")) for _ in "xy"]
        once += [vote(name, item, ("a", "b"), choice) for name, choice in zip("xy", said, strict=True)]
    # The same once more of two other models: six questions in three, but no more items.
    other = [replace(cast, shown=("c", "d"), choice=cast.choice) for cast in once]
    narrow, wide = (figures(cast)["agreement"]["krippendorff_alpha"] for cast in (once, once + other))
    assert wide["high"] - wide["low"] > 0.85 * (narrow["high"] - narrow["low"])


def test_answers_that_are_the_same_are_ties_of_no_voter() -> None:
    cast = [vote("x", item, ("b", "a"), "right" if item % 3 else "left") for item in range(9)]
    found, asked = figures(cast, alike={'["a", "b"]': 3}), figures(cast)
    assert found["pairs"][0]["win_rate"]["value"] == pytest.approx((6 + 1.5) / 12)
    assert asked["pairs"][0]["win_rate"]["value"] == pytest.approx(6 / 9)
    assert (found["pairs"][0]["alike"], found["pairs"][0]["num_votes"], found["pairs"][0]["ties"]) == (3, 9, 0)
    assert (found["position"], found["agreement"]) == (asked["position"], asked["agreement"])


def test_attention_is_counted_and_planted_texts_are_in_no_rate() -> None:
    cast = [
        vote("x", 1, ("a", "b"), "left", seconds=2.0),
        vote("x", 2, ("a", None), "right", planted="shuffled", seconds=9.0),
        vote("x", 3, (None, "a"), "right", planted="another", seconds=4.0),
        vote("y", 2, ("a", None), "both_bad", planted="shuffled", comment="!", earlier=("left",)),
    ]
    found = figures(cast)
    assert found["num_votes"] == 1
    assert found["attention"] == {"num_checks": 3, "num_failed": 1, "num_both_bad": 1}
    first, second = found["annotators"]
    assert first["attention"] == {"num_checks": 2, "num_failed": 1, "num_both_bad": 0}
    assert (first["annotator"], first["num_votes"], first["median_seconds"]) == ("x", 1, 4.0)
    assert (second["num_votes"], second["num_changed"], second["num_comments"]) == (0, 1, 1)
    assert found["pairs"][0]["num_votes"] == 1


def test_no_votes_are_no_figures() -> None:
    assert figures([]) == {
        "num_votes": 0,
        "num_items": 0,
        "annotators": [],
        "attention": {"num_checks": 0, "num_failed": 0, "num_both_bad": 0},
    }
