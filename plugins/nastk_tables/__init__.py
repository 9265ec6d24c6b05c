"""Benchmark tables: the evaluator `table`, and `nastk table import` that makes the file it reads.

`importing.py` is where an import starts: `spreadsheet.py` reads CSV, `official.py` the files of
NAS-Bench-201 and NATS-Bench (through `torch_file.py`, `unpickle.py` and `plain.py`, which run
nothing that a file names); both answer a `sheet.py`, and sheets merge into a `table.py`, kept on
disk by `storage.py` at the place that `places.py` says. `evaluator.py` looks architectures up in
it.
"""

from typing import TYPE_CHECKING, Any

from nastk import Offer, hookimpl

if TYPE_CHECKING:
    import typer


@hookimpl
def evaluators() -> list[Offer]:
    """What this plugin offers."""
    return [
        Offer(
            "table",
            "accuracy and rank in a benchmark's table; trains nothing",
            "nastk_tables.evaluator:TableAccuracy",
        )
    ]


@hookimpl
def commands(app: "typer.Typer") -> None:
    """`nastk table import` and `nastk table info`."""
    from nastk_tables.command_line import add_to

    add_to(app)


@hookimpl
def findings() -> list[dict[str, Any]]:
    """For `nastk doctor`, without torch: whether the table is there, {what, found, ok, advice}."""
    from nastk_tables.places import findings

    return findings()
