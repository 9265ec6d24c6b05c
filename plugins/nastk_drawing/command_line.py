"""`nastk draw`: in the terminal, or as a picture. Matplotlib is imported for a picture only."""

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
    """Called each time the command line is built; adds the command."""
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
    found, source = architecture_of(architecture, space, s or [])
    if out is None:
        from nastk.report import cell

        show(cell(found))
        return
    from nastk_drawing import draw as picture

    picture(found, out, title=found.space, subtitle=source)
    note(f"drawn to {out}")


def _draw_branches(path: Path, out: Path | None) -> None:
    """The tree of a run's branches, here or as a picture in `out`."""
    found, title, subtitle = branches_of(path)
    if found is None:
        raise ConfigurationError(
            f"The run {path} did not split, so it has no tree of branches. "
            f"Draw its architecture with `{command('nastk', 'draw', path)}`."
        )
    if out is None:
        from nastk.report import Tree

        show(Tree(found))
        return
    from nastk_drawing import draw_tree

    draw_tree(found, out, title=title, subtitle=subtitle)
    note(f"drawn to {out}")
