"""Carries out the runs of a study that are not finished: `execute`, used by `compare`."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from nastk.report.notebook import shown
from nastk.runs.folder import CONFIG
from nastk.runs.relay import Observer
from nastk.runs.run import Run
from nastk.runs.study_result import Cell

Around = Callable[[Cell, Run], AbstractContextManager[None]]
"""Makes a context for a run of a study, e.g. to show its progress."""


def execute(
    cells: Sequence[Cell], observers: Iterable[Observer], trackers: Sequence[Any], around: Around
) -> None:
    """Begin or resume every run that is not finished, one after the other.

    Arguments are those of `compare`.
    """
    for cell in unfinished(cells):
        begun = (cell.folder.path / CONFIG).exists()
        run = (
            Run.resumed(cell.folder, observers=observers, trackers=trackers)
            if begun
            else Run.new(cell.config, cell.folder.path, observers=observers, trackers=trackers)
        )
        intended = run.assembly.plan
        title = f"{cell.label}, seed {cell.seed}"
        with (
            around(cell, run),
            shown(run.observers, intended.epochs, intended.steps_per_epoch, title),
        ):
            for _ in run.events():
                pass


def unfinished(cells: Sequence[Cell]) -> Iterator[Cell]:
    """Returns the cells whose runs are not finished."""
    return (cell for cell in cells if cell.folder.state() != "finished")
