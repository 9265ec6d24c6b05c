"""The values of a drawing in points (x right, y up): boxes, curves, placed nodes and links."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nastk.report import Link

Point = tuple[float, float]
LabelSize = Callable[[Link], tuple[float, float]]
NodeSize = Callable[[int], tuple[float, float]]


@dataclass(frozen=True)
class Box:
    """A rectangle by its middle, width and height, in points.

    >>> Box(0.0, 0.0, 4.0, 2.0).overlaps(Box(3.0, 0.0, 4.0, 2.0))
    True
    """

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        """The x of the left side."""
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        """The x of the right side."""
        return self.x + self.width / 2

    def overlaps(self, other: "Box", margin: float = 0.0) -> bool:
        """True if the boxes are nearer than `margin` points in both directions."""
        near = abs(self.x - other.x) < (self.width + other.width) / 2 + margin
        return near and abs(self.y - other.y) < (self.height + other.height) / 2 + margin

    def holds(self, point: Point) -> bool:
        """True if a point lies inside."""
        return abs(point[0] - self.x) < self.width / 2 and abs(point[1] - self.y) < self.height / 2


@dataclass(frozen=True)
class Segment:
    """A cubic Bezier curve: start, two control points (`leave`, `arrive`), end."""

    start: Point
    leave: Point
    arrive: Point
    end: Point

    def at(self, t: float) -> Point:
        """Returns the point at parameter `t` (0..1)."""
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
        points = (self.start, self.leave, self.arrive, self.end)
        x = sum(weight * point[0] for weight, point in zip(weights, points, strict=True))
        y = sum(weight * point[1] for weight, point in zip(weights, points, strict=True))
        return x, y


@dataclass(frozen=True)
class PlacedNode:
    """A node and its box."""

    node: int
    box: Box


@dataclass(frozen=True)
class PlacedLink:
    """A link's curve, from its source to its target, and the box of its label.

    `link` and `label` are None for the curve from a node to an output that concatenates it.
    """

    source: int
    node: int
    link: Link | None
    curve: tuple[Segment, ...]
    label: Box | None


@dataclass(frozen=True)
class Layout:
    """Placed nodes and links in a rectangle of `width` x `height` points at (`left`, `bottom`)."""

    left: float
    bottom: float
    width: float
    height: float
    nodes: tuple[PlacedNode, ...]
    links: tuple[PlacedLink, ...]


def flat(start: Point, end: Point) -> Segment:
    """Returns a curve that leaves and arrives horizontally."""
    middle = (start[0] + end[0]) / 2
    return Segment(start, (middle, start[1]), (middle, end[1]), end)


def straight(start: Point, end: Point) -> Segment:
    """Returns a straight line."""
    third = ((end[0] - start[0]) / 3, (end[1] - start[1]) / 3)
    return Segment(
        start,
        (start[0] + third[0], start[1] + third[1]),
        (end[0] - third[0], end[1] - third[1]),
        end,
    )


def bounded(nodes: Sequence[PlacedNode], links: Sequence[PlacedLink]) -> Layout:
    """Returns the layout of these nodes and links, with the rectangle that bounds them."""
    boxes = [node.box for node in nodes] + [link.label for link in links if link.label]
    points = [point for link in links for part in link.curve for point in (part.start, part.end)]
    points += [(box.left, box.y - box.height / 2) for box in boxes]
    points += [(box.right, box.y + box.height / 2) for box in boxes]
    (left, right), (bottom, top) = (
        (min(values), max(values)) for values in zip(*points, strict=True)
    )
    return Layout(left, bottom, right - left, top - bottom, tuple(nodes), tuple(links))
