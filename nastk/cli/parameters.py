"""The parameters that several commands share, with their completion in the shell."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from nastk.base import defaults


def whole(text: str) -> int:
    """Returns a whole number written in the digits 0 to 9.

    Python's `int` would also accept `9_0` and the digits of other scripts.

    Raises:
        typer.BadParameter: `text` is no such number.
    """
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text.strip()):
        raise typer.BadParameter(f"{text[:40]!r} is no whole number of at most 18 digits.")
    return int(text)


Text = str | None


def offered(what: str, *about: str) -> Callable[[typer.Context, str], list[tuple[str, str]]]:
    """Returns a completer that imports the function `what` of `completion.py` when it is called."""

    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        from nastk.cli import completion

        suggestions: list[tuple[str, str]] = getattr(completion, what)(*about)(ctx, incomplete)
        return suggestions

    return complete


JSON = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
RUN = Annotated[
    Path,
    typer.Argument(
        help="A run folder, e.g. runs/a.",
        metavar="RUN",
        autocompletion=offered("run_folders"),
    ),
]
WEIGHTS = Annotated[
    Text,
    typer.Option(
        metavar="FILE", help="Begin with a supernet's weights (safetensors), not fresh ones."
    ),
]
WARM_UP = Annotated[
    Text,
    typer.Option(
        metavar="UPDATER,epochs=N[,OPTION=VALUE...]",
        help="Train the weights that all runs of a seed begin with, once for all of them.",
        autocompletion=offered("names", "updater"),
    ),
]
TRACK = Annotated[
    list[str] | None,
    typer.Option(
        "--track",
        metavar="NAME[,OPTION=VALUE...]",
        help=f"A tool that draws the run's numbers, e.g. {defaults.TRACKER_EXAMPLE}; repeatable.",
        autocompletion=offered("names", "tracker"),
    ),
]
EXECUTOR = Annotated[
    Text,
    typer.Option(
        metavar="NAME[,OPTION=VALUE...]",
        help=f"Who carries out the runs, e.g. {defaults.EXECUTOR_EXAMPLE}. Default: this process.",
        autocompletion=offered("names", "executor"),
    ),
]
LEAF_EVALUATOR = Annotated[
    Text,
    typer.Option(
        "--leaf-evaluator",
        "--leaf-judge",  # its name in version 0.1
        help="Who chooses among leaves; default: supernet accuracy on valid.",
        autocompletion=offered("evaluators"),
    ),
]
LEAF_RACE = Annotated[
    float | None,
    typer.Option(
        help="Race leaves by supernet accuracy, missing the best with this probability at most."
    ),
]
ARCHITECTURE = Annotated[
    str,
    typer.Argument(
        help="A run folder, a published name such as DARTS_V2, a text such as a genotype, or a "
        "file that holds one.",
        metavar="RUN|ARCHITECTURE",
        autocompletion=offered("run_folders"),
    ),
]
ITS_SPACE = Annotated[
    Text,
    typer.Option(
        "--space",
        help="The space of an architecture from elsewhere. Default: one that reads it.",
        autocompletion=offered("names", "space"),
    ),
]
QUIET = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
OUT = Annotated[Path | None, typer.Option("--out", "-o", help="Where to write.")]


DATA = Annotated[
    Text,
    typer.Option(
        help=f"The images, e.g. {defaults.DATA_EXAMPLE} or {defaults.DATA_FROM_FOLDER}. "
        f"Default: {defaults.DATA}.",
        autocompletion=offered("names", "data"),
    ),
]
SEVERAL_DATA = Annotated[
    list[str] | None,
    typer.Option(
        help=f"The images, e.g. {defaults.DATA_EXAMPLE}; repeat it for several data sets. "
        f"Default: {defaults.DATA}.",
        autocompletion=offered("names", "data"),
    ),
]
SPACE_OPTIONS = Annotated[
    list[str] | None,
    typer.Option(
        "-s",
        metavar="NAME=VALUE",
        help="An option of the space.",
        autocompletion=offered("options", "space"),
    ),
]
DATA_OPTIONS = Annotated[
    list[str] | None,
    typer.Option(
        "-d",
        metavar="NAME=VALUE",
        help="An option of the data.",
        autocompletion=offered("options", "data"),
    ),
]
TRAINER_OPTIONS = Annotated[
    list[str] | None,
    typer.Option(
        "-t",
        metavar="NAME=VALUE",
        help="An option of the trainer.",
        autocompletion=offered("options", "trainer"),
    ),
]
EVALUATORS = Annotated[
    list[str] | None,
    typer.Option(
        "--evaluator",
        "-e",
        help="Who judges, NAME[,OPTION=VALUE...]; may be repeated.",
        autocompletion=offered("evaluators"),
    ),
]
LIMITS = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        metavar="METRIC=VALUE",
        help="Largest params, madds or latency.",
        autocompletion=offered("limits"),
    ),
]
RANKING = Annotated[
    Text,
    typer.Option(
        help=f"Measure ranking quality against this evaluator, e.g. {defaults.RANKING_EVALUATOR}.",
        autocompletion=offered("names", "evaluator"),
    ),
]
RANKING_OPTIONS = Annotated[
    list[str] | None,
    typer.Option(
        "-r",
        metavar="NAME=VALUE",
        help="An option of the ranking.",
        autocompletion=offered("options", "ranking"),
    ),
]
EPOCHS = Annotated[
    int | None,
    typer.Option(parser=whole, metavar="INTEGER", help="Passes over the training images."),
]
DEVICE = Annotated[
    Text,
    typer.Option(
        help="auto, cpu, cuda or cuda:N. Default: auto.",
        autocompletion=offered("words", "auto", "cpu", "cuda"),
    ),
]
CONFIG = Annotated[
    Path | None, typer.Option("--config", help="A YAML or JSON file with any of these.")
]
