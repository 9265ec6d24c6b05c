"""`nastk train RUN|ARCHITECTURE`. Torch is imported when it runs."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nastk import ConfigurationError
from nastk.base import assignments, check_replaceable
from nastk.cli import (
    ARCHITECTURE,
    DATA_OPTIONS,
    DEVICE,
    ITS_SPACE,
    JSON,
    QUIET,
    SPACE_OPTIONS,
    TRACK,
    line,
    note,
    print_json,
    waiting,
)

if TYPE_CHECKING:
    from nastk import TrainedModel
    from nastk_training.forecast import Forecast
    from nastk_training.seed import Plan

NOT_HERE = {
    "seed": "--seeds 0-2",
    "preset": "--preset quick",
    "baseline": "`nastk evaluate RUN -e retrain,baseline=1`",
    "rungs": "`nastk search --leaf-evaluator retrain`",
    "save": "no option: every trained network is kept",
}
"""Options of the evaluator that the command has another way for."""


def add_to(app: typer.Typer) -> None:
    """Called each time the command line is built; adds the command once."""
    if not any(command.callback is train for command in app.registered_commands):
        app.command()(train)


def train(
    architecture: ARCHITECTURE,
    preset: Annotated[
        str | None, typer.Option(help="A recipe that fills in what is not given: paper, quick ...")
    ] = None,
    o: Annotated[
        list[str] | None,
        typer.Option("-o", metavar="NAME=VALUE", help="An option of the recipe, as of retrain."),
    ] = None,
    seeds: Annotated[str, typer.Option(help="Seeds, such as 0-2 or 0,2.")] = "0",
    begin: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="supernet|FILE",
            help="Begin with the supernet's weights, or with those of a file or trained model.",
        ),
    ] = "scratch",
    space: ITS_SPACE = None,
    s: SPACE_OPTIONS = None,
    data: Annotated[
        str | None, typer.Option(help="The images, for an architecture from elsewhere.")
    ] = None,
    d: DATA_OPTIONS = None,
    name: Annotated[
        str | None, typer.Option(help="The training's folder in RUN/trained. Default: train.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The folder, for an architecture from elsewhere. Default: trained/ID."),
    ] = None,
    checkpoint_every: Annotated[
        int, typer.Option(min=1, help="Epochs between two checkpoints.")
    ] = 1,
    track: TRACK = None,
    device: DEVICE = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it will cost, and stop.")
    ] = False,
    quiet: QUIET = False,
    json: JSON = False,
) -> None:
    """Train the network of an architecture, keep it, and go on where it was stopped."""
    options = _options(preset, o or [])
    from nastk.cli import SubjectRequest, at_work, seed_range, subject_of
    from nastk_training.seed import Plan
    from nastk_training.setup import TrainingSetup

    numbers = seed_range(seeds)
    request = SubjectRequest(space, s or [], data, d or [], device)
    with waiting("preparing the images and the network", quiet):
        subject = subject_of(architecture, request)
        recipe = _recipe(subject.options_of("retrain", options))
        setup = TrainingSetup(subject.context, recipe, every=1)
        folder = _folder(subject.folder, subject.architecture.id, name, out)
        again = shlex.join(["nastk", *sys.argv[1:]])
        plan = Plan(subject, setup, folder, begin, checkpoint_every, again, track or [])
    if dry_run:
        _forecast(plan, len(numbers), json)
        return
    if not quiet:
        note(
            f"training {subject.architecture.id} of {subject.space.name} on "
            f"{len(setup.train):,} images of {subject.data.name} ({recipe.split}), "
            f"{recipe.epochs} epochs, seeds {seeds}, on {setup.execution.device} -> {folder}"
        )
        if preset is None:
            note("no preset: what is not given is DARTS's training on CIFAR. `--preset quick` "
                 "is a look in seconds")  # fmt: skip
    from nastk_training.trainings import summary, train_all

    with at_work(subject, quiet, folder) as context:
        models = train_all(plan, numbers, context)
    if json:
        print_json(summary(folder, models))
    else:
        _show(folder, models)


def _options(preset: str | None, pairs: Sequence[str]) -> dict[str, Any]:
    """Returns the options of the recipe that were given."""
    options = assignments(pairs, "-o")
    for option, instead in NOT_HERE.items():
        if option in options:
            raise ConfigurationError(
                f"-o {option}={options[option]} is an option of the evaluator retrain. Here it is "
                f"{instead}."
            )
    return options if preset is None else {**options, "preset": preset}


def _recipe(options: dict[str, Any]) -> Any:
    """Returns the recipe with all its options."""
    from nastk_training.retrain import Retrain

    return Retrain.parse_options(options)


def _folder(run: Path | None, identity: str, name: str | None, out: Path | None) -> Path:
    """Returns the folder of the training: below the run, or `--out`."""
    if run is None:
        if name is not None:
            raise ConfigurationError(
                "--name is for the architecture of a run; one from elsewhere is trained in --out."
            )
        return Path("trained", identity) if out is None else _usable(out)
    if out is not None:
        raise ConfigurationError(
            f"--out is for an architecture from elsewhere; {run} keeps its trainings in "
            f"{run / 'trained'}. Give --name to have several."
        )
    chosen = name or "train"
    if chosen in (".", "..") or Path(chosen).name != chosen:
        raise ConfigurationError(
            f"--name {chosen!r} must be the name of a folder, without slashes."
        )
    return run / "trained" / chosen


def _usable(out: Path) -> Path:
    """Returns `--out` if it is a folder or can become one."""
    if not out.is_dir():
        check_replaceable(out)
        if out.exists():
            raise ConfigurationError(f"--out {out} is a file. Choose a folder.")
    return out


def _forecast(plan: "Plan", seeds: int, json: bool) -> None:
    """Prints what a plan will cost."""
    from nastk_training.forecast import forecast

    with waiting("rehearsing some steps"), plan.setup.execution.settings():
        cost = forecast(plan, seeds)
    if json:
        print_json({"recipe": plan.recipe, "folder": str(plan.folder), "forecast": cost.to_json()})
        return
    for text in _lines(cost):
        line(text)


def _lines(cost: "Forecast") -> list[str]:
    """Returns a forecast in words."""
    return [
        f"  network   {cost.parameters:,} parameters, {cost.multiply_adds:,} multiply-adds an "
        f"image, on {cost.device}",
        f"  training  {cost.seeds} x {cost.epochs} epochs, {cost.steps:,} batches",
        f"  images    at most {cost.images_forward:,} forward, {cost.images_backward:,} backward",
        f"  time      about {_duration(cost.seconds)}, without measuring",
    ]


def _duration(seconds: float) -> str:
    """Returns a time in words: `1 h 40 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _show(folder: Path, models: "Sequence[TrainedModel]") -> None:
    """Prints a row for each seed, their mean and deviation, and where the models are."""
    from nastk.cli import show
    from nastk_training.table import table

    show(table(models))
    line(f"\nThe trained networks are in {folder}, a folder for each seed.")
