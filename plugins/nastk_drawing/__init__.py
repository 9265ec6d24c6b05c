"""Pictures: `nastk draw`, and `draw` and `draw_tree` for programs. SVG, PNG or PDF.

command_line.py  the command `nastk draw`
cell.py          the picture of an architecture, a panel for each cell; `layout.py` computes the
                 positions
tree_picture.py  the picture of a run's branches; `tree_layout.py` computes the positions,
                 `tree_cards.py` texts and sizes, `heat.py` draws tables of distances
canvas.py        the page that pictures are drawn on: colours, font, files
"""

from typing import TYPE_CHECKING

from nastk import hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import typer

    from nastk import Architecture
    from nastk.report import Lineage


@hookimpl
def commands(app: "typer.Typer") -> None:
    """Adds the command `nastk draw`."""
    from nastk_drawing.command_line import add_to

    add_to(app)


def draw(
    architecture: "Architecture",
    path: "str | Path",
    *,
    title: str | None = None,
    subtitle: str | None = None,
    scores: "Sequence[Sequence[float]] | None" = None,
) -> "Path":
    """Draw an architecture into a file: SVG, PNG or PDF, by the suffix of `path`; returns the path.

    `scores` is an edges x operations table; chosen operations are labelled with their entries.

    Raises:
        ConfigurationError: the suffix is of no known format.

    Example: `draw(result.architecture, "cell.svg", title="Shapley, seed 0")`
    """
    from nastk_drawing import canvas, cell

    canvas.checked_format(path)
    picture = cell.picture(architecture, title=title, subtitle=subtitle, scores=scores)
    return canvas.save(picture, path)


def draw_tree(
    branches: "Lineage",
    path: "str | Path",
    *,
    title: str | None = None,
    subtitle: str | None = None,
) -> "Path":
    """Draw the branches of a run into a file: SVG, PNG or PDF, by its suffix; returns the path.

    Raises:
        ConfigurationError: the suffix is of no known format.

    Example: `draw_tree(lineage(result.history), "tree.svg", title="gm around darts")`
    """
    from nastk_drawing import canvas, tree_picture

    canvas.checked_format(path, "tree")
    return canvas.save(tree_picture.picture(branches, title=title, subtitle=subtitle), path)
