"""`warm_ups`: the runs of a study that train what others begin with, checked before any begins.

There is one for each problem and seed, without evaluators, in STUDY/warm-up/UPDATER-seedN; in a
study of several problems PROBLEM--UPDATER-seedN. `compare` carries all of them out before the runs
that begin with their weights.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nastk.base.errors import ConfigurationError
from nastk.runs.assembly import assemble
from nastk.runs.continuing import MAY_DIFFER_IN
from nastk.runs.folder import RunFolder
from nastk.runs.problem import folder_name
from nastk.runs.search_config import SearchConfig, WarmUp
from nastk.runs.study_plan import check_kept
from nastk.runs.study_result import Cell, file_name
from nastk.runs.warm_up import FOLDER, has_supernet, label, warm_up_of

SHARED = ("space", "data", "limits", "precision", "deterministic")
"""Keys of a configuration that a warm-up has from the runs that begin with it."""


def warm_ups(cells: Sequence[Cell], out: Path) -> list[Cell]:
    """Returns the runs of the warm-ups that the unfinished ones of a study's runs begin with.

    Raises:
        ConfigurationError: the updaters of a problem train differently, or begin with the weights
            of a file; the warm-up cannot be assembled, or its folder holds another run.
    """
    several = len({cell.problem for cell in cells}) > 1
    first: dict[str, Cell] = {}
    found: dict[tuple[str, int], Cell] = {}
    for cell in cells:
        warm_up = cell.config.warm_up
        if warm_up is not None and has_supernet(cell.config):
            _check_alike(first.setdefault(cell.problem, cell), cell)
            if (cell.problem, cell.seed) not in found and cell.folder.state() != "finished":
                found[cell.problem, cell.seed] = _planned(cell, warm_up, out, several)
    for cell in found.values():
        check_kept(cell.folder, cell.config)
    for cell in {cell.problem: cell for cell in found.values()}.values():
        if cell.folder.state() != "finished":
            assemble(cell.config, begins=True)
    return list(found.values())


def _planned(cell: Cell, warm_up: WarmUp, out: Path, several: bool) -> Cell:
    """Returns the run of the warm-up that `cell` begins with; `several`: one of several problems'.

    A warm-up that the folder already holds keeps its name.
    """
    config = cell.config.model_copy(
        update={
            "updater": warm_up.updater,
            "trainer": cell.config.trainer.model_copy(update={"epochs": warm_up.epochs}),
            "evaluators": [],
            **dict.fromkeys(("budget", "ranking", "leaf_evaluator", "leaf_metric", "warm_up")),
            **{"leaf_race": 0.0, "preset": None},
        }
    )
    name = file_name(f"{label(warm_up)}-epochs={warm_up.epochs}")
    first = f"{folder_name(cell.problem)}--" if several else ""
    new = RunFolder(out / FOLDER / f"{first}{name}-seed{cell.seed}")
    folder = warm_up_of(cell.config, out) or new
    return Cell(f"warm-up by {label(warm_up)}", cell.seed, config, folder, cell.problem)


def _check_alike(first: Cell, cell: Cell) -> None:
    """Raises `ConfigurationError` where a warm-up cannot be the beginning of both runs."""
    if cell.config.weights is not None:
        raise ConfigurationError(
            f"The runs of a study begin with the weights of a file ({cell.config.weights}) or with "
            "those of a shared warm-up, not with both. Leave one of them out."
        )
    before, now = _training(first.config), _training(cell.config)
    different = [name for name in now if now[name] != before[name]]
    if different:
        words = ", ".join(f"{name} ({before[name]} and {now[name]})" for name in different[:3])
        raise ConfigurationError(
            f"{first.label} and {cell.label} train with another {words}, as a preset may have it, "
            "so no warm-up is the beginning of both. Give these options for all of them (`-t "
            "NAME=VALUE`), or leave the warm-up out."
        )


def _training(config: SearchConfig) -> dict[str, Any]:
    """Returns what decides the training of a run beside its updater, its epochs and its seed."""
    values: Mapping[str, Any] = config.model_dump(mode="json")
    free = MAY_DIFFER_IN["trainer"] | {"epochs"}
    trainer = {name: value for name, value in values["trainer"].items() if name not in free}
    return {**{key: values[key] for key in SHARED}, **trainer}
