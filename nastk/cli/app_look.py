"""The commands that compute nothing, and their options: `app.py` adds them after its own.

A command imports its code only when it runs.
"""

from pathlib import Path
from typing import Annotated

import typer

from nastk.cli.parameters import ARCHITECTURE, ITS_SPACE, JSON, RUN, SPACE_OPTIONS, offered


def add_to(app: typer.Typer) -> None:
    """Adds the commands, in the order of the help."""
    for command in (show, runs, watch, plugins, describe, doctor):
        app.command()(command)


def show(
    architecture: ARCHITECTURE,
    space: ITS_SPACE = None,
    s: SPACE_OPTIONS = None,
    json: JSON = False,
) -> None:
    """Show a run: what was asked, found and spent; or an architecture from elsewhere."""
    from nastk.cli import look

    look.show(architecture, space, s or [], json)


def runs(
    place: Annotated[Path, typer.Argument(help="The folder that holds run folders.")] = Path(
        "runs"
    ),
    json: JSON = False,
) -> None:
    """List the runs in a folder, with their state."""
    from nastk.cli import look

    look.runs(place, json)


def watch(
    path: RUN,
    json: Annotated[
        bool, typer.Option("--json", help="Print each event or epoch as a line of JSON on stdout.")
    ] = False,
) -> None:
    """Follow a search or a training that another process works on, until it ends."""
    from nastk.cli import watch as following

    following.watch(path, json)


def plugins(json: JSON = False) -> None:
    """List what is installed: spaces, updaters, evaluators, data sources."""
    from nastk.cli import look

    look.plugins(json)


def describe(
    name: Annotated[
        str,
        typer.Argument(
            help="A name from `nastk plugins`, or trainer, or ranking.",
            autocompletion=offered("components"),
        ),
    ],
    json: JSON = False,
) -> None:
    """Describe a component: its options with defaults and bounds, and its presets."""
    from nastk.cli import look

    look.describe(name, json)


def doctor(json: JSON = False) -> None:
    """Say what this machine has, what is missing, and the command that mends it."""
    from nastk.cli import doctor as report

    report.doctor(json)
