"""Tables of the page "Official trained supernets", from the CSVs beside this file.

    python docs/studies/official_supernets_report.py WEIGHTS

WEIGHTS is the folder `robustdarts`, for the authors' log. `official_supernets.py` wrote the CSVs,
`official_supernets_pictures.py` draws.
"""

import base64
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import study_results
import torch
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
    """Returns the scores of a method, their standard errors, and the number of its rounds.

    The errors are those of the mean over rounds; of a single round, its own.
    """
    rounds = rounds_of(space, what)
    if not rounds:
        shape = operations(space)[0].shape
        return np.full(shape, np.nan), np.full(shape, np.nan), 0
    scores, errors = zip(*rounds, strict=True)
    if len(scores) == 1:
        return scores[0], errors[0], 1
    spread = np.std(scores, axis=0, ddof=1) / math.sqrt(len(scores))
    return np.mean(scores, axis=0), spread, len(scores)


def rounds_of(space: str, what: str) -> list[tuple[Numbers, Numbers]]:
    """Returns the scores of a method and their own standard errors, round by round."""
    shape = operations(space)[0].shape
    rounds: dict[str, Numbers] = {}  # 2 x edges x operations: values, standard errors
    for row in study_results.read(SCORES, space=space, what=what):
        found = rounds.setdefault(row["round"], np.full((2, *shape), np.nan))
        place = int(row["edge"]), int(row["operation"])
        found[:, *place] = float(row["value"]), float(row["standard_error"])
    return [as_scores(what, *found) for found in rounds.values()]


def as_scores(what: str, values: Numbers, errors: Numbers) -> tuple[Numbers, Numbers]:
    """Returns a method's values as scores, larger where it would keep the operation; their errors.

    `isdarts` removes the flattest: minus the logarithm of its measure, which keeps the order and
    lets no single edge decide a mean; `none`, infinitely flat, is as bad as the worst of the rest.
    """
    if what != "flatness":
        return values, errors
    scores = -np.log(values)
    return np.where(np.isneginf(scores), scores[np.isfinite(scores)].min(), scores), errors / values


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


@dataclass(frozen=True)
class Ranker:
    """What ranks the architectures of the log: a number for each, and the table it comes from."""

    name: str
    predicted: Numbers
    table: Numbers
    what: str = ""


def rankers(weights: Path, space: str) -> Iterator[Ranker]:
    """Yields the rankers of a space: the log itself, methods, counts."""
    tables, truth = log(weights, space)
    yield Ranker("additive fit to the log", *additive(tables, truth))
    for what, called in METHODS.items():
        scores, _, rounds = measured(space, what)
        if rounds:
            yield Ranker(called, mean_scores(tables, scores), scores, what)
    for name, counts in zip(("convolutions", "parameters"), operations(space), strict=True):
        yield Ranker(name, (tables * counts).sum((1, 2)), counts)


def mean_scores(tables: Numbers, scores: Numbers) -> Numbers:
    """Returns the mean score of the chosen operations of each architecture."""
    means: Numbers = (tables * scores).sum((1, 2)) / tables.sum((1, 2))
    return means


def agreeing(effects: Numbers, table: Numbers) -> int:
    """Returns on how many edges a table prefers the same one of the last two operations."""
    return int(
        (np.sign(effects[:, -1] - effects[:, -2]) == np.sign(table[:, -1] - table[:, -2])).sum()
    )


def spent(space: str, what: str) -> str:
    """Returns what a method took: minutes of the processor, thousands of images."""
    rows = study_results.read(RUNS, space=space, what=what)
    minutes, forward, backward = (
        sum(float(row[name]) for row in rows)
        for name in ("cpu_seconds", "images_forward", "images_backward")
    )
    images = f"{forward / 1000:.1f} k" + (f" + {backward / 1000:.1f} k" if backward else "")
    return f"{minutes / 60:.1f} | {images}"


def settled(scores: Numbers, errors: Numbers) -> str:
    """Returns on how many edges the best operation leads by two standard errors."""
    if not np.isfinite(errors).any():
        return "–"  # a single round, of a method that knows no errors
    order = np.argsort(-scores, axis=1)
    best, next_best = (np.take_along_axis(table, order, 1)[:, :2] for table in (scores, errors))
    leads, noise = best[:, 0] - best[:, 1], np.hypot(next_best[:, 0], next_best[:, 1])
    return str(int((leads > 2 * noise).sum()))


# ---------------------------------------------------------------------- tables


def hits_of(space: str, what: str) -> tuple[Hits, list[int]]:
    """Returns what was classified correctly, architectures x images, and their rows in the log."""
    rows = study_results.read(PATHS, space=space, what=what)
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
        "ours less the log | all at equal weights |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for space in sorted(SPACES):
        hits, rows = hits_of(space, "paths")
        if not rows:
            continue
        logged = log(weights, space)[1]
        found = measured_agreement(hits, logged[rows].tolist())
        yield (
            f"| {space.upper()} | {hits.shape[0]} × {hits.shape[1]} | {interval(found.kendall)} | "
            f"{found.halves:.2f} | {ceiling(logged, hits.shape[1]):.2f} | "
            f"{100 * logged[rows].mean():.1f} % | {difference(hits, logged[rows, None])} | "
            f"{100 * hits_of(space, 'mixture')[0].mean():.1f} % |"
        )


def treatments(weights: Path) -> Iterator[str]:
    """Yields the table of the ten architectures whose accuracy on 25,000 images is logged."""
    yield (
        "| space | log, ten batches | log, 25,000 images | ours less that | compressed once more | "
        "neither cropped nor mirrored | norms by the batch |"
    )
    yield "|---|---|---|---|---|---|---|"
    for space in sorted(SPACES):
        hits, rows = hits_of(space, "whole")
        if not rows:
            continue
        logged = Inputs(weights, None).logged(space)
        few, whole = (
            np.array([float(logged[row][f"valid_accuracy_{name}"]) / 100 for row in rows])
            for name in ("10_batches", "whole")
        )
        changed = [
            difference(other, hits) if (other := hits_of(space, f"whole {name}")[0]).size else "–"
            for name in ("of copies", "plain", "by batch")
        ]
        yield (
            f"| {space.upper()} | {100 * few.mean():.1f} % | {100 * whole.mean():.1f} % | "
            f"{difference(hits, whole[:, None])} | {' | '.join(changed)} |"
        )


def interval(estimate: Any) -> str:
    """Returns a tau with its interval."""
    return f"{estimate.value:+.2f} [{estimate.low:+.2f}, {estimate.high:+.2f}]"


def taus(weights: Path) -> Iterator[str]:
    """Yields the table of rankers, a line a ranker and space."""
    yield (
        "| space | ranker | tau with the log | best tenth | regret of ten | edges as the log | "
        "edges settled | minutes | images |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for space in sorted(SPACES):
        _, truth = log(weights, space)
        fit = None
        for ranker in rankers(weights, space):
            found = nastk.agreement(ranker.predicted.tolist(), truth.tolist())
            fit, same = (ranker.table, "") if fit is None else (fit, agreeing(fit, ranker.table))
            cost = " |  | "
            if ranker.what:
                scores, errors, _ = measured(space, ranker.what)
                cost = f"{settled(scores, errors)} | {spent(space, ranker.what)}"
            yield (
                f"| {space.upper()} | {ranker.name} | {interval(found.kendall)} | "
                f"{found.best_kendall:+.2f} | {100 * found.regret['10']:.1f} | {same} | {cost} |"
            )


def settling(weights: Path) -> Iterator[str]:
    """Yields the table of what more rounds give, a line a method and space."""
    last = "tau with the log after 1, 2, 3, ... rounds"
    yield study_results.head(["ranker", "space", "two rounds agree", last])
    for what, called in METHODS.items():
        for space in sorted(SPACES):
            tables, truth = log(weights, space)
            every = [scores for scores, _ in rounds_of(space, what)]
            if len(every) < 2:
                continue
            single = [mean_scores(tables, scores) for scores in every]
            agree = np.mean([kendalltau(*each).statistic for each in combinations(single, 2)])
            together = [np.mean(single[:count], axis=0) for count in range(1, len(single) + 1)]
            curve = ", ".join(f"{kendalltau(each, truth).statistic:+.2f}" for each in together)
            yield f"| {called} | {space.upper()} | {agree:.2f} | {curve} |"


def pairs(weights: Path, space: str) -> tuple[Numbers, Numbers, Hits]:
    """Returns `gm`'s distance and the log's difference of every two operations of an edge.

    Then: is the edge one of the normal cell?
    """
    effects = additive(*log(weights, space))[1]
    distances: dict[tuple[int, str], list[float]] = {}
    for row in study_results.read(SCORES, space=space, what="matching"):
        key = int(row["edge"]), row["operation"]
        distances.setdefault(key, []).append(float(row["value"]))
    differences = [
        abs(float(np.subtract(*effects[edge, [int(part) for part in names.split("|")]])))
        for edge, names in distances
    ]
    means = np.array([np.mean(values) for values in distances.values()])
    return means, np.array(differences), np.array([edge < 14 for edge, _ in distances])


def matched(weights: Path) -> Iterator[str]:
    """Yields the table of `gm`, a line a space."""
    yield (
        "| space | pairs | distances | tau with the difference in the log | normal cell | "
        "reduction cell | minutes | images |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for space in sorted(SPACES):
        distances, differences, normal = pairs(weights, space)
        if not len(distances):
            continue
        found = nastk.agreement(distances.tolist(), differences.tolist())
        cells = " | ".join(
            f"{kendalltau(distances[rows], differences[rows]).statistic:+.2f}"
            for rows in (normal, ~normal)
        )
        yield (
            f"| {space.upper()} | {len(distances)} | {distances.min():.2f} to "
            f"{distances.max():.2f} | {interval(found.kendall)} | {cells} | "
            f"{spent(space, 'matching')} |"
        )


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for lines in (accuracies, treatments, taus, settling, matched):
        print("\n".join(lines(folder)), end="\n\n")
