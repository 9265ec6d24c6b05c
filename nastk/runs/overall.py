"""What a study of several problems says of its updaters: `Overall`, made by `over_problems`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from nastk.base import defaults
from nastk.base.component import ComponentSpec
from nastk.base.errors import ConfigurationError
from nastk.base.extras import library
from nastk.base.significance import RankTest, rank_test
from nastk.runs.comparison import Comparison


@dataclass(frozen=True)
class Overall:
    """The updaters of a study over its problems: a comparison for each, and ranks over all.

    `comparisons` are by the problem's label, `means` the means over seeds by problem and updater,
    of the updaters that every problem has. `ranks` are those of the means (blocks are problems);
    None where there are fewer than three such updaters.

    Example: `study.overall().ranks.ranks["shapley"]`
    """

    comparisons: Mapping[str, Comparison]
    means: Mapping[str, Mapping[str, float]]
    ranks: RankTest | None

    @property
    def labels(self) -> list[str]:
        """The updaters that every problem has."""
        return list(next(iter(self.means.values())))

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON object."""
        return {
            "comparisons": {name: each.to_json() for name, each in self.comparisons.items()},
            "means": {name: dict(each) for name, each in self.means.items()},
            "ranks": None if self.ranks is None else self.ranks.to_json(),
        }

    def frame(self) -> Any:
        """Returns a pandas data frame: a row for each updater, its mean on each problem, its rank.

        Accuracies are in percent. The best mean rank is first.

        Raises:
            MissingExtraError: the extra `studies` is not installed.
        """
        pandas = library("pandas", "studies", "A study as a data frame")
        rows = []
        for label in self.labels:
            row: dict[str, Any] = {"updater": label}
            for name, means in self.means.items():
                share = "accuracy" in self.comparisons[name].metric
                row[name] = (100 if share else 1) * means[label]
            rows.append(row | {"rank": self.ranks.ranks[label] if self.ranks else None})
        return pandas.DataFrame(rows).sort_values("rank", ignore_index=True)


def over_problems(comparisons: Mapping[str, Comparison]) -> Overall:
    """Returns what comparisons of the same updaters on several problems say together.

    Random search is one updater, whatever a budget left of its candidates on a problem.

    Raises:
        ConfigurationError: no updater is common to all problems.
        MissingExtraError: scikit-posthocs is not installed.

    Example: `over_problems({"a": one, "b": other}).means["a"]["darts"]`
    """
    named = {name: _means(each) for name, each in comparisons.items()}
    common = [
        label for label in next(iter(named.values())) if all(label in m for m in named.values())
    ]
    if not common:
        raise ConfigurationError(
            "No updater of the study has results on every problem. It has: "
            + "; ".join(f"{name}: {', '.join(means)}" for name, means in named.items())
            + "."
        )
    means = {name: {label: each[label] for label in common} for name, each in named.items()}
    by_label: Mapping[str, Sequence[float]] = {
        label: [each[label] for each in means.values()] for label in common
    }
    return Overall(comparisons, means, rank_test(by_label))


def _means(comparison: Comparison) -> dict[str, float]:
    """Returns the mean of each updater; random search, if there is one of it, by its name alone."""
    name = defaults.BASELINE
    of_that_name = [label for label in comparison.values if ComponentSpec.name_in(label) == name]
    return {
        name if [label] == of_that_name else label: fmean(values)
        for label, values in comparison.values.items()
    }
