"""Curves of a search by epoch: loss, accuracy, entropy, operations without parameters."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nastk.report import Curves, RunRecord, counted, percent
from nastk_drawing.canvas import INK, LINE
from nastk_drawing.charts.panel import Panel, by_epoch, in_numbers, in_percent, level, line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Points = Mapping[str, Sequence[tuple[int, float]]]
"""For each branch: (epoch, value)."""


def panels(record: RunRecord) -> list[Panel]:
    """Returns the curves that a run has; an empty list before its first epoch."""
    done = Curves(record.history).branches
    watched = [event for event in record.history if event["kind"] == "watched"]
    classes = (record.result.get("task") or {}).get("classes")
    branch = last_branch(record)
    found = [
        _panel("Training loss", _points(done, "loss"), branch, lambda value: f"{value:.3f}"),
        _panel("Training accuracy", _points(done, "accuracy"), branch, percent,
               share=True, chance=classes),
        _panel("Entropy of the mixture", _watched(watched, "entropy"), branch,
               lambda value: f"{value:.4f}", most=1.0),
        _panel("Parameter-free operations", _watched(watched, "parameter_free"),
               branch, percent, share=True),
    ]  # fmt: skip
    return [panel for panel in found if panel is not None]


def last_branch(record: RunRecord) -> str:
    """Returns the branch that made the decision; in an unfinished run, the one trained last."""
    names = [event["branch"] for event in record.history if event["kind"] == "run-finished"]
    names = names or [event["branch"] for event in record.history if "branch" in event]
    return str(names[-1]) if names else ""


def ancestry(branch: str) -> list[str]:
    """Returns the names of a branch and of those that it came from, the first one first.

    >>> ancestry("0.1.0")
    ['0', '0.1', '0.1.0']
    """
    parts = branch.split(".")
    return [".".join(parts[: number + 1]) for number in range(len(parts))]


def _points(branches: Mapping[str, Sequence[Mapping[str, Any]]], key: str) -> Points:
    """Returns the values of a key in events of kind `epoch-done`; infinite ones are NaN."""
    return {
        name: [(int(event["epoch"]), _number(event[key])) for event in events]
        for name, events in branches.items()
    }


def _watched(events: Sequence[Mapping[str, Any]], key: str) -> Points:
    """Returns the values of a key in events of kind `watched`, those that were measured."""
    found: dict[str, list[tuple[int, float]]] = {}
    for event in events:
        if event.get(key) is not None:
            found.setdefault(str(event["branch"]), []).append(
                (int(event["epoch"]), _number(event[key]))
            )
    return found


def _number(value: Any) -> float:
    """Returns a number; NaN for null, which stands for what is not finite."""
    return float("nan") if value is None else float(value)


def _panel(
    heading: str, points: Points, branch: str, words: Callable[[float], str],
    share: bool = False, chance: int | None = None, most: float | None = None,
) -> Panel | None:  # fmt: skip
    """Returns the chart of one quantity; None where it was not measured.

    The way to `branch` is dark, other branches are light. `chance` is the number of classes, `most`
    the greatest value that the quantity can have.
    """
    values = [value for series in points.values() for _, value in series if value == value]
    if not values:
        return None
    way = ancestry(branch)
    last = max(epoch for series in points.values() for epoch, _ in series)

    def draw(axes: "Axes") -> None:
        for name in sorted(points, key=lambda name: name in way):
            joined = _with_parent(name, points)
            colour, width = (INK, 2.0) if name in way else (LINE, 1.2)
            xs, ys = [epoch for epoch, _ in joined], [value for _, value in joined]
            line(axes, xs, ys, colour, lw=width, zorder=4 if name in way else 3)
        by_epoch(axes, last)
        if share:
            in_percent(axes, max(values))
        else:
            in_numbers(axes, 0.01)
        if most is not None:
            axes.set_ylim(top=min(axes.get_ylim()[1], most + 0.001))
        if chance:
            level(axes, 1 / chance, "guessing")

    return Panel(heading, _words(heading, points, way, words), draw)


def _with_parent(name: str, points: Points) -> list[tuple[int, float]]:
    """Returns a branch's points after the last one of its parent, so that the lines join."""
    parent = points.get(name.rpartition(".")[0], ())
    return [*parent[-1:], *points[name]]


def _words(heading: str, points: Points, way: Sequence[str], words: Callable[[float], str]) -> str:
    """Returns what the chart shows in a sentence."""
    series = [point for name in way for point in points.get(name, ())]
    series = [point for point in series if point[1] == point[1]]
    others = len(set(points) - set(way))
    beside = (
        f" {counted(others, 'other branch', 'other branches')} in light grey." if others else ""
    )
    if not series:
        return f"{heading} by epoch.{beside}"
    (first, begin), (last, end) = series[0], series[-1]
    if first == last:
        return f"{heading}: {words(end)} in epoch {last}.{beside}"
    course = f"from {words(begin)} in epoch {first} to {words(end)} in epoch {last}"
    return f"{heading}: {course}.{beside}"
