"""A table of distances between operations as a heat map, ordered by the groups of a split."""

from typing import TYPE_CHECKING

from nastk.report import BranchSplit, family, readable
from nastk_drawing.canvas import BORDER, INK, PANEL, SOFT, text, text_width, tint

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEAD, KEY, GROUP_GAP = 17.0, 8.0, 5.0
"""Points for the heading, for the colours of the columns, and between groups."""
SPAN = 0.2
"""The least difference between the ends of the scale: noise shall not look like structure."""
LIGHTEST, DARKEST = 0.06, 0.82
"""How much ink the least and the greatest distance get."""


def heat_size(split: BranchSplit) -> tuple[float, float]:
    """Width and height of a split's heat map in points; (0, 0) where nothing was measured."""
    if split.distances is None:
        return 0.0, 0.0
    order = _order(split)
    size = _cell(len(order))
    side = _offsets(split, order, size)[-1] + size
    return _names_width(split) + side, HEAD + KEY + side


def span(splits: list[BranchSplit]) -> tuple[float, float]:
    """The ends of the scale: the least and the greatest distance in these splits."""
    found = [
        value
        for each in splits
        for row, values in enumerate(each.distances or ())
        for column, value in enumerate(values)
        if row != column and value == value
    ]
    if not found:
        return 0.0, 1.0
    least = max(min(*found, max(found) - SPAN), 0.0)
    return least, max(max(found), least + SPAN)


def shade(value: float, ends: tuple[float, float]) -> tuple[float, ...]:
    """The colour of a distance on the scale between `ends`."""
    return tint(INK, _ink(value, ends))


def _ink(value: float, ends: tuple[float, float]) -> float:
    share = (value - ends[0]) / (ends[1] - ends[0]) if ends[1] > ends[0] else 0.0
    return LIGHTEST + (DARKEST - LIGHTEST) * min(max(share, 0.0), 1.0)


def draw_heat(
    axes: "Axes", split: BranchSplit, left: float, top: float, ends: tuple[float, float]
) -> None:
    """The heat map of a split with its upper left corner at (left, top)."""
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
            where = (x0 + offsets[column], y)
            _draw_cell(axes, value, first == second, where, size, ends)


def _draw_cell(
    axes: "Axes", value: float, same: bool, where: tuple[float, float], size: float,
    ends: tuple[float, float],
) -> None:  # fmt: skip
    x, y = where
    known = value == value and not same
    _box(axes, x, y, size, size, shade(value, ends) if known else PANEL, 0.7)
    if not known:
        axes.plot([x + 4, x + size - 4], [y + size - 4, y + 4], color=BORDER, lw=0.8, zorder=4)
    elif size >= 18:
        dark = _ink(value, ends) > 0.55
        text(axes, x + size / 2, y + size / 2, f"{value:.2f}", 6.3, "#FFFFFF" if dark else INK)


def _box(
    axes: "Axes", x: float, y: float, width: float, height: float,
    colour: str | tuple[float, ...], line: float = 0.0,
) -> None:  # fmt: skip
    from matplotlib.patches import Rectangle

    axes.add_patch(
        Rectangle((x, y), width, height, facecolor=colour, edgecolor="#FFFFFF", lw=line, zorder=3)
    )


def _order(split: BranchSplit) -> list[int]:
    """The operations group by group; those of no group last."""
    grouped = [name for group in split.groups for name in group]
    known = [split.operations.index(name) for name in dict.fromkeys(grouped)]
    return known + [each for each in range(len(split.operations)) if each not in known]


def _offsets(split: BranchSplit, order: list[int], size: float) -> list[float]:
    """Where each row (or column) begins, with a gap where a group ends."""
    sizes = [len(group) for group in split.groups]
    if max(sizes, default=1) == 1:
        return [place * size for place in range(len(order))]
    ends = [sum(sizes[:number]) for number in range(1, len(sizes))]
    return [
        place * size + GROUP_GAP * sum(place >= end for end in ends) for place in range(len(order))
    ]


def _cell(count: int) -> float:
    return 20.0 if count <= 5 else 18.0 if count <= 8 else 12.0 if count <= 12 else 9.0


def _names_width(split: BranchSplit) -> float:
    return max(text_width(readable(name), 7.0) for name in split.operations) + 9.0
