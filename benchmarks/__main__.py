"""The command line: `python -m benchmarks [WORK ...] [--json] [--runs N] [--threads N] [--quick]`.

`python -m benchmarks gpu --out FOLDER [--images FOLDER] [--minutes N]` is the check of a GPU,
`python -m benchmarks processes` a search in several processes beside one.

Exit status 1 where a work failed (no parity, or an error in it), 2 where the request cannot be
done.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.gpu import check
from benchmarks.growth import tables
from benchmarks.rows import Row, print_json, print_table
from benchmarks.several import table as processes_table
from benchmarks.sizes import FULL, QUICK
from benchmarks.works import WORKS
from benchmarks.works.setting import Setting, Work
from nastk import NastkError, UnknownNameError

GROW, GPU, PROCESSES = "grow", "gpu", "processes"


def chosen(names: Sequence[str]) -> list[Work]:
    """The works of these names; all of them where none is named.

    Raises:
        UnknownNameError: no such work; says the near miss.
    """
    for name in names:
        if name not in WORKS:
            raise UnknownNameError.of("work", name, [*WORKS, GROW, GPU, PROCESSES])
    return [WORKS[name] for name in names or WORKS]


def run(names: Sequence[str], setting: Setting, as_json: bool) -> list[Row]:
    """Measure these works and print them: JSON row by row, or one table at the end.

    Raises:
        UnknownNameError: no such work.
    """
    rows = []
    torch.set_num_threads(setting.threads)
    for work in chosen(names):
        rows.append(work.row(setting))
        if as_json:
            print_json(rows[-1])
        else:
            print(f"{work.name} measured", file=sys.stderr)
    if not as_json:
        print_table(rows)
    return rows


def main(
    works: Annotated[
        list[str] | None,
        typer.Argument(
            help="works to measure (all), `grow` for its tables, `gpu`: the GPU check, or "
            "`processes`: a search in several"
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="one JSON object a row")] = False,
    runs: Annotated[int, typer.Option(min=1, help="runs of each side")] = 5,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of torch")] = 2,
    quick: Annotated[
        bool, typer.Option("--quick", help="tiny nets: whether it runs, not how fast")
    ] = False,
    out: Annotated[Path, typer.Option(help="gpu: the folder to write to")] = Path("gpu-check"),
    images: Annotated[
        Path | None, typer.Option(help="gpu: CIFAR-10 as a folder of images, for the search")
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="gpu: how long it may take")] = 10.0,
) -> None:
    """Measure nastk against a textbook supernet."""
    sizes = QUICK if quick else FULL
    try:
        if works == [GPU]:
            if not check(out, images, minutes):
                raise typer.Exit(1)
            return
        if works == [GROW]:
            tables(threads, quick)
            return
        if works == [PROCESSES]:
            processes_table(sizes, runs, threads, quick)
            return
        rows = run(works or [], Setting(sizes, runs, threads, not quick), json)
    except NastkError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(error.exit_code) from None
    if any(row.failed for row in rows):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
