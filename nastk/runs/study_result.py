"""The results of a study: `Study`, whose tables follow from its run folders alone."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Self

from nastk.base import defaults
from nastk.base.component import ComponentSpec
from nastk.base.errors import ConfigurationError, UnreadableError, near_miss
from nastk.base.extras import library
from nastk.base.files import write_atomically
from nastk.base.reading import read_json
from nastk.base.values import document
from nastk.report.names import data_name
from nastk.runs.comparison import Comparison, compared
from nastk.runs.config import resolve
from nastk.runs.folder import RunFolder
from nastk.runs.front import Front, front
from nastk.runs.overall import Overall, over_problems
from nastk.runs.result import Result
from nastk.runs.search_config import SearchConfig
from nastk.runs.warm_up import costs

STUDY, WARM_UP = "study.json", "warm-up.json"


@dataclass(frozen=True)
class Cell:
    """A run of a study, of one updater, one seed and one problem.

    `label` names the updater with its options, `problem` the space and the data set.
    """

    label: str
    seed: int
    config: SearchConfig
    folder: RunFolder
    problem: str = ""

    @cached_property
    def result(self) -> Result:
        """The result of the finished run; its file is read once."""
        return Result(self.folder)


@dataclass(frozen=True)
class Failure:
    """A run of a study that failed, and the `reason`: the message of the error that ended it.

    `run` is the name of its folder.

    Example: `nastk.Study.load("runs/study").failures[0].reason`
    """

    label: str
    seed: int
    problem: str
    run: str
    reason: str


@dataclass(frozen=True)
class Study:
    """The results of a study: `rows` has an entry for each updater, `table` the same as CSV.

    `cells` are the finished runs, `failures` those that failed.

    In a study of several problems (spaces, data sets) it is an entry for each problem and updater.

    Example: `nastk.compare("toy", ["darts"], "toy", seeds=range(4)).rows[0]["metrics"]`
    """

    folder: Path
    cells: Sequence[Cell]
    failures: Sequence[Failure] = ()

    @classmethod
    def of(cls, folder: Path, cells: Sequence[Cell]) -> Self:
        """Returns the study of these runs, of which each is finished or failed."""
        states = {cell.folder: cell.folder.state() for cell in cells}
        failures = [
            Failure(
                cell.label,
                cell.seed,
                cell.problem,
                cell.folder.path.name,
                cell.folder.error() or "",
            )
            for cell in cells
            if states[cell.folder] == "failed"
        ]
        return cls(folder, [cell for cell in cells if states[cell.folder] == "finished"], failures)

    @property
    def problems(self) -> list[str]:
        """The labels of the problems, such as `nasbench201 on digits`."""
        every = [*(cell.problem for cell in self.cells), *(one.problem for one in self.failures)]
        return list(dict.fromkeys(every))

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """For each updater: its label, its seeds, and the spread of each metric over them.

        `runs` are the names of its run folders, `problem` is there if the study has several.

        A spread is mean, standard deviation and values. The deviation is that of the sample
        (n - 1); None where there is one seed. The cost of the search (without evaluation) is among
        the metrics: `images_forward`, `images_backward`, `seconds`. Where runs failed, `failed` has
        their seeds, folders and reasons.
        """
        found: dict[tuple[str, str], list[Cell]] = {}
        for cell in self.cells:
            found.setdefault((cell.problem, cell.label), []).append(cell)
        for failure in self.failures:
            found.setdefault((failure.problem, failure.label), [])
        several = len(self.problems) > 1
        return [
            ({"problem": problem} if several else {})
            | self._row(label, cells)
            | self._failed(problem, label)
            for (problem, label), cells in found.items()
        ]

    @cached_property
    def warm_ups(self) -> list[dict[str, Any]]:
        """What the shared warm-up of each problem has cost, which no row contains.

        An entry has `problem`, `updater`, `epochs`, `seeds` and `runs`, and in the order of the
        seeds `images_forward`, `images_backward`, `seconds` and `cpu_seconds`. Empty without one.
        """
        problems: dict[str, list[SearchConfig]] = {}
        for cell in self.cells:
            problems.setdefault(cell.problem, []).append(cell.config)
        return costs(self.folder, problems)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Returns the study that was finished in `folder`, without running anything.

        Raises:
            ConfigurationError: the folder holds no finished study, or a run of it is gone.

        Example: `nastk.Study.load("runs/study").comparison().differences`
        """
        place = Path(folder)
        try:
            rows = read_json(place / STUDY)
        except (OSError, UnreadableError):
            raise ConfigurationError(
                f"{place} holds no finished study (no {STUDY}). Name the folder that `nastk "
                "compare` wrote, or finish the study by the command that began it."
            ) from None
        cells = [cell for row in rows for cell in _stored_cells(place, row)]
        only = cells[0].problem if cells else ""
        failures = [
            Failure(str(row["updater"]), problem=str(row.get("problem", only)), **each)
            for row in rows
            for each in row.get("failed", ())
        ]
        return cls(place, cells, failures)

    def comparison(
        self, metric: str | None = None, to: str | None = None, problem: str | None = None
    ) -> Comparison:
        """Returns what the study says of its updaters by one metric, paired by seed.

        Args:
            metric: the metric; None: the test accuracy of trained networks, or what comes next.
            to: the label that the others are compared with, or `best` for that with the largest
                mean; None: random search.
            problem: the label of the problem; None: the only one.

        Raises:
            ConfigurationError: no run has the metric, or no seed has it for all updaters; or the
                study has several problems and none of them is named.
            MissingExtraError: the extra `studies` is not installed.
        """
        runs = self._runs(problem)
        random = next(
            (
                cell.label
                for cell in self.cells
                if cell.label in runs and cell.config.updater.name == defaults.BASELINE
                if problem in (None, cell.problem)
            ),
            None,
        )
        return compared(runs, to or random or next(iter(runs)), metric)

    def front(self, cost: str, metric: str | None = None, problem: str | None = None) -> Front:
        """Returns the Pareto front of all architectures that the runs of a problem found.

        Args:
            cost: a metric of which less is better: `parameters`, `multiply_adds`, `latency` ...
            metric: a metric of which more is better; None: as for `comparison`.
            problem: the label of the problem; None: the only one.

        Raises:
            ConfigurationError: no run has both metrics, or as for `comparison`.
            MissingExtraError: the extra `studies` is not installed.
        """
        return front(self._runs(problem), cost, metric)

    def _runs(self, problem: str | None) -> dict[str, dict[int, dict[str, float | int]]]:
        """Returns the metrics of a problem's runs by label and seed."""
        problems = self.problems
        if problem not in problems and (problem is not None or len(problems) > 1):
            hint = "" if problem is None else near_miss(problem, problems)
            named = "name one" if problem is None else f"got {problem!r}"
            raise ConfigurationError(
                f"A comparison is of one problem, {named}.{hint} There are: {', '.join(problems)}. "
                "`overall()` is of all."
            )
        runs: dict[str, dict[int, dict[str, float | int]]] = {}
        for cell in self.cells:
            if problem in (None, cell.problem):
                runs.setdefault(cell.label, {})[cell.seed] = self._metrics(cell)
        return runs

    def overall(self, metric: str | None = None, to: str | None = None) -> Overall:
        """Returns what the study says of its updaters over all its problems, by their ranks.

        Arguments and errors are those of `comparison`; without a metric each problem has its own.
        """
        found = {name: self.comparison(metric, to, name) for name in self.problems}
        return over_problems(found)

    def frame(self) -> Any:
        """Returns a pandas data frame with a row for each run: updater, seed and all metrics.

        In a study of several problems the first column is `problem`.

        Raises:
            MissingExtraError: the extra `studies` is not installed.
        """
        pandas = library("pandas", "studies", "A study as a data frame")
        several = len(self.problems) > 1
        rows: list[dict[str, Any]] = [
            {"problem": cell.problem, "updater": cell.label, "seed": cell.seed}
            | self._metrics(cell)
            for cell in self.cells
        ]
        frame = pandas.DataFrame(rows)
        return frame if several else frame.drop(columns="problem")

    def _metrics(self, cell: Cell) -> dict[str, float | int]:
        """Returns the metrics of a run and what its search cost."""
        total = cell.result.cost.search
        cost = {
            "images_forward": total.images_forward,
            "images_backward": total.images_backward,
            "seconds": total.seconds,
            "cpu_seconds": total.cpu_seconds,
        }
        return {**cell.result.evaluation, **cost}

    def _row(self, label: str, cells: Sequence[Cell]) -> dict[str, Any]:
        """Returns the entry of one updater in `rows`."""
        values: dict[str, list[float | int]] = {}
        for cell in cells:
            for name, value in self._metrics(cell).items():
                values.setdefault(name, []).append(value)
        return {
            "updater": label,
            "seeds": [cell.seed for cell in cells],
            "runs": [cell.folder.path.name for cell in cells],
            "architectures": [cell.result.text for cell in cells],
            "metrics": {name: _spread(numbers) for name, numbers in values.items()},
        }

    def _failed(self, problem: str, label: str) -> dict[str, Any]:
        """Returns the key `failed` of an entry of `rows`; nothing where no run failed."""
        failed = [
            {"seed": one.seed, "run": one.run, "reason": one.reason}
            for one in self.failures
            if (one.problem, one.label) == (problem, label)
        ]
        return {"failed": failed} if failed else {}

    def table(self) -> str:
        """Returns a line of CSV for each entry of `rows`: mean, deviation and values of metrics.

        A cell holds the values of all seeds, separated by spaces, in the order of `seeds`.
        """
        names = list(dict.fromkeys(name for row in self.rows for name in row["metrics"]))
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        parts = [f"{name}_{part}" for name in names for part in ("mean", "std", "values")]
        keys = ["problem", "updater"] if len(self.problems) > 1 else ["updater"]
        writer.writerow([*keys, "seeds", *parts])
        for row in self.rows:
            spreads = [row["metrics"].get(name, {}) for name in names]
            numbers = [
                value
                for spread in spreads
                for value in (
                    *(spread.get(part, "") for part in ("mean", "std")),
                    " ".join(map(repr, spread.get("values", ()))),
                )
            ]
            seeds = " ".join(map(str, row["seeds"]))
            first = [*(row[key] for key in keys), seeds]
            writer.writerow([*first, *("" if n is None else n for n in numbers)])
        return file.getvalue()

    def store(self) -> None:
        """Write `study.json` and `study.csv` into the study's folder, and what a warm-up cost."""
        write_atomically(self.folder / STUDY, document(self.rows))
        if self.warm_ups:
            write_atomically(self.folder / WARM_UP, document(self.warm_ups))
        write_atomically(self.folder / "study.csv", self.table().encode())


def file_name(label: str) -> str:
    """Returns a label with only such signs as a folder's name may hold."""
    name = "".join(sign if sign.isalnum() or sign in "-_.=" else "-" for sign in label)
    return name.strip("-").replace("--", "-")


def _stored_cells(place: Path, row: Mapping[str, Any]) -> Iterator[Cell]:
    """Yields the finished runs of one updater, as `study.json` lists them."""
    label = str(row["updater"])
    # Earlier versions did not write the folders. A budget may have given random search other
    # options than its folder's name says.
    names = dict.fromkeys((file_name(label), ComponentSpec.name_in(label)))
    runs = row.get("runs")
    for number, seed in enumerate(row["seeds"]):
        known = [runs[number]] if runs else [f"{name}-seed{seed}" for name in names]
        folders = [RunFolder(place / name) for name in known]
        found = next((folder for folder in folders if folder.state() == "finished"), None)
        if found is None:
            raise ConfigurationError(
                f"{folders[0].path} is no finished run, though {place / STUDY} lists it. Bring the "
                "folder back, or repeat the command that made the study."
            )
        config = resolve(found.config())
        problem = f"{config.space.name} on {data_name(vars(config.data))}"
        yield Cell(label, int(seed), config, found, str(row.get("problem", problem)))


def _spread(values: Sequence[float | int]) -> dict[str, Any]:
    """Returns mean, standard deviation of the sample (n - 1), and values."""
    return {
        "mean": fmean(values),
        "std": stdev(values) if len(values) > 1 else None,
        "values": list(values),
    }
