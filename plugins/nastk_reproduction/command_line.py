"""`nastk reproduce [CARD]`. Torch is imported when searches run."""

import json as json_module
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Called each time the command line is built; adds the command once."""
    if not any(command.callback is reproduce for command in app.registered_commands):
        app.command()(reproduce)


def reproduce(
    card: Annotated[
        str | None, typer.Argument(help="The card to run; without one, all are listed.")
    ] = None,
    reduced: Annotated[
        bool, typer.Option("--reduced", help="A size for one or two CPU cores.")
    ] = False,
    seeds: Annotated[str, typer.Option(help="Seeds, such as 0-3 or 0,2.")] = "0-3",
    data: Annotated[
        str | None, typer.Option(help="Other images than the published, e.g. folder:PATH.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder. Default: reproductions/CARD.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the search that would run, and stop.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Run a published setting, and compare with the published number."""
    from nastk_reproduction import cards as known

    if card is None:
        _listed(json)
        return
    chosen = known.card(card)
    from nastk.cli import seed_range
    from nastk_reproduction import running

    if dry_run:
        print(json_module.dumps(running.request(chosen, reduced, data), indent=1))
        return
    place = out or Path("reproductions", chosen.name + ("-reduced" if reduced else ""))
    command = shlex.join(["nastk", *sys.argv[1:]])
    numbers, quiet = seed_range(seeds), json

    def tell(message: str) -> None:
        if not quiet:
            print(message, file=sys.stderr)

    outcome = running.reproduced(chosen, place, numbers, reduced, data, command, tell)
    content = json_module.dumps(outcome.model_dump(mode="json"), indent=1) + "\n"
    (place / "outcome.json").write_text(content, encoding="utf-8")
    if json:
        print(content, end="")
        return
    print(f"{chosen.title}: published {chosen.published}, ours {outcome} over {len(numbers)} seeds")
    if reduced:
        print("At the reduced size: the two numbers cannot be compared.")
    if chosen.architecture is not None:
        same = sum(text == chosen.architecture for text in outcome.architectures.values())
        print(f"{same} of {len(numbers)} searches found the published architecture.")


def _listed(json: bool) -> None:
    """All cards with the published number and what was measured here."""
    from rich.console import Console
    from rich.table import Table

    from nastk_reproduction import cards as known

    kept = list(known.outcomes())
    if json:
        rows = [
            {
                **card.model_dump(mode="json"),
                "outcomes": [o.model_dump(mode="json") for o in kept if o.card == card.name],
            }
            for card in known.cards().values()
        ]
        print(json_module.dumps(rows, indent=1))
        return
    table = Table("card", "what", "published", "ours", box=None)
    for card in known.cards().values():
        ours = [f"{o}{' (reduced)' if o.reduced else ''}" for o in kept if o.card == card.name]
        table.add_row(card.name, card.title, str(card.published), ", ".join(ours) or "not run")
    Console().print(table)
