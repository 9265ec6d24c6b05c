"""The report of a study: every updater's results over its seeds, and the runs that failed."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from nastk import Cost
from nastk.report import RunRecord, counted, data_name, metric
from nastk_drawing.charts import study as charts
from nastk_drawing.report.embedding import Embedder
from nastk_drawing.report.parts import Code, Details, Grid, Page, Part, Section, Table, Text, Tile
from nastk_drawing.report.run import footer
from nastk_drawing.report.settings import sections as settings_of

SEED = re.compile(r"-seed\d+$")
FEW = 5
"""From so many seeds on, a deviation is shown without a caution."""
ENDS = ("_low", "_high")
"""Ends of intervals: their mean over runs has no meaning."""
FIRST = ("test_accuracy", "valid_accuracy")


@dataclass(frozen=True)
class Group:
    """The runs of one updater with its options.

    Example: `groups(run_records(Path("runs/study")))[0].values("valid_accuracy")`
    """

    name: str
    runs: Sequence[RunRecord]

    @property
    def finished(self) -> list[RunRecord]:
        """The runs that have a result."""
        return [run for run in self.runs if run.result]

    def values(self, name: str) -> list[float]:
        """Returns the values of a metric, one for each finished run that has it."""
        found = [metrics(run).get(name) for run in self.finished]
        return [float(value) for value in found if value is not None and isfinite(value)]


def groups(records: Sequence[RunRecord]) -> list[Group]:
    """Returns the runs of a study by updater, each with its seeds in order."""
    found: dict[str, list[RunRecord]] = {}
    for record in records:
        found.setdefault(SEED.sub("", record.path.name), []).append(record)
    return [
        Group(name, sorted(runs, key=lambda run: run.config["seed"]))
        for name, runs in found.items()
    ]


def metrics(record: RunRecord) -> dict[str, float]:
    """Returns all metrics of a finished run, and the seconds and images of its search."""
    found = {
        name: value
        for evaluation in record.result.get("evaluations") or ()
        for name, value in evaluation["metrics"].items()
        if not name.endswith(ENDS)
    }
    if record.result.get("cost"):
        spent = Cost.from_json(record.result["cost"]).search
        found["search_seconds"] = spent.seconds
        found["images_forward"] = spent.images_forward
    return found


def page(folder: Path, records: Sequence[RunRecord]) -> Page:
    """Returns the report of a study, with those of its runs that failed or are unfinished."""
    found, embedder = groups(records), Embedder()
    names = _names(found)
    done = sum(len(group.finished) for group in found)
    config = records[0].config
    sections = [Section("Results", list(_results(found, names, embedder)))]
    panels = charts.curves({group.name: group.runs for group in found})
    if panels:
        sections.append(Section("Training", [Grid([embedder.panel(one) for one in panels])]))
    unfinished = [run for run in records if not run.result]
    if unfinished:
        sections.append(Section("Runs without a result", [_unfinished(unfinished)]))
    sections.append(Section("Architectures", [_architectures(found)]))
    sections += _shared(records[0])
    return Page(
        title=f"Study {folder.resolve().name}",
        subtitle=f"{config['space']['name']} on {data_name(config['data'])}",
        state="finished" if done == len(records) else f"unfinished: {done} of {len(records)} runs",
        lead=[words for words in (_lead(found, names), _caution(found)) if words],
        tiles=list(_tiles(found, names)),
        warnings=[],
        sections=sections,
        footer=footer(str(folder)),
    )


def _names(found: Sequence[Group]) -> list[str]:
    """Returns the metrics of all runs: accuracies first."""
    names = list(dict.fromkeys(name for group in found for run in group.finished
                               for name in metrics(run)))  # fmt: skip
    first = [*FIRST, *(name for name in names if name.endswith("accuracy"))]
    return [*dict.fromkeys(name for name in first if name in names),
            *(name for name in names if name not in first)]  # fmt: skip


def _best(found: Sequence[Group], name: str) -> Group:
    """Returns the group with the greatest mean of a metric."""
    return max((group for group in found if group.values(name)),
               key=lambda group: fmean(group.values(name)))  # fmt: skip


def _lead(found: Sequence[Group], names: Sequence[str]) -> str:
    """Returns who is best by the first accuracy, and how sure that is."""
    accuracies = [name for name in names if name.endswith("accuracy")]
    if not accuracies:
        return "No run of this study has an accuracy yet."
    name = accuracies[0]
    best = _best(found, name)
    rest = [group for group in found if group is not best and group.values(name)]
    said = (
        f"{best.name} has the highest {name.replace('_', ' ')}: {_spread(name, best.values(name))}"
    )
    if not rest:
        return f"{said}."
    second = _best(rest, name)
    return f"{said}; next is {second.name} with {_spread(name, second.values(name))}."


def _caution(found: Sequence[Group]) -> str:
    """Returns a caution about few seeds; empty where there are enough."""
    seeds = min((len(group.finished) for group in found), default=0)
    if seeds >= FEW:
        return ""
    spread = "no deviation is known" if seeds < 2 else "a deviation of so few is a guess"
    return f"With {counted(seeds, 'seed')} {spread}: a difference may be chance."


def _tiles(found: Sequence[Group], names: Sequence[str]) -> Iterator[Tile]:
    """Yields the first accuracy of each updater, the best first."""
    accuracies = [name for name in names if name.endswith("accuracy")]
    if not accuracies:
        return
    name = accuracies[0]
    measured = [group for group in found if group.values(name)]
    for group in sorted(measured, key=lambda group: -fmean(group.values(name)))[:8]:
        values = group.values(name)
        yield Tile(group.name, _spread(name, values), f"{name.replace('_', ' ')}, "
                   f"{counted(len(values), 'seed')}")  # fmt: skip


def _spread(name: str, values: Sequence[float]) -> str:
    """Returns mean ± deviation of a metric, or its only value."""
    mean = metric(name, fmean(values))
    if len(values) < 2 or not stdev(values):
        return mean
    if name.endswith("accuracy"):
        return f"{100 * fmean(values):.2f} ± {100 * stdev(values):.2f} %"
    return f"{mean} ± {metric(name, stdev(values))}"


def _results(found: Sequence[Group], names: Sequence[str], embedder: Embedder) -> Iterator[Part]:
    """Yields the table of the study, and a chart of every accuracy."""
    shown = [name for name in names if not _is_detail(name)]
    rows = [
        [group.name, f"{len(group.finished)}/{len(group.runs)}",
         *(_spread(name, group.values(name)) if group.values(name) else "–" for name in shown)]
        for group in found
    ]  # fmt: skip
    heads = ["updater", "runs", *(name.replace("_", " ") for name in shown)]
    yield Table("Mean ± standard deviation over seeds", heads, rows, range(1, len(heads)))
    panels = [
        charts.dots(name, {group.name: group.values(name) for group in found})
        for name in names if name.endswith("accuracy")
    ]  # fmt: skip
    if panels:
        yield Text("A dot is a run, a line the mean of an updater:")
        yield Grid([embedder.panel(panel) for panel in panels])
    details = [name for name in names if _is_detail(name)]
    if details:
        heads = ["updater", *(name.replace("_", " ") for name in details)]
        rows = [[group.name, *(_spread(name, group.values(name)) if group.values(name) else "–"
                               for name in details)] for group in found]  # fmt: skip
        yield Details("Ranking quality", [Table("Mean ± standard deviation over seeds", heads, rows,
                                                range(1, len(heads)))])  # fmt: skip


def _is_detail(name: str) -> bool:
    """True for metrics of ranking quality, of which there are many."""
    return "_by_" in name


def _unfinished(runs: Sequence[RunRecord]) -> Table:
    """Returns the runs that failed or are unfinished, with what is known of why."""
    rows = []
    for run in runs:
        done = max((event["epoch"] for event in run.history if event["kind"] == "epoch-done"),
                   default=0)  # fmt: skip
        epochs = f"{done} of {run.config['trainer']['epochs']}"
        rows.append([run.path.name, run.state, epochs, run.error or "–"])
    return Table("They are not in the means", ["run", "state", "epochs", "why"], rows)


def _architectures(found: Sequence[Group]) -> Table:
    """Returns the architecture of every finished run."""
    rows = [
        [run.path.name, run.result["architecture"]["id"], str(run.result["text"])]
        for group in found for run in group.finished
    ]  # fmt: skip
    return Table("What each run found", ["run", "identity", "text"], rows)


def _shared(record: RunRecord) -> list[Section]:
    """Returns the settings of one run; those of space, data and trainer are the same for all."""
    settings, environment = list(settings_of(record))[1:]
    first = Text(f"Those of {record.path.name}; space, data and trainer are the same in all runs.")
    again: list[Part] = [
        Text("The same command continues a study, and adds to it:"),
        Code(_command(record)),
    ]
    return [
        Section("Repeat it", again),
        Section(settings.heading, [first, *settings.parts]),
        environment,
    ]


def _command(record: RunRecord) -> str:
    """Returns the command that makes such a study, with its places to fill in."""
    config: Mapping[str, Any] = record.config
    return (
        f"nastk compare --space {config['space']['name']} --data {data_name(config['data'])} "
        f"--updater NAME --seeds 0-N --out {record.path.parent}"
    )
