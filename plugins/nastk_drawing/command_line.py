"""`nastk draw` and `nastk report`. Only a picture and a report import matplotlib."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from nastk import ConfigurationError
from nastk.base import command
from nastk.cli import (
    ARCHITECTURE,
    ITS_SPACE,
    SPACE_OPTIONS,
    architecture_of,
    branches_of,
    note,
    run_record,
    show,
)
from nastk.report import RunRecord

PICTURE = Annotated[
    Path | None, typer.Option("--out", "-o", help="The picture: .svg, .png or .pdf.")
]


def add_to(app: typer.Typer) -> None:
    """Adds the commands; called each time the command line is built."""
    app.command()(draw)
    app.command()(report)


def draw(
    architecture: ARCHITECTURE,
    out: PICTURE = None,
    branches: Annotated[
        bool, typer.Option("--branches", help="Draw the tree of branches of a run that split.")
    ] = False,
    curves: Annotated[
        bool, typer.Option("--curves", help="Draw loss, accuracy and entropy of a run by epoch.")
    ] = False,
    scores: Annotated[
        bool, typer.Option("--scores", help="Draw the scores of every operation by epoch.")
    ] = False,
    lineage: Annotated[
        bool, typer.Option("--lineage", help="Draw who came from whom in a run that evolved.")
    ] = False,
    ranks: Annotated[
        bool, typer.Option("--ranks", help="Draw the mean ranks of a study's updaters.")
    ] = False,
    anytime: Annotated[
        bool, typer.Option("--anytime", help="Draw what a study's decisions were worth over cost.")
    ] = False,
    front: Annotated[
        bool, typer.Option("--front", help="Draw accuracy against size of all that a study found.")
    ] = False,
    space: ITS_SPACE = None,
    s: SPACE_OPTIONS = None,
) -> None:
    """Draw the architecture that a run found, or one from elsewhere; or what happened in a run."""
    asked = {"branches": branches, "curves": curves, "scores": scores, "lineage": lineage}
    asked |= {"ranks": ranks, "anytime": anytime, "front": front}
    flags = [f"--{name}" for name, flag in asked.items() if flag]
    if len(flags) > 1:
        raise ConfigurationError(f"A picture shows one thing, got {', '.join(flags)}. Choose one.")
    if flags:
        EXTRAS[flags[0]](Path(architecture), out)
        return
    drawn, source = architecture_of(architecture, space, s or [])
    if out is None:
        from nastk.report import cell

        show(cell(drawn))
        return
    from nastk_drawing import draw as picture

    picture(drawn, out, title=drawn.space, subtitle=source)
    note(f"drawn to {out}")


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder of a run, a training or a study.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The HTML file. Default: report.html in the folder."),
    ] = None,
) -> None:
    """Write a report of a run, a training or a study as one HTML file."""
    from nastk_drawing import write_report

    note(f"written to {write_report(folder, out)}")


def _draw_branches(path: Path, out: Path | None) -> None:
    """Draw the tree of a run's branches in the terminal, or as a picture in `out`."""
    lineage, title, subtitle = branches_of(path)
    if lineage is None:
        raise ConfigurationError(
            f"The run {path} did not split, so it has no tree of branches. "
            f"Draw its architecture with `{command('nastk', 'draw', path)}`."
        )
    if out is None:
        from nastk.report import Tree

        show(Tree(lineage))
        return
    from nastk_drawing import draw_tree

    draw_tree(lineage, out, title=title, subtitle=subtitle)
    note(f"drawn to {out}")


def _draw_curves(path: Path, out: Path | None) -> None:
    """Draw a run's curves in the terminal, or as a picture in `out`."""
    record = run_record(path)
    if not any(event["kind"] == "epoch-done" for event in record.history):
        raise ConfigurationError(f"The run {path} has finished no epoch yet, so it has no curves.")
    if out is None:
        from nastk.report import Curves

        show(Curves(record.history))
        return
    from nastk_drawing import draw_curves

    draw_curves(record, out)
    note(f"drawn to {out}")


def _draw_scores(path: Path, out: Path | None) -> None:
    """Draw the scores of a run's operations as a picture in `out`."""
    from nastk_drawing import draw_scores

    _draw_file(path, out, "scores", draw_scores)


def _draw_lineage(path: Path, out: Path | None) -> None:
    """Draw the lineage of a run's population as a picture in `out`."""
    from nastk_drawing import draw_lineage

    _draw_file(path, out, "lineage", draw_lineage)


def _draw_ranks(path: Path, out: Path | None) -> None:
    """Draw the mean ranks of a study's updaters as a picture in `out`."""
    from nastk_drawing import draw_ranks

    target = _named(path, out, "ranks")
    draw_ranks(path, target)
    note(f"drawn to {target}")


def _draw_anytime(path: Path, out: Path | None) -> None:
    """Draw the worth of a study's decisions over their cost as a picture in `out`."""
    from nastk_drawing import draw_anytime

    target = _named(path, out, "anytime")
    draw_anytime(path, target)
    note(f"drawn to {target}")


def _draw_front(path: Path, out: Path | None) -> None:
    """Draw accuracy against size of all that a study found as a picture in `out`."""
    from nastk_drawing import draw_front

    target = _named(path, out, "front")
    draw_front(path, target)
    note(f"drawn to {target}")


def _draw_file(
    path: Path, out: Path | None, name: str, picture: Callable[[RunRecord, Path], Path]
) -> None:
    """Draw with `picture` into `out`, which must be given."""
    record = run_record(path)
    target = _named(path, out, name)
    picture(record, target)
    note(f"drawn to {target}")


def _named(path: Path, out: Path | None, name: str) -> Path:
    """Returns the file of a picture, which must be given."""
    if out is None:
        asked = command("nastk", "draw", path, f"--{name}", "-o", f"{name}.svg")
        raise ConfigurationError(f"--{name} is drawn as a picture, so name a file: `{asked}`.")
    return out


EXTRAS = {
    "--branches": _draw_branches,
    "--curves": _draw_curves,
    "--scores": _draw_scores,
    "--lineage": _draw_lineage,
    "--ranks": _draw_ranks,
    "--anytime": _draw_anytime,
    "--front": _draw_front,
}
"""What draws a run instead of its architecture, by the option that asks for it."""
