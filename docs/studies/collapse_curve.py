"""The runs and the picture of the page "The curve of collapse": DARTS in S1 over weight decay.

    python docs/studies/collapse_curve.py search IMAGES RUNS [--seeds 0-2]
    python docs/studies/collapse_curve.py draw PUBLISHED

The first searches with every weight decay and seed that `collapse_curve.csv` lacks and appends a
row when a search ends; a search that was stopped goes on from its checkpoint. The second draws the
rows beside the published cells (`collapse_cells.csv.gz` of the data) and prints two tests.
"""

import csv
import gzip
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import study_results
import torch
import typer

import nastk

HERE = Path(__file__).parent
RESULTS, PICTURE = HERE / "collapse_curve.csv", HERE / "collapse-curve.svg"
DECAYS = (3e-4, 9e-4, 27e-4, 81e-4)
MANY = 6
"""Parameter-free operations of eight that show a collapse in the printed share."""
PARAMETER_FREE = ("skip_connect", "max_pool_3x3", "avg_pool_3x3")
FIELDS = (
    "weight_decay",
    "seed",
    "epochs",
    "parameter_free_normal",
    "parameter_free_reduce",
    "valid_accuracy",
    "images",
    "seconds",
    "architecture",
)

SEARCH: dict[str, Any] = {
    "space": nastk.use("s1", channels=8, cells=5),
    # Published: second order at 0.0003 over 19,550 steps. Here the first order, which the same
    # authors show to collapse as well, with a rate that moves alpha about as far in 3,900 steps.
    "updater": nastk.use("darts", order=1, learning_rate=0.0015),
}
TRAINER = {"epochs": 50, "batch_size": 64, "threads": 1}
LIMIT, SIZE = 10_000, 16

app = typer.Typer(add_completion=False)


def search(decay: float, seed: int, images: Path, folder: Path) -> dict[str, Any]:
    """Search, or go on with the search in `folder`: a row of the CSV."""
    if (folder / "config.json").exists():
        result = nastk.resume(folder)
    else:
        data = nastk.use("folder", path=str(images), size=SIZE, limit=LIMIT, train_fraction=0.5)
        trainer = TRAINER | {"weight_decay": decay}
        result = nastk.search(
            **SEARCH, data=data, trainer=trainer, seed=seed, evaluators=["supernet"], out=folder
        )
    return {
        "weight_decay": decay,
        "seed": seed,
        "epochs": TRAINER["epochs"],
        "parameter_free_normal": parameter_free(result.architecture, "normal"),
        "parameter_free_reduce": parameter_free(result.architecture, "reduce"),
        "valid_accuracy": round(result.evaluation["valid_accuracy"], 4),
        "images": result.cost.total.images_forward,
        "seconds": round(result.cost.search.seconds),
        "architecture": result.text,
    }


def parameter_free(architecture: nastk.Architecture, group: str) -> int:
    """How many operations of one of the two cells have no parameters."""
    return sum(
        edge.group == group and operation in PARAMETER_FREE
        for edge, operation in architecture.links()
    )


def rows() -> list[dict[str, str]]:
    """What has been searched."""
    return study_results.read(RESULTS)


@app.command("search")
def search_all(images: Path, runs: Path, seeds: str = "0-2") -> None:
    """Search with every weight decay and seed that has no row yet."""
    first, _, last = seeds.partition("-")
    for seed in range(int(first), int(last or first) + 1):
        for decay in DECAYS:
            done = {(float(row["weight_decay"]), int(row["seed"])) for row in rows()}
            if (decay, seed) in done:
                continue
            row = search(decay, seed, images, runs / f"decay{decay:g}-seed{seed}")
            study_results.append(RESULTS, FIELDS, row)
            print(row, flush=True)


Points = dict[float, dict[int, int]]


def points(table: Iterable[dict[str, str]]) -> Points:
    """The number of parameter-free operations of the normal cell by weight decay and seed."""
    found: Points = {}
    for row in table:
        of_seed = found.setdefault(float(row["weight_decay"]), {})
        of_seed[int(row["seed"])] = int(row["parameter_free_normal"])
    return dict(sorted(found.items()))


def tests(found: Points) -> str:
    """The sign test between the two ends and Page's test of the trend; a seed is a block.

    Seeds that lack a weight decay are left out.
    """
    from scipy.stats import binomtest, page_trend_test

    whole = set.intersection(*(set(found.get(decay, {})) for decay in DECAYS))
    blocks = [[found[decay][seed] for decay in DECAYS] for seed in sorted(whole)]
    if len(blocks) < 2:
        return f"{len(blocks)} seed(s) with all weight decays, which tests nothing: {blocks}"
    falls = sum(block[0] > block[-1] for block in blocks)
    differ = sum(block[0] != block[-1] for block in blocks)
    sign = binomtest(falls, differ, alternative="greater").pvalue if differ else 1.0
    trend = page_trend_test([[-number for number in block] for block in blocks])
    return (
        f"{falls} of {len(blocks)} seeds fall from {DECAYS[0]:g} to {DECAYS[-1]:g} (sign test: "
        f"p = {sign:.3f}); Page's trend over {len(DECAYS)} weight decays: p = {trend.pvalue:.4f}"
    )


def blind(draws: int = 2000) -> list[int]:
    """The number of parameter-free operations in normal cells that are drawn uniformly."""
    source = nastk.catalogue().load("space", "s1")
    space, rng = source(source.Options()), torch.Generator().manual_seed(0)
    return [parameter_free(space.sample(space.full(), rng), "normal") for _ in range(draws)]


@app.command()
def draw(published: Path) -> None:
    """Draw ours beside the published cells, and print the tests of both."""
    import matplotlib.pyplot as plt

    with gzip.open(published, "rt", newline="") as file:
        theirs = points(
            row
            for row in csv.DictReader(file)
            if row["space"] == "s1" and float(row["drop_path"]) == 0
        )
    figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
    sources = {"Zela et al., 2020": (theirs, "tab:gray"), "here, reduced": (points(rows()), "C0")}
    for name, (found, colour) in sources.items():
        decays = list(found)
        means = [fmean(of_seed.values()) for of_seed in found.values()]
        axes.plot(decays, means, "o-", color=colour, label=name)
        for decay, of_seed in found.items():
            axes.plot([decay] * len(of_seed), list(of_seed.values()), "_", color=colour)
        print(f"{name}: {tests(found)}", end="\n\n")
    drawn = blind()
    label = "drawn uniformly"
    axes.axhline(fmean(drawn), color="tab:gray", linestyle=":", linewidth=1, label=label)
    many = sum(number >= MANY for number in drawn) / len(drawn)
    print(f"{label}: {fmean(drawn):.2f} ± {stdev(drawn):.2f}, {MANY} or more in {many:.0%}\n")
    axes.set(xscale="log", xlabel="weight decay", ylim=(-0.3, 8.3))
    axes.set_ylabel("parameter-free operations\nof the normal cell (of 8)")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURE)
    print_table(sources)


def print_table(sources: Mapping[str, tuple[Points, str]]) -> None:
    """Print the numbers of each weight decay, seed by seed, as a Markdown table."""
    decays = sorted({decay for found, _ in sources.values() for decay in found})
    print(study_results.head(["weight decay", *(f"{decay:g}" for decay in decays)]))
    for name, (found, _) in sources.items():
        cells = (", ".join(map(str, found.get(decay, {}).values())) or "–" for decay in decays)
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    app()
