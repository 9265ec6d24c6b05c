"""The studies' own error rates, of the page "Error rates": how often `nastk compare` is wrong.

    python docs/studies/error_rates.py run
    python docs/studies/error_rates.py table

The first simulates 2,000 studies for each row and appends it to `error_rates.csv` as it comes. A
study is a number for each updater and seed, which goes through the code of `nastk compare`
(`nastk.runs.comparison.compared`); only the bootstrap intervals are left out, as no test uses them.
"""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import study_results
import typer
from scipy import stats

from nastk.base import significance
from nastk.runs.comparison import Comparison, compared

RESULTS = Path(__file__).parent / "error_rates.csv"
STUDIES = 2_000
LEVEL = significance.LEVEL
WILCOXON_EFFICIENCY = 3 / np.pi
"""Of Wilcoxon's signed ranks against the t test, for normal differences and many pairs."""

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
DRAWS: Mapping[str, Draw] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "skewed": lambda rng, shape: -rng.lognormal(sigma=1.0, size=shape),
}
"""The values of runs: normal, or skewed as accuracies are, with a few bad runs."""


@contextmanager
def without_intervals() -> Iterator[None]:
    """A context in which no bootstrap intervals are computed.

    What lives now is frozen, so that statsmodels, which collects garbage in every correction, does
    not look through all of it each time.
    """
    kept = significance._interval
    significance._interval = lambda pairs, seed: (None, None)
    study(np.eye(3))  # which imports the libraries
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        significance._interval = kept


def study(values: np.ndarray) -> Comparison:
    """What a study says of values (updaters x seeds); the first updater is random search."""
    labels = ["random", *(f"updater {number}" for number in range(1, len(values)))]
    runs = {
        label: {seed: {"table_test_accuracy": float(value)} for seed, value in enumerate(row)}
        for label, row in zip(labels, values, strict=True)
    }
    return compared(runs, "random")


def rates(
    updaters: int, seeds: int, gap: float = 0.0, draw: str = "normal", studies: int = STUDIES
) -> dict[str, float]:
    """The share of simulated studies that show something.

    Runs of one seed share a part of their values (weights and batches), which cancels in pairs. The
    last updater is better by `gap` standard deviations of a difference. `difference`: the corrected
    test shows any difference to random search; `best`: it shows the last updater's; `friedman`:
    Friedman's test shows that not all are alike; `nemenyi`: any pair is far enough apart.
    """
    rng = np.random.default_rng([updaters, seeds, round(100 * gap), draw == "skewed"])
    found = {"difference": 0, "best": 0, "friedman": 0, "nemenyi": 0}
    with without_intervals():
        for _ in range(studies):
            values = DRAWS[draw](rng, (updaters, seeds)) + rng.normal(size=seeds)
            values[-1] += gap * 2**0.5  # a difference of two runs has variance 2
            said = study(values)
            shown = [each.shown for each in said.differences.values()]
            found["difference"] += any(shown)
            found["best"] += shown[-1]
            if said.ranks is not None:
                found["friedman"] += said.ranks.p <= LEVEL
                places = said.ranks.ranks.values()
                found["nemenyi"] += max(places) - min(places) > said.ranks.critical
    return {name: count / studies for name, count in found.items()}


def size(pairs: int) -> float:
    """The error rate that the test of one difference can reach: p has so many values only."""
    if pairs <= significance.MOST_FLIPPED:
        half = 2 ** (pairs - 1)
        return float(np.floor(LEVEL * half) / half)
    ranks = np.arange(1, pairs + 1)
    ways = np.ones(1)
    for rank in ranks:  # the sums of ranks with a positive sign, by the number of ways
        wider = np.zeros(len(ways) + rank)
        wider[: len(ways)] += ways
        wider[rank:] += ways
        ways = wider
    tails = 2 * np.cumsum(ways) / 2.0**pairs
    return float(tails[tails <= LEVEL].max(initial=0.0))


def predicted_power(pairs: int, gap: float) -> float:
    """The power of the t test at the attainable error rate, for a gap in standard deviations.

    For normal differences the flips of signs come close to it, and Wilcoxon's test to that of
    3 / pi as many pairs. Computed from the noncentral t distribution alone.
    """
    level = size(pairs)
    effective = pairs if pairs <= significance.MOST_FLIPPED else pairs * WILCOXON_EFFICIENCY
    freedom, shift = effective - 1, gap * effective**0.5
    critical = stats.t.ppf(1 - level / 2, freedom)
    # Far from zero scipy has no number for the other tail, which is then nothing.
    other = np.nan_to_num(stats.nct.cdf(-critical, freedom, shift))
    return float(stats.nct.sf(critical, freedom, shift) + other)


ROWS: list[dict[str, Any]] = [
    *({"updaters": 2, "seeds": seeds} for seeds in (5, 6, 8, 12, 13, 20)),
    *({"updaters": 2, "seeds": seeds, "draw": "skewed"} for seeds in (8, 20)),
    *({"updaters": 6, "seeds": seeds} for seeds in (5, 8, 20)),
    {"updaters": 6, "seeds": 8, "draw": "skewed"},
    *({"updaters": 2, "seeds": 8, "gap": gap} for gap in (0.5, 1.0, 1.5)),
    *({"updaters": 2, "seeds": 20, "gap": gap} for gap in (0.5, 1.0)),
    {"updaters": 6, "seeds": 20, "gap": 1.0},
]
FIELDS = ["updaters", "seeds", "draw", "gap", "difference", "best", "friedman", "nemenyi"]

app = typer.Typer(add_completion=False)


def rows() -> list[dict[str, str]]:
    """What has been simulated."""
    return study_results.read(RESULTS)


@app.command()
def run() -> None:
    """Simulate every row that is not there yet."""
    for wanted in ROWS:
        row = {"draw": "normal", "gap": 0.0, **wanted}
        key = {name: str(value) for name, value in row.items()}
        if study_results.read(RESULTS, **key):
            continue
        row |= rates(**row)
        study_results.append(RESULTS, FIELDS, row)


@app.command()
def table() -> None:
    """Print the page's tables as Markdown, in percent."""
    print("| updaters | seeds | values | a difference shown | at most | Friedman | Nemenyi |")
    print("|---|---|---|---|---|---|---|")
    for row in rows():
        if float(row["gap"]) == 0:
            several = row["updaters"] != "2"
            bound = LEVEL if several else size(int(row["seeds"]))
            ranks = [f"{100 * float(row[key]):.1f}" for key in ("friedman", "nemenyi")]
            print(
                f"| {row['updaters']} | {row['seeds']} | {row['draw']} | "
                f"{100 * float(row['difference']):.1f} | {100 * bound:.1f} | "
                + " | ".join(ranks if several else ["", ""])
                + " |"
            )
    print("\n| updaters | seeds | gap | shown | predicted |")
    print("|---|---|---|---|---|")
    for row in rows():
        gap, seeds = float(row["gap"]), int(row["seeds"])
        if gap:
            alone = row["updaters"] == "2"
            predicted = f"{100 * predicted_power(seeds, gap):.1f}" if alone else ""
            shown = f"{100 * float(row['best']):.1f}"
            print(f"| {row['updaters']} | {seeds} | {gap:g} | {shown} | {predicted} |")


if __name__ == "__main__":
    app()
