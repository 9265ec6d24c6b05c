"""Puts a lineage on a page: branches in columns by their depth, each level with its children.

A branch stands in the middle between its first and its last child; what hangs below it (its table
of distances) is part of the room that it takes. `positions.py` finds the heights.
"""

from collections.abc import Callable
from dataclasses import dataclass

from nastk.report import BranchRecord, Lineage
from nastk_drawing.layers import Item
from nastk_drawing.positions import settle

Size = Callable[[BranchRecord], tuple[float, float]]
"""Width and height of something that a branch has, in points."""

HANG, FORK = 12.0, 30.0
"""Points from a branch to what hangs below it, and each side of the label on a fork."""


@dataclass
class TreeLayout:
    """Where everything is: points from the lower left.

    `left` and `wide` are the columns' left sides and widths by depth, `fork` where the labels
    behind them begin; `depth` and `y` are the column and the middle of each branch, by name.
    """

    depth: dict[str, int]
    left: list[float]
    wide: list[float]
    fork: list[float]
    y: dict[str, float]
    width: float
    height: float


def placed(branches: Lineage, card: Size, below: Size, label: Size) -> TreeLayout:
    """The layout for cards, what hangs below some of them, and labels behind those that split.

    A size of (0, 0) is nothing.
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
        [each for each in cards.values() if each.column == depth]
        for depth in range(max(each.column for each in cards.values()) + 1)
    ]
    settle(
        order,
        [
            {cards[name]: 2.0, cards[record.children[0]]: -1.0, cards[record.children[-1]]: -1.0}
            for name, record in records.items()
            if record.children
        ],
    )
    low = min(each.y - each.height / 2 - each.hanging for each in cards.values())
    high = max(each.y + each.height / 2 for each in cards.values())
    left, wide, fork, x = [], [], [], 0.0
    for depth in range(len(order)):
        here = [record for name, record in records.items() if cards[name].column == depth]
        left.append(x)
        wide.append(max(max(card(each)[0], below(each)[0]) for each in here))
        fork.append(x + wide[-1] + FORK)
        x = fork[-1] + max(label(each)[0] for each in here) + FORK
    return TreeLayout(
        {name: each.column for name, each in cards.items()},
        left, wide, fork,
        {name: each.y - low for name, each in cards.items()},
        left[-1] + wide[-1],
        high - low,
    )  # fmt: skip
