"""The commands and their options.

A command imports its code only when it runs, so that showing help does not import torch.
"""

import os
from copy import copy
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from nastk.base import defaults
from nastk.cli.app_look import add_to as add_commands_that_look
from nastk.cli.parameters import (
    ARCHITECTURE,
    CONFIG,
    DATA,
    DATA_OPTIONS,
    DEVICE,
    EPOCHS,
    EVALUATORS,
    EXECUTOR,
    ITS_SPACE,
    JSON,
    LEAF_EVALUATOR,
    LEAF_RACE,
    LIMITS,
    QUIET,
    RANKING,
    RANKING_OPTIONS,
    RUN,
    SEVERAL_DATA,
    SPACE_OPTIONS,
    TRACK,
    TRAINER_OPTIONS,
    WARM_UP,
    WEIGHTS,
    Text,
    offered,
    whole,
)


def build() -> typer.Typer:
    """Returns the command line with the commands that plugins add.

    Where a plugin fails to add its commands, the catalogue records a problem and all of that
    plugin's commands are left out.
    """
    from nastk.base.plugins import catalogue

    installed, complete = catalogue(), copy(app)
    complete.registered_commands = [*app.registered_commands]
    complete.registered_groups = [*app.registered_groups]
    for plugin in installed.sources:
        with installed.guarded(plugin):
            for add in installed.implementations(plugin, "commands"):
                added = typer.Typer()
                add(app=added)
                typer.main.get_command(added)  # raises where a function cannot be a command
                complete.registered_commands += added.registered_commands
                complete.registered_groups += added.registered_groups
    return complete


class Commands(TyperGroup):
    """The group of commands; the error for an unknown one names the plugins that are disabled."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Called by typer with the arguments; returns the command that they name."""
        disabled = os.environ.get("NASTK_DISABLE", "").strip()
        name = args[0] if args else ""
        if disabled and not name.startswith("-") and self.get_command(ctx, name) is None:
            ctx.fail(f"No such command {name!r}. NASTK_DISABLE leaves out: {disabled}.")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="nastk",
    cls=Commands,
    help="Neural architecture search: any method, any space, one trainer, comparable results.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(requested: bool | None) -> None:
    """Print the version and exit, if it was requested."""
    if requested:
        from importlib.metadata import version

        print(f"nastk {version('nastk')}")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool | None,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = None,
) -> None:
    """Neural architecture search: any method, any space, one trainer, comparable results."""


@app.command()
def search(
    space: Annotated[
        Text,
        typer.Option(
            help=f"The search space, e.g. {defaults.SPACE_EXAMPLE}.",
            autocompletion=offered("names", "space"),
        ),
    ] = None,
    updater: Annotated[
        Text,
        typer.Option(
            help=f"The method, e.g. {defaults.UPDATER_EXAMPLE}.",
            autocompletion=offered("names", "updater"),
        ),
    ] = None,
    data: DATA = None,
    preset: Annotated[
        Text,
        typer.Option(
            help="quick, or paper: the published setting of the updater.",
            autocompletion=offered("presets"),
        ),
    ] = None,
    u: Annotated[
        list[str] | None,
        typer.Option(
            "-u",
            metavar="NAME=VALUE",
            help="An option of the updater.",
            autocompletion=offered("options", "updater"),
        ),
    ] = None,
    s: SPACE_OPTIONS = None,
    d: DATA_OPTIONS = None,
    t: TRAINER_OPTIONS = None,
    evaluator: EVALUATORS = None,
    limit: LIMITS = None,
    ranking: RANKING = None,
    r: RANKING_OPTIONS = None,
    leaf_evaluator: LEAF_EVALUATOR = None,
    leaf_metric: Annotated[Text, typer.Option(help="The metric that it chooses by.")] = None,
    leaf_race: LEAF_RACE = None,
    epochs: EPOCHS = None,
    seed: Annotated[
        int | None,
        typer.Option(
            parser=whole, metavar="INTEGER", help="The seed of everything random. Default: 0."
        ),
    ] = None,
    device: DEVICE = None,
    precision: Annotated[
        Text,
        typer.Option(
            help="auto, fp32 or bf16. Default: auto.",
            autocompletion=offered("words", "auto", "fp32", "bf16"),
        ),
    ] = None,
    weights: WEIGHTS = None,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="Deterministic kernels.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The run folder. Default: a new one in runs/."),
    ] = None,
    config: CONFIG = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, forecast the cost, and stop.")
    ] = False,
    track: TRACK = None,
    quiet: QUIET = False,
    json: JSON = False,
) -> None:
    """Search for an architecture."""
    from nastk.cli import output

    with output.waiting("starting: torch takes some seconds to load", quiet):
        from nastk.cli import run

    flags: dict[str, Any] = {
        "space": space,
        "updater": updater,
        "data": data,
        "preset": preset,
        "ranking": ranking,
        "leaf_evaluator": leaf_evaluator,
        "leaf_metric": leaf_metric,
        "leaf_race": leaf_race,
        "seed": seed,
    }
    flags |= {"device": device, "precision": precision, "deterministic": deterministic or None}
    flags |= {"evaluators": evaluator or None, "limits": limit or None, "weights": weights}
    run.search(
        flags,
        {"space": s, "updater": u, "data": d, "trainer": t, "ranking": r},
        epochs,
        config,
        out,
        dry_run,
        track or [],
        quiet,
        json,
    )


@app.command()
def compare(
    space: Annotated[
        list[str] | None,
        typer.Option(
            help=f"The search space, e.g. {defaults.STUDY_SPACE_EXAMPLE}; repeat it for several.",
            autocompletion=offered("names", "space"),
        ),
    ] = None,
    updater: Annotated[
        list[str] | None,
        typer.Option(
            help="A method, NAME[,OPTION=VALUE...]; repeat it. "
            f"{defaults.BASELINE} is always added.",
            autocompletion=offered("names", "updater"),
        ),
    ] = None,
    data: SEVERAL_DATA = None,
    seeds: Annotated[str, typer.Option(help="Seeds such as 0-3 or 0,2,5.")] = "0-1",
    preset: Annotated[
        Text,
        typer.Option(
            help="quick, or a published setting.",
            autocompletion=offered("presets"),
        ),
    ] = None,
    u: Annotated[
        list[str] | None,
        typer.Option(
            "-u",
            metavar="UPDATER.NAME=VALUE",
            help="An option of one updater.",
            autocompletion=offered("options", "updater"),
        ),
    ] = None,
    s: SPACE_OPTIONS = None,
    d: DATA_OPTIONS = None,
    t: TRAINER_OPTIONS = None,
    evaluator: EVALUATORS = None,
    limit: LIMITS = None,
    ranking: RANKING = None,
    r: RANKING_OPTIONS = None,
    epochs: EPOCHS = None,
    budget: Annotated[
        Text, typer.Option(help="What each run may spend: images=400k or cpu_seconds=15m.")
    ] = None,
    warm_up: WARM_UP = None,
    device: DEVICE = None,
    config: CONFIG = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The study's folder.")] = Path(
        "runs/study"
    ),
    track: TRACK = None,
    executor: EXECUTOR = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Go on with runs that failed before.")
    ] = False,
    max_failures: Annotated[
        int | None,
        typer.Option(parser=whole, metavar="INTEGER", help="End once so many runs have failed."),
    ] = None,
    show: Annotated[
        Path | None, typer.Option(help="Show the study in this folder; nothing is run.")
    ] = None,
    metric: Annotated[
        Text, typer.Option(help="The metric that the updaters are tested by.")
    ] = None,
    to: Annotated[
        Text,
        typer.Option(metavar="LABEL|best", help="The updater that the others are compared with."),
    ] = None,
    pareto: Annotated[
        Text, typer.Option(metavar="COST", help="Show the front over params, madds or latency.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show all metrics.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print single values as CSV.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print a table for LaTeX.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
    quiet: QUIET = False,
    json: JSON = False,
) -> None:
    """Compare updaters over several seeds on equal terms; goes on where it was stopped."""
    from nastk.cli import output

    with output.waiting("starting: torch takes some seconds to load", quiet):
        from nastk.cli import study

    flags: dict[str, Any] = {"space": space, "data": data, "preset": preset, "device": device}
    flags |= {"evaluators": evaluator or None, "ranking": ranking, "limits": limit or None}
    flags |= {"warm_up": warm_up}
    options = {"space": s, "updater": u, "data": d, "trainer": t, "ranking": r}
    shown = study.Shown.of(
        metric, to, every, pareto, csv=csv, latex=latex, markdown=markdown, json=json
    )
    if show is not None:
        study.show_stored(show, shown)
        return
    study.run_study(
        updater or [],
        flags,
        options,
        epochs,
        config,
        seeds,
        budget,
        out,
        study.Work(executor, retry_failed, max_failures, track or []),
        quiet,
        shown,
    )


@app.command()
def resume(
    path: RUN,
    finish: Annotated[
        bool, typer.Option("--finish", help="Train no further: end with the present decision.")
    ] = False,
    track: TRACK = None,
    quiet: QUIET = False,
    json: JSON = False,
) -> None:
    """Continue an interrupted run exactly where it stopped, or finish it as it is."""
    from nastk.cli import output

    with output.waiting("starting: torch takes some seconds to load", quiet):
        from nastk.cli import run

    run.resume(path, finish, track or [], quiet, json)


@app.command()
def evaluate(
    architecture: ARCHITECTURE,
    evaluator: Annotated[
        list[str],
        typer.Option(
            "--evaluator",
            "-e",
            help=f"Who judges, NAME[,OPTION=VALUE...], e.g. {defaults.NETWORK_EVALUATORS[0]}; "
            "may be repeated.",
            autocompletion=offered("evaluators"),
        ),
    ],
    o: Annotated[
        list[str] | None,
        typer.Option(
            "-o",
            metavar="NAME=VALUE",
            help="An option of the evaluator.",
            autocompletion=offered("options", "evaluator"),
        ),
    ] = None,
    space: ITS_SPACE = None,
    s: SPACE_OPTIONS = None,
    data: Annotated[
        Text,
        typer.Option(
            help="The images, for an architecture from elsewhere.",
            autocompletion=offered("names", "data"),
        ),
    ] = None,
    d: Annotated[
        list[str] | None,
        typer.Option("-d", metavar="NAME=VALUE", help="An option of the data, not as in the run."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="The seed of everything random. Default: the run's, or 0.")
    ] = None,
    device: DEVICE = None,
    json: JSON = False,
) -> None:
    """Judge the architecture that a run found, or one from elsewhere."""
    from nastk.cli import output

    with output.waiting("starting: torch takes some seconds to load"):
        from nastk.cli import evaluate as commands

    request = commands.Request(evaluator, o or [], space, s or [], data, d or [], seed, device)
    commands.evaluate(architecture, request, json)


add_commands_that_look(app)
