"""What a study says of its updaters by one metric: `Comparison`, made by `compared`.

Which metric that is, where nobody says, is decided by `usual_metric`, before any value is seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Any

from nastk.base.component import ComponentSpec
from nastk.base.errors import ConfigurationError, near_miss
from nastk.base.extras import library
from nastk.base.significance import PairedDifference, RankTest, differences, rank_test
from nastk.report.metrics import usual_metric

BEST = "best"
"""Stands for the updater with the largest mean."""


@dataclass(frozen=True)
class Comparison:
    """The updaters of a study by one metric, over the seeds that all of them have.

    `values` has the metric by label, in the order of `seeds`. `differences` are those of every
    other updater to the updater `to`, which was `chosen` if it is there for its mean; `ranks` is
    None where there is nothing to rank. `lacking` has the seeds that others have and an updater has
    not, for which they are left out.

    Example: `study.comparison().differences["shapley"].corrected`
    """

    metric: str
    to: str
    seeds: tuple[int, ...]
    values: Mapping[str, Sequence[float]]
    differences: Mapping[str, PairedDifference]
    ranks: RankTest | None
    lacking: Mapping[str, Sequence[int]] = field(default_factory=dict)
    chosen: bool = False

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON object."""
        return {
            "metric": self.metric,
            "to": self.to,
            "seeds": list(self.seeds),
            "values": {label: list(values) for label, values in self.values.items()},
            "differences": {label: each.to_json() for label, each in self.differences.items()},
            "ranks": None if self.ranks is None else self.ranks.to_json(),
            "lacking": {label: list(seeds) for label, seeds in self.lacking.items()},
            "chosen": self.chosen,
        }

    def frame(self) -> Any:
        """Returns a pandas data frame with a row for each updater, the largest mean first.

        Accuracies are in percent and their differences in percentage points.

        Raises:
            MissingExtraError: the extra `studies` is not installed.
        """
        pandas = library("pandas", "studies", "A comparison as a data frame")
        scale = 100 if "accuracy" in self.metric else 1
        rows = []
        for label, values in self.values.items():
            found = self.differences.get(label)
            numbers = (found.mean, found.low, found.high) if found else (None, None, None)
            scaled = (None if number is None else scale * number for number in numbers)
            rows.append(
                {
                    "updater": label,
                    "mean": scale * fmean(values),
                    "std": scale * stdev(values) if len(values) > 1 else None,
                    **dict(zip(("difference", "low", "high"), scaled, strict=True)),
                    "wins": found.wins if found else None,
                    "losses": found.losses if found else None,
                    "p": found.corrected if found else None,
                    "rank": self.ranks.ranks[label] if self.ranks else None,
                }
            )
        return pandas.DataFrame(rows).sort_values("mean", ascending=False, ignore_index=True)


def compared(
    runs: Mapping[str, Mapping[int, Mapping[str, float | int]]], to: str, metric: str | None = None
) -> Comparison:
    """Returns the comparison of a study's runs.

    Args:
        runs: the metrics of each run by label and seed.
        to: the label that the others are compared with, or its name where one label alone has it;
            `best`: the one with the largest mean.
        metric: the metric; None: the usual one.

    Raises:
        ConfigurationError: there is no such label or metric, or several such names, an updater
            lacks the metric, or no seed is common to all updaters.
        MissingExtraError: the extra `studies` is not installed.
    """
    named = [label for label in runs if label == to] or [
        label for label in runs if ComponentSpec.name_in(label) == to
    ]
    chosen = to == BEST and not named
    if len(named) == 1:
        to = named[0]
    elif not chosen:
        what = f"several {to!r}, name one" if named else f"no updater {to!r}"
        hint = "" if named else near_miss(to, list(runs))
        raise ConfigurationError(f"The study has {what}.{hint} It has: {', '.join(runs)}.")
    names = [name for seeds in runs.values() for metrics in seeds.values() for name in metrics]
    metric = usual_metric(names) if metric is None else metric
    if metric not in names:
        known = [name for name in dict.fromkeys(names) if not name.endswith(("_low", "_high"))]
        raise ConfigurationError(
            f"No run of the study has the metric {metric!r}.{near_miss(metric, known)} "
            f"There are: {', '.join(known)}."
        )
    with_metric = {
        label: {seed for seed, metrics in seeds.items() if metric in metrics}
        for label, seeds in runs.items()
    }
    seeds = sorted(set.intersection(*with_metric.values()))
    if not seeds:
        counts = ", ".join(f"{label} {sorted(each)}" for label, each in with_metric.items())
        raise ConfigurationError(
            f"No seed has {metric} for every updater, so that nothing is paired. "
            f"Seeds with it: {counts}."
        )
    values = {label: [float(of[seed][metric]) for seed in seeds] for label, of in runs.items()}
    if chosen:
        to = max(values, key=lambda label: fmean(values[label]))
    found = differences(values, to) if len(values) > 1 else {}
    every = set.union(*with_metric.values())
    lacking = {label: sorted(every - own) for label, own in with_metric.items() if every - own}
    return Comparison(metric, to, tuple(seeds), values, found, rank_test(values), lacking, chosen)
