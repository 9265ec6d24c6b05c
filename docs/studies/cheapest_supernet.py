"""The sweep of the page "The cheapest supernet that ranks": settings, budgets, and one CSV.

    python docs/studies/cheapest_supernet.py time FOLDER
    python docs/studies/cheapest_supernet.py train RUNG FOLDER TABLE [--space nasbench-macro]
    python docs/studies/cheapest_supernet.py draw

The first measures what a weight step of each setting takes (on an idle machine); the second trains
every setting that is still in the race for the CPU seconds of that rung, each anew, so that its
cosine ends with the budget, and ranks architectures by the supernet. Rows are appended to
`cheapest_supernet.csv` as they come; what stands there is not measured again. The third draws tau
by setting and prints the page's table.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import study_results
import typer

import nastk

HERE = Path(__file__).parent
RESULTS, PICTURE = HERE / "cheapest_supernet.csv", HERE / "cheapest-supernet.svg"
STEP_SECONDS = HERE / "cheapest_supernet_steps.json"
RUNGS = {1: 150, 2: 450, 3: 1350}
"""CPU seconds of training in each rung."""
LEFT = {2: 5, 3: 2}
"""How many settings take part in each rung: the best of the rung before, by tau."""
TRAINING_IMAGES = 40_000
RANKED_IMAGES = 4_000
CALIBRATION_STEPS = 160

BASE: dict[str, Any] = {
    "space": "nasbench201",
    "channels": 8,
    "size": 16,
    "batch_size": 64,
    "learning_rate": 0.025,
    "minimum_learning_rate": 0.001,
    "updater": "random",
}
OF_SPACE: dict[str, dict[str, Any]] = {
    "nasbench201": {"cells": 1, "affine": False},
    "nasbench-macro": {"head_channels": 128, "affine": True},
}
"""What a space's supernet has beside its channels."""
MACRO = {"space": "nasbench-macro"}
SETTINGS: dict[str, dict[str, Any]] = {
    "base": {},
    "rate 0.0125": {"learning_rate": 0.0125},
    "constant rate": {"minimum_learning_rate": 0.025},
    "rate 0.05": {"learning_rate": 0.05},
    "rate 0.1": {"learning_rate": 0.1},
    "batch 32": {"batch_size": 32},
    "batch 128": {"batch_size": 128, "learning_rate": 0.05},
    "batch 256": {"batch_size": 256, "learning_rate": 0.1},
    "4 channels": {"channels": 4},
    "16 channels": {"channels": 16},
    "16 channels, rate 0.05": {"channels": 16, "learning_rate": 0.05},
    "2 cells": {"cells": 2},
    "8 pixels": {"size": 8},
    "32 pixels": {"size": 32},
    "affine": {"affine": True},
    "fair": {"updater": "fair"},
    "mixture": {"updater": "mixture"},
    "8 pixels, constant rate": {"size": 8, "minimum_learning_rate": 0.025},
    "8 pixels, fair": {"size": 8, "updater": "fair"},
    "macro": MACRO,
    "macro, constant rate": MACRO | {"minimum_learning_rate": 0.025},
    "macro, 8 pixels": MACRO | {"size": 8},
    "macro, 32 pixels": MACRO | {"size": 32},
    "macro, fair": MACRO | {"updater": "fair"},
    "macro, rate 0.05": MACRO | {"learning_rate": 0.05},
    "macro, no affine": MACRO | {"affine": False},
}
UPDATERS: dict[str, Any] = {
    "random": nastk.use("random", candidates=1, batches=1, connected=False),
    "fair": nastk.use("fair", choice="sample", candidates=1, batches=1),
    # Alpha starts at zero and does not move: all operations at equal weights in every step.
    "mixture": nastk.use("darts", learning_rate=1e-12, alpha_init=0.0, weight_decay=0.0),
}
AGREEMENT = [
    "tau",
    "tau_low",
    "tau_high",
    "halves",
    "tau_best_tenth",
    "ndcg",
    "tau_convolutions",
    "tau_parameters",
]
"""Columns of what a ranking found."""

FIELDS = [
    "space",
    "setting",
    "seed",
    "rung",
    "epochs",
    "steps",
    "images",
    "train_cpu_seconds",
    "rank_cpu_seconds",
    *AGREEMENT,
    "loss",
]


def setting_of(name: str) -> dict[str, Any]:
    """All that describes a setting."""
    space = SETTINGS[name].get("space", BASE["space"])
    return BASE | OF_SPACE[space] | SETTINGS[name]


def config(name: str, seed: int, images: Path, epochs: int) -> dict[str, Any]:
    """The search of this setting, as `nastk.stream` takes it."""
    setting = setting_of(name)
    shape = ("channels", *OF_SPACE[setting["space"]])
    return {
        "space": nastk.use(setting["space"], **{key: setting[key] for key in shape}),
        "updater": UPDATERS[setting["updater"]],
        "data": nastk.use("folder", path=str(images), size=setting["size"], train_fraction=0.8),
        "seed": seed,
        "trainer": {
            "epochs": epochs,
            "batch_size": setting["batch_size"],
            "learning_rate": setting["learning_rate"],
            "minimum_learning_rate": setting["minimum_learning_rate"],
            "threads": 1,
        },
    }


def events(request: Mapping[str, Any]) -> Iterator[nastk.Event]:
    """The events of a search whose folder nobody keeps."""
    with tempfile.TemporaryDirectory() as place:
        yield from nastk.stream(request, out=Path(place) / "run")


def step_seconds(name: str, images: Path) -> float:
    """CPU seconds of a weight step: the median over stretches of ten steps of a short search."""
    marks: list[tuple[int, float]] = []
    for event in events(config(name, 0, images, epochs=1)):
        if event.kind == "step-done":
            marks.append((event.step, time.process_time()))
        if event.step >= CALIBRATION_STEPS:
            break
    return statistics.median(
        (after - before) / (to - of) for (of, before), (to, after) in pairwise(marks)
    )


def trained(name: str, seed: int, rung: int, images: Path, table: Path) -> dict[str, Any]:
    """Train a setting for the seconds of a rung and rank by it: a row of the CSV."""
    setting = setting_of(name)
    per_epoch = json.loads(STEP_SECONDS.read_text())[name] * (
        TRAINING_IMAGES // setting["batch_size"]
    )
    epochs = max(round(RUNGS[rung] / per_epoch), 1)
    request = config(name, seed, images, epochs)
    request["ranking"] = {
        "evaluator": "table",
        "evaluator_options": {"table": str(table)},
        "images": RANKED_IMAGES,
        "batch_size": 500,
    }
    began, row = time.process_time(), {"space": setting["space"], "setting": name, "seed": seed}
    done = began
    for event in events(request):
        if event.kind == "step-done":  # the ranking follows the last of them
            done = time.process_time()
        elif event.kind == "epoch-done":
            row |= {"epochs": event.epoch, "steps": event.step, "loss": round(event.loss, 4)}
        elif event.kind == "ranked":
            row |= agreement(event.by) | {"rank_cpu_seconds": round(time.process_time() - done)}
    images_trained = row["steps"] * setting["batch_size"]
    return row | {"rung": rung, "images": images_trained, "train_cpu_seconds": round(done - began)}


def agreement(by: Mapping[str, Any]) -> dict[str, Any]:
    """What a ranking found, in the columns `AGREEMENT`."""
    found, counts = by["supernet"], {key: by.get(key) for key in ("convolutions", "parameters")}
    tau = found["kendall"]
    numbers = {
        "tau": tau["value"],
        "tau_low": tau["low"],
        "tau_high": tau["high"],
        "halves": found["halves"],
        "tau_best_tenth": found["best_kendall"],
        "ndcg": found["ndcg"],
        **{f"tau_{key}": value["kendall"]["value"] for key, value in counts.items() if value},
    }
    return {key: None if value is None else round(value, 4) for key, value in numbers.items()}


def rows() -> list[dict[str, str]]:
    """What has been measured."""
    return study_results.read(RESULTS)


def in_race(rung: int, seed: int, space: str) -> list[str]:
    """The settings of a space in a rung, the best of the rung before first."""
    if rung == 1:
        return [name for name in SETTINGS if setting_of(name)["space"] == space]
    key = {"rung": str(rung - 1), "seed": str(seed), "space": space}
    before = study_results.read(RESULTS, **key)
    ranked = sorted(before, key=lambda row: float(row["tau"]), reverse=True)
    return [row["setting"] for row in ranked[: LEFT[rung]]]


app = typer.Typer(add_completion=False)


@app.command("time")
def time_steps(images: Path) -> None:
    """Measure what a weight step of each setting takes; what has been measured stays."""
    known = json.loads(STEP_SECONDS.read_text()) if STEP_SECONDS.exists() else {}
    for name in SETTINGS:
        if name not in known:
            known[name] = round(step_seconds(name, images), 5)
    STEP_SECONDS.write_text(json.dumps(known, indent=1) + "\n")
    print(STEP_SECONDS.read_text())


@app.command()
def train(
    rung: int, images: Path, table: Path, seed: int = 0, space: str = "nasbench201", only: str = ""
) -> None:
    """Train and rank every setting of a rung that has no row yet, or only one."""
    for name in [only] if only else in_race(rung, seed, space):
        key = {"setting": name, "seed": str(seed), "rung": str(rung)}
        if study_results.read(RESULTS, **key):
            continue
        row = trained(name, seed, rung, images, table)
        study_results.append(RESULTS, FIELDS, row)
        print(row, flush=True)


@app.command()
def draw() -> None:
    """Draw tau with its interval for every row, the best setting on top; print them as Markdown."""
    import matplotlib.pyplot as plt

    ranked = sorted(rows(), key=lambda row: (int(row["rung"]), float(row["tau"])))
    of_space = {space: [row for row in ranked if row["space"] == space] for space in OF_SPACE}
    for space, found in of_space.items():
        print_rows(space, found)
    heights = [len(found) + 1 for found in of_space.values()]
    figure, panels = plt.subplots(
        len(heights),
        figsize=(6.4, 1.2 + 0.22 * sum(heights)),
        height_ratios=heights,
        sharex=True,
        layout="constrained",
    )
    for axes, (space, found) in zip(panels, of_space.items(), strict=True):
        draw_rows(axes, space, found)
    panels[-1].set_xlabel("Kendall's tau with the table (dotted: counting convolutions)")
    figure.savefig(PICTURE)


def print_rows(space: str, ranked: list[dict[str, str]]) -> None:
    """Print the rows of a space as a Markdown table, the last first."""
    print(f"\n{space}\n")
    heads = ("setting", "seed", "CPU seconds", "steps", "tau [95 %]", "two halves", "best tenth")
    print(study_results.head([*heads, "NDCG"]))
    for row in reversed(ranked):
        found = in_words(row, "halves", "tau_best_tenth", "ndcg")
        seconds, steps = RUNGS[int(row["rung"])], f"{int(row['steps']):,}"
        print(f"| {row['setting']} | {row['seed']} | {seconds} | {steps} | {found} |")


def in_words(row: Mapping[str, str], *others: str) -> str:
    """Tau with its interval and other columns of a row, as cells of a Markdown table."""
    names = ("tau", "tau_low", "tau_high", *others)
    tau, low, high, *rest = (f"{float(row[name]):+.2f}" for name in names)
    return " | ".join((f"{tau} [{low}, {high}]", *rest))


def draw_rows(axes: Any, space: str, ranked: list[dict[str, str]]) -> None:
    """Draw the rows of a space, the last on top."""
    for place, row in enumerate(ranked):
        tau, low, high = (float(row[key]) for key in ("tau", "tau_low", "tau_high"))
        axes.plot([low, high], [place, place], color="C0", linewidth=1)
        axes.plot([tau], [place], "o", color="C0", markersize=4)
    names = [f"{row['setting']}, seed {row['seed']}, {RUNGS[int(row['rung'])]} s" for row in ranked]
    axes.set_yticks(range(len(ranked)), names, fontsize=8)
    axes.set_ylim(-0.8, len(ranked) - 0.2)
    axes.axvline(0, color="tab:gray", linewidth=0.8)
    axes.axvline(float(ranked[0]["tau_convolutions"]), color="tab:gray", linestyle=":")
    axes.set_title(space, fontsize=9, loc="left")
    axes.spines[["top", "right", "left"]].set_visible(False)


if __name__ == "__main__":
    app()
