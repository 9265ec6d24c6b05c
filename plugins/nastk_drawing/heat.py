"""A table of distances between operations as a heat map, ordered by the groups of a split."""

from typing import TYPE_CHECKING

from nastk.report import BranchSplit, family, readable
from nastk_drawing.canvas import BORDER, INK, PANEL, SOFT, text, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEAD, KEY, GROUP_GAP = 17.0, 8.0, 5.0
"""Points for the heading, for the colours of the columns, and between groups."""
SPAN = 0.2
"""Least difference between the ends of the scale, so that noise does not look like structure."""
LIGHTEST, DARKEST = 0.06, 0.82
"""Shares of ink on white for the least and the greatest distance."""


def heat_size(split: BranchSplit) -> tuple[float, float]:
    """Returns width and height of a split's heat map in points; (0, 0) without distances."""
    if split.distances is None:
        return 0.0, 0.0
    order = _order(split)
    size = _cell(len(order))
    side = _offsets(split, order, size)[-1] + size
    return _names_width(split) + side, HEAD + KEY + side


def span(splits: list[BranchSplit]) -> tuple[float, float]:
    """Returns the ends of the scale: the least and the greatest distance in these splits."""
    distances = [
        value
        for split in splits
        for row, values in enumerate(split.distances or ())
        for column, value in enumerate(values)
        if row != column and value == value
    ]
    if not distances:
        return 0.0, 1.0
    least = max(min(*distances, max(distances) - SPAN), 0.0)
    return least, max(max(distances), least + SPAN)


def shade(value: float, ends: tuple[float, float]) -> tuple[str, float]:
    """Returns the colour of a distance on the scale between `ends`, and its opacity.

    It is ink on whatever the page is, so that a dark page shows light ink.
    """
    return INK, _ink(value, ends)


def _ink(value: float, ends: tuple[float, float]) -> float:
    """Returns the share of ink for a distance."""
    share = (value - ends[0]) / (ends[1] - ends[0]) if ends[1] > ends[0] else 0.0
    return LIGHTEST + (DARKEST - LIGHTEST) * min(max(share, 0.0), 1.0)


def draw_heat(
    axes: "Axes", split: BranchSplit, left: float, top: float, ends: tuple[float, float]
) -> None:
    """Draw the heat map of a split with its upper left corner at (left, top)."""
    if split.distances is None:
        return
    order = _order(split)
    size, names = _cell(len(order)), _names_width(split)
    text(axes, left, top - 6, "distance between operations", 7.0, SOFT, ha="left")
    offsets = _offsets(split, order, size)
    x0, y0 = left + names, top - HEAD - KEY
    for row, first in enumerate(order):
        y = y0 - offsets[row] - size
        name, colour = split.operations[first], family(split.operations[first]).colour
        text(axes, x0 - 8, y + size / 2, readable(name), 7.0, INK, ha="right")
        _box(axes, x0 - 5, y + 1.5, 2.5, size - 3, colour)
        _box(axes, x0 + offsets[row] + 1.5, y0 + 2.5, size - 3, 2.5, colour)
        for column, second in enumerate(order):
            value = split.distances[first][second]
            corner = (x0 + offsets[column], y)
            _draw_cell(axes, value, first == second, corner, size, ends)


def _draw_cell(
    axes: "Axes", value: float, same: bool, corner: tuple[float, float], size: float,
    ends: tuple[float, float],
) -> None:  # fmt: skip
    """Draw a distance as a square; a dash for a NaN, and for an operation with itself."""
    x, y = corner
    known = value == value and not same
    _box(axes, x, y, size, size, shade(value, ends) if known else PANEL, 0.7)
    if not known:
        axes.plot([x + 4, x + size - 4], [y + size - 4, y + 4], color=BORDER, lw=0.8, zorder=4)
    elif size >= 18:
        dark = _ink(value, ends) > 0.55
        text(axes, x + size / 2, y + size / 2, f"{value:.2f}", 6.3, "#FFFFFF" if dark else INK)


def _box(
    axes: "Axes", x: float, y: float, width: float, height: float,
    colour: str | tuple[str, float], line: float = 0.0,
) -> None:  # fmt: skip
    """Draw a rectangle with a white border of `line` points."""
    from matplotlib.patches import Rectangle

    axes.add_patch(
        Rectangle((x, y), width, height, facecolor=colour, edgecolor="#FFFFFF", lw=line, zorder=3)
    )


def _order(split: BranchSplit) -> list[int]:
    """Returns the numbers of the operations, group by group; those of no group come last."""
    grouped = [name for group in split.groups for name in group]
    known = [split.operations.index(name) for name in dict.fromkeys(grouped)]
    return known + [number for number in range(len(split.operations)) if number not in known]


def _offsets(split: BranchSplit, order: list[int], size: float) -> list[float]:
    """Returns the offset of each row (or column) in points, with a gap after each group."""
    sizes = [len(group) for group in split.groups]
    if max(sizes, default=1) == 1:
        return [row * size for row in range(len(order))]
    ends = [sum(sizes[:number]) for number in range(1, len(sizes))]
    return [row * size + GROUP_GAP * sum(row >= end for end in ends) for row in range(len(order))]


def _cell(count: int) -> float:
    """Returns the side of a square in points, for a table of `count` operations."""
    return 20.0 if count <= 5 else 18.0 if count <= 8 else 12.0 if count <= 12 else 9.0


def _names_width(split: BranchSplit) -> float:
    """Returns the width of the operations' names beside the table."""
    return max(text_width(readable(name), 7.0) for name in split.operations) + 9.0
