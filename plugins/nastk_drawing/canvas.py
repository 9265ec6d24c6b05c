"""What pictures have in common: the page, its colours and its font, boxes, texts, files.

A page is a matplotlib `Figure` with one axes in points, the origin at its lower left. No pyplot, no
window, no state that another plot could see: the same drawing gives the same bytes of SVG.
"""

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nastk import ConfigurationError
from nastk.base import printable, write_atomically
from nastk.report import Family

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("svg", "png", "pdf")
FONT = "DejaVu Sans"
INK, SOFT, PANEL, BORDER = "#1F2933", "#66717E", "#F7F9FB", "#E3E8ED"
LINE = "#A9B3BE"
NODE_INPUT, NODE_MIDDLE, NODE_OUTPUT = "#DCE6F0", "#FFFFFF", "#DDEBDF"
NODE_EDGE = "#7B8794"
LONGEST = 200
"""Letters of a text in a picture; a name from elsewhere may have any number."""
MARGIN, PADDING = 22.0, 18.0
"""Points around a picture, and inside a panel."""
RESOLUTION = 200
"""Dots per inch of a PNG."""


def checked_format(path: str | Path, stem: str = "cell") -> str:
    """The format that a file's name asks for.

    Raises:
        ConfigurationError: a suffix of no known format.
    """
    path = Path(path)
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in FORMATS:
        raise ConfigurationError(
            f"A picture is written as {', '.join(FORMATS)}, got the file name {path.name!r}. "
            f"Name it {path.stem or stem}.svg, for example."
        )
    return suffix


def save(figure: "Figure", path: str | Path) -> Path:
    """Write a page in the format of its file's name, without a date; returns the path.

    The file is whole, or what it was before.

    Raises:
        ConfigurationError: a suffix of no known format, or a folder of that name.
        NastkError: it cannot be written.
    """
    import matplotlib

    path = Path(path)
    suffix = checked_format(path)
    dates: dict[str, Any] = {
        "svg": {"Date": None, "Creator": "nastk"},
        "pdf": {"CreationDate": None},
    }
    try:
        if path.is_dir():
            raise ConfigurationError(f"{path} is a folder. Name a file for the picture.")
    except OSError as error:  # a name that is too long
        raise ConfigurationError(f"{path} cannot be drawn to: {error.strerror}.") from None
    drawn = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "nastk", "svg.fonttype": "path"}):
        figure.savefig(drawn, format=suffix, dpi=RESOLUTION, metadata=dates.get(suffix))
    write_atomically(path, drawn.getvalue())
    return path


def page(width: float, height: float) -> tuple["Figure", "Axes"]:
    """An empty white page of that size in points."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.set_axis_off()
    return figure, axes


def headline(axes: "Axes", top: float, title: str | None, subtitle: str | None) -> float:
    """Write title and subtitle from `top` downwards; the height that is left."""
    if title:
        text(axes, MARGIN, top - 8, title, 15.0, INK, weight="bold", ha="left")
        top -= 24.0
    if subtitle:
        text(axes, MARGIN, top - 5, subtitle, 9.5, SOFT, ha="left")
        top -= 18.0
    return top


def legend_rows(present: Sequence[Family], width: float) -> list[list[Family]]:
    """A legend's entries in rows that fit in `width` points."""
    rows: list[list[Family]] = [[]]
    for kind in present:
        if rows[-1] and sum(_entry_width(each) for each in [*rows[-1], kind]) > width:
            rows.append([])
        rows[-1].append(kind)
    return rows


def legend(axes: "Axes", rows: Sequence[Sequence[Family]], top: float, width: float) -> None:
    """Families of operations with their colours, centred, in rows of 18 points."""
    for number, row in enumerate(rows):
        x = (width - sum(_entry_width(kind) for kind in row) + 18.0) / 2
        y = top - 18.0 * number
        for kind in row:
            rectangle(
                axes, x, y - 4.5, 13.0, 9.0, tint(kind.colour), kind.colour, 3.0, 4, linewidth=1.2
            )
            text(axes, x + 18.0, y, kind.name, 8.5, SOFT, ha="left")
            x += _entry_width(kind)


def _entry_width(kind: Family) -> float:
    return text_width(kind.name, 8.5) + 36.0


@cache
def text_width(words: str, size: float, weight: str = "normal") -> float:
    """The width of a text in points, the same on every machine: the font comes with matplotlib."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    width, _, _ = TextToPath().get_text_width_height_descent(
        _drawn(words), FontProperties(family=FONT, size=size, weight=weight), False
    )
    return float(width) if words else 0.0


def _drawn(words: str) -> str:
    """Words as they are drawn: in one line, control signs shown, the longest names cut."""
    # The signs of control characters that terminals have are not in the font.
    signs = dict.fromkeys(range(9216, 9255), "�") | {ord("\n"): " ", ord("\t"): " "}
    line = printable(words).translate(signs)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def tint(colour: str, share: float = 0.13) -> tuple[float, ...]:
    """A light tone of a colour: `share` of it on white."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return tuple(share * part + 1 - share for part in parts)


def text(
    axes: "Axes", x: float, y: float, words: str, size: float, colour: str, **style: Any
) -> None:
    """A text at (x, y), by default its middle."""
    fixed: dict[str, Any] = {
        "ha": "center",
        "va": "center_baseline",
        "family": FONT,
        "zorder": 5,
        "parse_math": False,  # a dollar sign is a dollar sign
    } | style
    axes.text(x, y, _drawn(words), fontsize=size, color=colour, **fixed)


def rectangle(
    axes: "Axes", left: float, bottom: float, width: float, height: float, fill: Any, edge: str,
    radius: float, zorder: int, linewidth: float = 0.8,
) -> None:  # fmt: skip
    """A box with round corners."""
    from matplotlib.patches import FancyBboxPatch

    style = f"round,pad=0,rounding_size={radius}"
    axes.add_patch(
        FancyBboxPatch((left, bottom), width, height, boxstyle=style, facecolor=fill,
                       edgecolor=edge, linewidth=linewidth, zorder=zorder)
    )  # fmt: skip
