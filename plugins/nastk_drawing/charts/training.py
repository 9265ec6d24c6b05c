"""The course of networks in training: loss, accuracy and learning rate by epoch, for each seed."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nastk.report import percent
from nastk_drawing import canvas
from nastk_drawing.charts.panel import (
    COLOURS,
    Panel,
    by_epoch,
    end_labels,
    in_numbers,
    in_percent,
    line,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUANTITIES = (
    (("loss", "train_loss"), "Training loss", False),
    (("train_accuracy", "accuracy"), "Training accuracy", True),
    (("valid_accuracy", "valid"), "Held-out accuracy", True),
    (("rate", "learning_rate"), "Learning rate", False),
)
"""The names of a quantity in logs, its heading, and whether it is a fraction."""


def panels(logs: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Panel]:
    """Returns a panel for each quantity in the logs (epochs by name of the seed)."""
    found = [_panel(logs, keys, heading, share) for keys, heading, share in QUANTITIES]
    return [panel for panel in found if panel is not None]


def _panel(
    logs: Mapping[str, Sequence[Mapping[str, Any]]], keys: Sequence[str], heading: str, share: bool
) -> Panel | None:
    """Returns the chart of one quantity; None where no log has it."""
    series = {name: _series(log, keys) for name, log in logs.items()}
    series = {name: points for name, points in series.items() if points}
    if not series:
        return None
    last = max(points[-1][0] for points in series.values())

    def draw(axes: "Axes") -> None:
        labels = []
        for number, (name, points) in enumerate(series.items()):
            colour = COLOURS[number % len(COLOURS)]
            line(axes, [epoch for epoch, _ in points], [value for _, value in points], colour)
            labels.append((points[-1][1], name.replace("-", " "), colour))
        by_epoch(axes, last)
        if share:
            in_percent(axes, max(value for points in series.values() for _, value in points))
        else:
            in_numbers(axes)
        if len(series) > 1:
            end_labels(axes, labels)

    widest = max(canvas.text_width(name, 7.5) for name in series)
    ends = [points[-1][1] for points in series.values()]
    write = percent if share else (lambda value: f"{value:.4g}")
    words = f"{heading} by epoch; in the last one {', '.join(map(write, ends))}."
    right = 12.0 + (widest if len(series) > 1 else 0.0)
    return Panel(heading, words, draw, left=46.0, right=right)


def _series(log: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> list[tuple[int, float]]:
    """Returns (epoch, value) of a quantity, without values that are missing or not finite."""
    points = []
    for row in log:
        value = next((row[key] for key in keys if row.get(key) is not None), None)
        if isinstance(value, (int, float)) and abs(value) < float("inf"):
            points.append((int(row["epoch"]), float(value)))
    return points
