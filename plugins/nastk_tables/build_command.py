"""`nastk table build`: trains the networks of a space, and makes a table of their accuracies."""

from pathlib import Path
from typing import Annotated

import typer

from nastk.cli import DATA_OPTIONS, DEVICE, JSON, QUIET, SPACE_OPTIONS


def build(
    space: Annotated[str, typer.Option(help="The space whose networks are trained.")],
    data: Annotated[str, typer.Option(help="The images, e.g. digits or folder:photos.")],
    evaluator: Annotated[
        str,
        typer.Option(
            "--evaluator",
            "-e",
            metavar="NAME[,OPTION=VALUE...]",
            help="Who trains and measures, with the recipe, e.g. retrain,epochs=20.",
        ),
    ] = "retrain",
    seeds: Annotated[str, typer.Option(help="Seeds of each network, such as 0-2 or 0,2.")] = "0",
    sample: Annotated[
        int | None, typer.Option(min=1, help="Train so many random networks, not all.")
    ] = None,
    sample_seed: Annotated[
        int, typer.Option(min=0, help="Seed of the sample, and of the order of training.")
    ] = 0,
    architectures: Annotated[
        Path | None, typer.Option(help="Train those of a file with an architecture a line.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The table. Default: the user's tables, by the space."),
    ] = None,
    s: SPACE_OPTIONS = None,
    d: DATA_OPTIONS = None,
    device: DEVICE = None,
    max_failures: Annotated[
        int, typer.Option(min=0, help="End when more trainings than this have failed.")
    ] = 10,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Train again what failed before.")
    ] = False,
    so_far: Annotated[
        bool,
        typer.Option("--so-far", help="Train nothing; make a table of what is trained already."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it will cost, and stop.")
    ] = False,
    quiet: QUIET = False,
    json: JSON = False,
) -> None:
    """Train the networks of a space, and make a table of them: a benchmark of one's own.

    The same command in several processes shares the work; after a kill it goes on.
    """
    from nastk.cli import note, seed_range
    from nastk_tables.content import show_table
    from nastk_tables.expecting import show_expected
    from nastk_tables.request import BuildRequest

    request = BuildRequest(
        space,
        data,
        s or [],
        d or [],
        evaluator,
        seed_range(seeds),
        sample,
        sample_seed,
        architectures,
        out,
        device,
        quiet,
    )
    building = request.building()
    if dry_run:
        show_expected(building, request.out, json)
        return
    if not quiet:
        selection = building.selection
        note(
            f"{len(selection.networks):,} networks ({selection.how}) of {space}, seeds {seeds}, by "
            f"{evaluator} on {building.subject.data.name}; kept in {request.folder}"
        )
    if not so_far:
        progress = request.train(building, max_failures, retry_failed)
        if progress.done < progress.total:
            note(
                f"{progress.done:,} of {progress.total:,} trainings are done; other processes are "
                "at work on the rest, and the last one writes the table. If one of them is "
                "killed, the same command goes on."
            )
            return
    show_table(request.out, request.written(building), json)
