"""The lines beside the study "Search methods at equal CPU seconds".

    python docs/studies/comparison.py nb201.table macro.table

What needs no search: an architecture drawn blindly, the best of 100 by the column that a search may
look at, the largest block everywhere. Exact expectations over the whole table, not draws.
"""

from math import comb
from pathlib import Path

import numpy as np
import typer

from nastk_tables.storage import read

DRAWS = 100
LARGEST = {
    "nasbench201": "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+"
    "|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
    "nasbench-macro": "22222222",
}
"""The block with the most parameters everywhere, as the benchmarks write it."""

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


if __name__ == "__main__":
    app()
