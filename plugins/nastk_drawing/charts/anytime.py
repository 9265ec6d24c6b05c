"""What the decision of a search was worth at every cost: curves of a study, with bands over seeds.

The true accuracy and the regret are those that a table knows of each epoch's decision (events
`looked-up`), tau is that of the ranking in the same epoch (events `ranked`). The cost is that of
the search alone: images forward and backward, and seconds.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from nastk.report import RunRecord, count, percent, points, seconds
from nastk_drawing import canvas
from nastk_drawing.charts.curves import ancestry, last_branch
from nastk_drawing.charts.panel import COLOURS, Panel, at_most, end_labels, round_time

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACCURACY, REGRET, BY_SUPERNET, BY_SCORES = "accuracy", "regret", "by supernet", "by scores"
HEADINGS = {
    ACCURACY: "True accuracy",
    REGRET: "Regret in points",
    BY_SUPERNET: "Tau by supernet",
    BY_SCORES: "Tau by scores",
}
WORDS: dict[str, Callable[[float], str]] = {
    ACCURACY: percent,
    REGRET: points,
    BY_SUPERNET: "{:+.3f}".format,
    BY_SCORES: "{:+.3f}".format,
}
IMAGES, CPU, WALL = "images forward and backward", "CPU seconds", "seconds"
Runs = Mapping[str, Sequence[RunRecord]]


@dataclass(frozen=True)
class Course:
    """The values of a quantity in a run: `values[i]` holds from the cost `costs[i]` on."""

    costs: Sequence[float]
    values: Sequence[float]

    def at(self, cost: float) -> float:
        """Returns the value at a cost that is not below the first."""
        return self.values[bisect_right(self.costs, cost) - 1]


def panels(runs: Runs, problem: str = "") -> list[Panel]:
    """Returns a panel for each quantity and cost that was recorded; `problem` is in its heading."""
    found = []
    for quantity in HEADINGS:
        for cost in (IMAGES, _clock(runs)):
            series = {name: courses(records, quantity, cost) for name, records in runs.items()}
            if any(each.costs[-1] > 0 for row in series.values() for each in row):
                found.append(_panel(quantity, cost, series, problem))
    return found


def courses(records: Sequence[RunRecord], quantity: str, cost: str) -> list[Course]:
    """Returns the course of a quantity over a cost in each run that recorded it.

    Of a run that split it is that of the branch which decided, and of those it came from.
    """
    found = []
    for record in records:
        way, spent = set(ancestry(last_branch(record))), 0.0
        costs: list[float] = []
        values: list[float] = []
        for event in record.history:
            if event.get("branch") not in way:
                continue
            if event["kind"] == "epoch-done":
                spent = _spent(event, cost)
            elif (value := _value(event, quantity)) is not None:
                costs.append(spent)
                values.append(value)
        if costs:
            found.append(Course(costs, values))
    return found


def band(series: Sequence[Course]) -> list[tuple[float, float, float, float]]:
    """Returns (cost, mean, least, largest) of several runs wherever one changes.

    It begins where all runs have a value, and ends at the cost of the most expensive one.

    >>> band([Course([1.0, 3.0], [0.5, 0.7]), Course([2.0], [0.6])])
    [(2.0, 0.55, 0.5, 0.6), (3.0, 0.6499999999999999, 0.6, 0.7)]
    """
    begin = max(each.costs[0] for each in series)
    at = sorted({cost for each in series for cost in each.costs if cost >= begin})
    rows = [(cost, [each.at(cost) for each in series]) for cost in at]
    return [(cost, fmean(values), min(values), max(values)) for cost, values in rows]


def _panel(quantity: str, cost: str, series: Mapping[str, Sequence[Course]], problem: str) -> Panel:
    """Returns the curves of a quantity over a cost, one for each updater that has it."""
    # An updater keeps its colour in panels where others are missing.
    colours = {name: number for number, name in enumerate(series)}
    rows = {name: band(each) for name, each in series.items() if each}
    words = WORDS[quantity]

    def draw(axes: "Axes") -> None:
        labels = []
        for name, row in rows.items():
            xs, means, low, high = ([point[at] for point in row] for at in range(4))
            number = colours[name]
            colour, dashes = COLOURS[number % len(COLOURS)], "-" if number < len(COLOURS) else "--"
            axes.plot(xs, means, color=colour, lw=1.8, ls=dashes, zorder=3, marker="o", ms=3.6,
                      markevery=[-1], drawstyle="steps-post")  # fmt: skip
            axes.fill_between(xs, low, high, step="post", facecolor=colour, alpha=0.1, lw=0)
            labels.append((means[-1], name, colour))
        axes.margins(x=0.03, y=0.08)
        axes.set_xlim(left=0.0)
        axes.xaxis.set_major_locator(_ticks(cost, axes.get_xlim()[1]))
        axes.xaxis.set_major_formatter(lambda value, place: _cost_words(cost, value))
        axes.yaxis.set_major_locator(at_most(5))
        axes.yaxis.set_major_formatter(lambda value, place: _tick(quantity, value))
        end_labels(axes, labels)

    right = 12.0 + max(canvas.text_width(name, 7.5) for name in rows)
    what = HEADINGS[quantity]
    ends = ", ".join(f"{name} {words(row[-1][1])} after {_cost_words(cost, row[-1][0])}"
                     for name, row in rows.items())  # fmt: skip
    heading = f"{what}: {problem}" if problem else what
    return Panel(
        heading, f"{heading} over {cost}, mean over runs at the end: {ends}.", draw, width=326.0,
        height=176.0, left=46.0, right=min(right, 130.0), below=cost,
    )  # fmt: skip


def _value(event: Mapping[str, Any], quantity: str) -> float | None:
    """Returns the value of a quantity in an event; None where it is not there."""
    found: Any = None
    if event["kind"] == "looked-up":
        metrics = event["metrics"]
        names = [name for name in metrics if "accuracy" in name]
        best = next((name for name in names if "test" in name), names[0] if names else "")
        found = metrics.get({ACCURACY: best, REGRET: "regret"}.get(quantity, ""))
    elif event["kind"] == "ranked" and quantity in (BY_SUPERNET, BY_SCORES):
        by = event["by"].get(quantity.removeprefix("by "))
        found = by and by["kendall"]["value"]
    return None if found is None else float(found)


def _spent(event: Mapping[str, Any], cost: str) -> float:
    """Returns what the search had cost at the end of an epoch."""
    if cost == IMAGES:
        return float(event["images_forward"] + event["images_backward"])
    return float(event.get("cpu_seconds" if cost == CPU else "seconds") or 0.0)


def _clock(runs: Runs) -> str:
    """Returns the clock that all runs have: runs of earlier versions have none of the CPU."""
    done = [
        event
        for records in runs.values()
        for record in records
        for event in record.history
        if event["kind"] == "epoch-done"
    ]
    return CPU if all(event.get("cpu_seconds") for event in done) else WALL


def _cost_words(cost: str, value: float) -> str:
    """Returns a cost in words, without zeros at the end.

    >>> _cost_words(IMAGES, 3_000), _cost_words(CPU, 1.5)
    ('3 k', '1.5 s')
    """
    number, _, unit = (count(value) if cost == IMAGES else seconds(value)).partition(" ")
    short = number.rstrip("0").rstrip(".") if "." in number else number
    return f"{short} {unit}".rstrip() if value else "0"


def _ticks(cost: str, longest: float) -> Any:
    """Returns matplotlib's locator of a cost: times stand at whole minutes, not at 1 min 40 s."""
    from matplotlib.ticker import MultipleLocator

    if cost == IMAGES or longest < 1:
        return at_most(5)
    return MultipleLocator(round_time(longest, 4))


def _tick(quantity: str, value: float) -> str:
    """Returns a value of the vertical axis in few signs."""
    if quantity == ACCURACY:
        return f"{100 * value:.4g} %"
    return f"{100 * value:.3g}" if quantity == REGRET else f"{value:.2g}"
