import math

import pytest
from jinja2 import Undefined

from lingraft.report import format as fmt


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (fmt.count(8192), "8,192"),
        (fmt.decimal(1.5921), "1.592"),
        (fmt.signed(-0.722), "−0.722"),
        (fmt.interval(1.57, 1.614), "[1.570, 1.614]"),
        (fmt.signed_interval(-0.741, 0.003), "[−0.741, +0.003]"),
        (fmt.percent(0.312), "31.2%"),
        (fmt.signed_percent(-0.312), "−31.2%"),
        (fmt.size(0), "0 bytes"),
        (fmt.energy(0.0004213), "0.42 Wh"),
        (fmt.energy(0.5), "500 Wh"),
        (fmt.energy(12.34), "12.3 kWh"),
        (fmt.mass(0.8174), "817 g"),
        (fmt.mass(0.00021), "0.21 g"),
        (fmt.energy(None), "–"),
        (fmt.size(999.7), "1.00 kB"),
        (fmt.size(4e9), "4.00 GB"),
        (fmt.size(48.25e6), "48.2 MB"),
        (fmt.amount(7.24e9), "7.24 B"),
        (fmt.amount(512), "512"),
        (fmt.duration(2.4), "2.4 s"),
        (fmt.duration(59.7), "1 min 0 s"),
        (fmt.duration(3599.8), "1 h 0 min"),
        (fmt.duration(8540), "2 h 22 min"),
        (fmt.duration(200_000), "2 d 8 h"),
        (fmt.scientific(4.13e15), "4.13 × 10¹⁵"),
        (fmt.scientific(3.1e-6), "3.10 × 10⁻⁶"),
        (fmt.scientific(0), "0"),
        (fmt.decimal(math.nan), "nan"),
        (fmt.size(math.inf), "inf PB"),
        (fmt.fingerprint("0123456789abcdef"), "0123456789"),
    ],
)
def test_figures_as_text(text, expected):
    assert text == expected


@pytest.mark.parametrize("value", [None, Undefined()])
def test_what_was_not_measured_is_a_dash(value):
    one_figure = set(fmt.FILTERS) - {"interval", "signed_interval", "fingerprint"}
    assert {fmt.FILTERS[name](value) for name in one_figure} == {fmt.MISSING}
