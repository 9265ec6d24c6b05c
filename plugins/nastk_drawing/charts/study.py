"""What the runs of a study reached, and their course: a dot or a line for each updater."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from nastk.report import Curves, RunRecord, metric
from nastk_drawing import canvas
from nastk_drawing.canvas import BORDER, INK
from nastk_drawing.charts.panel import (
    COLOURS,
    Panel,
    at_most,
    band,
    by_epoch,
    end_labels,
    in_numbers,
    in_percent,
    line,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW = 24.0


def dots(name: str, values: Mapping[str, Sequence[float]]) -> Panel:
    """Returns a panel with a row for each updater: a dot for each run, a line at the mean."""
    rows = [(updater, found) for updater, found in values.items() if found]

    def draw(axes: "Axes") -> None:
        axes.grid(False)
        axes.grid(True, axis="x", color=BORDER, linewidth=0.8)
        for number, (_, found) in enumerate(rows):
            colour = COLOURS[number % len(COLOURS)]
            axes.scatter(
                found, [number] * len(found), s=22, color=colour, alpha=0.7, lw=0, zorder=3
            )
            axes.vlines(fmean(found), number - 0.32, number + 0.32, color=INK, lw=1.8, zorder=4)
        axes.set_yticks(range(len(rows)), [updater for updater, _ in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.margins(x=0.08)
        axes.xaxis.set_major_formatter(lambda value, place: f"{100 * value:.4g} %")
        axes.xaxis.set_major_locator(at_most(4))

    means = ", ".join(f"{updater} {metric(name, fmean(found))}" for updater, found in rows)
    left = 12.0 + max((canvas.text_width(updater, 8.0) for updater, _ in rows), default=0.0)
    heading = name.replace("_", " ").capitalize()
    return Panel(
        heading, f"Means of {name.replace('_', ' ')}: {means}.", draw,
        width=300.0, height=52.0 + ROW * len(rows), left=min(left, 160.0), below="",
    )  # fmt: skip


def differences(comparison: Mapping[str, Any]) -> Panel:
    """Returns a panel with a row for each updater: its difference to another, with the interval.

    `comparison` is a `Comparison` as JSON. Intervals are missing where there is one seed.
    """
    rows = list(comparison["differences"].items())
    share = "accuracy" in comparison["metric"]
    scale = 100 if share else 1

    def draw(axes: "Axes") -> None:
        axes.grid(False)
        axes.grid(True, axis="x", color=BORDER, linewidth=0.8)
        axes.axvline(0.0, color=INK, lw=1.0, zorder=2)
        for number, (_, found) in enumerate(rows):
            colour = COLOURS[number % len(COLOURS)]
            if found["low"] is not None:
                ends = scale * found["low"], scale * found["high"]
                axes.hlines(number, *ends, color=colour, lw=2.2, zorder=3)
            axes.plot([scale * found["mean"]], [number], "o", ms=6.0, color=colour, zorder=4)
        axes.set_yticks(range(len(rows)), [label for label, _ in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.margins(x=0.08)

    parts = ", ".join(f"{label} {scale * found['mean']:+.2f}" for label, found in rows)
    left = 12.0 + max((canvas.text_width(label, 8.0) for label, _ in rows), default=0.0)
    heading = f"Difference to {comparison['to']}"
    return Panel(
        heading, f"{heading}, mean over seeds: {parts}.", draw, width=326.0,
        height=52.0 + ROW * len(rows), left=min(left, 160.0),
        below="percentage points" if share else "",
    )  # fmt: skip


def curves(runs: Mapping[str, Sequence[RunRecord]]) -> list[Panel]:
    """Returns loss and accuracy by epoch: the mean of an updater's runs, between its extremes."""
    found = [_course(runs, "loss", "Training loss"),
             _course(runs, "accuracy", "Training accuracy")]  # fmt: skip
    return [panel for panel in found if panel is not None]


def _course(runs: Mapping[str, Sequence[RunRecord]], key: str, heading: str) -> Panel | None:
    """Returns the panel of one quantity; None where no run has finished an epoch."""
    series = {name: _by_epoch(records, key) for name, records in runs.items()}
    series = {name: epochs for name, epochs in series.items() if epochs}
    if not series:
        return None
    last = max(max(epochs) for epochs in series.values())

    def draw(axes: "Axes") -> None:
        labels = []
        for number, (name, epochs) in enumerate(series.items()):
            colour, xs = COLOURS[number % len(COLOURS)], sorted(epochs)
            means = [fmean(epochs[epoch]) for epoch in xs]
            line(axes, xs, means, colour, ls="-" if number < len(COLOURS) else "--")
            if max(map(len, epochs.values())) > 1:
                band(axes, xs, [min(epochs[epoch]) for epoch in xs],
                     [max(epochs[epoch]) for epoch in xs], colour)  # fmt: skip
            labels.append((means[-1], name, colour))
        by_epoch(axes, last)
        if key == "accuracy":
            in_percent(axes, max(max(map(max, epochs.values())) for epochs in series.values()))
        else:
            in_numbers(axes)
        end_labels(axes, labels)

    right = 12.0 + max(canvas.text_width(name, 7.5) for name in series)
    ends = ", ".join(f"{name} {metric(key, fmean(epochs[max(epochs)]))}"
                     for name, epochs in series.items())  # fmt: skip
    return Panel(heading, f"{heading} in the last epoch, mean over runs: {ends}.", draw,
                 width=326.0, height=170.0, right=min(right, 130.0))  # fmt: skip


def _by_epoch(records: Sequence[RunRecord], key: str) -> dict[int, list[float]]:
    """Returns the values of a quantity by epoch; of several branches the last one's."""
    found: dict[int, list[float]] = {}
    for record in records:
        epochs: dict[int, Any] = {}
        for events in Curves(record.history).branches.values():
            epochs |= {int(event["epoch"]): event[key] for event in events}
        for epoch, value in epochs.items():
            if value is not None:
                found.setdefault(epoch, []).append(float(value))
    return found
