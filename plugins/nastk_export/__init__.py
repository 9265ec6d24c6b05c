"""Exports: `nastk export` and `nastk predict`, and `export` for programs.

command_line.py  the two commands
exporting.py     a trained model in a folder of one format; `comparing.py` compares it
formats.py       the formats; `tracing.py` makes the program that most of them store
python_*.py      a network as Python text: lines, shapes of modules, classes, the whole file
programs.py      the program `predict.py` of an export, from the files in `standalone/`
card.py          `model.json` and `README.md`
hub.py           an export as a repository on Hugging Face
"""

from typing import TYPE_CHECKING

from nastk import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import typer

    from nastk_export.exporting import Exported


@hookimpl
def commands(app: "typer.Typer") -> None:
    """Called when the command line is built: adds `nastk export` and `nastk predict`."""
    from nastk_export.command_line import add_to

    add_to(app)


def export(
    folder: "str | Path",
    format: str,
    out: "str | Path | None" = None,
    *,
    real: int = 64,
    license: str = "unknown",
    command: str = "",
    tell: "Callable[[str], None]" = lambda _: None,
) -> "Exported":
    """Write a trained model in another format, and compare it with its network.

    Args:
        folder: a run's, a training's or a seed's (see `TrainedModel.load`).
        format: safetensors, python, torch-export, onnx or executorch.
        out: the folder to write; None: `exported/FORMAT` in the model's own folder.
        real: images of the model's data that are compared beside random ones; 0: none.
        license: the licence for the card, such as `cc-by-4.0`.
        command: the command line for the card.
        tell: is called with a line for each thing that takes long.

    Raises:
        ConfigurationError: there is no trained model, no such format, a library is missing, the
            folder is taken, or the network cannot be traced.
        NastkError: the export differs from the network by more than 1e-4; nothing is left behind.

    Example: `nastk_export.export("runs/a", "onnx", "flowers-onnx").difference`
    """
    from nastk_export import exporting

    return exporting.export(
        folder, format, out, real=real, license=license, command=command, tell=tell
    )
