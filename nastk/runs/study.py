"""Studies: `compare` runs several updaters with several seeds and tabulates the results.

A study is a folder of run folders, one for each (updater, seed), and its table follows from these
alone. A killed study therefore continues where it stopped, and calling `compare` again with another
updater or seed adds runs. Runs of one seed share initial weights and batches. Random search is
always among the updaters.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from nastk.base import defaults
from nastk.base.component import ComponentSpec
from nastk.base.errors import ConfigurationError
from nastk.runs.assembly import assemble
from nastk.runs.budget import Budget
from nastk.runs.config import resolve
from nastk.runs.evaluating import cheap
from nastk.runs.executing import Around, execute, unfinished
from nastk.runs.folder import CONFIG, RunFolder
from nastk.runs.relay import Observer
from nastk.runs.result import Result
from nastk.runs.search_config import SearchConfig
from nastk.runs.study_result import Cell, Study, file_name

SCORED = "candidates"
"""The option of random search that sets the cost of its measurements."""
LONG = 10_000
"""The epochs of the run from which a budget's epochs are found: enough for any milestone."""


def compare(
    space: str | ComponentSpec | Mapping[str, Any],
    updaters: Sequence[str | ComponentSpec | Mapping[str, Any]],
    data: str | ComponentSpec | Mapping[str, Any] | None = None,
    *,
    seeds: Iterable[int] = range(2),
    budget: str | None = None,
    out: str | Path = "runs/study",
    observers: Iterable[Observer] = (),
    trackers: Iterable[str | ComponentSpec | Mapping[str, Any]] = (),
    around: Around = lambda cell, run: nullcontext(),
    **request: Any,
) -> Study:
    """Search with every updater and every seed, one after the other, and tabulate the results.

    Args:
        space: the search space, as for `nastk.search`.
        updaters: the methods; `random` is added where it is missing.
        data: the images; `digits` where None.
        seeds: every updater is run once with each.
        budget: what each run may spend, such as `images=400k` or `cpu_seconds=15m`: every
            updater gets the most epochs that stay within it. None: the epochs of `request` or of the preset.
        out: the study's folder. Finished runs in it are kept, unfinished ones are resumed.
        observers: functions that are called with the events of every run.
        trackers: tools that draw the numbers of every run, as for `nastk.search`.
        around: makes a context for each run from its cell and the run, e.g. to show progress.
        **request: other keys of `SearchConfig`, the same for all: preset, trainer, evaluators ...

    Raises:
        ConfigurationError: a run cannot be assembled, or `out` holds one with other settings;
            nothing has run.

    Example: `nastk.compare("nasbench201", ["darts", "shapley"], seeds=range(4), out="runs/study")`
    """
    shared = {**request, "space": space, "data": data}
    cells = plan(shared, updaters, list(seeds), Path(out), budget)
    execute(cells, observers, list(trackers), around)
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
    """Returns the cells of a study, after checking names and options and assembling a run of each.

    Under a `budget` all runs of an updater have the epochs of its first run.

    Raises:
        ConfigurationError: as for `compare`, before anything has run.
    """
    specs = [ComponentSpec.of(updater) for updater in updaters]
    allowed = None if budget is None else Budget.parse(budget)
    baseline_added = not any(spec.name == defaults.BASELINE for spec in specs)
    labels = [_label(spec) for spec in specs] + [defaults.BASELINE] * baseline_added
    for values, noun in ((labels, "updater"), (list(seeds), "seed")):
        if len(set(values)) != len(values) or not values:
            raise ConfigurationError(
                f"A study needs at least one {noun}, and each only once; got {values}."
            )
    if baseline_added:
        specs.append(ComponentSpec(defaults.BASELINE))
    cells = []
    for spec, name in zip(specs, [file_name(label) for label in labels], strict=True):
        folders = {seed: RunFolder(out / f"{name}-seed{seed}") for seed in seeds}
        # A preset's evaluators would be repeated for every run, so the cheap ones are the default.
        given = request.get("evaluators")
        evaluators = cheap() if given is None else given
        cell_request: dict[str, Any] = {**request, "evaluators": evaluators, "updater": spec}
        if allowed is not None and budget is not None:
            if baseline_added and spec is specs[-1]:
                cell_request["updater"] = spec = _affordable(cell_request, allowed, out / name)
            cell_request = _within(cell_request, allowed, budget, out / name)
        label = _label(spec)
        for seed, folder in folders.items():
            config = resolve({**cell_request, "seed": seed})
            _check_kept(folder, config)
            cells.append(Cell(label, seed, config, folder))
    for cell in unfinished(cells):
        # Under a budget every updater's run was assembled already, to find its epochs.
        if cell.seed == seeds[0] and budget is None:
            assemble(cell.config, begins=True)
    return cells


def _affordable(request: Mapping[str, Any], budget: Budget, prefix: Path) -> ComponentSpec:
    """Returns random search, with fewer candidates where the usual number exceeds the budget.

    The user did not ask for random search, so it must not make a study fail. Where its shortest run
    costs more than the budget, candidates are halved until that run costs half of the budget, which
    leaves half for training. The option of a run that exists at `prefix`-seedN is kept.
    """
    usual = resolve({**request, "trainer": _long(request)})
    candidates = usual.updater.options[SCORED]
    stored = [folder.config()["updater"]["options"][SCORED] for folder in _kept(prefix)]
    if stored:
        return (
            ComponentSpec(defaults.BASELINE)
            if stored[0] == candidates
            else ComponentSpec(defaults.BASELINE, {SCORED: stored[0]})
        )
    assembly = assemble(usual)
    if budget.allows(assembly):
        return ComponentSpec(defaults.BASELINE)
    while candidates > 1:
        candidates //= 2
        spec = ComponentSpec(defaults.BASELINE, {SCORED: candidates})
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


def _check_kept(folder: RunFolder, config: SearchConfig) -> None:
    """Raises `ConfigurationError` where an existing run has another configuration."""
    if not (folder.path / CONFIG).exists():
        return
    kept, requested = (
        value.model_dump(mode="json") for value in (resolve(folder.config()), config)
    )
    different = sorted(key for key in requested if kept.get(key) != requested[key])
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
    """Returns an updater with its options as text: `shapley(samples=4)`."""
    options = ", ".join(f"{name}={value}" for name, value in use.options.items())
    return f"{use.name}({options})" if options else use.name
