"""`nastk table import` and `nastk table info`; numpy and torch are imported when they run."""

import json as json_module
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nastk_tables.build_command import build
from nastk_tables.places import KNOWN, default_path, find

if TYPE_CHECKING:
    from nastk_tables.table import Table

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


def show_table(path: Path, table: "Table", json: bool) -> None:
    """Prints the content of a table on stdout, as text or as JSON."""
    rows = [_row(table, number) for number in range(len(table.columns))]
    if json:
        content = {
            "path": str(path),
            "space": table.space,
            "architectures": len(table),
            "bytes": path.stat().st_size,
            "sha256": table.digest,
            "sources": list(table.sources),
            "columns": rows,
            "provenance": dict(table.provenance),
        }
        print(json_module.dumps(content, indent=2))
        return
    print(f"{path}: {len(table):,} architectures of {table.space}, {path.stat().st_size:,} bytes")
    print(f"sha256 {table.digest}; made from {', '.join(table.sources)}")
    for text in _provenance(table):
        print(text)
    for row in rows:
        known = f"{row['known']:,} values"
        print(f"  {row['name']:<34}{row['unit'] or '-':<4}{known:<15}{_span(row)}")


def _provenance(table: "Table") -> list[str]:
    """Returns in words how the networks of a table of one's own were trained."""
    found = table.provenance
    if not found:
        return []
    recipe, data, failed = found["evaluator"], found["data"], len(found["failed"])
    return [
        f"{found['architectures']}: {found['networks']:,} different networks, seeds "
        f"{', '.join(map(str, found['seeds']))}, {found['seconds'] / 3600:.2f} hours of training"
        + (f"; {failed} trainings failed" if failed else ""),
        f"on {data['name']} {_pairs(data['options'])}".rstrip(),
        f"by {recipe['name']} {_pairs(recipe['options'])}".rstrip(),
    ]


def _pairs(options: Mapping[str, Any]) -> str:
    """Returns options that are set as text: `epochs=20 batch_size=32`."""
    return " ".join(
        f"{name}={json_module.dumps(value) if not isinstance(value, str) else value}"
        for name, value in options.items()
        if value is not None
    )


def _row(table: "Table", number: int) -> dict[str, Any]:
    """Returns the meaning of column `number`, its number of known values, and the extremes."""
    import numpy as np

    column, values = table.columns[number], table.values[number]
    values = values[~np.isnan(values)]
    return {
        "name": column.name,
        "unit": "",
        **column.to_json(),
        "known": int(values.size),
        "least": float(values.min()) if values.size else None,
        "greatest": float(values.max()) if values.size else None,
    }


def _span(row: dict[str, Any]) -> str:
    """Returns the extremes of a column as text, empty if no value is known."""
    return "" if row["least"] is None else f"{row['least']:.4f} to {row['greatest']:.4f}"
