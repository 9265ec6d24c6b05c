"""Benchmark tables: the evaluator and the space `table`, and the commands that make tables.

importing.py     reads a benchmark's files into a table: an import starts here
spreadsheet.py   CSV files
official.py      the files of NAS-Bench-201 and NATS-Bench; torch_file.py, unpickle.py and plain.py
                 read them without running any code that a file names
macro.py         the file of NAS-Bench-Macro
sheet.py         the content of one file; sheets are merged into a table
table.py         a table in memory, made of column.py
storage.py       a table on disk, in the folder that places.py names
evaluator.py     looks architectures up in a table
space.py         the space `table`: another space with a supernet that looks its accuracies up
supernet.py      that supernet; answers.py makes an array of a table's accuracies for it
numbered.py      its images, the data `numbered`
command_line.py  `nastk table import` and `nastk table info`; content.py prints what a table holds

For `nastk table build`, a benchmark of one's own:

build_command.py the command; request.py has what it was asked for
networks.py      the networks of a space, a sample or a file, each once
building.py      trains them; trainings.py keeps what is trained, for several processes
collecting.py    makes a table of it
expecting.py     what it will cost
"""

from typing import TYPE_CHECKING, Any

from nastk import Offer, hookimpl

if TYPE_CHECKING:
    import typer


@hookimpl
def evaluators() -> list[Offer]:
    """Returns the offer of the evaluator `table`."""
    return [
        Offer(
            "table",
            "accuracy and rank in a benchmark's table; trains nothing",
            "nastk_tables.evaluator:TableAccuracy",
        )
    ]


@hookimpl
def search_spaces() -> list[Offer]:
    """Returns the offer of the space `table`."""
    return [
        Offer(
            "table",
            "another space whose supernet looks its accuracies up in a table, with noise",
            "nastk_tables.space:TableSpace",
        )
    ]


@hookimpl
def data_sources() -> list[Offer]:
    """Returns the offer of the images for the space `table`."""
    return [
        Offer(
            "numbered",
            "images that hold only a class and a number; for the space `table`",
            "nastk_tables.numbered:Numbered",
        )
    ]


@hookimpl
def commands(app: "typer.Typer") -> None:
    """Called when the command line is built: adds `nastk table` with its commands."""
    from nastk_tables.command_line import add_to

    add_to(app)


@hookimpl
def findings() -> list[dict[str, Any]]:
    """Called by `nastk doctor`, without torch: returns the state of the table of NAS-Bench-201.

    Each finding is {what, found, ok, advice}.
    """
    from nastk_tables.places import findings

    return findings()
