"""Latency: `nastk latency build` times a space on this device, the evaluator `latency` foretells.

timing.py        seconds of whole networks, each beside one reference network
build.py         which networks are timed, and the sum over operations that fits their times
table.py         what is kept of it: a small JSON file with a checksum
evaluator.py     the evaluator `latency`, which reads that file
command_line.py  `nastk latency build` and `nastk latency info`
"""

from typing import TYPE_CHECKING

from nastk import Offer, hookimpl

if TYPE_CHECKING:
    import typer


@hookimpl
def evaluators() -> list[Offer]:
    """What this plugin offers."""
    return [
        Offer(
            "latency",
            "seconds of a forward pass, from a table timed by `nastk latency build`",
            "nastk_latency.evaluator:Latency",
        )
    ]


@hookimpl
def commands(app: "typer.Typer") -> None:
    """`nastk latency build` and `nastk latency info`."""
    from nastk_latency.command_line import add_to

    add_to(app)
