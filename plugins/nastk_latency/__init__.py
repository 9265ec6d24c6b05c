"""Latency: `nastk latency build` times a space on a device, the evaluator `latency` predicts times.

timing.py        seconds of whole networks, relative to a reference network
build.py         chooses the networks to time, and fits a sum over operations to their times
table.py         the latency table: a small JSON file with a checksum
evaluator.py     the evaluator `latency`, which reads that file
command_line.py  `nastk latency build` and `nastk latency info`
scaling.py       an architecture's networks counted and timed over widths and depths
onnx_timing.py   times their ONNX graphs
scale_command.py `nastk scale`
"""

from typing import TYPE_CHECKING

from nastk import Offer, hookimpl

if TYPE_CHECKING:
    import typer


@hookimpl
def evaluators() -> list[Offer]:
    """Returns the offer of the evaluator `latency`."""
    return [
        Offer(
            "latency",
            "seconds of a forward pass, from a table timed by `nastk latency build`",
            "nastk_latency.evaluator:Latency",
        )
    ]


@hookimpl
def commands(app: "typer.Typer") -> None:
    """Called when the command line is built: adds `nastk latency` and `nastk scale`."""
    from nastk_latency.command_line import add_to

    add_to(app)
