"""Colors of the page against what they stand on, by the formula of WCAG 2."""

import re

import pytest

from lingraft.judge.human.page import PAGES

CSS = (PAGES / "page.css").read_text(encoding="utf-8")
TEXT = [
    *[(ink, ground) for ink in ("ink", "muted", "accent", "trouble") for ground in ("paper", "card")],
    *(("ink", "soft"), ("accent", "soft"), ("on-accent", "accent")),
]


def colors(scheme: int) -> dict[str, str]:
    """Light is the first block of variables, dark the second."""
    block = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)[scheme]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))


def luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_the_formula() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", [0, 1])
def test_text_and_edges_can_be_read(scheme: int) -> None:
    found = colors(scheme)
    assert len(found) == 10
    assert not {pair for pair in TEXT if contrast(*(found[name] for name in pair)) < 4.5}
    for edge in ("muted", "accent", "focus"):  # of what can be pressed
        assert all(contrast(found[edge], found[ground]) >= 3 for ground in ("paper", "card"))
