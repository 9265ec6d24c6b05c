"""How well the search ranks architectures, beside counts that know nothing of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nastk.report import RunRecord
from nastk_drawing import canvas
from nastk_drawing.canvas import BORDER, INK, LINE, SOFT
from nastk_drawing.charts.curves import ancestry, last_branch
from nastk_drawing.charts.panel import Panel, band, by_epoch, end_labels, in_numbers, level, line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SEARCH = ("scores", "supernet")
"""The rankings that the search makes; all others are counts."""
COLOURS = {"scores": "#0072B2", "supernet": "#009E73"}
ROW = 22.0


@dataclass(frozen=True)
class Tau:
    """A rank correlation (Kendall's tau) with the ends of its 95 % interval, after an epoch."""

    by: str
    epoch: int
    value: float
    low: float
    high: float
    halves: float | None = None


def taus(record: RunRecord) -> list[Tau]:
    """Returns all rank correlations of a run, in their order; an empty list without any."""
    way = ancestry(last_branch(record))
    found = []
    for event in record.history:
        if event["kind"] != "ranked" or event["branch"] not in way:
            continue
        for name, agreement in event["by"].items():
            if agreement is not None:
                found.append(_tau(name, int(event["epoch"]), agreement))
    return found


def _tau(name: str, epoch: int, agreement: Mapping[str, Any]) -> Tau:
    ends = agreement["kendall"]
    low, high = (ends["value"] if ends[key] is None else ends[key] for key in ("low", "high"))
    return Tau(name, epoch, ends["value"], low, high, agreement.get("halves"))


def last(found: Sequence[Tau]) -> list[Tau]:
    """Returns the last correlation of each ranking: those of the search first, then the counts."""
    latest = {tau.by: tau for tau in found}
    return [latest[name] for name in SEARCH if name in latest] + [
        tau for name, tau in latest.items() if name not in SEARCH
    ]


def panels(record: RunRecord) -> list[Panel]:
    """Returns the last correlations, and their course where they were measured several times."""
    found = taus(record)
    if not found:
        return []
    course = [tau for tau in found if tau.by in SEARCH]
    several = len({tau.epoch for tau in course}) > 1
    return [_beside_each_other(last(found)), *([_course(found)] if several else [])]


def _beside_each_other(rows: Sequence[Tau]) -> Panel:
    """Returns a panel with a row for each ranking: tau, and its interval as a line."""
    names = [_name(tau) for tau in rows]

    def draw(axes: "Axes") -> None:
        axes.grid(False)
        axes.grid(True, axis="x", color=BORDER, linewidth=0.8)
        axes.axvline(0.0, color=LINE, lw=1.0, zorder=1)
        for number, tau in enumerate(rows):
            colour = COLOURS.get(tau.by, SOFT)
            axes.hlines(number, tau.low, tau.high, color=colour, lw=2.2, zorder=2)
            axes.plot([tau.value], [number], "o", ms=6.0, color=colour, zorder=3)
            axes.annotate(
                f"{tau.value:+.2f}", (tau.value, number), xytext=(0, 6), ha="center",
                textcoords="offset points", fontsize=7.5, color=INK, family=canvas.FONT,
            )  # fmt: skip
        axes.set_yticks(range(len(rows)), names)
        axes.set_ylim(len(rows) - 0.4, -0.8)
        axes.set_xlim(min(-0.05, *(tau.low - 0.03 for tau in rows)), 1.0)

    left = 12.0 + max(canvas.text_width(name, 8.0) for name in names)
    sentences = [f"{_name(tau)} {tau.value:+.2f} ({tau.low:+.2f} to {tau.high:+.2f})"
                 for tau in rows]  # fmt: skip
    return Panel(
        "Rank correlation with the truth",
        f"Kendall's tau with its 95 % interval: {'; '.join(sentences)}.",
        draw, width=300.0, height=48.0 + ROW * len(rows), left=left, below="Kendall's tau",
    )  # fmt: skip


def _course(found: Sequence[Tau]) -> Panel:
    """Returns a panel with tau by epoch, and the best count as a level."""
    counts = [tau for tau in last(found) if tau.by not in SEARCH]
    best = max(counts, key=lambda tau: tau.value, default=None)
    series = {
        name: [tau for tau in found if tau.by == name] for name in SEARCH
        if any(tau.by == name for tau in found)
    }  # fmt: skip

    def draw(axes: "Axes") -> None:
        labels = []
        for name, row in series.items():
            xs, colour = [tau.epoch for tau in row], COLOURS[name]
            line(axes, xs, [tau.value for tau in row], colour, marker="o", ms=3.4, markevery=1)
            band(axes, xs, [tau.low for tau in row], [tau.high for tau in row], colour)
            labels.append((row[-1].value, _name(row[-1]), colour))
        if best is not None:
            level(axes, best.value, f"{_name(best)} {best.value:+.2f}")
        by_epoch(axes, max(tau.epoch for tau in found))
        in_numbers(axes, 0.1)
        end_labels(axes, labels)

    parts = [
        f"by {name} from {row[0].value:+.2f} in epoch {row[0].epoch} to {row[-1].value:+.2f} in "
        f"epoch {row[-1].epoch}" for name, row in series.items()
    ]  # fmt: skip
    right = 10.0 + max(canvas.text_width(_name(row[-1]), 7.5) for row in series.values())
    return Panel("Rank correlation by epoch", f"Kendall's tau {'; '.join(parts)}.", draw,
                 width=300.0, height=176.0, right=right)  # fmt: skip


def _name(tau: Tau) -> str:
    """Returns the name of a ranking in words: `by scores`, `number of parameters`."""
    words = tau.by.replace("_", " ")
    return f"by {words}" if tau.by in SEARCH else f"number of {words}"
