"""Common parts of all pictures: the page, its colours and its font, boxes, texts, files.

A page is a matplotlib `Figure` with one axes in points, the origin at its lower left. It uses no
pyplot, no window and no global state, so that the same drawing gives the same bytes of SVG.
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
"""Most letters of a text in a picture; names from files may be of any length."""
MARGIN, PADDING = 22.0, 18.0
"""Points around a picture, and inside a panel."""
RESOLUTION = 200
"""Dots per inch of a PNG."""


def checked_format(path: str | Path, stem: str = "cell") -> str:
    """Returns the format of a file by its suffix.

    Raises:
        ConfigurationError: the suffix is of no known format.
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
    """Write a page in the format of the file's suffix, without a date; returns the path.

    The file is replaced as a whole, or stays as it was.

    Raises:
        ConfigurationError: the suffix is of no known format, or `path` is a folder.
        NastkError: the file cannot be written.
    """
    import matplotlib

    path = Path(path)
    suffix = checked_format(path)
    metadata: dict[str, Any] = {
        "svg": {"Date": None, "Creator": "nastk"},
        "pdf": {"CreationDate": None},
    }
    try:
        if path.is_dir():
            raise ConfigurationError(f"{path} is a folder. Name a file for the picture.")
    except OSError as error:  # a name that is too long
        raise ConfigurationError(f"{path} cannot be drawn to: {error.strerror}.") from None
    content = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "nastk", "svg.fonttype": "path"}):
        figure.savefig(content, format=suffix, dpi=RESOLUTION, metadata=metadata.get(suffix))
    write_atomically(path, content.getvalue())
    return path


def page(width: float, height: float) -> tuple["Figure", "Axes"]:
    """Returns an empty white page of `width` x `height` points, and axes in points on it."""
    figure = sheet(width, height)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.set_axis_off()
    return figure, axes


def sheet(width: float, height: float) -> "Figure":
    """Returns an empty white figure of `width` x `height` points, without axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def headline(axes: "Axes", top: float, title: str | None, subtitle: str | None) -> float:
    """Write title and subtitle from `top` downwards; returns the y below them."""
    if title:
        text(axes, MARGIN, top - 8, title, 15.0, INK, weight="bold", ha="left")
        top -= 24.0
    if subtitle:
        text(axes, MARGIN, top - 5, subtitle, 9.5, SOFT, ha="left")
        top -= 18.0
    return top


def legend_rows(present: Sequence[Family], width: float) -> list[list[Family]]:
    """Returns a legend's entries in rows that fit in `width` points."""
    rows: list[list[Family]] = [[]]
    for kind in present:
        if rows[-1] and sum(_entry_width(entry) for entry in [*rows[-1], kind]) > width:
            rows.append([])
        rows[-1].append(kind)
    return rows


def legend(axes: "Axes", rows: Sequence[Sequence[Family]], top: float, width: float) -> None:
    """Draw families of operations with their colours, centred, in rows of 18 points."""
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
    """Returns the width of a legend's entry in points, with the gap behind it."""
    return text_width(kind.name, 8.5) + 36.0


@cache
def text_width(words: str, size: float, weight: str = "normal") -> float:
    """Returns a text's width in points; equal on all machines, as matplotlib brings the font."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    width, _, _ = TextToPath().get_text_width_height_descent(
        _printed(words), FontProperties(family=FONT, size=size, weight=weight), False
    )
    return float(width) if words else 0.0


def _printed(words: str) -> str:
    """Returns words as they are drawn: in one line, with visible control signs, cut if too long."""
    # The font lacks the signs with which terminals show control characters.
    signs = dict.fromkeys(range(9216, 9255), "�") | {ord("\n"): " ", ord("\t"): " "}
    line = printable(words).translate(signs)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def tint(colour: str, share: float = 0.13) -> tuple[float, ...]:
    """Returns a light tone of a colour: `share` of it mixed with white, as red, green, blue."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    return tuple(share * part + 1 - share for part in parts)


def text(
    axes: "Axes", x: float, y: float, words: str, size: float, colour: str, **style: Any
) -> None:
    """Write a text at (x, y), which is its middle unless `style` says otherwise."""
    settings: dict[str, Any] = {
        "ha": "center",
        "va": "center_baseline",
        "family": FONT,
        "zorder": 5,
        "parse_math": False,  # matplotlib would read text between dollar signs as mathematics
    } | style
    axes.text(x, y, _printed(words), fontsize=size, color=colour, **settings)


def rectangle(
    axes: "Axes", left: float, bottom: float, width: float, height: float, fill: Any, edge: str,
    radius: float, zorder: int, linewidth: float = 0.8,
) -> None:  # fmt: skip
    """Draw a box with round corners."""
    from matplotlib.patches import FancyBboxPatch

    style = f"round,pad=0,rounding_size={radius}"
    axes.add_patch(
        FancyBboxPatch((left, bottom), width, height, boxstyle=style, facecolor=fill,
                       edgecolor=edge, linewidth=linewidth, zorder=zorder)
    )  # fmt: skip
