"""`plan`: the runs of a study, each with its configuration and folder, checked before any begins.

A study has a run for each problem, updater and seed. The folder of a run is UPDATER-seedN; in a
study of several problems PROBLEM--UPDATER-seedN. A run that a folder already holds keeps its name,
so that a study of one problem can be asked for more.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nastk.base import defaults
from nastk.base.component import ComponentSpec
from nastk.base.errors import ConfigurationError
from nastk.base.plugins import catalogue
from nastk.runs.assembly import assemble
from nastk.runs.budget import Budget
from nastk.runs.config import resolve
from nastk.runs.evaluating import cheap
from nastk.runs.folder import CONFIG, RunFolder
from nastk.runs.moved import only_moved
from nastk.runs.own_preset import with_own_preset
from nastk.runs.problem import Problem, folder_name, problems
from nastk.runs.result import Result
from nastk.runs.search_config import SearchConfig
from nastk.runs.study_result import Cell, file_name

LONG = 10_000
"""The epochs of the run from which a budget's epochs are found: enough for any milestone."""


def plan(
    request: Mapping[str, Any],
    updaters: Sequence[str | ComponentSpec | Mapping[str, Any]],
    seeds: Sequence[int],
    out: Path,
    budget: str | None = None,
) -> list[Cell]:
    """Returns the cells of a study, after checking names and options and assembling a run of each.

    `request` has the keys of `SearchConfig`; its `space` and `data` may be lists, and `problems`
    has what is asked for some of the problems only. Under a `budget` all runs of an updater on a
    problem have the epochs of its first run.

    Raises:
        ConfigurationError: as for `compare`, before anything has run.
    """
    specs = [ComponentSpec.of(updater) for updater in updaters]
    added = not any(spec.name == defaults.BASELINE for spec in specs)
    specs += [ComponentSpec(defaults.BASELINE)] * added
    labels = [spec.label for spec in specs]
    for values, noun in ((labels, "updater"), (list(seeds), "seed")):
        if len(set(values)) != len(values) or not values:
            raise ConfigurationError(
                f"A study needs at least one {noun}, and each only once; got {values}."
            )
    shared = {key: value for key, value in request.items() if key != "problems"}
    found = problems(request.get("space"), request.get("data"), request.get("problems"))
    if any(problem.request(shared).get("evaluators") is None for problem in found):
        _check_judged(specs)
    cells = [
        cell
        for problem in found
        for spec in specs
        for cell in _Row(problem, spec, len(found) > 1, added and spec is specs[-1], out).cells(
            problem.request(shared), seeds, budget
        )
    ]
    for cell in [cell for cell in cells if cell.folder.state() != "finished"]:
        # Under a budget every updater's run was assembled already, to find its epochs.
        if cell.seed == seeds[0] and cell.config.budget is None:
            assemble(cell.config, begins=True)
    return cells


def _check_judged(specs: Sequence[ComponentSpec]) -> None:
    """Raises ConfigurationError where the evaluators that nobody named would not judge all runs."""
    trains = {spec.name: catalogue().load("updater", spec.name).trains_supernet for spec in specs}
    without = [name for name, has_supernet in trains.items() if not has_supernet]
    if without and len(without) < len(trains):
        raise ConfigurationError(
            f"{', '.join(without)} and the other updaters of this study have nothing in common "
            "that judges them: without a supernet there is no accuracy by shared weights. Name an "
            "evaluator that trains or looks up any architecture (`-e NAME`; `nastk plugins` lists "
            "them)."
        )


class _Row:
    """The runs of an updater on a problem.

    `several` is True in a study of several problems, `added` for random search that nobody named.
    """

    def __init__(
        self, problem: Problem, spec: ComponentSpec, several: bool, added: bool, out: Path
    ) -> None:
        self.problem, self.spec, self.several, self.added = problem, spec, several, added
        self.out, self.name = out, file_name(spec.label)

    def cells(
        self, request: Mapping[str, Any], seeds: Sequence[int], budget: str | None
    ) -> Iterator[Cell]:
        """Yields a cell for each seed, after comparing it with the run that the folder holds."""
        # A preset's evaluators would be repeated for every run, so the cheap ones are the default.
        given = request.get("evaluators")
        evaluators = cheap() if given is None else given
        asked: dict[str, Any] = {**request, "evaluators": evaluators, "updater": self.spec}
        budget = asked.pop("budget", None) or budget
        asked = with_own_preset(asked, budget is not None)
        prefix, label = self._prefix(asked), self.spec.label
        if budget is not None:
            allowed = Budget.parse(budget)
            if self.added:
                asked["updater"] = affordable = _affordable(asked, allowed, prefix)
                label = affordable.label
            asked = _within(asked, allowed, budget, prefix)
        for seed in seeds:
            folder = RunFolder(prefix.parent / f"{prefix.name}-seed{seed}")
            config = resolve({**asked, "seed": seed})
            check_kept(folder, config)
            yield Cell(label, seed, config, folder, self.problem.label)

    def _prefix(self, request: Mapping[str, Any]) -> Path:
        """Returns the path of the folders up to the seed: that of runs that are there, or new."""
        plain = self.out / self.name
        wanted = resolve(request)
        others = {
            file.parent.with_name(file.parent.name.rpartition("-seed")[0])
            for file in self.out.glob(f"*--{self.name}-seed*/{CONFIG}")
        }
        for prefix in (plain, *sorted(others)):
            for folder in _kept(prefix):
                kept = resolve(folder.config())
                if kept.space == wanted.space and (
                    kept.data == wanted.data or only_moved(folder, wanted)
                ):
                    return prefix
        if not self.several:
            return plain
        return self.out / f"{folder_name(self.problem.label)}--{self.name}"


def _affordable(request: Mapping[str, Any], budget: Budget, prefix: Path) -> ComponentSpec:
    """Returns random search, with fewer candidates where the usual number exceeds the budget.

    The user did not ask for random search, so it must not make a study fail. Where its shortest run
    costs more than the budget, candidates are halved until that run costs half of the budget, which
    leaves half for training. The option of a run that exists at `prefix`-seedN is kept.
    """
    usual = resolve({**request, "trainer": _long(request)})
    candidates = usual.updater.options[defaults.SCORED]
    stored = [folder.config()["updater"]["options"][defaults.SCORED] for folder in _kept(prefix)]
    if stored:
        return (
            ComponentSpec(defaults.BASELINE)
            if stored[0] == candidates
            else ComponentSpec(defaults.BASELINE, {defaults.SCORED: stored[0]})
        )
    assembly = assemble(usual)
    if budget.allows(assembly):
        return ComponentSpec(defaults.BASELINE)
    while candidates > 1:
        candidates //= 2
        spec = ComponentSpec(defaults.BASELINE, {defaults.SCORED: candidates})
        assembly = assemble(resolve({**request, "updater": spec, "trainer": _long(request)}))
        if candidates == 1 or budget.allows(assembly, half=True):
            break
    return spec


def _long(request: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the trainer's options of a request, with `LONG` epochs."""
    return {**(request.get("trainer") or {}), "epochs": LONG}


def _kept(prefix: Path) -> list[RunFolder]:
    """Returns the runs of one updater that a study's folder already holds."""
    return [
        RunFolder(file.parent)
        for file in sorted(prefix.parent.glob(f"{prefix.name}-seed*/{CONFIG}"))
    ]


def _within(request: Mapping[str, Any], budget: Budget, text: str, prefix: Path) -> dict[str, Any]:
    """Returns the request with the epochs that a budget allows, or those of a run that exists.

    An existing run at `prefix`-seedN decides, because timings differ from day to day, and all runs
    of one updater must have the same epochs.
    """
    trainer = dict(request.get("trainer") or {})
    if "epochs" in trainer:
        raise ConfigurationError(
            f"A study has either a budget or a number of epochs, got budget {text} and "
            f"{trainer['epochs']} epochs. Leave one of them out."
        )
    epochs = [folder.config()["trainer"]["epochs"] for folder in _kept(prefix)]
    if not epochs:
        epochs = [budget.epochs(assemble(resolve({**request, "trainer": _long(request)})))]
    return {**request, "budget": text, "trainer": {**trainer, "epochs": epochs[0]}}


def check_kept(folder: RunFolder, config: SearchConfig) -> None:
    """Raises `ConfigurationError` where an existing run has another configuration."""
    if not (folder.path / CONFIG).exists():
        return
    kept, requested = (
        value.model_dump(mode="json") for value in (resolve(folder.config()), config)
    )
    different = sorted(key for key in requested if kept.get(key) != requested[key])
    if different and not (different == ["data"] and only_moved(folder, config)):
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
