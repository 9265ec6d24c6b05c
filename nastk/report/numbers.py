"""Counts, times, sizes and shares as short texts with units."""

import math
from collections.abc import Callable, Sequence

_POWERS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_BYTES = ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB"))


def count(value: float | int) -> str:
    """Returns a count with three significant digits.

    >>> count(12_345), count(3_349_342), count(64)
    ('12.3 k', '3.35 M', '64')
    """
    for power, sign in _POWERS:
        if abs(value) >= power * 0.9995:
            return f"{_three(value / power)} {sign}"
    return f"{value:.0f}" if float(value).is_integer() or abs(value) >= 100 else f"{value:.3g}"


def counted(value: float | int, one: str, several: str = "") -> str:
    """Returns a count with its noun; the plural adds an s unless `several` gives it.

    >>> counted(1, "epoch"), counted(1_440, "step"), counted(2, "pass", "passes")
    ('1 epoch', '1.44 k steps', '2 passes')
    """
    return f"{count(value)} {one if value == 1 else several or one + 's'}"


def seconds(value: float | int) -> str:
    """Returns a time in its two largest units.

    >>> seconds(80), seconds(3_725), seconds(0.25), seconds(200_000)
    ('1 min 20 s', '1 h 2 min', '0.25 s', '2 d 7 h')
    """
    if value < 0.9995:
        return f"{value * 1000:.3g} ms" if 0 < value < 0.0995 else f"{value:.2g} s"
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    for unit, name, smaller, lesser in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // smaller
            return f"{whole // unit} {name} {rest} {lesser}" if rest else f"{whole // unit} {name}"
    return f"{whole} s"


def size(value: float | int) -> str:
    """Returns a number of bytes, in powers of 1024.

    >>> size(3 * 2**30), size(1536), size(12)
    ('3.00 GiB', '1.50 KiB', '12 B')
    """
    for power, sign in _BYTES:
        if value >= 2**power * 0.9995:
            return f"{_three(value / 2**power)} {sign}"
    return f"{value:.0f} B"


def percent(value: float | int) -> str:
    """Returns a fraction (0..1) in percent.

    >>> percent(0.97244)
    '97.24 %'
    """
    return f"{100 * value:.2f} %"


def points(value: float | int) -> str:
    """Returns a difference of two accuracies (fractions) in percentage points.

    >>> points(0.031)
    '3.10 points'
    """
    return f"{100 * value:.2f} points"


def metric(name: str, value: float | int) -> str:
    """Returns a metric's value as its name suggests: percent for accuracies, counts in millions.

    >>> metric("valid_accuracy", 0.5), metric("parameters", 3_300_000), metric("tau", 0.71234)
    ('50.00 %', '3.30 M', '0.7123')
    """
    if not math.isfinite(value):
        return str(value)
    kind = _kind(name)
    if kind is not None:
        return kind(value)
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"


def alike(name: str, values: Sequence[float | int]) -> Callable[[float | int], str]:
    """Returns the function that writes a metric's values with a common unit and number of digits.

    >>> words = alike("rank", [8_002.0, 10_770.5, 7_432.3])
    >>> words(8_002.0), words(7_432.3)
    ('8,002', '7,432')
    >>> words = alike("parameters", [587_386, 1_610_000])
    >>> words(587_386), words(1_610_000)
    ('0.59 M', '1.61 M')
    """
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    kind = _kind(name)
    if kind in (percent, points):
        return _finite(kind)
    units = UNITS.get(kind, ((1.0, 1.0, ""),))
    _, scale, unit = next((entry for entry in units if largest >= entry[0] * 0.9995), units[-1])
    whole = scale == 1.0 and all(float(value).is_integer() for value in values)
    if not unit and 0 < largest < 1e-3:
        return _finite(lambda value: f"{value:.2e}")
    digits = 0 if whole else _digits(largest / scale, 3 if unit or kind else 4)
    return _finite(lambda value: f"{value / scale:,.{digits}f} {unit}".rstrip())


UNITS: dict[Callable[[float | int], str] | None, tuple[tuple[float, float, str], ...]] = {
    count: (*((power, power, sign) for power, sign in _POWERS), (1.0, 1.0, "")),
    seconds: ((7_200.0, 3_600.0, "h"), (120.0, 60.0, "min"), (1.0, 1.0, "s"), (0.0, 1e-3, "ms")),
    size: (*((2.0**power, 2.0**power, sign) for power, sign in _BYTES), (0.0, 1.0, "B")),
}
"""For each kind of number, its units: the least value to use the unit for, its size, its sign."""


def _kind(name: str) -> Callable[[float | int], str] | None:
    """Returns the function that writes a metric of this name; None where the name does not say."""
    if "accuracy" in name or name.endswith("share"):
        return percent
    if name.startswith("regret"):
        return points
    if name.endswith(("parameters", "multiply_adds", "flops")) or name.startswith("images"):
        return count
    if "seconds" in name or "latency" in name:
        return seconds
    if "memory" in name or name.endswith("bytes"):
        return size
    return None


def _finite(words: Callable[[float | int], str]) -> Callable[[float | int], str]:
    """Returns `words` for finite values, and `str` for infinite ones and NaN."""
    return lambda value: words(value) if math.isfinite(value) else str(value)


def _digits(largest: float, significant: int) -> int:
    """Returns the digits after the point that give `significant` digits to `largest`."""
    before = len(f"{largest:.0f}") if largest >= 1 else 0
    return max(significant - before, 0)


def _three(value: float | int) -> str:
    """Returns a number with three significant digits and no exponent."""
    digits = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:.{digits}f}"
