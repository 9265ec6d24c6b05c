"""The layout of a lineage: branches in columns by their depth, level with their children.

A branch is in the middle between its first and its last child. The table of distances below it
counts as a part of its height. `positions.py` computes the heights.
"""

from collections.abc import Callable
from dataclasses import dataclass

from nastk.report import BranchRecord, Lineage
from nastk_drawing.layers import Item
from nastk_drawing.positions import settle

Size = Callable[[BranchRecord], tuple[float, float]]
"""A function from a branch to the width and height of one of its parts, in points."""

HANG, FORK = 12.0, 30.0
"""Points between a card and the table below it, and on each side of a fork's label."""


@dataclass
class TreeLayout:
    """The positions in a picture of branches, in points from the lower left.

    `left` and `wide` are the columns' left sides and widths by depth, `fork` the left sides of the
    labels behind them; `depth` and `y` are the column and the middle of each branch, by name.
    """

    depth: dict[str, int]
    left: list[float]
    wide: list[float]
    fork: list[float]
    y: dict[str, float]
    width: float
    height: float


def placed(branches: Lineage, card: Size, below: Size, label: Size) -> TreeLayout:
    """Returns the layout for the sizes of cards, of tables below them, and of forks' labels.

    A part with the size (0, 0) does not exist.
    """
    records = branches.branches
    cards: dict[str, Item] = {}
    numbers = {name: number for number, name in enumerate(records)}
    for name, record in records.items():
        depth = 0 if record.parent is None else cards[record.parent].column + 1
        hanging = below(record)[1]
        cards[name] = Item(
            depth,
            "card",
            card(record)[0],
            card(record)[1],
            -1 if record.parent is None else numbers[record.parent],
            HANG + hanging if hanging else 0.0,
        )
    order = [
        [item for item in cards.values() if item.column == depth]
        for depth in range(max(item.column for item in cards.values()) + 1)
    ]
    settle(
        order,
        [
            {cards[name]: 2.0, cards[record.children[0]]: -1.0, cards[record.children[-1]]: -1.0}
            for name, record in records.items()
            if record.children
        ],
    )
    bottom = min(item.y - item.height / 2 - item.hanging for item in cards.values())
    top = max(item.y + item.height / 2 for item in cards.values())
    left, wide, fork, x = [], [], [], 0.0
    for depth in range(len(order)):
        column = [record for name, record in records.items() if cards[name].column == depth]
        left.append(x)
        wide.append(max(max(card(record)[0], below(record)[0]) for record in column))
        fork.append(x + wide[-1] + FORK)
        x = fork[-1] + max(label(record)[0] for record in column) + FORK
    return TreeLayout(
        {name: item.column for name, item in cards.items()},
        left, wide, fork,
        {name: item.y - bottom for name, item in cards.items()},
        left[-1] + wide[-1],
        top - bottom,
    )  # fmt: skip
