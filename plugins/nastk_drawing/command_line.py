"""`nastk draw`: drawings in the terminal, or as a picture. Only a picture imports matplotlib."""

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
    show,
)


def add_to(app: typer.Typer) -> None:
    """Adds the command; called each time the command line is built."""
    app.command()(draw)


def draw(
    architecture: ARCHITECTURE,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The picture: .svg, .png or .pdf.")
    ] = None,
    branches: Annotated[
        bool, typer.Option("--branches", help="Draw the tree of branches of a run that split.")
    ] = False,
    space: ITS_SPACE = None,
    s: SPACE_OPTIONS = None,
) -> None:
    """Draw the architecture that a run found, or one from elsewhere."""
    if branches:
        _draw_branches(Path(architecture), out)
        return
    drawn, source = architecture_of(architecture, space, s or [])
    if out is None:
        from nastk.report import cell

        show(cell(drawn))
        return
    from nastk_drawing import draw as picture

    picture(drawn, out, title=drawn.space, subtitle=source)
    note(f"drawn to {out}")


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
