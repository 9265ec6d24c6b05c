"""Mean ranks of updaters, and which of them Nemenyi's test does not tell apart: a diagram.

Critical-difference diagram, after Demšar (JMLR 2006, figure 1): an axis of mean ranks, and a bar
over updaters whose ranks are less than the critical difference apart.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nastk.report import counted
from nastk_drawing import canvas
from nastk_drawing.canvas import INK, LINE, SOFT
from nastk_drawing.charts.panel import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = 8.5
ROW, BAR = 17.0, 8.0
"""Points between two labels, and between two bars."""
AXIS, ROOM = 250.0, 16.0
"""Width of the axis, and room between its ends and the labels."""
CHOSEN = "#0072B2"


def ranks(found: Mapping[str, Any], noun: str) -> Panel:
    """Returns the diagram of a `RankTest` as JSON, whose blocks are called `noun` (a problem)."""
    order = sorted(found["ranks"], key=lambda label: found["ranks"][label])
    places = [float(found["ranks"][label]) for label in order]
    count, critical = len(order), float(found["critical"])
    alike = together(places, critical)
    half = (count + 1) // 2
    top = 46.0
    bars = top + 6.0
    labels = bars + BAR * len(alike) + 14.0
    height = labels + ROW * half - 4.0
    room = max(canvas.text_width(f"{label}  0.00", SIZE) for label in order)
    beside = min(room, 190.0) + ROOM
    width = AXIS + 2 * beside

    def draw(axes: "Axes") -> None:
        axes.set_axis_off()
        axes.set_xlim(0.0, width)
        axes.set_ylim(height, 0.0)

        def at(rank: float | int) -> float:
            return beside + AXIS * (rank - 1) / (count - 1)

        _scale(axes, at, count, top)
        _distance(axes, at, critical, count)
        for number, (first, last) in enumerate(alike):
            y = bars + BAR * number
            ends = at(places[first]) - 4.0, at(places[last]) + 4.0
            axes.plot(ends, (y, y), color=CHOSEN, lw=3.0, solid_capstyle="round", zorder=3)
        for number, (label, rank) in enumerate(zip(order, places, strict=True)):
            left = number < half
            y = labels + ROW * (number if left else count - 1 - number)
            end = beside - 6.0 if left else width - beside + 6.0
            axes.plot((at(rank), at(rank), end), (top, y, y), color=LINE, lw=0.9, zorder=2)
            words = f"{label}  {rank:.2f}" if left else f"{rank:.2f}  {label}"
            canvas.text(axes, end + (-4.0 if left else 4.0), y, words, SIZE, INK,
                        ha="right" if left else "left")  # fmt: skip

    told = ", ".join(f"{label} {rank:.2f}" for label, rank in zip(order, places, strict=True))
    same = "; ".join(" to ".join((order[first], order[last])) for first, last in alike)
    words = (
        f"Mean ranks over {counted(int(found['blocks']), noun)}: {told}. Critical difference "
        f"{critical:.2f}. Not told apart: {same or 'none'}."
    )
    heading = f"Mean ranks over {counted(int(found['blocks']), noun)}"
    return Panel(heading, words, draw, width=width + 24.0, height=height + 18.0, left=12.0,
                 below="")  # fmt: skip


def together(places: Sequence[float], critical: float) -> list[tuple[int, int]]:
    """Returns the longest stretches of rising ranks that lie less than `critical` apart.

    They are pairs of the first and the last place, each of at least two, none within another.

    >>> together([1.0, 1.5, 2.5, 4.0], 1.2)
    [(0, 1), (1, 2)]
    """
    found: list[tuple[int, int]] = []
    for first, rank in enumerate(places):
        last = max(at for at, other in enumerate(places) if other - rank < critical)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def _scale(axes: "Axes", at: Any, count: int, top: float) -> None:
    """Draw the axis of ranks with its ticks."""
    axes.plot((at(1), at(count)), (top, top), color=INK, lw=1.1, zorder=2)
    for rank in range(1, count + 1):
        axes.plot((at(rank), at(rank)), (top - 4.0, top), color=INK, lw=1.1, zorder=2)
        canvas.text(axes, at(rank), top - 10.0, str(rank), 8.0, SOFT)


def _distance(axes: "Axes", at: Any, critical: float, count: int) -> None:
    """Draw the critical difference above the axis; one that is longer than it, as words alone."""
    words = f"critical difference {critical:.2f}"
    y = 14.0
    if critical > count - 1:
        canvas.text(axes, at(1), y - 8.0, f"{words}: longer than the axis", 8.0, SOFT, ha="left")
        return
    ends = at(1), at(1 + critical)
    axes.plot(ends, (y, y), color=INK, lw=1.1, zorder=2)
    for end in ends:
        axes.plot((end, end), (y - 3.0, y + 3.0), color=INK, lw=1.1, zorder=2)
    canvas.text(axes, ends[0], y - 9.0, words, 8.0, SOFT, ha="left")
