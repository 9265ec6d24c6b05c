"""New plugins: `nastk new KIND NAME` writes a package that installs and passes its tests.

command_line.py   the command
names.py          what the name of a component becomes in the package, and which names are refused
writing.py        fills in the templates
templates/        the files of such a package: shared ones, and those of each kind
"""

from typing import TYPE_CHECKING

from nastk import hookimpl

if TYPE_CHECKING:
    import typer


@hookimpl
def commands(app: "typer.Typer") -> None:
    """`nastk new`."""
    from nastk_new.command_line import add_to

    add_to(app)
