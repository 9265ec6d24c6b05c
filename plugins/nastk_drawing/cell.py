"""The picture of an architecture: a panel for each cell.

The same architecture gives the same bytes of SVG. `layout` computes positions; this module and
`canvas`, the page, decide how things look.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from nastk import Architecture
from nastk.report import Family, Graph, Link, family, graphs, readable
from nastk_drawing import canvas
from nastk_drawing.canvas import (
    BORDER,
    INK,
    LINE,
    MARGIN,
    NODE_EDGE,
    NODE_INPUT,
    NODE_MIDDLE,
    NODE_OUTPUT,
    PADDING,
    PANEL,
    SOFT,
)
from nastk_drawing.geometry import Layout, PlacedLink, PlacedNode, Segment
from nastk_drawing.layout import place

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEADING = 22.0
"""Points for a panel's heading."""
HEADINGS = {"normal": "Normal cell", "reduce": "Reduction cell"}
ARROW = 8.0


def picture(
    architecture: Architecture,
    *,
    title: str | None = None,
    subtitle: str | None = None,
    scores: Sequence[Sequence[float]] | None = None,
) -> "Figure":
    """Returns the picture as a matplotlib `Figure` outside pyplot; arguments as for `draw`."""
    cells = graphs(architecture, scores)
    panels = [(graph, place(graph, _label_size, _node_size(graph))) for graph in cells]
    legend = _legend(cells)
    inner = max(
        [layout.width for _, layout in panels]
        + [canvas.text_width(title or "", 15.0, "bold") - 2 * PADDING, 260.0]
    )
    inner = max(inner, canvas.text_width(subtitle or "", 9.5) - 2 * PADDING)
    width = inner + 2 * (PADDING + MARGIN)
    rows = canvas.legend_rows(legend, width - 2 * MARGIN)
    head = (24.0 if title else 0.0) + (18.0 if subtitle else 0.0)
    heights = [layout.height + 2 * PADDING + HEADING for _, layout in panels]
    height = 2 * MARGIN + head + sum(heights) + 14.0 * len(heights) + 18.0 * len(rows) - 12.0
    figure, axes = canvas.page(width, height)
    top = canvas.headline(axes, height - MARGIN, title, subtitle)
    for (graph, layout), panel_height in zip(panels, heights, strict=True):
        _panel(axes, graph, layout, (MARGIN, top - panel_height, inner + 2 * PADDING, panel_height))
        top -= panel_height + 14.0
    canvas.legend(axes, rows, top - 5.0, width)
    return figure


def _panel(
    axes: "Axes", graph: Graph, layout: Layout, rectangle: tuple[float, float, float, float]
) -> None:
    """Draw a cell in the `rectangle` (left, bottom, width, height)."""
    left, bottom, width, height = rectangle
    canvas.rectangle(axes, left, bottom, width, height, PANEL, BORDER, 8.0, 0)
    heading = HEADINGS.get(graph.group, _capital(graph.group.replace("_", " ")))
    canvas.text(axes, left + 14, bottom + height - 19, heading, 10.5, INK, weight="bold", ha="left")
    middle = left + (width - layout.width) / 2
    shift = (middle - layout.left, bottom + PADDING - layout.bottom)
    strongest = max(
        (abs(link.link.score or 0.0) for link in layout.links if link.link), default=0.0
    )
    for link in sorted(layout.links, key=lambda link: link.link is not None):
        _draw_link(axes, link, shift, strongest)
    for node in layout.nodes:
        _draw_node(axes, graph, node, shift)
    for link in layout.links:
        _draw_label(axes, link, shift)


def _draw_link(
    axes: "Axes", placed: PlacedLink, shift: tuple[float, float], strongest: float
) -> None:
    """Draw a link's curve with its arrow head; the line is thicker for a larger score.

    `strongest` is the largest absolute score in the cell.
    """
    from matplotlib.patches import PathPatch, Polygon

    colour, width, dashes = LINE, 1.1, "-"
    if placed.link is not None:
        kind = family(placed.link.operation)
        colour, width, dashes = kind.colour, 1.9, (":" if kind.name == "none" else "-")
        if placed.link.score is not None and strongest > 0:
            width = 1.1 + 2.0 * abs(placed.link.score) / strongest
    path, tip = _path(placed.curve, shift)
    # A wider line in the panel's colour below separates the curve from curves that it crosses.
    axes.add_patch(
        PathPatch(
            path, fill=False, edgecolor=PANEL, linewidth=width + 2.4, capstyle="butt", zorder=1
        )
    )
    axes.add_patch(
        PathPatch(path, fill=False, edgecolor=colour, linewidth=width, linestyle=dashes, zorder=1)
    )
    x, y = tip
    size = ARROW * 0.75 if placed.link is None else ARROW + max(width - 1.9, 0.0) * 2.0
    corners = [
        (x, y),
        (x - size, y + size * 0.42),
        (x - size * 0.75, y),
        (x - size, y - size * 0.42),
    ]
    if placed.curve[-1].arrive[0] > placed.curve[-1].end[0]:
        corners = [(2 * x - corner_x, corner_y) for corner_x, corner_y in corners]
    axes.add_patch(Polygon(corners, closed=True, facecolor=colour, linewidth=0, zorder=2))


def _path(curve: Sequence[Segment], shift: tuple[float, float]) -> tuple[Any, tuple[float, float]]:
    """Returns the curve as a matplotlib path, and the tip of its arrow head.

    The path stops inside the head, so that its end does not show beside the tip.
    """
    from matplotlib.path import Path as Line

    def move(point: tuple[float, float]) -> tuple[float, float]:
        return point[0] + shift[0], point[1] + shift[1]

    last = curve[-1]
    back = ARROW * 0.6 if last.arrive[0] < last.end[0] else -ARROW * 0.6
    stop = (last.end[0] - back, last.end[1])
    points, codes = [move(curve[0].start)], [Line.MOVETO]
    for part in curve:
        end = stop if part is last else part.end
        points += [move(part.leave), move(part.arrive), move(end)]
        codes += [Line.CURVE4] * 3
    return Line(points, codes), move(last.end)


def _draw_node(axes: "Axes", graph: Graph, placed: PlacedNode, shift: tuple[float, float]) -> None:
    """Draw a node's box with its name."""
    box = placed.box
    fill = (
        NODE_INPUT
        if placed.node in graph.inputs
        else NODE_OUTPUT
        if placed.node == graph.output
        else NODE_MIDDLE
    )
    left, bottom = box.left + shift[0], box.y - box.height / 2 + shift[1]
    canvas.rectangle(
        axes, left, bottom, box.width, box.height, fill, NODE_EDGE, 7.0, 3, linewidth=1.2
    )
    name = _node_text(graph, placed.node)
    canvas.text(axes, box.x + shift[0], box.y + shift[1], name, 10.5, INK, parse_math="$" in name)


def _draw_label(axes: "Axes", placed: PlacedLink, shift: tuple[float, float]) -> None:
    """Draw the label of a link: its operation, and its score if there is one."""
    if placed.link is None or placed.label is None:
        return
    box, colour = placed.label, family(placed.link.operation).colour
    left, bottom = box.left + shift[0], box.y - box.height / 2 + shift[1]
    canvas.rectangle(
        axes,
        left,
        bottom,
        box.width,
        box.height,
        canvas.tint(colour),
        colour,
        5.0,
        4,
        linewidth=1.0,
    )
    x, y = box.x + shift[0], box.y + shift[1]
    if placed.link.score is None:
        canvas.text(axes, x, y, readable(placed.link.operation), 8.5, INK)
        return
    canvas.text(
        axes,
        box.left + shift[0] + 7,
        y,
        readable(placed.link.operation),
        8.5,
        INK,
        ha="left",
    )
    canvas.text(axes, box.right + shift[0] - 7, y, _score(placed.link), 7.5, SOFT, ha="right")


def _legend(cells: Iterable[Graph]) -> list[Family]:
    """Returns the families of the operations in these cells, by name."""
    present = {family(link.operation) for graph in cells for link in graph.links}
    return sorted(present, key=lambda kind: kind.name)


def _label_size(link: Link) -> tuple[float, float]:
    """Returns width and height of a link's label in points."""
    extra = 0.0 if link.score is None else canvas.text_width(_score(link), 7.5) + 7.0
    return canvas.text_width(readable(link.operation), 8.5) + 14.0 + extra, 19.0


def _node_size(graph: Graph) -> Any:
    """Returns the function that gives the (width, height) of a node's box in points."""

    def size(node: int) -> tuple[float, float]:
        name = graph.name(node)
        width = 44.0 if name.startswith("c_") else max(28.0, canvas.text_width(name, 10.5) + 18.0)
        return width, 28.0 if graph.chain else 36.0

    return size


def _node_text(graph: Graph, node: int) -> str:
    """Returns a node's name; names such as `c_{k}` in matplotlib's mathematical notation."""
    name = graph.name(node)
    return f"$\\mathit{{{name[0]}}}{name[1:]}$" if name.startswith("c_") else name


def _capital(text: str) -> str:
    """Returns a text with a capital first letter."""
    return text[:1].upper() + text[1:]


def _score(link: Link) -> str:
    """Returns a link's score as text."""
    return "" if link.score is None else f"{link.score:.3g}"
