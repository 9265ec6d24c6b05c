"""A chart in the house's style (`Panel`), alone (`single`) or several in a picture (`picture`).

A panel does not know where it is drawn: in a picture it has a heading, in a report the page has
it. Sizes are in points.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from nastk_drawing import canvas
from nastk_drawing.canvas import BORDER, INK, LINE, MARGIN, PANEL, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#68717D")
"""Colours of lines and dots that are told apart: updaters, seeds."""
WIDTH, HEIGHT = 230.0, 146.0
BOTTOM, TOP, RIGHT = 30.0, 10.0, 12.0
"""Room around the axes for tick labels and their title; the room on the left depends on labels."""
GAP, HEADING = 14.0, 26.0
LABEL = 8.0
"""Font size of ticks and of labels beside lines."""
ROUND_TIMES = tuple(
    float(unit * times)
    for unit, many in (
        (1, (1, 2, 5, 10, 20, 30)),
        (60, (1, 2, 5, 10, 20, 30)),
        (3_600, (1, 2, 4, 6, 12)),
    )
    for times in many
)
"""Seconds, minutes and hours at which an axis of times may have its ticks."""


@dataclass(frozen=True)
class Panel:
    """A chart: `draw` puts it on axes; `words` say the same to those who do not see it.

    `left` and `right` are the room beside the axes for labels; `below` names the horizontal axis.

    Example: `Panel("Loss", "The loss falls from 2.3 to 0.4.", lambda axes: line(axes, xs, ys))`
    """

    heading: str
    words: str
    draw: Callable[["Axes"], None]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = 38.0
    right: float = RIGHT
    below: str = "epoch"


def single(panel: Panel) -> "Figure":
    """Returns a panel as a figure of its own, without a heading."""
    figure = canvas.sheet(panel.width, panel.height)
    _place(figure, panel, 0.0, 0.0, (panel.width, panel.height))
    return figure


def picture(
    panels: Sequence[Panel],
    columns: int,
    title: str | None = None,
    subtitle: str | None = None,
    key: str = "",
) -> "Figure":
    """Returns a page with panels in rows of `columns`, each in a box with its heading.

    `key` is a line below the panels.
    """
    rows = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    wide = max(panel.width for panel in panels)
    heights = [max(panel.height for panel in row) + HEADING for row in rows]
    count = min(columns, len(panels))
    lines = ((title or "", 15.0, "bold"), (subtitle or "", 9.5, "normal"), (key, 8.0, "normal"))
    inner = max(count * wide + (count - 1) * GAP, *(canvas.text_width(*line) for line in lines))
    width = inner + 2 * MARGIN
    head = (24.0 if title else 0.0) + (18.0 if subtitle else 0.0)
    below = 16.0 if key else 0.0
    height = 2 * MARGIN + head + sum(heights) + GAP * (len(rows) - 1) + below
    figure, axes = canvas.page(width, height)
    top = canvas.headline(axes, height - MARGIN, title, subtitle)
    for row, row_height in zip(rows, heights, strict=True):
        for column, panel in enumerate(row):
            left, bottom = MARGIN + column * (wide + GAP), top - row_height
            canvas.rectangle(axes, left, bottom, wide, row_height, PANEL, BORDER, 8.0, 0)
            canvas.text(
                axes, left + 12, top - 15, panel.heading, 10.0, INK, weight="bold", ha="left"
            )
            _place(figure, panel, left, bottom, (width, height))
        top -= row_height + GAP
    if key:
        canvas.text(axes, MARGIN, MARGIN, key, 8.0, SOFT, ha="left")
    return figure


def _place(
    figure: "Figure", panel: Panel, left: float, bottom: float, page: tuple[float, float]
) -> None:
    """Draw a panel with its lower left corner at (left, bottom) on a `page` (width, height)."""
    axes = figure.add_axes(
        (
            (left + panel.left) / page[0],
            (bottom + BOTTOM) / page[1],
            (panel.width - panel.left - panel.right) / page[0],
            (panel.height - BOTTOM - TOP) / page[1],
        )
    )
    style(axes)
    panel.draw(axes)
    if panel.below:
        axes.set_xlabel(panel.below, fontsize=LABEL, color=SOFT, family=canvas.FONT, labelpad=3)


def style(axes: "Axes") -> None:
    """Give axes the house's style: no box, a light grid, small soft labels."""
    axes.set_facecolor("none")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(LINE)
    axes.spines["bottom"].set_linewidth(0.8)
    axes.grid(True, axis="y", color=BORDER, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=SOFT, labelsize=LABEL, length=0, pad=4, labelfontfamily=canvas.FONT)


def by_epoch(axes: "Axes", last: int) -> None:
    """Let the horizontal axis count epochs, whole ones, from 1 to `last`."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    axes.set_xlim(1 - 0.03 * last, last * 1.03)


def in_percent(axes: "Axes", most: float) -> None:
    """Let the vertical axis show fractions in percent, from 0 to a little above `most`."""
    axes.set_ylim(0.0, min(max(most * 1.12, 0.02), 1.03))
    axes.yaxis.set_major_formatter(lambda value, place: f"{100 * value:.3g} %")
    axes.yaxis.set_major_locator(at_most(5))


def in_numbers(axes: "Axes", least: float = 0.0, most: int = 5) -> None:
    """Let the vertical axis show numbers that can be told apart, over a span of at least `least`.

    Without a least span, noise in the last digits would look like structure.
    """
    axes.margins(y=0.08)
    low, high = axes.get_ylim()
    if high - low < least:
        middle = (low + high) / 2
        axes.set_ylim(middle - least / 2, middle + least / 2)
    axes.yaxis.set_major_locator(at_most(most))

    def words(value: float, place: object) -> str:
        ticks = axes.get_yticks()
        step = abs(ticks[1] - ticks[0]) if len(ticks) > 1 else abs(value)
        return f"{value:.{decimals(step)}f}"

    axes.yaxis.set_major_formatter(words)


def decimals(step: float) -> int:
    """Returns how many decimals tell multiples of `step` apart; at most six.

    >>> decimals(0.25), decimals(0.001), decimals(5.0)
    (2, 3, 0)
    """
    return next((places for places in range(6) if abs(step - round(step, places)) < step / 50), 6)


def at_most(most: int) -> Any:
    """Returns matplotlib's locator of at most so many ticks."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=most)


def round_time(longest: float, most: int) -> float:
    """Returns the round time, in seconds, that goes into the longest at most so many times.

    >>> round_time(160, 4), round_time(400, 4), round_time(5_000, 4), round_time(2.5, 4)
    (60.0, 120.0, 1800.0, 1.0)
    """
    days = (86_400.0 * times for times in count(1))
    return next(time for time in chain(ROUND_TIMES, days) if longest / time <= most)


def line(
    axes: "Axes", xs: Sequence[float], ys: Sequence[float], colour: str = INK, **style: Any
) -> None:
    """Draw a line through points; a single point, or one between gaps, is a dot."""
    alone = [
        number for number, y in enumerate(ys)
        if y == y and not any(0 <= near < len(ys) and ys[near] == ys[near]
                              for near in (number - 1, number + 1))
    ]  # fmt: skip
    dots = {"marker": "o", "ms": 3.6, "markevery": alone}
    settings: dict[str, Any] = {"lw": 1.8, "solid_capstyle": "round", "zorder": 3} | dots | style
    axes.plot(xs, ys, color=colour, **settings)


def band(
    axes: "Axes", xs: Sequence[float], low: Sequence[float], high: Sequence[float], colour: str
) -> None:
    """Shade what lies between two lines; a single interval is a bar."""
    if sum(one == one for one in low) == 1:
        axes.vlines(xs, low, high, color=colour, lw=1.4, alpha=0.6, zorder=2)
        return
    axes.fill_between(xs, low, high, facecolor=colour, alpha=0.16, lw=0, zorder=2)


def level(axes: "Axes", value: float, words: str) -> None:
    """Draw a dotted horizontal line at `value` with `words` above its left end."""
    axes.axhline(value, color=SOFT, lw=1.0, ls=(0, (1.5, 2.0)), zorder=2)
    axes.annotate(
        words, (0.0, value), xycoords=("axes fraction", "data"), xytext=(2, 3),
        textcoords="offset points", fontsize=7.5, color=SOFT, family=canvas.FONT,
    )  # fmt: skip


def end_labels(axes: "Axes", labels: Sequence[tuple[float, str, str]]) -> None:
    """Write labels (value, words, colour) beside the right ends of lines, none over another.

    Call it when the limits of the axes are final.
    """
    low, high = axes.get_ylim()
    height = axes.get_window_extent().height * 72 / axes.figure.dpi
    scale = height / (high - low) if high > low else 1.0
    known = sorted((one for one in labels if one[0] == one[0]), key=lambda one: one[0])
    wanted = [(value - low) * scale for value, _, _ in known]
    for (_, words, colour), y in zip(known, apart(wanted, 9.0, height), strict=True):
        axes.annotate(
            words, (1.0, 0.0), xycoords="axes fraction", xytext=(5, y), color=colour,
            textcoords="offset points", fontsize=7.5, va="center_baseline", family=canvas.FONT,
            annotation_clip=False,
        )  # fmt: skip


def apart(wanted: Sequence[float], gap: float, height: float) -> list[float]:
    """Returns rising positions near the `wanted` rising ones, at least `gap` apart, in 0..height.

    Where they do not all fit they are evenly spread.

    >>> apart([5.0, 6.0, 50.0], 10.0, 100.0)
    [5.0, 15.0, 50.0]
    """
    if len(wanted) > 1 and gap * (len(wanted) - 1) > height:
        return [height * number / (len(wanted) - 1) for number in range(len(wanted))]
    found = [min(max(value, 0.0), height) for value in wanted]
    for number in range(1, len(found)):
        found[number] = max(found[number], found[number - 1] + gap)
    overflow = found[-1] - height if found else 0.0
    if overflow > 0:
        found[-1] = height
        for number in range(len(found) - 2, -1, -1):
            found[number] = min(found[number], found[number + 1] - gap)
    return found
