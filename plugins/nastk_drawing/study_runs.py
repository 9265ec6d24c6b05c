"""The runs of a study by problem and updater, for its report and its pictures."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from nastk import Cost
from nastk.base import UnreadableError, read_json
from nastk.report import RunRecord, data_name

SEED = re.compile(r"-seed\d+$")
BETWEEN = "--"
"""What stands between problem and updater in the folder names of a study of several problems."""
ENDS = ("_low", "_high")
"""Ends of intervals: their mean over runs has no meaning."""


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


def shown(folder: Path, records: Sequence[RunRecord]) -> list[RunRecord]:
    """Returns the runs that the last command for a study asked for, and those without a result.

    That command may have left out an updater of an earlier one: with fewer seeds it would leave
    the others with as few to be compared on. The protocol names what is left out. Before a study
    is finished for the first time all its runs are shown.
    """
    listed = {run for row in _rows(folder) for run in row.get("runs") or ()}
    return [each for each in records if not listed or not each.result or each.path.name in listed]


def groups(records: Sequence[RunRecord]) -> list[Group]:
    """Returns the runs of a problem by updater, each with its seeds in order."""
    found: dict[str, list[RunRecord]] = {}
    labels = _labels(records[0].path.parent) if records else {}
    for record in records:
        name = SEED.sub("", record.path.name)
        label = labels.get(record.path.name) or labels.get(name)
        found.setdefault(label or name.partition(BETWEEN)[2] or name, []).append(record)
    return [
        Group(name, sorted(runs, key=lambda run: run.config["seed"]))
        for name, runs in found.items()
    ]


def by_problem(folder: Path, records: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    """Returns the runs of a study by problem, in the order of `study.json` if there is one.

    Without it a problem is known by its space and its data, and where these are the same by the
    beginning of the folder's name.
    """
    listed = _listed(folder)
    plain: dict[str, set[str]] = {}
    for record in records:
        plain.setdefault(_label(record), set()).add(_options(record))
    found: dict[str, list[RunRecord]] = {label: [] for label in dict.fromkeys(listed.values())}
    for record in records:
        label, begin = _label(record), record.path.name.partition(BETWEEN)
        if len(plain[label]) > 1 and begin[1]:
            label = begin[0]
        found.setdefault(listed.get(record.path.name, label), []).append(record)
    return {label: runs for label, runs in found.items() if runs}


def metrics(record: RunRecord) -> dict[str, float | int]:
    """Returns all metrics of a finished run, and the seconds and images of its search."""
    found = {name: value for name, value in record.metrics.items() if not name.endswith(ENDS)}
    if record.result.get("cost"):
        spent = Cost.from_json(record.result["cost"]).search
        found["search_seconds"] = spent.seconds
        found["images_forward"] = spent.images_forward
    return found


def _label(record: RunRecord) -> str:
    """Returns space and data of a run."""
    return f"{record.config['space']['name']} on {data_name(record.config['data'])}"


def _options(record: RunRecord) -> str:
    """Returns all options of space and data of a run, as text to compare."""
    return json.dumps([record.config["space"], record.config["data"]], sort_keys=True)


def _listed(folder: Path) -> dict[str, str]:
    """Returns the problem of each run folder, as far as `study.json` says."""
    return {
        str(run): str(row["problem"])
        for row in _rows(folder)
        if "problem" in row
        for run in row.get("runs") or ()
    }


def _labels(folder: Path) -> dict[str, str]:
    """Returns how a study calls its updaters, by run folder and by their names up to the seed."""
    names = {str(run): row.get("updater") for row in _rows(folder) for run in row.get("runs") or ()}
    registered = _read(folder / "protocol.json")
    rows = registered.get("rows") if isinstance(registered, Mapping) else None
    for name, row in rows.items() if isinstance(rows, Mapping) else ():
        names[str(name)] = row.get("updater") if isinstance(row, Mapping) else None
    return {name: str(label) for name, label in names.items() if label}


def _rows(folder: Path) -> list[Mapping[str, Any]]:
    """Returns the rows of `study.json`; none where there is none, or a damaged one."""
    rows = _read(folder / "study.json")
    return [row for row in (rows if isinstance(rows, list) else []) if isinstance(row, Mapping)]


def _read(path: Path) -> Any:
    """Returns the content of a JSON file; None where it cannot be read."""
    try:
        return read_json(path)
    except (OSError, UnreadableError):
        return None
