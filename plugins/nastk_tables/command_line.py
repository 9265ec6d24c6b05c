"""`nastk table import` and `nastk table info`; numpy and torch are imported when they run."""

from pathlib import Path
from typing import Annotated

import typer

from nastk_tables.build_command import build
from nastk_tables.content import show_table
from nastk_tables.places import KNOWN, default_path, find

table = typer.Typer(
    name="table",
    help="Tables of benchmarks, for the evaluator `table`.",
    no_args_is_help=True,
)

table.command()(build)


def add_to(app: typer.Typer) -> None:
    """Called each time the command line is built: adds the group of commands once."""
    if not any(group.typer_instance is table for group in app.registered_groups):
        app.add_typer(table)


@table.command("import")
def import_table(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="NAS-Bench-201 .pth, NATS-Bench folder or .pickle.pbz2, CSV; several are merged.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The file to write. Default: the user's tables."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The table's name there. Default: the space's.")
    ] = None,
    space: Annotated[
        str, typer.Option(help="The space whose architectures the files hold.")
    ] = KNOWN,
    s: Annotated[
        list[str] | None, typer.Option("-s", metavar="NAME=VALUE", help="An option of the space.")
    ] = None,
    epochs: Annotated[
        int, typer.Option(min=1, help="How long the networks of a CSV file were trained.")
    ] = 200,
    json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Make a compact table from a benchmark's files. Nothing in them is executed."""
    from rich.console import Console
    from rich.progress import Progress

    from nastk.base import assignments, check_replaceable
    from nastk_tables.importing import import_files
    from nastk_tables.storage import read, write

    path = out or default_path(name or space)
    check_replaceable(path)
    options = assignments(s or [], "-s")
    stderr = Console(stderr=True, highlight=False)
    with Progress(console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        task = bar.add_task("architectures", total=None)
        imported = import_files(
            files,
            space,
            epochs,
            lambda done, total: bar.update(task, completed=done, total=total),
            options,
        )
    write(path, imported.table)
    for note in imported.notes:
        stderr.print(note, markup=False, soft_wrap=True)
    show_table(path, read(path), json)


@table.command()
def info(
    name: Annotated[str, typer.Argument(metavar="TABLE", help="A name or a path.")] = KNOWN,
    json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Say what a table holds, after checking that it is whole."""
    from nastk_tables.storage import read

    path = find(name)
    show_table(path, read(path), json)
