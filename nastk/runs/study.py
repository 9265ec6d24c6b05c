"""Several updaters on equal terms: `compare` runs each with each seed and tabulates the results.

A study is a folder of run folders, one for each (updater, seed), and nothing else decides its
table: a killed study goes on where it stopped, and an updater or a seed is added by asking for it.
Runs of one seed see the same initial weights and the same batches; random search is always there.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from nastk.base import defaults
from nastk.base.component import ComponentSpec
from nastk.base.errors import ConfigurationError
from nastk.base.files import write_atomically
from nastk.base.values import document
from nastk.runs.assembly import assemble
from nastk.runs.budget import Budget
from nastk.runs.config import SearchConfig, resolve
from nastk.runs.evaluating import cheap
from nastk.runs.folder import CONFIG, RunFolder
from nastk.runs.relay import Observer
from nastk.runs.result import Result
from nastk.runs.run import Run

SCORED = "candidates"
"""The option of random search that its measuring grows with."""
LONG = 10_000
"""Epochs while a budget is turned into epochs: enough for any milestone."""


@dataclass(frozen=True)
class Cell:
    """One run of a study: an updater (`label` names it with its options) and a seed."""

    label: str
    seed: int
    config: SearchConfig
    folder: RunFolder


@dataclass(frozen=True)
class Study:
    """What a study found. `rows` has a line for each updater, `table` the same as CSV.

    Example: `nastk.compare("toy", ["darts"], "toy", seeds=range(4)).rows[0]["metrics"]`
    """

    folder: Path
    cells: Sequence[Cell]

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """For each updater: its label, its seeds, and the spread of each metric over them.

        A spread is mean, standard deviation and values. The deviation is that of the sample
        (n - 1); None where there is one seed. The cost of the search (not of judging it) counts
        too: `images_forward`, `images_backward`, `seconds`.
        """
        labels = dict.fromkeys(cell.label for cell in self.cells)
        return [self._row(label) for label in labels]

    def _row(self, label: str) -> dict[str, Any]:
        cells = [cell for cell in self.cells if cell.label == label]
        results = [Result(cell.folder) for cell in cells]
        values: dict[str, list[float | int]] = {}
        for result in results:
            total = result.cost.search
            cost = {
                "images_forward": total.images_forward,
                "images_backward": total.images_backward,
                "seconds": total.seconds,
            }
            for name, value in {**result.evaluation, **cost}.items():
                values.setdefault(name, []).append(value)
        return {
            "updater": label,
            "seeds": [cell.seed for cell in cells],
            "architectures": [result.text for result in results],
            "metrics": {name: _spread(numbers) for name, numbers in values.items()},
        }

    def table(self) -> str:
        """One line for each updater as CSV: mean, deviation and single values of every metric.

        The values stand in one cell, separated by spaces, in the order of `seeds`.
        """
        names = list(dict.fromkeys(name for row in self.rows for name in row["metrics"]))
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        parts = [f"{name}_{part}" for name in names for part in ("mean", "std", "values")]
        writer.writerow(["updater", "seeds", *parts])
        for row in self.rows:
            found = [row["metrics"].get(name, {}) for name in names]
            numbers = [
                value
                for one in found
                for value in (
                    *(one.get(part, "") for part in ("mean", "std")),
                    " ".join(map(repr, one.get("values", ()))),
                )
            ]
            seeds = " ".join(map(str, row["seeds"]))
            writer.writerow([row["updater"], seeds, *("" if n is None else n for n in numbers)])
        return file.getvalue()

    def store(self) -> None:
        """Write `study.json` and `study.csv` into the study's folder."""
        write_atomically(self.folder / "study.json", document(self.rows))
        write_atomically(self.folder / "study.csv", self.table().encode())


def compare(
    space: str | ComponentSpec | Mapping[str, Any],
    updaters: Sequence[str | ComponentSpec | Mapping[str, Any]],
    data: str | ComponentSpec | Mapping[str, Any] | None = None,
    *,
    seeds: Iterable[int] = range(2),
    budget: str | None = None,
    out: str | Path = "runs/study",
    observers: Iterable[Observer] = (),
    around: Callable[[Cell, Run], AbstractContextManager[None]] = lambda cell, run: nullcontext(),
    **request: Any,
) -> Study:
    """Search with every updater and every seed, one after the other, and tabulate the results.

    Args:
        space: what to search, as for `nastk.search`.
        updaters: the methods; `random` is added where it is missing.
        data: the images; `digits` where None.
        seeds: one run of every updater for each.
        budget: what each run may spend, such as `images=400k` or `seconds=15m`: every updater gets
            the most epochs that keep within it. None: the epochs of `request` or of the preset.
        out: the study's folder. Runs that it holds already are kept, half-finished ones go on.
        observers: functions that hear the events of every run.
        around: makes a context for each run from its cell and the run, e.g. to show progress.
        **request: other keys of `SearchConfig`, the same for all: preset, trainer, evaluators ...

    Raises:
        ConfigurationError: a run cannot be assembled, or `out` holds one with other settings;
            nothing has run.

    Example: `nastk.compare("nasbench201", ["darts", "shapley"], seeds=range(4), out="runs/study")`
    """
    shared = {**request, "space": space, "data": data}
    cells = plan(shared, updaters, list(seeds), Path(out), budget)
    for cell in _unfinished(cells):
        known = (cell.folder.path / CONFIG).exists()
        run = (
            Run.resumed(cell.folder, observers=observers)
            if known
            else Run.new(cell.config, cell.folder.path, observers=observers)
        )
        with around(cell, run):
            for _ in run.events():
                pass
    study = Study(Path(out), cells)
    study.store()
    return study


def plan(
    request: Mapping[str, Any],
    updaters: Sequence[str | ComponentSpec | Mapping[str, Any]],
    seeds: Sequence[int],
    out: Path,
    budget: str | None = None,
) -> list[Cell]:
    """Every cell of a study, checked: names, options, and that each updater's run fits together.

    Under a `budget` every updater has the epochs that the first of its runs was given.

    Raises:
        ConfigurationError: what `compare` says, before anything has run.
    """
    uses = [ComponentSpec.of(updater) for updater in updaters]
    allowed = None if budget is None else Budget.parse(budget)
    added = not any(use.name == defaults.BASELINE for use in uses)
    labels = [_label(use) for use in uses] + [defaults.BASELINE] * added
    for values, what in ((labels, "updater"), (list(seeds), "seed")):
        if len(set(values)) != len(values) or not values:
            raise ConfigurationError(
                f"A study needs at least one {what}, and each only once; got {values}."
            )
    if added:
        uses.append(ComponentSpec(defaults.BASELINE))
    cells = []
    for use, name in zip(uses, [_file_name(label) for label in labels], strict=True):
        folders = {seed: RunFolder(out / f"{name}-seed{seed}") for seed in seeds}
        # What a preset would have judged beside the search would be done for every run.
        given = request.get("evaluators")
        evaluators = cheap() if given is None else given
        asked: dict[str, Any] = {**request, "evaluators": evaluators, "updater": use}
        if allowed is not None and budget is not None:
            if added and use is uses[-1]:
                asked["updater"] = use = _affordable(asked, allowed, out / name)
            asked = _within(asked, allowed, budget, out / name)
        label = _label(use)
        for seed, folder in folders.items():
            config = resolve({**asked, "seed": seed})
            _check_kept(folder, config)
            cells.append(Cell(label, seed, config, folder))
    for cell in _unfinished(cells):
        # Under a budget all were assembled to find their epochs.
        if cell.seed == seeds[0] and budget is None:
            assemble(cell.config, begins=True)
    return cells


def _affordable(asked: Mapping[str, Any], budget: Budget, place: Path) -> ComponentSpec:
    """Random search as it is, or scoring so few architectures that it keeps the budget.

    It was not asked for, so it must not stand in the way of a study: where its shortest run takes
    more than the budget it scores fewer, down to half of the budget, and half is left to train. A
    run kept at `place`-seedN goes before.
    """
    usual = resolve({**asked, "trainer": _long(asked)})
    scored = usual.updater.options[SCORED]
    kept = [folder.config()["updater"]["options"][SCORED] for folder in _kept(place)]
    if kept:
        return (
            ComponentSpec(defaults.BASELINE)
            if kept[0] == scored
            else ComponentSpec(defaults.BASELINE, {SCORED: kept[0]})
        )
    assembly = assemble(usual)
    if budget.allows(assembly):
        return ComponentSpec(defaults.BASELINE)
    while scored > 1:
        scored //= 2
        use = ComponentSpec(defaults.BASELINE, {SCORED: scored})
        assembly = assemble(resolve({**asked, "updater": use, "trainer": _long(asked)}))
        if scored == 1 or budget.allows(assembly, half=True):
            break
    return use


def _long(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {**(asked.get("trainer") or {}), "epochs": LONG}


def _kept(place: Path) -> list[RunFolder]:
    """The runs of one updater that a study holds already."""
    return [
        RunFolder(file.parent) for file in sorted(place.parent.glob(f"{place.name}-seed*/{CONFIG}"))
    ]


def _within(asked: Mapping[str, Any], budget: Budget, text: str, place: Path) -> dict[str, Any]:
    """The wishes with the epochs that a budget allows, or those of a run kept at `place`-seedN.

    Timings differ from day to day; the runs of one updater must not.
    """
    trainer = dict(asked.get("trainer") or {})
    if "epochs" in trainer:
        raise ConfigurationError(
            f"A study has either a budget or a number of epochs, got budget {text} and "
            f"{trainer['epochs']} epochs. Leave one of them out."
        )
    epochs = [folder.config()["trainer"]["epochs"] for folder in _kept(place)]
    if not epochs:
        epochs = [budget.epochs(assemble(resolve({**asked, "trainer": _long(asked)})))]
    return {**asked, "budget": text, "trainer": {**trainer, "epochs": epochs[0]}}


def _unfinished(cells: Sequence[Cell]) -> Iterator[Cell]:
    return (cell for cell in cells if cell.folder.state() != "finished")


def _check_kept(folder: RunFolder, config: SearchConfig) -> None:
    """Refuse to mix runs of two protocols in one table."""
    if not (folder.path / CONFIG).exists():
        return
    kept, asked = (one.model_dump(mode="json") for one in (resolve(folder.config()), config))
    different = sorted(key for key in asked if kept.get(key) != asked[key])
    if different:
        raise ConfigurationError(
            f"{folder.path} was run with another {', '.join(different)}, and a study compares runs "
            "of one protocol. Choose another --out, or ask for what it was run with."
        )
    early = Result(folder).finished_early if folder.state() == "finished" else None
    if early is not None:
        raise ConfigurationError(
            f"{folder.path} was finished after {early['epoch']} of {early['epochs']} epochs, and a "
            "study compares runs that were trained to their end. Remove that folder to run it "
            "anew, or choose another --out."
        )


def _label(use: ComponentSpec) -> str:
    """An updater with its options in words: `shapley(samples=4)`."""
    options = ", ".join(f"{name}={value}" for name, value in use.options.items())
    return f"{use.name}({options})" if options else use.name


def _file_name(label: str) -> str:
    """A label with nothing in it that a folder's name must not hold."""
    kept = "".join(sign if sign.isalnum() or sign in "-_.=" else "-" for sign in label)
    return kept.strip("-").replace("--", "-")


def _spread(values: Sequence[float | int]) -> dict[str, Any]:
    return {
        "mean": fmean(values),
        "std": stdev(values) if len(values) > 1 else None,
        "values": list(values),
    }
