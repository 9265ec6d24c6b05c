"""Gives the items of ordered columns their heights: straight routes, boxes apart, orders kept.

Every item wants to stand at the mean of its neighbours; what a column allows is the least-squares
answer with the order and the distances kept, which is a regression on increasing values (pool
adjacent violators: Barlow et al., "Statistical inference under order restrictions", 1972). The
columns take turns.
"""

from collections.abc import Sequence

from nastk.report.layers import Item, Order

SWEEPS = 40
STIFF = 8.0
"""How much straighter a segment between labels and bends wants to be than one ending at a node."""

NODE_GAP, LABEL_GAP, BEND_GAP = 20.0, 8.0, 9.0
"""Points between neighbours' boxes: nodes, labels (or a label and a node), anything and a bend."""


def settle(order: Order) -> None:
    """Set `y` of every item (points, upwards), so that routes run straight where they can."""
    for column in order:
        height = 0.0
        for above, item in zip([None, *column], column, strict=False):
            height -= distance(above, item) if above else 0.0
            item.y = height
        middle = height / 2
        for item in column:
            item.y -= middle
    for sweep in range(SWEEPS):
        for column in order if sweep % 2 == 0 else reversed(order):
            _settle_column(column)


def distance(upper: Item, lower: Item) -> float:
    """Points from the middle of one item to the middle of the item below it, at least."""
    kinds = {upper.kind, lower.kind}
    gap = BEND_GAP if "bend" in kinds else LABEL_GAP if "label" in kinds else NODE_GAP
    return (upper.height + lower.height) / 2 + gap


def unrest(order: Order) -> float:
    """How much the routes go up and down: the squared heights of all segments, in square points."""
    climbs = (item.y - other.y for column in order for item in column for other in item.after)
    return sum((climb**2 for climb in climbs), 0.0)


def _settle_column(column: Sequence[Item]) -> None:
    """Move the items of one column as near to their neighbours' mean as distances allow."""
    offset, offsets = 0.0, []
    for above, item in zip([None, *column], column, strict=False):
        offset += distance(above, item) if above else 0.0
        offsets.append(offset)
    wishes = [_wish(item) for item in column]
    heights = _decreasing(
        [(wish + offset, weight) for (wish, weight), offset in zip(wishes, offsets, strict=True)]
    )
    for item, height, shift in zip(column, heights, offsets, strict=True):
        item.y = height - shift


def _wish(item: Item) -> tuple[float, float]:
    """The weighted mean height of an item's neighbours, and its weight.

    Routes are stiffer than nodes.
    """
    total, weight = 0.0, 0.0
    for other in (*item.before, *item.after):
        stiffness = 1.0 if "node" in (item.kind, other.kind) else STIFF
        total += stiffness * other.y
        weight += stiffness
    return (total / weight, weight) if weight else (item.y, 1.0)


def _decreasing(wishes: Sequence[tuple[float, float]]) -> list[float]:
    """The non-increasing values nearest to (value, weight) pairs in weighted least squares."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in wishes:
        count = 1
        while pools and pools[-1][0] < value:
            above, heavy, many = pools.pop()
            value = (above * heavy + value * weight) / (heavy + weight)
            weight, count = weight + heavy, count + many
        pools.append((value, weight, count))
    return [value for value, _, count in pools for _ in range(count)]
