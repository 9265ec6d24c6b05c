"""`nastk scale`: an architecture at several widths and depths; torch is imported when it runs."""

import json as json_module
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nastk import ConfigurationError
from nastk.base import assignments, json_value
from nastk.cli import ARCHITECTURE, ITS_SPACE, SPACE_OPTIONS

if TYPE_CHECKING:
    from nastk import Execution, SearchSpace, Task
    from nastk_latency.scaling import Clocked, Size

JSON = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
IMAGE = 32
"""Pixels a side of the images of an architecture that no run found, unless `--image` says more."""


def scale(
    architecture: ARCHITECTURE,
    channels: Annotated[
        str | None, typer.Option(metavar="N,N,...", help="Widths of the network, e.g. 16,24,36.")
    ] = None,
    cells: Annotated[
        str | None, typer.Option(metavar="N,N,...", help="Depths of the network, e.g. 8,14,20.")
    ] = None,
    over: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUES", help="Values of another option of the space."),
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(metavar="SIZE,...", help="Images: 224, or HEIGHTxWIDTH. Default: the run's."),
    ] = None,
    classes: Annotated[
        int | None, typer.Option(min=2, help="Classes. Default: the run's, or 10.")
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC=VALUE", help="Largest params, madds, latency, onnx_latency."),
    ] = None,
    repeats: Annotated[
        int, typer.Option(min=0, help="Timed passes of each network; 0 times nothing.")
    ] = 11,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Time the ONNX graph under onnxruntime too.")
    ] = False,
    batch: Annotated[int, typer.Option(min=1, help="Images in a pass.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    threads: Annotated[
        int, typer.Option(min=0, help="CPU threads; 0 is the libraries' own choice.")
    ] = 1,
    space: ITS_SPACE = None,
    s: SPACE_OPTIONS = None,
    json: JSON = False,
) -> None:
    """Count and time an architecture's network over widths and depths, to pick a size."""
    from nastk import Execution, Task
    from nastk.cli import architecture_in_space
    from nastk.data import read_size
    from nastk_latency.scaling import CELLS, CHANNELS, grid, option_of, sizes

    limits = limits_of(limit or [], repeats, onnx)
    chosen, made, task = architecture_in_space(architecture, space, s or [])
    task = task or Task(classes=10, channels=3, size=IMAGE)
    task = task if classes is None else replace(task, classes=classes, labels=())
    values = {}
    for flag, names, text in (("--channels", CHANNELS, channels), ("--cells", CELLS, cells)):
        if text is not None:
            values[option_of(made, names, flag)] = listed(text, flag)
    for name, value in assignments(over or [], "--over").items():
        values[name] = value if isinstance(value, list) else listed(str(value), f"--over {name}")
    try:
        images = [read_size(part) for part in (image or "").split(",") if part.strip()]
    except ValueError as error:
        raise ConfigurationError(f"--image: expected {error}, got {image!r}.") from None
    execution = Execution.choose(device, "fp32", threads=threads)
    with execution.settings():
        found = sizes(
            chosen,
            made,
            wanted := grid(values, images, task),
            limits,
            clocks_of(execution, batch, repeats, onnx),
            tick=_progress,
        )
    if json:
        about = {"architecture": made.to_text(chosen), "space": made.name, "batch": batch}
        rows = [size.to_json() for size in found]
        print(json_module.dumps({**about, "limits": limits, "sizes": rows}, indent=2))
        return
    _show(found, len(wanted), made, _conditions(task, execution, batch, repeats))


def listed(text: str, flag: str) -> list[Any]:
    """Returns the values in a text such as `16,24,36`; each is JSON, or else a text.

    Raises:
        ConfigurationError: there is none.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise ConfigurationError(f"{flag} takes values such as 16,24,36; got {text!r}.")
    return [_value(part) for part in parts]


def _value(text: str) -> Any:
    """Returns the value of a text as JSON; the text itself if it is none."""
    try:
        return json_value(text)
    except ValueError:
        return text


def limits_of(texts: Sequence[str], repeats: int, onnx: bool) -> dict[str, float]:
    """Returns the limits by metric, such as `madds=600M` or `latency=20ms`.

    Raises:
        ConfigurationError: a text is no limit, or of a metric that is not measured.
    """
    from nastk.limits import ALIASES, amount

    measured = [*(["latency"] if repeats else []), *(["onnx_latency"] if repeats and onnx else [])]
    known = ["parameters", "multiply_adds", *measured]
    limits = {}
    for text in texts:
        name, equals, value = text.partition("=")
        metric = ALIASES.get(name.strip(), name.strip())
        if not equals or metric not in known:
            raise ConfigurationError(
                f"--limit takes METRIC=VALUE with {', '.join(['params', 'madds', *measured])}, "
                f"such as madds=600M; got {text!r}. Times need --repeats of at least 1, and "
                "onnx_latency needs --onnx."
            )
        limits[metric] = amount(value, metric)
    return limits


def clocks_of(execution: "Execution", batch: int, repeats: int, onnx: bool) -> "dict[str, Clocked]":
    """Returns what measures the times that were asked for.

    Raises:
        MissingExtraError: `onnx` was asked for and is not installed.
    """
    from nastk_latency.onnx_timing import Onnx, libraries
    from nastk_latency.scaling import Torch

    clocks: dict[str, Clocked] = {}
    if repeats:
        clocks["latency"] = Torch(execution, batch, repeats)
    if repeats and onnx:
        libraries()
        clocks["onnx_latency"] = Onnx(batch, repeats, execution.threads)
    return clocks


def _progress(done: int, total: int) -> None:
    """Called for each network that is timed: shows how far the work is, on a terminal."""
    import sys

    if sys.stderr.isatty():
        end = "\r" if done < total else "\r\x1b[K"
        print(f"{done} of {total} networks timed", end=end, file=sys.stderr, flush=True)


def _conditions(task: "Task", execution: "Execution", batch: int, repeats: int) -> str:
    """Returns the sentence on what was counted and timed."""
    counted = f"Counted for one image of {task.channels} channels, without an auxiliary head."
    if not repeats:
        return counted
    threads = f", {execution.threads or 'all'} threads" if execution.device.type == "cpu" else ""
    passes = f"median of {repeats} passes of {batch} image{'s' if batch > 1 else ''}"
    return f"{counted} Times: {passes} on {execution.device}{threads}, fp32, untrained weights."


def _show(found: "Sequence[Size]", wanted: int, space: "SearchSpace", conditions: str) -> None:
    """Prints the table of sizes, and how to use the largest of them."""
    from rich.table import Table

    from nastk.cli import note, show
    from nastk.report import metric

    if not found:
        raise ConfigurationError(
            f"None of the {wanted} sizes is within the limits. Give smaller --channels or --cells, "
            "or larger limits."
        )
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    columns = ["image", *found[0].options, *found[0].metrics]
    for name in columns:
        table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    for size in found:
        cells = [f"{size.task.height}x{size.task.width}", *map(str, size.options.values())]
        cells += [metric(name, value) for name, value in size.metrics.items()]
        table.add_row(*cells)
    show(table)
    note(conditions)
    if left := wanted - len(found):
        note(f"{left} of {wanted} sizes are beyond the limits.")
    flags = " ".join(f"-s {name}={value}" for name, value in found[-1].options.items())
    if flags:
        note(f"The largest as options of space {space.name}: {flags}")
