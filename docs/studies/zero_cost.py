"""The numbers and the picture of the page "Zero-cost scores beside NASLib's".

    python docs/studies/zero_cost.py score IMAGES SCORES [--cells 491]
    python docs/studies/zero_cost.py draw SCORES

SCORES is NASLib's file of zero-cost scores of NAS-Bench-201, IMAGES a folder with CIFAR-10. The
first scores cells of that file, in an order drawn once, and appends a row for each to
`zero_cost.csv`; what stands there is not scored again. The second compares the rankings by both and
prints the page's table.
"""

import gzip
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import study_results
import torch
import typer
from scipy.stats import kendalltau

import nastk
from nastk import Architecture, EvaluationContext, Evaluator

HERE = Path(__file__).parent
RESULTS, PICTURE = HERE / "zero_cost.csv", HERE / "zero-cost.svg"
USES: dict[str, dict[str, Any]] = {
    "size": {},
    "synflow": {},
    "gradient-norm": {"batch_size": 32},
    "snip": {"batch_size": 32},
    "jacobian-covariance": {"batch_size": 32},
    "zico": {"batch_size": 32},
    "naswot": {"batch_size": 128},
}
"""NASLib's file was made with batches of 32; it has no ZiCo and no NASWOT."""
METRICS = {
    "synflow": "synflow",
    "gradient_norm": "grad_norm",
    "snip": "snip",
    "jacobian_covariance": "jacov",
    "zico": None,
    "naswot": None,
    "parameters": "params",
    "multiply_adds": "flops",
}
"""Our metrics, and NASLib's names of them."""
FIELDS = ("cell", *METRICS, "cpu_seconds")
BEST = 0.1
"""The share of the cells that are the best ones."""
RESAMPLES = 1000

app = typer.Typer(add_completion=False)


def published(path: Path) -> dict[str, dict[str, float]]:
    """Returns NASLib's scores of every cell on CIFAR-10, with its accuracy."""
    with gzip.open(path, "rt") as file:
        return dict(json.load(file)["nasbench201"]["cifar10"])


def evaluators(images: Path, seed: int) -> tuple[nastk.SearchSpace, list[Evaluator]]:
    """Returns the space at its published size (16 channels, 5 cells) and the evaluators on it."""
    installed = nastk.catalogue()
    space, source = (
        component(component.parse_options(options))
        for component, options in (
            (installed.load("space", "nasbench201"), {}),
            (installed.load("data", "folder"), {"path": str(images), "size": 32}),
        )
    )
    context = EvaluationContext(space, source.task, source.splits(seed), seed)
    classes = {name: installed.load("evaluator", name) for name in USES}
    return space, [
        one(context, one.parse_options(options))
        for one, options in zip(classes.values(), USES.values(), strict=True)
    ]


def scored(architecture: Architecture, uses: Sequence[Evaluator]) -> dict[str, float]:
    """Returns all scores of a cell, with the CPU seconds that they took."""
    began, scores = time.process_time(), {}
    for evaluator in uses:
        scores |= evaluator.evaluate(architecture, None).metrics
    seconds = round(time.process_time() - began, 2)
    return {name: float(f"{scores[name]:.9g}") for name in METRICS} | {"cpu_seconds": seconds}


def rows() -> list[dict[str, str]]:
    """What has been scored."""
    return study_results.read(RESULTS)


@app.command()
def score(images: Path, scores: Path, cells: int = 491, seed: int = 0) -> None:
    """Score cells that have no row yet, until there are so many rows."""
    torch.set_num_threads(1)
    known = published(scores)
    order = sorted(known)
    random.Random(0).shuffle(order)
    done = {row["cell"] for row in rows()}
    space, uses = evaluators(images, seed)
    for cell in order[:cells]:
        if cell in done:
            continue
        row = {"cell": cell, **scored(space.from_text(cell), uses)}
        study_results.append(RESULTS, FIELDS, row)


Values = np.ndarray[Any, np.dtype[np.float64]]


def taus(scores: Values, accuracies: Values) -> tuple[float, float, float]:
    """Returns Kendall's tau with the ends of its bootstrap interval of 95 %."""
    rng = np.random.default_rng(0)
    draws = rng.integers(len(scores), size=(RESAMPLES, len(scores)))
    resampled = [kendalltau(scores[draw], accuracies[draw]).statistic for draw in draws]
    low, high = np.quantile(resampled, (0.025, 0.975))
    return kendalltau(scores, accuracies).statistic, float(low), float(high)


def difference(ours: Values, theirs: Values, accuracies: Values) -> tuple[float, float, float]:
    """Returns the difference of the two taus on the same cells, with its bootstrap interval."""
    rng = np.random.default_rng(0)
    draws = rng.integers(len(ours), size=(RESAMPLES, len(ours)))

    def apart(chosen: Any) -> float:
        pair = [kendalltau(each[chosen], accuracies[chosen]).statistic for each in (ours, theirs)]
        return float(pair[0] - pair[1])

    low, high = np.quantile([apart(draw) for draw in draws], (0.025, 0.975))
    return apart(slice(None)), float(low), float(high)


def written(tau: tuple[float, float, float]) -> str:
    """Returns a value with its interval, as the table shows it."""
    return f"{tau[0]:+.3f} [{tau[1]:+.3f}, {tau[2]:+.3f}]"


@app.command()
def draw(scores: Path) -> None:
    """Draw the taus of both with their intervals, and print the page's table."""
    import matplotlib.pyplot as plt

    known, found = published(scores), rows()
    accuracies = np.array([known[row["cell"]]["val_accuracy"] for row in found])
    counts = np.array([float(row["parameters"]) for row in found])
    best = accuracies >= np.quantile(accuracies, 1 - BEST)
    print(
        f"{len(found)} cells, {best.sum()} best, "
        f"{sum(float(row['cpu_seconds']) for row in found) / 60:.1f} CPU minutes"
    )
    table = []
    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for place, (metric, theirs) in enumerate(reversed(METRICS.items())):
        ours = np.array([float(row[metric]) for row in found])
        lines = [(taus(ours, accuracies), "C0", 0.12)]
        cells = ["", "", ""]
        print(f"{metric} less parameters: {written(difference(ours, counts, accuracies))}")
        if theirs:
            other = np.array([known[row["cell"]][theirs] for row in found])
            lines.append((taus(other, accuracies), "C1", -0.12))
            agreement = f"{kendalltau(ours, other).statistic:+.3f}"
            cells = [written(lines[1][0]), written(difference(ours, other, accuracies)), agreement]
        for (tau, low, high), colour, shift in lines:
            axes.plot([low, high], [place + shift] * 2, color=colour, linewidth=1)
            axes.plot([tau], [place + shift], "o", color=colour, markersize=4)
        among = f"{kendalltau(ours[best], accuracies[best]).statistic:+.3f}"
        table.append((f"`{metric}`", written(lines[0][0]), *cells, among))
    print("\n| score | tau here | tau of NASLib's | difference | tau of both | best tenth |")
    print("|---|---|---|---|---|---|")
    print("\n".join("| " + " | ".join(line) + " |" for line in reversed(table)))
    names = [metric.replace("_", " ") for metric in reversed(METRICS)]
    axes.set_yticks(range(len(names)), names)
    axes.plot([], [], "o-", color="C0", markersize=4, linewidth=1, label="nastk")
    axes.plot([], [], "o-", color="C1", markersize=4, linewidth=1, label="NASLib's file")
    axes.legend(frameon=False)
    axes.set_xlabel(f"Kendall's tau with the accuracy of {len(found)} cells")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURE)


if __name__ == "__main__":
    app()
