"""Counts, times, sizes and shares in words that people read at a glance."""

import math

_POWERS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def count(value: float | int) -> str:
    """A count with three significant digits.

    >>> count(12_345), count(3_349_342), count(64)
    ('12.3 k', '3.35 M', '64')
    """
    for power, sign in _POWERS:
        if abs(value) >= power * 0.9995:
            return f"{_three(value / power)} {sign}"
    return f"{value:.0f}" if float(value).is_integer() or abs(value) >= 100 else f"{value:.3g}"


def counted(value: float | int, one: str, several: str = "") -> str:
    """A count with its noun, which adds an s unless `several` says otherwise.

    >>> counted(1, "epoch"), counted(1_440, "step"), counted(2, "pass", "passes")
    ('1 epoch', '1.44 k steps', '2 passes')
    """
    return f"{count(value)} {one if value == 1 else several or one + 's'}"


def seconds(value: float | int) -> str:
    """A time in its two largest units.

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
    """A number of bytes, in powers of 1024.

    >>> size(3 * 2**30), size(1536), size(12)
    ('3.00 GiB', '1.50 KiB', '12 B')
    """
    for power, sign in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if value >= power * 0.9995:
            return f"{_three(value / power)} {sign}"
    return f"{value:.0f} B"


def percent(value: float | int) -> str:
    """A fraction (0..1) in percent.

    >>> percent(0.97244)
    '97.24 %'
    """
    return f"{100 * value:.2f} %"


def metric(name: str, value: float | int) -> str:
    """A metric's value in the words that fit its name: percent for accuracies, counts in millions.

    >>> metric("valid_accuracy", 0.5), metric("parameters", 3_300_000), metric("tau", 0.71234)
    ('50.00 %', '3.30 M', '0.7123')
    """
    if not math.isfinite(value):
        return str(value)
    if "accuracy" in name or name.endswith("share"):
        return percent(value)
    if name.endswith(("parameters", "multiply_adds", "flops")) or name.startswith("images"):
        return count(value)
    if "seconds" in name or "latency" in name:
        return seconds(value)
    if "memory" in name or name.endswith("bytes"):
        return size(value)
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"


def _three(value: float | int) -> str:
    """Three significant digits without an exponent."""
    digits = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:.{digits}f}"
