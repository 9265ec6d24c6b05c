"""`nastk new KIND NAME`. Torch is not imported."""

import shlex
from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Called each time the command line is built; adds the command once."""
    if not any(command.callback is new for command in app.registered_commands):
        app.command()(new)


def new(
    kind: Annotated[str, typer.Argument(help="updater, space, evaluator, data or tracker.")],
    name: Annotated[str, typer.Argument(help="The component's name, such as my-method.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder. Default: nastk-NAME.")
    ] = None,
) -> None:
    """Write a plugin package of your own, with tests; it installs and runs as it is."""
    from nastk_new.names import Names
    from nastk_new.writing import write

    names = Names.of(kind, name)
    folder = out or Path(names.distribution)
    for path in write(names, folder):
        print(path)
    place = shlex.quote(str(folder))
    print(
        f"\nA package with the {kind} {name!r}. Type next:\n"
        f"  cd {place} && pip install -e '.[test]'\n"
        f"  pytest\n"
        f"  nastk describe {name}"
    )
