"""Tables and pictures of the page "Official trained supernets", from the CSVs beside this file.

    python docs/studies/official_supernets_report.py table WEIGHTS
    python docs/studies/official_supernets_report.py draw WEIGHTS

WEIGHTS is the folder `robustdarts`, for the log of accuracies and the parameters of operations.
`official_supernets.py` wrote the CSVs.
"""

import base64
import csv
import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from official_supernets import PATHS, RUNS, SCORES, SPACES, TASK, Inputs, table_of
from scipy.stats import kendalltau

import nastk
from nastk import measured_agreement

Numbers = np.ndarray[Any, np.dtype[np.float64]]
Hits = np.ndarray[Any, np.dtype[np.bool_]]

METHODS = {
    "game of paths": "`shapley`, paths",
    "game of mixtures": "`shapley`, mixtures",
    "perturbation": "`darts-pt`",
    "flatness": "`isdarts`",
}
LOG_IMAGES = 640
"""Images of an accuracy in the log: ten batches of 64."""
PICTURES = Path(__file__).parent.parent / "images"


def rows_of(path: Path, **wanted: str) -> list[dict[str, str]]:
    """Returns the rows of a CSV with these values."""
    with path.open() as file:
        return [row for row in csv.DictReader(file) if wanted.items() <= row.items()]


@cache
def log(weights: Path, space: str) -> tuple[Numbers, Numbers]:
    """Returns the log of a space: operations (architectures x edges x operations), accuracies."""
    found = nastk.catalogue().load("space", space)
    shape = found(found.parse_options({})).full().mask.shape
    rows = Inputs(weights, None).logged(space)
    tables = torch.stack([table_of(row["architecture"], shape) for row in rows])
    accuracies = [float(row["valid_accuracy_10_batches"]) / 100 for row in rows]
    return tables.numpy().astype(float), np.array(accuracies)


@cache
def operations(space: str) -> tuple[Numbers, Numbers]:
    """Returns two tables, edges x operations: is it a convolution? its parameters in all cells."""
    found = nastk.catalogue().load("space", space)
    made = found(found.parse_options({}))
    convolutions, parameters = (np.zeros(made.full().mask.shape) for _ in range(2))
    for edge, column, module in made.supernet(TASK).operations():
        convolutions[edge, column] = "conv" in made.edges[edge].operations[column]
        parameters[edge, column] += sum(weight.numel() for weight in module.parameters())
    return convolutions, parameters


def measured(space: str, what: str) -> tuple[Numbers, Numbers, int]:
    """Returns the scores of a method and their standard errors over its rounds, and the rounds."""
    rounds: dict[str, tuple[Numbers, Numbers]] = {}
    shape = operations(space)[0].shape
    for row in rows_of(SCORES, space=space, what=what):
        values, errors = rounds.setdefault(
            row["round"], (np.full(shape, np.nan), np.full(shape, np.nan))
        )
        place = int(row["edge"]), int(row["operation"])
        values[place], errors[place] = float(row["value"]), float(row["standard_error"])
    if not rounds:
        return np.full(shape, np.nan), np.full(shape, np.nan), 0
    values = np.stack([as_score(what, values) for values, _ in rounds.values()])
    if len(values) == 1:
        return values[0], next(iter(rounds.values()))[1], 1
    return values.mean(0), values.std(0, ddof=1) / math.sqrt(len(values)), len(values)


def as_score(what: str, values: Numbers) -> Numbers:
    """Returns a method's values as scores, larger where it would keep the operation.

    `isdarts` removes the flattest: minus the logarithm of its measure, which keeps the order and
    lets no single edge decide a mean; `none`, infinitely flat, is as bad as the worst of the rest.
    """
    if what != "flatness":
        return values
    scores = -np.log(values)
    return np.where(np.isneginf(scores), scores[np.isfinite(scores)].min(), scores)


def additive(tables: Numbers, truth: Numbers, folds: int = 10) -> tuple[Numbers, Numbers]:
    """Returns what the best additive scores predict, and these scores.

    Ridge regression of the logged accuracies on the chosen operations. Predictions are of
    architectures that the regression has not seen (ten folds): what a sum of scores could reach.
    """
    flat = tables.reshape(len(tables), -1)
    fold = np.random.default_rng(0).permutation(len(flat)) % folds

    def fitted(rows: Numbers) -> Numbers:
        centred = flat[rows] - flat.mean(0)
        penalised = centred.T @ centred + np.eye(flat.shape[1])
        return np.linalg.solve(penalised, centred.T @ (truth[rows] - truth.mean()))

    predicted = np.zeros(len(flat))
    for number in range(folds):
        predicted[fold == number] = flat[fold == number] @ fitted(fold != number)
    return predicted, fitted(fold >= 0).reshape(tables.shape[1:])


def rankers(weights: Path, space: str) -> Iterator[tuple[str, Numbers]]:
    """Yields what ranks the architectures of the log: its name, and a number for each of them."""
    tables, truth = log(weights, space)
    convolutions, parameters = operations(space)
    yield "additive fit to the log", additive(tables, truth)[0]
    for what, called in METHODS.items():
        scores, _, rounds = measured(space, what)
        if rounds:
            yield called, (tables * scores).sum((1, 2)) / tables.sum((1, 2))
    yield "convolutions", (tables * convolutions).sum((1, 2))
    yield "parameters", (tables * parameters).sum((1, 2))


def spent(space: str, what: str) -> str:
    """Returns what a method took: minutes of the processor, thousands of images."""
    rows = rows_of(RUNS, space=space, what=what)
    minutes, forward, backward = (
        sum(float(row[name]) for row in rows)
        for name in ("cpu_seconds", "images_forward", "images_backward")
    )
    images = f"{forward / 1000:.1f} k" + (f" + {backward / 1000:.1f} k" if backward else "")
    return f"{minutes / 60:.1f} | {images}"


def settled(scores: Numbers, errors: Numbers) -> str:
    """Returns on how many edges the best operation leads by two standard errors."""
    order = np.argsort(-scores, axis=1)
    best, next_best = (np.take_along_axis(table, order, 1)[:, :2] for table in (scores, errors))
    leads, noise = best[:, 0] - best[:, 1], np.hypot(next_best[:, 0], next_best[:, 1])
    return f"{int((leads > 2 * noise).sum())} of {len(scores)}"


# ---------------------------------------------------------------------- tables


def hits_of(space: str, what: str) -> tuple[Hits, list[int]]:
    """Returns what was classified correctly, architectures x images, and their rows in the log."""
    rows = rows_of(PATHS, space=space, what=what)
    hits = [
        np.unpackbits(
            np.frombuffer(base64.b64decode(row["hits"]), np.uint8), count=int(row["images"])
        )
        for row in rows
    ]
    return np.array(hits, dtype=bool), [int(row["row"]) for row in rows]


def ceiling(truth: Numbers, images: int | None = None) -> float:
    """Returns the tau that sampling allows: of the log with exact values, or with `images`.

    The accuracies themselves are taken to vary as the log does less its sampling variance; other
    images are drawn for every architecture.
    """
    rng = np.random.default_rng(0)
    share = 1 - (truth * (1 - truth) / LOG_IMAGES).mean() / truth.var()
    exact = np.clip(truth.mean() + math.sqrt(share) * (truth - truth.mean()), 0.0, 1.0)
    draws = [
        kendalltau(exact if images is None else rng.binomial(images, exact), logged).statistic
        for logged in rng.binomial(LOG_IMAGES, exact, (20, len(exact)))
    ]
    return float(np.mean(draws))


def difference(hits: Hits, other: Hits | Numbers) -> str:
    """Returns how much more `hits` has than `other`: points, with two standard errors over images.

    `other` has the same architectures, and the same images or an accuracy.
    """
    by_image = 100 * (hits.astype(float) - other).mean(0)
    return f"{by_image.mean():+.1f} ± {2 * by_image.std(ddof=1) / math.sqrt(len(by_image)):.1f}"


def accuracies(weights: Path) -> Iterator[str]:
    """Yields the table of accuracies, a line a space."""
    yield (
        "| space | architectures × images | tau with the log | halves | ceiling | log, mean | "
        "ours less the log |"
    )
    yield "|---|---|---|---|---|---|---|"
    for space in sorted(SPACES):
        hits, rows = hits_of(space, "paths")
        logged = log(weights, space)[1]
        found = measured_agreement(hits, logged[rows].tolist())
        yield (
            f"| {space.upper()} | {hits.shape[0]} × {hits.shape[1]} | {interval(found.kendall)} | "
            f"{found.halves:.2f} | {ceiling(logged, hits.shape[1]):.2f} | "
            f"{100 * logged[rows].mean():.1f} % | {difference(hits, logged[rows, None])} |"
        )


def treatments(weights: Path) -> Iterator[str]:
    """Yields the table of other treatments, on the same architectures and images."""
    yield "| space | what is changed | architectures | accuracy, points | tau before | tau after |"
    yield "|---|---|---|---|---|---|"
    changes = {
        "paths of copies": "images compressed once more",
        "paths by batch": "norms by the batch's statistics",
    }
    for space in sorted(SPACES):
        before = dict(zip(*reversed(hits_of(space, "paths")), strict=True))
        for what, change in changes.items():
            after, rows = hits_of(space, what)
            if not rows:
                continue
            same, truth = np.stack([before[row] for row in rows]), log(weights, space)[1][rows]
            each = [kendalltau(hits.mean(1), truth).statistic for hits in (same, after)]
            yield (
                f"| {space.upper()} | {change} | {len(rows)} | {difference(after, same)} | "
                f"{each[0]:+.2f} | {each[1]:+.2f} |"
            )


def interval(estimate: Any) -> str:
    """Returns a tau with its interval."""
    return f"{estimate.value:+.2f} [{estimate.low:+.2f}, {estimate.high:+.2f}]"


def taus(weights: Path) -> Iterator[str]:
    """Yields the table of rankers, a line a ranker and space."""
    yield (
        "| space | ranker | tau with the log | best tenth | regret of ten | edges settled | "
        "minutes | images |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    called = {value: key for key, value in METHODS.items()}
    for space in sorted(SPACES):
        _, truth = log(weights, space)
        for name, predicted in rankers(weights, space):
            found = nastk.agreement(predicted.tolist(), truth.tolist())
            cost = " |  | "
            if what := called.get(name):
                scores, errors, _ = measured(space, what)
                cost = f"{settled(scores, errors)} | {spent(space, what)}"
            yield (
                f"| {space.upper()} | {name} | {interval(found.kendall)} | "
                f"{found.best_kendall:+.2f} | {100 * found.regret['10']:.1f} | {cost} |"
            )


def pairs(weights: Path, space: str) -> tuple[Numbers, Numbers]:
    """Returns, for every two operations of an edge, `gm`'s distance and the log's difference."""
    effects = additive(*log(weights, space))[1]
    distances: dict[tuple[int, str], list[float]] = {}
    for row in rows_of(SCORES, space=space, what="matching"):
        key = int(row["edge"]), row["operation"]
        distances.setdefault(key, []).append(float(row["value"]))
    differences = [
        abs(float(np.subtract(*effects[edge, [int(part) for part in names.split("|")]])))
        for edge, names in distances
    ]
    return np.array([np.mean(values) for values in distances.values()]), np.array(differences)


def matched(weights: Path) -> Iterator[str]:
    """Yields the table of `gm`, a line a space."""
    yield "| space | pairs | distances | tau with the difference in the log | minutes | images |"
    yield "|---|---|---|---|---|---|"
    for space in sorted(SPACES):
        distances, differences = pairs(weights, space)
        if not len(distances):
            continue
        found = nastk.agreement(distances.tolist(), differences.tolist())
        yield (
            f"| {space.upper()} | {len(distances)} | {distances.min():.2f} to "
            f"{distances.max():.2f} | {interval(found.kendall)} | {spent(space, 'matching')} |"
        )


# ---------------------------------------------------------------------- pictures


def draw_accuracies(weights: Path, space: str, axes: Axes) -> None:
    """Our accuracy of each architecture over the log's."""
    hits, rows = hits_of(space, "paths")
    logged = 100 * log(weights, space)[1][rows]
    axes.plot([0, 100], [0, 100], color="0.7", linewidth=0.8)
    axes.scatter(logged, 100 * hits.mean(1), s=9, color="#0072b2", alpha=0.6, linewidths=0)
    low, high = logged.min() - 4, logged.max() + 4
    axes.set(xlim=(low, high), ylim=(low, high), title=space.upper())
    axes.set_aspect("equal")
    axes.set(xlabel="the authors' log, %", ylabel="here, %")


def draw_taus(weights: Path, space: str, axes: Axes) -> None:
    """Tau of each ranker, with its interval."""
    _, truth = log(weights, space)
    found = {
        name: nastk.agreement(predicted.tolist(), truth.tolist()).kendall
        for name, predicted in rankers(weights, space)
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
    for what, colour in (("game of paths", "#0072b2"), ("game of mixtures", "#d55e00")):
        scores, errors, rounds = measured(space, what)
        if not rounds:
            continue
        leads, noise = 100 * (scores[:, -1] - scores[:, -2]), 200 * np.hypot(*errors[:, -2:].T)
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
    axes.set(title=space.upper(), xlabel="difference in the log, points", ylabel="in value, points")


Draw = Callable[[Path, str, Axes], None]
DRAWN: Mapping[str, tuple[Draw, tuple[float, float], tuple[int, int]]] = {
    "accuracies": (draw_accuracies, (9, 2.7), (1, 4)),
    "taus": (draw_taus, (9, 4.6), (2, 2)),
    "scores": (draw_scores, (9, 6), (2, 2)),
}
"""The pictures: what draws a panel, the size in inches, rows and columns of panels."""

app = typer.Typer(add_completion=False)


@app.command("table")
def tables(weights: Path) -> None:
    """Print the tables of the page."""
    for lines in (accuracies, treatments, taus, matched):
        print("\n".join(lines(weights)), end="\n\n")


@app.command("draw")
def pictures(weights: Path, suffix: str = "svg") -> None:
    """Draw the pictures of the page into docs/images."""
    style = {"svg.hashsalt": "nastk", "svg.fonttype": "path", "font.size": 8}
    for name, (draw, size, panels) in DRAWN.items():
        with rc_context(style):
            figure = Figure(size, layout="constrained")
            for space, axes in zip(sorted(SPACES), figure.subplots(*panels).flat, strict=True):
                draw(weights, space, axes)
            handles, labels = axes.get_legend_handles_labels()
            if handles:
                figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
            where = PICTURES / f"official-supernets-{name}.{suffix}"
            metadata = {"Date": None} if suffix == "svg" else None
            figure.savefig(where, metadata=metadata, dpi=120)


if __name__ == "__main__":
    app()
