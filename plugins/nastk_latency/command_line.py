"""`nastk latency build` and `nastk latency info`; torch is imported when they run."""

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nastk import catalogue
from nastk.base import assignments
from nastk_latency.scale_command import scale

if TYPE_CHECKING:
    from nastk_latency.table import LatencyTable

latency = typer.Typer(
    name="latency",
    help="Times of a space's operations on a device, for the evaluator `latency`.",
    no_args_is_help=True,
)
JSON = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def add_to(app: typer.Typer) -> None:
    """Called each time the command line is built: adds the commands once."""
    if not any(group.typer_instance is latency for group in app.registered_groups):
        app.add_typer(latency)
        app.command()(scale)


@latency.command()
def build(
    space: Annotated[str, typer.Option(help="The search space, e.g. darts.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")],
    data: Annotated[str, typer.Option(help="The images, e.g. cifar10.")] = "digits",
    s: Annotated[
        list[str] | None, typer.Option("-s", metavar="NAME=VALUE", help="An option of the space.")
    ] = None,
    d: Annotated[
        list[str] | None, typer.Option("-d", metavar="NAME=VALUE", help="An option of the data.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    batch: Annotated[int, typer.Option(min=1, help="Images in a pass.")] = 1,
    repeats: Annotated[int, typer.Option(min=1, help="Timed passes of each network.")] = 11,
    samples: Annotated[
        int, typer.Option(min=1, help="Networks that are timed for each operation.")
    ] = 2,
    threads: Annotated[
        int, typer.Option(min=0, help="CPU threads of torch; 0 is torch's own choice.")
    ] = 0,
    json: JSON = False,
) -> None:
    """Time the networks of a space on this device, and write what each operation adds."""
    from rich.console import Console
    from rich.progress import Progress

    from nastk import Execution
    from nastk.base import check_replaceable
    from nastk_latency.build import Effort
    from nastk_latency.build import build as build_table

    check_replaceable(out)
    execution = Execution.choose(device, "fp32", threads=threads)
    name, _, path = data.partition(":")
    given = {**({"path": path} if path else {}), **assignments(d or [], "-d")}
    source, made = _made("data", name, given), _made("space", space, assignments(s or [], "-s"))
    console = Console(stderr=True, highlight=False)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("networks", total=None)
        table = build_table(
            made,
            source.task,
            execution,
            Effort(batch, repeats, samples),
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    table.store(out)
    _show(out, table, json)


@latency.command()
def info(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A latency table.")],
    json: JSON = False,
) -> None:
    """Say what a table holds, after checking that it is whole."""
    from nastk_latency.table import read

    _show(path, read(path), json)


def _made(kind: str, name: str, given: dict[str, Any]) -> Any:
    """Returns the component called `name`, made with the options `given`."""
    component = catalogue().load(kind, name)
    return component(component.parse_options(given))


def _show(path: Path, table: "LatencyTable", json: bool) -> None:
    """Prints the content of a table on stdout, as text or as JSON."""
    if json:
        print(json_module.dumps({"path": str(path), **table.model_dump(mode="json")}, indent=2))
        return
    shape, check = table.task, table.check
    print(f"{path}: {table.space} on {table.device}, {table.date}, torch {table.torch}")
    print(
        f"  a batch of {table.batch} x {shape.task.form}, "
        f"threads: {table.threads}; {table.networks} networks, {table.repeats} passes each"
    )
    print(f"  {1e3 * table.rest:.4g} ms whatever is chosen, and for each operation (ms):")
    for row in table.edges:
        words = ", ".join(
            f"{name} {1e3 * seconds:.3g}"
            for name, seconds in zip(row.operations, row.seconds, strict=True)
        )
        print(f"  {row.name:<14}{words}")
    correlation = "none" if check.correlation is None else f"{check.correlation:.3f}"
    print(
        f"  {len(check.measured)} other networks timed whole: correlation {correlation}, "
        f"mean relative error {100 * check.mean_relative_error:.1f} %"
    )
