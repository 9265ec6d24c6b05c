"""`nastk watch`: follow a run that another process works on, until it ends."""

import json as text
import time
from pathlib import Path

import typer

from nastk.base.events import RunStarted
from nastk.base.wording import command
from nastk.cli import look, output
from nastk.cli.progress import ProgressView
from nastk.report.names import data_name
from nastk.runs.folder import RunFolder
from nastk.runs.following import Followed

INTERVAL = 0.5
"""Seconds between two looks at the folder."""


def watch(path: Path, json: bool) -> None:
    """`nastk watch`: show the events of a run as they happen, then its result or how it ended.

    Raises:
        typer.Exit: with code 1 if the run ended without a result, 130 if the user stopped watching.
    """
    folder = RunFolder.open(path)
    try:
        if json:
            state = _printed(folder)
        else:
            config = folder.config()
            output.note(
                f"watching {path}: {config['space']['name']} with {config['updater']['name']} "
                f"on {data_name(config['data'])}, seed {config['seed']}"
            )
            state = _shown(folder)
    except KeyboardInterrupt:
        output.note(f"No longer watching {path}, which goes on.")
        raise typer.Exit(130) from None
    if not json:
        look.show(str(path), None, [], json=False)
    elif state == "failed":
        output.note(f"{path} failed: {folder.error()}")
    if state == "interrupted":
        again = command("nastk", "watch", path)
        output.note(
            f"No process works on {path} any more, and it has no result: it was stopped or "
            f"killed. Once it is continued, `{again}` follows it again."
        )
    if state != "finished":
        raise typer.Exit(1)


def _printed(folder: RunFolder) -> str:
    """Print the events of a run as lines of JSON until it ends; returns the state it ended in."""
    followed = Followed(folder)
    while True:
        # The state comes first: what a run writes before it ends is then read in the last round.
        state = folder.state()
        for line, _ in followed.new(running=False):
            print(text.dumps(line), flush=True)
        if state != "running":
            return state
        time.sleep(INTERVAL)


def _shown(folder: RunFolder) -> str:
    """Show the events of a run as a search does until it ends; returns the state it ended in."""
    followed = Followed(folder)
    with ProgressView(output.stdout()) as view:
        while True:
            state = folder.state()
            for _, event in followed.new(running=state == "running"):
                if isinstance(event, RunStarted):
                    view.plan(event.epochs, event.steps_per_epoch)
                if event is not None:
                    view(event)
            if state != "running":
                return state
            if followed.began is not None:
                view.bars.began(followed.began)
            time.sleep(INTERVAL)
