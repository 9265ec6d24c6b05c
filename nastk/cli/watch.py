"""`nastk watch`: follow a search or a training that another process works on, until it ends.

A run is followed through its search, and then through the trainings of what it found.
"""

import json as text
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from nastk.base.events import RunStarted
from nastk.base.wording import command
from nastk.cli import look, output
from nastk.cli.progress import ProgressView
from nastk.report.names import data_name
from nastk.report.numbers import percent, seconds
from nastk.runs.folder import CONFIG, RunFolder
from nastk.runs.following import MODEL, Followed, FollowedTraining

INTERVAL = 0.5
"""Seconds between two looks at the folder."""


def watch(path: Path, json: bool) -> None:
    """`nastk watch`: show what happens in a folder as it happens, then how it ended.

    Raises:
        ConfigurationError: there is neither a run nor a training in the folder.
        typer.Exit: with code 1 if something ended without a result, 130 if the user stopped
            watching.
    """
    trainings = FollowedTraining.below(path)
    if not trainings or (path / CONFIG).exists():
        RunFolder.open(path)  # raises where there is none
    try:
        states = _watched(path, json)
    except KeyboardInterrupt:
        output.note(f"No longer watching {path}, which goes on.")
        raise typer.Exit(130) from None
    if set(states) - {"finished"}:
        raise typer.Exit(1)


def _watched(path: Path, json: bool) -> list[str]:
    """Follow a run, if there is one, and the trainings that are at work; returns their states."""
    alone = not (path / CONFIG).exists()
    states = []
    if not alone and not _only_trains(path):
        states.append(_search(RunFolder.open(path), json))
    trainings = FollowedTraining.below(path)
    for training in trainings:
        if alone or training.state() == "running":
            states.append(_training(training, json))
    return states


def _only_trains(path: Path) -> bool:
    """True if a run's search is over and what it found is being trained."""
    finished = RunFolder.open(path).state() == "finished"
    return finished and any(each.state() == "running" for each in FollowedTraining.below(path))


# ---------------------------------------------------------------- a search


def _search(folder: RunFolder, json: bool) -> str:
    """Follow a search until it ends; returns the state it ended in."""
    path = folder.path
    if json:
        state = _printed(folder)
        if state == "failed":
            output.note(f"{path} failed: {folder.error()}")
    else:
        config = folder.config()
        output.note(
            f"watching {path}: {config['space']['name']} with {config['updater']['name']} "
            f"on {data_name(config['data'])}, seed {config['seed']}"
        )
        state = _shown(folder)
        look.show(str(path), None, [], json=False)
    if state == "interrupted":
        again = command("nastk", "watch", path)
        output.note(
            f"No process works on {path} any more, and it has no result: it was stopped or "
            f"killed. Once it is continued, `{again}` follows it again."
        )
    return state


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


# ---------------------------------------------------------------- a training


def _training(training: FollowedTraining, json: bool) -> str:
    """Follow a training until it ends; returns the state it ended in."""
    if json:
        state = _printed_epochs(training)
    else:
        output.note(f"watching the training in {training.folder}")
        state = _shown_epochs(training)
        for seed, model in training.models().items():
            output.line(f"seed {seed} is trained: {_accuracies(model)}")
    if state == "interrupted":
        output.note(
            f"No process trains in {training.folder} any more, and not every seed has its "
            f"{MODEL}: it was stopped or killed. The command that began it goes on with it."
        )
    return state


def _printed_epochs(training: FollowedTraining) -> str:
    """Print the epochs of a training as lines of JSON until it ends; returns its state then."""
    while True:
        state = training.state()
        for epoch in training.new():
            print(text.dumps({"kind": "trained-epoch", **epoch}), flush=True)
        if state != "running":
            return state
        time.sleep(INTERVAL)


def _shown_epochs(training: FollowedTraining) -> str:
    """Show the epochs of a training and what it is at until it ends; returns its state then."""
    with ProgressView(output.stdout()) as view:
        while True:
            state = training.state()
            for epoch in training.new():
                view.print(_words(epoch))
            if state != "running":
                return state
            if (event := training.working()) is not None:
                view(event)
            time.sleep(INTERVAL)


def _words(epoch: Mapping[str, Any]) -> str:
    """Returns a line of a training's log in words."""
    parts = [f"seed {epoch['seed']}  epoch {epoch['epoch']}"]
    for name, form in (
        ("loss", lambda value: f"loss {value:.3f}"),
        ("train_accuracy", lambda value: f"accuracy {value:.1%}"),
        ("valid_accuracy", lambda value: f"valid {value:.1%}"),
        ("rate", lambda value: f"learning rate {value:.4f}"),
        ("seconds", seconds),
    ):
        if isinstance(value := epoch.get(name), (int, float)):
            parts.append(form(value))
    return "  ".join(parts)


def _accuracies(model: Mapping[str, Any]) -> str:
    """Returns the accuracies of a trained model in words."""
    found = [
        f"{name} {percent(model[f'{name}_accuracy'])}"
        for name in ("valid", "test")
        if isinstance(model.get(f"{name}_accuracy"), (int, float))
    ]
    return ", ".join(found) or "no images to measure it with"
