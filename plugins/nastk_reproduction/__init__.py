"""Reproduction cards: published settings with the numbers that were published for them.

cards.yaml        the cards
cards.py          `Card`, and the results that are kept beside the cards
running.py        the searches of a card, and the number they give with its interval
command_line.py   `nastk reproduce [CARD]`
results/          what was measured, a JSON file for each card
"""

from typing import TYPE_CHECKING

from nastk import hookimpl

if TYPE_CHECKING:
    import typer


@hookimpl
def commands(app: "typer.Typer") -> None:
    """`nastk reproduce`."""
    from nastk_reproduction.command_line import add_to

    add_to(app)
