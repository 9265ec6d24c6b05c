"""Pictures of the page "Official trained supernets", from the CSVs beside this file.

    python docs/studies/official_supernets_pictures.py WEIGHTS [--suffix png]

WEIGHTS is the folder `robustdarts`, for the authors' log. The pictures go to docs/images.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import typer
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from official_supernets import SPACES
from official_supernets_report import METHODS, additive, hits_of, log, measured, rankers

import nastk

PICTURES = Path(__file__).parent.parent / "images"


def draw_accuracies(weights: Path, space: str, axes: Axes) -> None:
    """Our accuracy of each architecture over the log's."""
    hits, rows = hits_of(space, "paths")
    axes.set(title=space.upper(), xlabel="the authors' log, %", ylabel="here, %")
    if not rows:
        axes.text(0.5, 0.5, "not measured yet", ha="center", transform=axes.transAxes)
        return
    logged = 100 * log(weights, space)[1][rows]
    axes.plot([0, 100], [0, 100], color="0.7", linewidth=0.8)
    axes.scatter(logged, 100 * hits.mean(1), s=9, color="#0072b2", alpha=0.6, linewidths=0)
    low, high = logged.min() - 4, logged.max() + 4
    axes.set(xlim=(low, high), ylim=(low, high))
    axes.set_aspect("equal")


def draw_taus(weights: Path, space: str, axes: Axes) -> None:
    """Tau of each ranker, with its interval."""
    _, truth = log(weights, space)
    found = {
        ranker.name: nastk.agreement(ranker.predicted.tolist(), truth.tolist()).kendall
        for ranker in rankers(weights, space)
    }
    for place, (name, tau) in enumerate(reversed(found.items())):
        colour = "#d55e00" if "`" in name else "0.45"
        axes.plot([tau.low, tau.high], [place, place], color=colour)
        axes.plot([tau.value], [place], "o", color=colour, markersize=4)
    axes.axvline(0, color="0.8", linewidth=0.8, zorder=0)
    axes.set_yticks(range(len(found)), [name.replace("`", "") for name in reversed(found)])
    axes.set(title=space.upper(), xlim=(-0.6, 1), xlabel="Kendall's tau with the log")


def draw_scores(weights: Path, space: str, axes: Axes) -> None:
    """On each edge, by how much the last operation leads the one before: the log, the values."""
    effects = 100 * additive(*log(weights, space))[1]
    highest = 0.0
    for what, colour in (("game of mixtures", "#d55e00"), ("game of paths", "#0072b2")):
        scores, errors, rounds = measured(space, what)
        if not rounds:
            continue
        leads, noise = 100 * (scores[:, -1] - scores[:, -2]), 200 * np.hypot(*errors[:, -2:].T)
        highest = max(highest, float(abs(leads).max()))
        axes.errorbar(
            effects[:, -1] - effects[:, -2],
            leads,
            noise,
            fmt="o",
            color=colour,
            markersize=3,
            elinewidth=0.6,
            label=METHODS[what].replace("`", ""),
        )
    for line in (axes.axhline, axes.axvline):
        line(0, color="0.8", linewidth=0.8, zorder=0)
    # The errors of a few values are several times as long as the picture is high.
    axes.set(ylim=(-1.5 * highest, 1.5 * highest), title=space.upper())
    axes.set(xlabel="difference in the log, points", ylabel="difference in value, points")


Draw = Callable[[Path, str, Axes], None]
DRAWN: Mapping[str, tuple[Draw, tuple[float, float], tuple[int, int]]] = {
    "accuracies": (draw_accuracies, (9, 2.7), (1, 4)),
    "taus": (draw_taus, (9, 4.6), (2, 2)),
    "scores": (draw_scores, (9, 6), (2, 2)),
}
"""The pictures: what draws a panel, the size in inches, rows and columns of panels."""


def pictures(weights: Path, suffix: str = "svg") -> None:
    """Draw the pictures of the page."""
    style = {"svg.hashsalt": "nastk", "svg.fonttype": "path", "font.size": 8}
    for name, (draw, size, panels) in DRAWN.items():
        with rc_context(style):
            figure = Figure(size, layout="constrained")
            for space, axes in zip(sorted(SPACES), figure.subplots(*panels).flat, strict=True):
                draw(weights, space, axes)
            handles, labels = figure.axes[0].get_legend_handles_labels()
            if handles:
                figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
            where = PICTURES / f"official-supernets-{name}.{suffix}"
            figure.savefig(where, metadata={"Date": None} if suffix == "svg" else None, dpi=120)


if __name__ == "__main__":
    typer.run(pictures)
