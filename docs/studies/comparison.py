"""The tables of the study "Search methods at equal CPU seconds".

    python docs/studies/comparison.py lines nb201.table macro.table
    python docs/studies/comparison.py runs STUDY

`lines` prints what needs no search: an architecture drawn blindly, the best of 100 by the column
that a search may look at, the largest block everywhere. These are exact expectations over the whole
table, not draws. `runs` prints the mean of every updater's runs in a study's folder, also while it
is under way.
"""

from collections.abc import Mapping, Sequence
from math import comb
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import numpy as np
import typer

from nastk.cli import run_records
from nastk.report import RunRecord
from nastk_tables.storage import read

DRAWS = 100
LARGEST = {
    "nasbench201": "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+"
    "|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
    "nasbench-macro": "22222222",
}
"""The block with the most parameters everywhere, as the benchmarks write it."""

REPLACED = "game=mixtures"
"""Part of the name of the run that the page says was replaced."""

app = typer.Typer(add_completion=False)


def expected_best(by: np.ndarray, worth: np.ndarray, draws: int) -> float:
    """The expected worth of the best of some architectures drawn without repetition.

    `by` is what the best is chosen by. The k-th from below is the best of a draw with the
    probability C(k, draws - 1) / C(number, draws).
    """
    order, number = np.argsort(by, kind="stable"), len(by)
    whole = comb(number, draws)
    chances = np.array([comb(place, draws - 1) / whole for place in range(number)])
    return float(chances @ worth[order])


@app.command()
def lines(nb201: Path, macro: Path) -> None:
    """Print the expectations of what needs no search, as a Markdown table."""
    print("| space | mean | median | best of 100 by its column | largest block everywhere | best |")
    print("|---|---|---|---|---|---|")
    for name, path, column, epochs in (
        ("nasbench201", nb201, "valid", 200),
        ("nasbench-macro", macro, "test", 50),
    ):
        table = read(path)
        tests = table.scores("cifar10", "test", epochs)
        worth, by = tests.values, table.scores("cifar10", column, epochs).values
        numbers = (
            worth.mean(),
            float(np.median(worth)),
            expected_best(by, worth, DRAWS),
            tests.of(LARGEST[name]),
            tests.best()[1],
        )
        print(f"| `{name}` | " + " | ".join(f"{number:.2f}" for number in numbers) + " |")


def label(config: Mapping[str, Any]) -> str:
    """An updater as the page calls it."""
    name, options = config["updater"]["name"], config["updater"]["options"]
    return f"{name}, mixtures" if options.get("game") == "mixtures" else name


def metrics(record: RunRecord) -> dict[str, float]:
    """All metrics of a finished run by name, and its CPU seconds of training and measuring."""
    found = {
        name: value
        for evaluation in record.result["evaluations"]
        for name, value in evaluation["metrics"].items()
    }
    cost = record.result["cost"]
    return found | {name: cost[name]["cpu_seconds"] for name in ("train", "updater")}


def spread(values: Sequence[float | None], form: str) -> str:
    """Mean and standard deviation of the values that there are."""
    there = [value for value in values if value is not None]
    if not there:
        return ""
    deviation = f" ± {stdev(there):{form.strip('+')}}" if len(there) > 1 else ""
    return f"{fmean(there):{form}}{deviation}"


def cells(rows: Sequence[Mapping[str, float]]) -> list[str]:
    """The columns of an updater's line, but for its name."""
    ranks = [row["rank"] for row in rows]
    accuracies = [100 * row["table_test_accuracy"] for row in rows]
    taus = [[row.get(f"kendall_by_{kind}") for row in rows] for kind in ("scores", "supernet")]
    seconds = [fmean(row[phase] for row in rows) for phase in ("train", "updater")]
    return [
        str(len(rows)),
        spread(accuracies, ".2f"),
        f"{median(ranks):,.0f}",
        *(spread(tau, "+.2f") for tau in taus),
        " + ".join(f"{number:.0f}" for number in seconds),
    ]


@app.command()
def runs(study: Path) -> None:
    """Print the mean of every updater's finished runs, a Markdown table for each space."""
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    for record in run_records(study):
        if record.state == "finished" and REPLACED not in record.path.name:
            of_space = found.setdefault(record.config["space"]["name"], {})
            of_space.setdefault(label(record.config), []).append(metrics(record))
    heads = (
        "updater",
        "seeds",
        "test accuracy",
        "better ones",
        "tau by scores",
        "tau by supernet",
        "CPU seconds: training + measuring",
    )
    for space, rows in found.items():
        print(f"\n`{space}`\n\n| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
        means = {name: fmean(row["table_test_accuracy"] for row in of) for name, of in rows.items()}
        for name in sorted(rows, key=lambda name: -means[name]):
            print(f"| `{name}` | {' | '.join(cells(rows[name]))} |")


if __name__ == "__main__":
    app()
