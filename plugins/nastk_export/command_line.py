"""`nastk export` and `nastk predict`. Torch is imported when they run."""

import json as json_module
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

RUN = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run with a training, or a folder of a training.")
]
JSON = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def add_to(app: typer.Typer) -> None:
    """Called each time the command line is built; adds the commands once."""
    if not any(command.callback is export for command in app.registered_commands):
        app.command()(export)
        app.command()(predict)


def export(
    run: RUN,
    format: Annotated[
        str,
        typer.Option(
            "--format", "-f", help="safetensors, python, torch-export, onnx or executorch."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The folder. Default: exported/FORMAT by the weights."),
    ] = None,
    images: Annotated[
        int, typer.Option(min=0, help="Images of the model's data to compare; 0: random ones only.")
    ] = 64,
    license: Annotated[
        str, typer.Option(help="The licence for the model card, e.g. cc-by-4.0.")
    ] = "unknown",
    push: Annotated[
        str | None, typer.Option(metavar="USER/NAME", help="Upload it to Hugging Face.")
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="A new repository is private.")
    ] = False,
    json: JSON = False,
) -> None:
    """Write a trained network in another format, and compare the two."""
    from nastk.cli import note
    from nastk_export import exporting, hub

    if push is not None:
        hub.check(push)
    command = shlex.join(["nastk", *sys.argv[1:]])
    done = exporting.export(
        run, format, out, real=images, license=license, command=command, tell=note
    )
    for remark in done.notes:
        note(remark)
    address = None if push is None else hub.push(done.folder, push, private)
    if json:
        facts = {
            "folder": str(done.folder),
            "format": done.format,
            "largest_difference": done.difference,
            "random_images": done.random,
            "real_images": done.real,
            "address": address,
        }
        print(json_module.dumps(facts, indent=2))
        return
    print(f"exported to {done.folder}")
    print(
        f"  largest difference of a logit: {done.difference:.2g}, over {done.random} random and "
        f"{done.real} real images"
    )
    if address is not None:
        print(f"  uploaded to {address}")
    note(f"Try it: python {shlex.quote(str(done.folder / 'predict.py'))} IMAGE")


def predict(
    run: RUN,
    pictures: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Picture files.")],
    top: Annotated[int, typer.Option(min=1, help="Classes that are printed.")] = 3,
    json: JSON = False,
) -> None:
    """Say what a trained network sees in pictures."""
    from nastk_export.predicting import predictor
    from nastk_export.standalone.predict import predict as say

    code = say(predictor(run), pictures, top, json)
    if code:
        raise typer.Exit(code)
