"""Gives the items of ordered columns their heights: what should be level is, and nothing touches.

Wishes are differences of heights that should be zero; the columns' orders and the distances inside
them are kept. With the gaps between neighbours as unknowns that is a least-squares problem with
bounds (`scipy.optimize.lsq_linear`), which has one best answer.
"""

from collections.abc import Iterable, Mapping

from nastk_drawing.layers import Item, Order

STIFF = 1000.0
"""How much straighter a segment between labels and bends wants to be than one ending at a node."""
CENTRED = 1e-3
"""How much every item wants to the middle of the page, for all that no wish decides."""

GAPS = {"bend": 9.0, "label": 8.0, "node": 20.0, "card": 12.0}
"""Points between the boxes of two neighbours; of two kinds, what the first of them here asks."""
APART = 14.0
"""Points more between cards of different parents, and below what hangs from a card."""


def settle(order: Order, request: Iterable[Mapping[Item, float]]) -> float:
    """Set `y` of every item (points, upwards); how far the wishes are off, in square points.

    A wish is a sum of heights, each times a number, that should be zero.
    """
    import numpy as np
    from scipy.optimize import lsq_linear

    items = [item for column in order for item in column]
    place = {item: number for number, item in enumerate(items)}
    # Unknowns: how far the first item of each column is below 0, the others below the one above.
    heights = np.zeros((len(items), len(items)))
    least = np.full(len(items), -np.inf)
    for column in order:
        first = place[column[0]] if column else 0
        for row, item in enumerate(column):
            heights[place[item], first : first + row + 1] = -1.0
            if row:
                least[place[item]] = distance(column[row - 1], item)
    rows = [sum(factor * heights[place[item]] for item, factor in each.items()) for each in request]
    matrix = np.vstack([*rows, CENTRED * heights])
    found = lsq_linear(matrix, np.zeros(len(matrix)), (least, np.inf), tol=1e-12)
    # Rounded, so that the last digits of a processor's arithmetic are in no picture.
    gaps = np.maximum(np.round(found.x, 2), least)
    for item, y in zip(items, heights @ gaps, strict=True):
        item.y = float(y)
    return float(2 * found.cost)


def level(order: Order) -> list[dict[Item, float]]:
    """The wishes of routes: each segment should be level, those between labels and bends most."""
    return [
        {item: factor, other: -factor}
        for column in order
        for item in column
        for other in item.after
        for factor in [1.0 if "node" in (item.kind, other.kind) else STIFF**0.5]
    ]


def distance(upper: Item, lower: Item) -> float:
    """Points from the middle of one item to the middle of the item below it, at least."""
    gap = next(GAPS[kind] for kind in GAPS if kind in (upper.kind, lower.kind))
    if upper.kind == "card" and (upper.hanging or upper.node != lower.node):
        gap += APART
    return (upper.height + lower.height) / 2 + upper.hanging + gap
