"""Heights of the items of ordered columns, so that routes are level and items do not touch.

A request is a weighted sum of heights that should be zero. The orders of the columns and the least
distances in them are constraints. With the gaps between neighbours as unknowns this is a linear
least-squares problem with bounds (`scipy.optimize.lsq_linear`), which has a unique solution.
"""

from collections.abc import Iterable, Mapping

from nastk_drawing.layers import Item, Order

STIFF = 1000.0
"""Weight of level segments between labels and bends, relative to segments that end at a node."""
CENTRED = 1e-3
"""Factor of the requests that pull every item to height 0, which make the solution unique."""

GAPS = {"bend": 9.0, "label": 8.0, "node": 20.0, "card": 12.0}
"""Points between the boxes of two neighbours; of their kinds, the one listed first decides."""
APART = 14.0
"""Further points between cards of different parents, and below a card with an attachment."""


def settle(order: Order, request: Iterable[Mapping[Item, float]]) -> float:
    """Set `y` of every item (points, upwards); returns the sum of squares of the requests.

    A request maps items to factors: the sum of factor times height should be zero.
    """
    import numpy as np
    from scipy.optimize import lsq_linear

    items = [item for column in order for item in column]
    index = {item: number for number, item in enumerate(items)}
    # The unknowns are the depth of each column's first item below 0, and the gaps between
    # neighbours. `heights` (items x unknowns) turns them into heights: an item's height is minus
    # the sum of the unknowns of its column down to its own.
    heights = np.zeros((len(items), len(items)))
    least = np.full(len(items), -np.inf)
    for column in order:
        first = index[column[0]] if column else 0
        for row, item in enumerate(column):
            heights[index[item], first : first + row + 1] = -1.0
            if row:
                least[index[item]] = distance(column[row - 1], item)
    rows = [
        sum(factor * heights[index[item]] for item, factor in factors.items())
        for factors in request
    ]
    matrix = np.vstack([*rows, CENTRED * heights])  # (requests + items) x unknowns
    solution = lsq_linear(matrix, np.zeros(len(matrix)), (least, np.inf), tol=1e-12)
    # Rounded, so that pictures do not depend on the last digits of a processor's arithmetic.
    gaps = np.maximum(np.round(solution.x, 2), least)
    for item, y in zip(items, heights @ gaps, strict=True):
        item.y = float(y)
    return float(2 * solution.cost)


def level(order: Order) -> list[dict[Item, float]]:
    """Returns the requests of routes: segments should be level, most so between labels and bends.

    A factor is the square root of a weight, as requests are squared.
    """
    return [
        {item: factor, following: -factor}
        for column in order
        for item in column
        for following in item.after
        for factor in [1.0 if "node" in (item.kind, following.kind) else STIFF**0.5]
    ]


def distance(upper: Item, lower: Item) -> float:
    """Returns the least distance in points between the middles of two neighbours of a column."""
    gap = next(GAPS[kind] for kind in GAPS if kind in (upper.kind, lower.kind))
    if upper.kind == "card" and (upper.hanging or upper.node != lower.node):
        gap += APART
    return (upper.height + lower.height) / 2 + upper.hanging + gap
