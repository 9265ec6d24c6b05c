"""Regret over evaluations of searches without a supernet, from their run folders.

    python docs/studies/without_a_supernet.py nb201.table RUN...

Regret is the best valid accuracy of the table less the best that was found, in percentage points.
What is printed has its mean over the seeds, and for the last decision its regret by test accuracy.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev

from nastk import ConfigurationError
from nastk.base import EvaluationReport
from nastk_tables.storage import read

AT = (10, 30, 100, 200, 300)
"""Numbers of evaluations at which the regret is shown."""


def course(run: Path) -> list[float]:
    """Returns the best value so far after each evaluation of a run."""
    lines = (run / "events.jsonl").read_text(encoding="utf-8").splitlines()
    reports = [EvaluationReport.read(json.loads(line)) for line in lines]
    return [report.best for report in reports if report is not None and report.best is not None]


def spread(values: Sequence[float]) -> str:
    """Returns mean and standard deviation of some values."""
    return f"{fmean(values):.2f} ± {stdev(values) if len(values) > 1 else 0.0:.2f}"


def main(arguments: Sequence[str]) -> None:
    """Prints the table of the runs that are named."""
    if len(arguments) < 2:
        raise SystemExit(__doc__)
    table = read(Path(arguments[0]))
    valid = table.scores("cifar10", "valid").best()[1]
    tests = table.scores("cifar10", "test")
    rows: dict[str, list[tuple[list[float], float]]] = {}
    for run in map(Path, arguments[1:]):
        updater = json.loads((run / "config.json").read_text(encoding="utf-8"))["updater"]
        found = json.loads((run / "result.json").read_text(encoding="utf-8"))["text"]
        sampler = updater["options"].get("sampler")
        name = f"{updater['name']} ({sampler})" if sampler else updater["name"]
        rows.setdefault(name, []).append((course(run), tests.best()[1] - tests.of(found)))
    print("| updater | seeds |", *(f"{number} |" for number in AT), "by test accuracy |")
    print("|---|---|" + "---|" * (len(AT) + 1))
    for name, runs in rows.items():
        at = [
            spread([max(valid - 100 * best[min(number, len(best)) - 1], 0.0) for best, _ in runs])
            for number in AT
        ]
        print(f"| `{name}` | {len(runs)} |", *(f"{one} |" for one in at), end=" ")
        print(f"{spread([regret for _, regret in runs])} |")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ConfigurationError as error:
        raise SystemExit(f"error: {error}") from None
