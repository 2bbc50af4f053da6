"""Figures as text: grouped, with units, a true minus sign, and a dash for what was not measured."""

import math

from jinja2 import Undefined

MISSING = "–"
MINUS = "−"
_EXPONENTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def count(number: float | None) -> str:
    """A whole number in groups of three: 8,192."""
    return MISSING if is_missing(number) else _minus(f"{number:,.0f}")


def decimal(number: float | None, digits: int = 3) -> str:
    """A number with `digits` decimals: 1.592."""
    return MISSING if is_missing(number) else _minus(f"{number:,.{digits}f}")


def signed(number: float | None, digits: int = 3) -> str:
    """A difference with its sign: −0.722, +0.003."""
    return MISSING if is_missing(number) else _minus(f"{number:+,.{digits}f}")


def interval(low: float | None, high: float | None, digits: int = 3) -> str:
    """The two ends of an interval: [1.570, 1.614]."""
    return f"[{decimal(low, digits)}, {decimal(high, digits)}]"


def signed_interval(low: float | None, high: float | None, digits: int = 3) -> str:
    """The two ends of an interval of a difference: [−0.741, −0.703]."""
    return f"[{signed(low, digits)}, {signed(high, digits)}]"


def percent(share: float | None, digits: int = 1) -> str:
    """A share as percent: 31.2%."""
    return MISSING if is_missing(share) else _minus(f"{share:.{digits}%}")


def signed_percent(share: float | None, digits: int = 1) -> str:
    """A relative change as percent with its sign: −31.2%."""
    return MISSING if is_missing(share) else _minus(f"{share:+.{digits}%}")


def size(num_bytes: float | None) -> str:
    """Bytes in decimal units: 4.00 GB."""
    return MISSING if is_missing(num_bytes) else _scaled(num_bytes, ("bytes", "kB", "MB", "GB", "TB", "PB"))


def energy(kwh: float | None) -> str:
    """Energy in watt hours or their thousands: 3.21 kWh."""
    return MISSING if is_missing(kwh) else _from_small(1000 * kwh, ("Wh", "kWh", "MWh", "GWh"))


def mass(kg: float | None) -> str:
    """Weight in grams, kilograms or tons: 817 g."""
    return MISSING if is_missing(kg) else _from_small(1000 * kg, ("g", "kg", "t"))


def amount(number: float | None) -> str:
    """A large number in thousands, millions, billions, trillions: 7.24 B."""
    return MISSING if is_missing(number) else _scaled(number, ("", "K", "M", "B", "T"))


def duration(seconds: float | None) -> str:
    """Time in its two largest units: 2 h 13 min."""
    if is_missing(seconds):
        return MISSING
    if not math.isfinite(seconds):
        return str(seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    if minutes < 60 * 24:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h"


def scientific(number: float | None) -> str:
    """A very large or small number: 1.24 × 10¹⁵."""
    if is_missing(number):
        return MISSING
    if not number or not math.isfinite(number):
        return f"{number:g}"
    mantissa, exponent = f"{number:.2e}".split("e")
    return _minus(f"{mantissa} × 10{str(int(exponent)).translate(_EXPONENTS)}")


def fingerprint(digest: str) -> str:
    """The first digits of a fingerprint, enough to tell artifacts apart by eye."""
    return digest[:10]


def is_missing(value: object) -> bool:
    """Whether a figure was not measured: None, or not there at all."""
    return value is None or isinstance(value, Undefined)


def _from_small(number: float, units: tuple[str, ...]) -> str:
    return f"{number:.2g} {units[0]}" if abs(number) < 10 else _scaled(number, units)


def _scaled(number: float, units: tuple[str, ...]) -> str:
    power = 0
    while abs(number) >= 999.5 and power < len(units) - 1:
        number, power = number / 1000, power + 1
    digits = 0 if power == 0 else max(0, 2 - int(math.log10(abs(number)))) if math.isfinite(number) else 0
    return _minus(f"{number:.{digits}f} {units[power]}".rstrip())


def _minus(text: str) -> str:
    return text.replace("-", MINUS)


FILTERS = {
    function.__name__: function
    for function in (
        count,
        decimal,
        signed,
        interval,
        signed_interval,
        percent,
        signed_percent,
        size,
        energy,
        mass,
        amount,
        duration,
        scientific,
        fingerprint,
    )
}
