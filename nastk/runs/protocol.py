"""The protocol of a study: what it is to find out and how, written down before its runs begin.

`protocol.json` in the study's folder has the settings of each problem with the digest of its
images, hashed, and every updater and seed with the day on which it was added. So runs of another
protocol are refused, what was added later is told apart, and what was given up stays listed.
"""

import hashlib
import json
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from nastk.base.errors import ConfigurationError, UnreadableError
from nastk.base.files import write_atomically
from nastk.base.reading import read_json_object
from nastk.base.values import document
from nastk.runs.config import resolve
from nastk.runs.continuing import MAY_DIFFER_IN
from nastk.runs.folder import CONFIG, RunFolder
from nastk.runs.images import inventory_of
from nastk.runs.moved import without_paths
from nastk.runs.study_result import Cell, Study

PROTOCOL, LOCK = "protocol.json", "protocol.lock"
OF_RUN = ("updater", "seed", "device", "preset")
"""Keys of a configuration that do not belong to the protocol of a problem."""
FREE = MAY_DIFFER_IN["trainer"] - {"threads"}
"""Options of the trainer that change nothing in a run."""


@dataclass(frozen=True)
class Protocol:
    """The content of `protocol.json`.

    `problems` has the settings of each problem by its label, `rows` every updater by the beginning
    of its folders' names, with its configuration and the days on which its seeds were added.

    Example: `Protocol.read(Path("runs/study")).hash`
    """

    registered: str
    metric: str | None
    problems: Mapping[str, Mapping[str, Any]]
    rows: Mapping[str, Mapping[str, Any]]
    began_before: bool = False
    """True if runs had begun when the protocol was written, by an earlier nastk."""

    @classmethod
    def read(cls, folder: Path) -> "Protocol | None":
        """Returns the protocol of a study; None where it has none.

        Raises:
            ConfigurationError: the file is damaged.
        """
        path = folder / PROTOCOL
        if not path.exists():
            return None
        try:
            value = read_json_object(path)
            return cls(
                str(value["registered"]),
                value["metric"],
                value["problems"],
                value["rows"],
                bool(value["began_before"]),
            )
        except (UnreadableError, KeyError, TypeError) as error:
            raise ConfigurationError(
                f"{path} is damaged ({error}). Put it back; without it nobody knows what the study "
                "was registered for. If you remove it, the study is registered anew."
            ) from None

    @property
    def hash(self) -> str:
        """The digest of the settings of all problems: 64 hexadecimal digits."""
        return hashed({label: each["hash"] for label, each in self.problems.items()})

    def to_json(self) -> dict[str, Any]:
        """Returns the content of the file."""
        return {
            "hash": self.hash,
            "registered": self.registered,
            "began_before": self.began_before,
            "metric": self.metric,
            "problems": dict(self.problems),
            "rows": dict(self.rows),
        }

    def standing(self, shown: Container[str], begun: Container[str]) -> dict[str, Any]:
        """Returns what is to be said of the protocol beside results, as JSON.

        `added` are the updaters and seeds that were added later, with the day; `left` those
        without a run, `unshown` those with one that is not among the results.

        Args:
            shown: the names of the run folders whose results, or failures, are shown.
            begun: the names of those that there are.
        """
        added: list[dict[str, Any]] = []
        left: list[dict[str, Any]] = []
        unshown: list[dict[str, Any]] = []
        for name, row in self.rows.items():
            base = {"updater": row["updater"], "problem": row["problem"]}
            for day in dict.fromkeys(day for day in row["seeds"].values() if day is not None):
                seeds = [int(seed) for seed, on in row["seeds"].items() if on == day]
                every = len(seeds) == len(row["seeds"])
                added.append({**base, "seeds": seeds, "all": every, "day": day[:10]})
            runs = {int(seed): f"{name}-seed{seed}" for seed in row["seeds"]}
            absent = [seed for seed, run in runs.items() if run not in begun]
            others = [seed for seed, run in runs.items() if run in begun and run not in shown]
            for seeds, found in ((absent, left), (others, unshown)):
                if seeds:
                    found.append({**base, "seeds": seeds, "all": len(seeds) == len(runs)})
        return {
            "hash": self.hash,
            "registered": self.registered[:10],
            "began_before": self.began_before,
            "metric": self.metric,
            "added": added,
            "left": left,
            "unshown": unshown,
        }


def today() -> str:
    """Returns the present time, of which results show the day (UTC)."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def hashed(value: Any) -> str:
    """Returns the SHA-256 of a JSON value in its canonical form: sorted keys, no spaces."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def registered(cells: Sequence[Cell], out: Path, metric: str | None = None) -> list[Cell]:
    """Returns the cells as the study registered them, after registering those that are new.

    A run whose epochs follow from a budget keeps those that were registered first, whichever
    process timed them.

    Args:
        cells: the planned runs.
        out: the study's folder, which is made.
        metric: what the study is to be decided by; None: the usual metric.

    Raises:
        ConfigurationError: the study is of another protocol; says what differs.
    """
    out.mkdir(parents=True, exist_ok=True)
    with FileLock(out / LOCK):
        before = Protocol.read(out)
        found = [_adopted(cell, before) for cell in cells]
        problems = dict(before.problems) if before else {}
        for label in dict.fromkeys(cell.problem for cell in found):
            if label in problems:
                _check(out, [cell for cell in found if cell.problem == label], problems[label])
            else:
                problems[label] = _problem(label, found)
        now = today()
        protocol = Protocol(
            before.registered if before else now,
            before.metric if before else metric,
            problems,
            _rows(found, before, now if before else None),
            before.began_before if before else any(out.glob(f"*-seed*/{CONFIG}")),
        )
        if before != protocol:
            write_atomically(out / PROTOCOL, document(protocol.to_json()))
    return found


def _row_name(cell: Cell) -> str:
    """Returns the beginning of the name of a run's folder, up to the seed."""
    return cell.folder.path.name.rpartition("-seed")[0]


def _adopted(cell: Cell, before: Protocol | None) -> Cell:
    """Returns a cell with the epochs and the candidates that were registered for its budget."""
    row = before.rows.get(_row_name(cell)) if before else None
    if row is None or cell.config.budget is None or row["config"]["budget"] != cell.config.budget:
        return cell
    config = resolve(
        {
            **row["config"],
            "seed": cell.seed,
            "device": cell.config.device,
            "data": cell.config.data.model_dump(mode="json"),
        }
    )
    wanted, kept = (_settings(each.model_dump(mode="json")) for each in (cell.config, config))
    if wanted != kept:
        return cell  # `_check` says what differs
    return replace(cell, config=config, label=row["updater"])


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what belongs to a problem in a run's configuration.

    Where the images are is the machine's affair; their digest says which they are.
    """
    settings = {key: value for key, value in without_paths(config).items() if key not in OF_RUN}
    left_out = FREE | ({"epochs"} if config["budget"] is not None else set())
    trainer = {key: value for key, value in settings["trainer"].items() if key not in left_out}
    return {**settings, "trainer": trainer}


def _problem(label: str, cells: Sequence[Cell]) -> dict[str, Any]:
    """Returns the settings that the runs of a new problem share, with their hash.

    The trainer's options are among them only where all updaters have the same; a preset may give
    each its own. The images are those of the first seed, whose splits the digest depends on.
    """
    own = [cell for cell in cells if cell.problem == label]
    every = [_settings(cell.config.model_dump(mode="json")) for cell in own]
    settings = dict(every[0])
    if any(each["trainer"] != settings["trainer"] for each in every):
        del settings["trainer"]
    images = inventory_of(own[0].config).digest
    value = {"settings": settings, "seed": own[0].seed, "images": images}
    return {**value, "hash": hashed(value)}


def _check(out: Path, cells: Sequence[Cell], known: Mapping[str, Any]) -> None:
    """Raises `ConfigurationError` where cells differ from what is `known` of their problem."""
    differences: dict[str, None] = {}
    # An earlier version wrote no warm-up, and had none.
    before = {"warm_up": None, **known["settings"]}
    for cell in cells:
        settings = _settings(cell.config.model_dump(mode="json"))
        differences |= dict.fromkeys(_differences(before, settings))
    if not differences and any(cell.folder.state() != "finished" for cell in cells):
        config = cells[0].config.model_copy(update={"seed": known["seed"]})
        if inventory_of(config).digest != known["images"]:
            differences["the images are others"] = None
    if differences:
        raise ConfigurationError(
            f"{out} is a study of another protocol ({cells[0].problem}): "
            f"{'; '.join([*differences][:5])}. A study compares runs of one protocol: choose "
            f"another --out, or ask for what it was registered with ({PROTOCOL})."
        )


def _differences(before: Any, now: Any, name: str = "") -> Iterator[str]:
    """Yields what differs in two settings: `trainer.epochs is 3, was 2`."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in [key for key in before if key in now]:
            yield from _differences(before[key], now[key], f"{name}.{key}" if name else str(key))
    elif before != now:
        yield f"{name} is {json.dumps(now)}, was {json.dumps(before)}"


def _rows(cells: Sequence[Cell], before: Protocol | None, day: str | None) -> dict[str, Any]:
    """Returns the rows of the protocol, with those that are new, added on a `day`."""
    rows = {
        name: {**row, "seeds": dict(row["seeds"])}
        for name, row in (before.rows if before else {}).items()
    }
    for cell in cells:
        config = cell.config.model_dump(mode="json")
        new = {
            "updater": cell.label,
            "problem": cell.problem,
            "config": {key: value for key, value in config.items() if key != "seed"},
            "seeds": {},
        }
        rows.setdefault(_row_name(cell), new)["seeds"].setdefault(str(cell.seed), day)
    return rows


def under_way(folder: Path) -> tuple[Study, int] | None:
    """Returns a study that is not finished, with the runs that are, and how many were registered.

    None where no study is registered in the folder.

    Example: `under_way(Path("runs/study"))`
    """
    protocol = Protocol.read(folder)
    if protocol is None:
        return None
    cells = [
        Cell(
            str(row["updater"]),
            int(seed),
            resolve({**row["config"], "seed": int(seed)}),
            RunFolder(folder / f"{name}-seed{seed}"),
            str(row["problem"]),
        )
        for name, row in protocol.rows.items()
        for seed in row["seeds"]
    ]
    return Study.of(folder, cells), len(cells)


def study_standing(study: Study) -> dict[str, Any] | None:
    """Returns what is to be said of a study's protocol, as `Protocol.standing`; None without one.

    Example: `study_standing(nastk.Study.load("runs/study"))["added"]`
    """
    finished = {cell.folder.path.name for cell in study.cells}
    return standing_of(study.folder, finished | {failure.run for failure in study.failures})


def standing_of(folder: Path, shown: Container[str]) -> dict[str, Any] | None:
    """Returns what is to be said of the protocol in a study's folder, as `study_standing`.

    `shown` are the names of the run folders whose results, or failures, are shown.
    """
    protocol = Protocol.read(folder)
    if protocol is None:
        return None
    return protocol.standing(shown, {file.parent.name for file in folder.glob(f"*-seed*/{CONFIG}")})
