"""The study of the page "Known truth": regret over the noise of what an updater measures.

    python docs/studies/known_truth.py run NASBENCH201.table MACRO.table
    python docs/studies/known_truth.py draw

The first searches the space `table` with every updater, every noise and ten seeds, and appends a
row for each search to `known_truth.csv` as it comes; what stands there is not run again. The second
draws the regret and prints the page's table.
"""

import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import study_results
import typer

import nastk
from nastk_tables.answers import Training
from nastk_tables.storage import read

HERE = Path(__file__).parent
RESULTS, PICTURE = HERE / "known_truth.csv", HERE / "known-truth.svg"
SPACES = {"nasbench201": "NAS-Bench-201", "nasbench-macro": "NAS-Bench-Macro"}
NOISES = (0.0, 0.3, 1.0, 3.0)
"""Standard deviations of a path's accuracy from the table's, in percentage points."""
SEEDS = range(10)
IMAGES: dict[str, Any] = {"images": 2000, "train_fraction": 0.2, "size": 8}
BATCH = 2000  # all 1,600 valid images at once
UNTRAINED: dict[str, Any] = {"inner": "random", "inner_options": {"candidates": 1}}
UPDATERS: dict[str, tuple[Any, int]] = {
    "random": (nastk.use("random", candidates=200, connected=False, batch_size=BATCH), 1),
    "fair": (nastk.use("fair", population=20, generations=10, parents=5, batch_size=BATCH), 1),
    "evnas": (nastk.use("evnas", population=20, fitness_decode="hard", batch_size=BATCH), 10),
    "shapley": (nastk.use("shapley", warmup=0, samples=2, min_ratio=0.0, batch_size=BATCH), 4),
    "shapley, paths": (
        nastk.use("shapley", game="paths", warmup=0, samples=10, batch_size=BATCH),
        5,
    ),
    "shapley-select": (
        nastk.use("shapley-select", **UNTRAINED, samples=8, min_ratio=0.0, batch_size=BATCH),
        1,
    ),
    "darts-pt": (nastk.use("darts-pt", **UNTRAINED, interval=0, final=0, batch_size=BATCH), 1),
}
"""What is compared, with its epochs: nothing is learned by weights, so there are few."""
FIELDS = [
    "space",
    "updater",
    "noise",
    "seed",
    "measured",
    "accuracy",
    "regret",
    "test_accuracy",
    "test_regret",
    "cpu_seconds",
    "architecture",
]


def searched(space: str, table: Path, name: str, noise: float, seed: int) -> dict[str, Any]:
    """A search, and how far its decision is from the best of the table: a row of the CSV."""
    updater, epochs = UPDATERS[name]
    began = time.process_time()
    with tempfile.TemporaryDirectory() as place:
        result = nastk.search(
            space=nastk.use("table", of=space, table=str(table), noise=noise),
            updater=updater,
            data=nastk.use("numbered", **IMAGES),
            evaluators=[nastk.use("table", table=str(table))],
            trainer={"epochs": epochs, "batch_size": 20, "threads": 1},
            seed=seed,
            out=Path(place) / "run",
        )
        text, cost = result.text, result.cost.phases["updater"]
    row: dict[str, Any] = {"space": space, "updater": name, "noise": noise, "seed": seed}
    row["measured"] = round(cost.images_forward / 1600)
    for prefix, split in (("", None), ("test_", "test")):
        scores = Training("cifar10", split).scores(read(table))
        row[f"{prefix}accuracy"] = round(scores.of(text), 4)
        row[f"{prefix}regret"] = round(scores.best()[1] - scores.of(text), 4)
    row["cpu_seconds"] = round(time.process_time() - began, 2)
    return row | {"architecture": text}


def rows() -> list[dict[str, str]]:
    """What has been run."""
    return study_results.read(RESULTS)


app = typer.Typer(add_completion=False)


@app.command()
def run(nasbench201: Path, macro: Path) -> None:
    """Run every search that has no row yet."""
    tables = dict(zip(SPACES, (nasbench201, macro), strict=True))
    keys = ("space", "updater", "noise", "seed")
    done = {tuple(row[key] for key in keys) for row in rows()}
    wanted = [
        (space, name, noise, seed)
        for seed in SEEDS
        for space in SPACES
        for name in UPDATERS
        for noise in NOISES
    ]
    for space, name, noise, seed in wanted:
        if (space, name, str(noise), str(seed)) in done:
            continue
        study_results.append(RESULTS, FIELDS, searched(space, tables[space], name, noise, seed))


@app.command()
def draw() -> None:
    """Draw the mean regret of each updater over the noise; print the regrets as Markdown."""
    import matplotlib.pyplot as plt

    regrets: dict[tuple[str, str], dict[float, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    measured: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows():
        key = row["space"], row["updater"]
        regrets[key][float(row["noise"])].append(float(row["regret"]))
        measured[key].append(float(row["measured"]))
    print("| space | updater | measured | " + " | ".join(f"noise {n:g}" for n in NOISES) + " |")
    print("|" + "---|" * (3 + len(NOISES)))
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", sharey=True)
    for axes, (space, title) in zip(panels, SPACES.items(), strict=True):
        for number, name in enumerate(UPDATERS):
            by_noise = regrets[space, name]
            means = [fmean(by_noise[noise]) for noise in NOISES]
            errors = [
                stdev(by_noise[noise]) / len(by_noise[noise]) ** 0.5 if noise in by_noise else 0
                for noise in NOISES
            ]
            shown = (f"{mean:.2f} ± {e:.2f}" for mean, e in zip(means, errors, strict=True))
            count = fmean(measured[space, name])
            print(f"| {title} | `{name}` | {count:.0f} | " + " | ".join(shown) + " |")
            places = [place + 0.06 * (number - 3) for place in range(len(NOISES))]
            axes.errorbar(places, means, errors, fmt="o-", markersize=3, linewidth=1, label=name)
        axes.set(title=title, xlabel="noise of a path's accuracy, points")
        axes.set_xticks(range(len(NOISES)), [f"{noise:g}" for noise in NOISES])
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set(ylabel="regret, points")
    panels[0].set_yscale("symlog", linthresh=0.1)
    panels[0].set_ylim(-0.01, 5)
    panels[0].set_yticks([0, 0.1, 0.3, 1, 3], ["0", "0.1", "0.3", "1", "3"])
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right", fontsize=8)
    figure.savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    app()
