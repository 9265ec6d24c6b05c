"""A panel for each edge with the scores of its operations by epoch; see `ratings.py`."""

from math import isfinite
from typing import TYPE_CHECKING, Any

from nastk.report import family, readable
from nastk_drawing import canvas
from nastk_drawing.canvas import INK, SOFT
from nastk_drawing.charts.panel import Panel, band, by_epoch, end_labels, in_numbers, line
from nastk_drawing.charts.ratings import RatedEdge, Ratings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 230.0, 146.0
DASHES: tuple[Any, ...] = ("-", (0, (4.0, 1.6)), (0, (1.2, 1.4)), (0, (5.0, 1.4, 1.2, 1.4)))
"""Lines of operations of one family, which share a colour."""


def panels(found: Ratings) -> list[Panel]:
    """Returns a panel for each edge, in the order of the edges."""
    return [_panel(found, number) for number in range(len(found.edges))]


def _panel(found: Ratings, number: int) -> Panel:
    """Returns the panel of an edge: a line for each operation, shaded by its standard error."""
    edge = found.edges[number]
    shown = [column for column in range(len(edge.operations)) if _is_rated(found, number, column)]

    def draw(axes: "Axes") -> None:
        labels, used = [], dict[str, int]()
        for column in shown:
            name = edge.operations[column]
            kind, chosen = family(name), name in edge.chosen
            dashes = DASHES[used.get(kind.name, 0) % len(DASHES)]
            used[kind.name] = used.get(kind.name, 0) + 1
            values = found.course(number, column)
            errors = found.error_course(number, column)
            line(axes, found.epochs, values, kind.colour, ls=dashes, lw=2.4 if chosen else 1.4)
            low = [value - error for value, error in zip(values, errors, strict=True)]
            high = [value + error for value, error in zip(values, errors, strict=True)]
            if any(map(isfinite, low)):
                band(axes, found.epochs, low, high, kind.colour)
            last = [value for value in values if isfinite(value)][-1]
            labels.append((last, label(edge, name), INK if chosen else SOFT))
        by_epoch(axes, found.epochs[-1])
        in_numbers(axes, most=4)
        end_labels(axes, labels)

    names = [label(edge, edge.operations[column]) for column in shown]
    right = 10.0 + max((canvas.text_width(name, 7.5) for name in names), default=0.0)
    return Panel(
        edge.name.replace("->", "\N{RIGHTWARDS ARROW}"), _words(found, number), draw,
        WIDTH, HEIGHT, right=right,
    )  # fmt: skip


def label(edge: RatedEdge, operation: str) -> str:
    """Returns an operation's name beside its line; a chosen one has a mark."""
    return f"{'▸ ' if operation in edge.chosen else ''}{readable(operation)}"


def _is_rated(found: Ratings, edge: int, column: int) -> bool:
    return any(map(isfinite, found.course(edge, column)))


def _words(found: Ratings, number: int) -> str:
    """Returns what the panel shows in a sentence: the last scores, the best first."""
    edge, errors = found.edges[number], found.errors[-1]
    rated = [
        (value, column) for column, value in enumerate(found.scores[-1][number])
        if isfinite(value) and column < len(edge.operations)
    ]  # fmt: skip
    parts = []
    for value, column in sorted(rated, reverse=True):
        error = "" if errors is None else f" ± {errors[number][column]:.2g}"
        error = "" if error.endswith("nan") else error
        parts.append(f"{edge.operations[column]} {value:.3g}{error}")
    chosen = f"; chosen: {', '.join(edge.chosen)}" if edge.chosen else ""
    return f"Scores on {edge.name} after epoch {found.epochs[-1]}: {', '.join(parts)}{chosen}."
