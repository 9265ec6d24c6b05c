"""Accuracy against size or time of all that a study found, with the Pareto front."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nastk.report import counted, metric
from nastk_drawing import canvas
from nastk_drawing.canvas import SOFT
from nastk_drawing.charts.panel import COLOURS, Panel, at_most, end_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COSTS = ("parameters", "multiply_adds", "latency", "table_parameters", "table_multiply_adds")
"""The costs over which fronts are drawn, where the runs have them."""


def panel(front: Mapping[str, Any], problem: str = "") -> Panel:
    """Returns a dot for each run in its updater's colour, and the front as a line of steps.

    `front` is a `Front` as JSON; `problem` is in the heading.
    """
    found = front["found"]
    colours = {
        label: COLOURS[number % len(COLOURS)] for number, label in enumerate(front["volumes"])
    }
    best = sorted((one for one in found if one["best"]), key=lambda one: one["cost"])
    cost = str(front["cost"]).replace("_", " ")

    def draw(axes: "Axes") -> None:
        for label, colour in colours.items():
            mine = [one for one in found if one["label"] == label]
            axes.scatter([one["cost"] for one in mine], [one["value"] for one in mine], s=24,
                         color=colour, alpha=0.75, lw=0, zorder=3)  # fmt: skip
        axes.plot([one["cost"] for one in best], [one["value"] for one in best], color=SOFT,
                  lw=1.2, ls=(0, (3, 2)), drawstyle="steps-post", zorder=2)  # fmt: skip
        axes.margins(x=0.06, y=0.08)
        axes.xaxis.set_major_locator(at_most(4))
        axes.xaxis.set_major_formatter(lambda value, place: metric(front["cost"], value))
        axes.yaxis.set_major_locator(at_most(5))
        share = "accuracy" in front["metric"]
        axes.yaxis.set_major_formatter(
            lambda value, place: f"{100 * value:.4g} %" if share else f"{value:.4g}"
        )
        tops = {
            label: max((one["value"] for one in found if one["label"] == label), default=None)
            for label in colours
        }
        end_labels(axes, [(top, label, colours[label])
                          for label, top in tops.items() if top is not None])  # fmt: skip

    right = 12.0 + max(canvas.text_width(label, 7.5) for label in colours)
    on_it = ", ".join(f"{one['label']} {metric(front['metric'], one['value'])} with "
                      f"{metric(front['cost'], one['cost'])}" for one in best)  # fmt: skip
    heading = cost.capitalize() + (f": {problem}" if problem else "")
    words = f"Pareto front over {cost}, {len(best)} of {counted(len(found), 'run')}: {on_it}."
    return Panel(heading, words, draw, width=326.0, height=186.0, left=46.0,
                 right=min(right, 130.0), below=cost)  # fmt: skip
