"""The tables of the study "Search methods at equal CPU seconds".

    python docs/studies/comparison.py lines nb201.table macro.table
    python docs/studies/comparison.py worth nb201.table macro.table
    python docs/studies/comparison.py runs STUDY
    python docs/studies/comparison.py chosen nb201.table macro.table STUDY
    python docs/studies/comparison.py one-epoch nb201.table macro.table STUDY

`lines` prints what needs no search: an architecture drawn blindly, the best of 100 by the column
that a search may look at, the largest block everywhere. These are exact expectations over the whole
table, not draws. `worth` prints what the best of 100 is worth where the score that chooses it has
some tau with the truth. `runs` prints the mean of every updater's runs in a study's folder, also
while it is under way; `chosen` prints how many edges of what they found have each operation.
`one-epoch` prints what the trainings of `random-search` say.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from math import comb
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import numpy as np
import typer
from scipy.stats import kendalltau, norm
from study_results import head

from nastk import Architecture, catalogue
from nastk.cli import run_records
from nastk.report import RunRecord
from nastk_tables.storage import read
from nastk_tables.table import Scores

DRAWS = 100
LARGEST = {
    "nasbench201": "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+"
    "|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
    "nasbench-macro": "22222222",
}
"""The block with the most parameters everywhere, as the benchmarks write it."""

BEST = 100
EPOCHS = {"nasbench201": 200, "nasbench-macro": 50}
"""The epochs of the trainings in the benchmarks' tables that architectures are judged by."""

REPLACED = "game=mixtures"
"""Part of the name of the run that the page says was replaced."""

app = typer.Typer(add_completion=False)


def chances(number: int, draws: int) -> np.ndarray:
    """How likely each of `number` architectures, the worst first, is the best of some.

    They are drawn without repetition: the k-th from below is the best of a draw with the
    probability C(k, draws - 1) / C(number, draws).
    """
    whole = comb(number, draws)
    return np.array([comb(place, draws - 1) / whole for place in range(number)])


def expected_best(by: np.ndarray, worth: np.ndarray, draws: int) -> float:
    """The expected worth of the best of some architectures, chosen by `by`."""
    return float(chances(len(by), draws) @ worth[np.argsort(by, kind="stable")])


def chosen_by_a_tau(
    truth: np.ndarray, tau: float, draws: int, repeats: int = 200
) -> tuple[float, int]:
    """What the best of some is worth by a score with Kendall's `tau`; the median of better ones.

    Ranks of the truth as normal quantiles, and the score, are normal with the correlation
    sin(pi tau / 2), which has this tau (Greiner's relation). So the score errs among the best as it
    does elsewhere. Both are over `repeats` scores.
    """
    number = len(truth)
    order = np.argsort(truth, kind="stable")
    likely, rng = chances(number, draws), np.random.default_rng(0)
    quantiles = norm.ppf((np.arange(number) + 0.5) / number)
    correlation = np.sin(np.pi * tau / 2)
    of_place = np.zeros(number)
    for _ in range(repeats):
        noise = np.sqrt(1 - correlation**2) * rng.standard_normal(number)
        of_place[np.argsort(correlation * quantiles + noise)] += likely / repeats
    middle = int(np.searchsorted(of_place.cumsum(), 0.5))
    return float(of_place @ truth[order]), number - 1 - middle


@cache
def tests_of(space: str, table: Path) -> Scores:
    """The test accuracies by which the architectures of a space are judged."""
    return read(table).scores("cifar10", "test", EPOCHS[space])


@app.command()
def worth(nb201: Path, macro: Path) -> None:
    """Print what the best of 100 is worth by a score of some tau, as a Markdown table."""
    print(f"| tau of the score | {' | '.join(f'`{space}` | better ones' for space in LARGEST)} |")
    print("|---|---|---|---|---|")
    truths = [tests_of(*each).values for each in zip(EPOCHS, (nb201, macro), strict=True)]
    for tau in (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        found = [chosen_by_a_tau(truth, tau, DRAWS) for truth in truths]
        each = " | ".join(f"{accuracy:.2f} | {better:,}" for accuracy, better in found)
        print(f"| {tau:+.1f} | {each} |")


@app.command()
def lines(nb201: Path, macro: Path) -> None:
    """Print the expectations of what needs no search, as a Markdown table."""
    print("| space | mean | median | best of 100 by its column | largest block everywhere | best |")
    print("|---|---|---|---|---|---|")
    for name, path, column in (("nasbench201", nb201, "valid"), ("nasbench-macro", macro, "test")):
        tests = tests_of(name, path)
        worth, by = tests.values, tests.table.scores("cifar10", column, EPOCHS[name]).values
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


def finished(study: Path) -> dict[str, dict[str, list[RunRecord]]]:
    """The finished runs of a study by space and updater."""
    found: dict[str, dict[str, list[RunRecord]]] = {}
    for record in run_records(study):
        if record.state == "finished" and REPLACED not in record.path.name:
            of_space = found.setdefault(record.config["space"]["name"], {})
            of_space.setdefault(label(record.config), []).append(record)
    return found


@app.command()
def runs(study: Path) -> None:
    """Print the mean of every updater's finished runs, a Markdown table for each space."""
    found = {
        space: {name: [metrics(record) for record in each] for name, each in of.items()}
        for space, of in finished(study).items()
    }
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
        print(f"\n`{space}`\n\n{head(heads)}")
        means = {name: fmean(row["table_test_accuracy"] for row in of) for name, of in rows.items()}
        for name in sorted(rows, key=lambda name: -means[name]):
            print(f"| `{name}` | {' | '.join(cells(rows[name]))} |")


@app.command()
def chosen(nb201: Path, macro: Path, study: Path) -> None:
    """Print how many edges have each operation, in the mean, a Markdown table for each space."""
    tables = dict(zip(EPOCHS, (nb201, macro), strict=True))
    for name, runs_of in finished(study).items():
        space = catalogue().load("space", name)()
        operations = space.edges[0].operations
        tests = tests_of(name, tables[name])
        best = [tests.table.texts[place] for place in np.argsort(tests.values)[-BEST:]]
        found = {f"the {BEST} best": [space.from_text(text) for text in best]}
        for label, records in runs_of.items():
            stored = [record.result["architecture"] for record in records]
            found[f"`{label}`"] = [Architecture.from_json(each) for each in stored]
        print("\n" + head([f"`{one}`" for one in (name, *operations)]))
        for label, cells_of in found.items():
            counts = Counter(one for cell in cells_of for choice in cell.choices for one in choice)
            means = [counts[operation] / len(cells_of) for operation in operations]
            print(f"| {label} | {' | '.join(f'{mean:.1f}' for mean in means)} |")


@app.command()
def one_epoch(nb201: Path, macro: Path, study: Path) -> None:
    """Print what a held-out accuracy after one epoch says of the benchmarks', in a table."""
    heads = ("space", "networks", "tau", "p", "mean of all", "of those chosen", "of the best drawn")
    print(head(heads))
    runs_of = finished(study)
    for name, table in zip(EPOCHS, (nb201, macro), strict=True):
        tests = tests_of(name, table)
        drawn = [
            [
                (event["values"]["value"], tests.of(event["values"]["architecture"]))
                for event in record.history
                if event["kind"] == "updater-reported"
            ]
            for record in runs_of[name]["random-search"]
        ]
        values, truths = zip(*(each for run in drawn for each in run), strict=True)
        tau = kendalltau(values, truths)
        means = (
            fmean(truths),
            fmean(max(run)[1] for run in drawn),
            fmean(max(truth for _, truth in run) for run in drawn),
        )
        numbers = (str(len(truths)), f"{tau.statistic:+.2f}", f"{tau.pvalue:.2g}")
        print(f"| {' | '.join((f'`{name}`', *numbers, *(f'{mean:.2f}' for mean in means)))} |")


if __name__ == "__main__":
    app()
