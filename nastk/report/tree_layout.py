"""Puts a lineage on a page: branches in columns by their depth, each level with its heirs.

An heir's part of the page is a band of its own, as wide as the page: nothing of one subtree reaches
into another's, and what hangs below a branch (its table of distances) is part of its band.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from nastk.report.lineage import BranchRecord, Lineage

Size = Callable[[BranchRecord], tuple[float, float]]
"""Width and height of something that a branch has, in points."""

LEAF_GAP, BAND_GAP, HANG, FORK = 12.0, 26.0, 12.0, 30.0
"""Points between leaves, between subtrees, from a branch to what hangs below it, and each side of
the label on a fork."""


@dataclass
class TreeLayout:
    """Where everything is: points from the lower left.

    `left` and `wide` are the columns' left sides and widths by depth, `fork` where the labels
    behind them begin; `y` is the middle of each branch, by name.
    """

    depth: dict[str, int] = field(default_factory=dict)
    left: list[float] = field(default_factory=list)
    wide: list[float] = field(default_factory=list)
    fork: list[float] = field(default_factory=list)
    y: dict[str, float] = field(default_factory=dict)
    width: float = 0.0
    height: float = 0.0


def placed(branches: Lineage, card: Size, below: Size, label: Size) -> TreeLayout:
    """The layout for cards, what hangs below some of them, and labels behind those that split.

    A size of (0, 0) is nothing.
    """
    layout = TreeLayout()
    for record in branches.branches.values():
        parent = record.parent
        layout.depth[record.name] = 0 if parent is None else layout.depth[parent] + 1
    _columns(layout, branches, card, below, label)
    up, down = _settle(layout, branches, branches.root, card, below)
    layout.height = up + down
    layout.y = {name: down - y for name, y in layout.y.items()}
    return layout


def _columns(layout: TreeLayout, branches: Lineage, card: Size, below: Size, label: Size) -> None:
    x = 0.0
    for depth in range(max(layout.depth.values()) + 1):
        here = [each for each in branches.branches.values() if layout.depth[each.name] == depth]
        wide = max(max(card(each)[0], below(each)[0]) for each in here)
        layout.left.append(x)
        layout.wide.append(wide)
        layout.fork.append(x + wide + FORK)
        layout.width = x + wide
        x += wide + 2 * FORK + max(label(each)[0] for each in here)


def _settle(
    layout: TreeLayout, branches: Lineage, record: BranchRecord, card: Size, below: Size
) -> tuple[float, float]:
    """Put a subtree around y = 0, downwards positive; how far it reaches up and down."""
    hanging = below(record)[1]
    up = card(record)[1] / 2
    down = up + (HANG + hanging if hanging else 0.0)
    layout.y[record.name] = 0.0
    at: list[float] = []
    reaches: list[tuple[float, float]] = []
    for heir in branches.heirs(record):
        reach = _settle(layout, branches, heir, card, below)
        gap = BAND_GAP if heir.heirs else LEAF_GAP
        at.append(at[-1] + reaches[-1][1] + gap + reach[0] if at else 0.0)
        reaches.append(reach)
    if not at:
        return up, down
    middle = at[-1] / 2
    for heir, place in zip(branches.heirs(record), at, strict=True):
        for name in _subtree(branches, heir):
            layout.y[name] += place - middle
    return max(up, middle + reaches[0][0]), max(down, middle + reaches[-1][1])


def _subtree(branches: Lineage, record: BranchRecord) -> list[str]:
    found = [record.name]
    for heir in branches.heirs(record):
        found += _subtree(branches, heir)
    return found
