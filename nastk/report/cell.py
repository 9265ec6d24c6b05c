"""The picture of an architecture: `draw` writes one panel for each cell as SVG, PNG or PDF.

`Figure` and its canvas are used as objects: no pyplot, no window, no state that another plot could
see. The same architecture gives the same bytes of SVG. `layout` says where things are; what they
look like is said here.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nastk.architecture import Architecture
from nastk.errors import ConfigurationError
from nastk.report import families
from nastk.report.geometry import Layout, PlacedLink, PlacedNode, Segment
from nastk.report.graph import Graph, Link, graphs
from nastk.report.layout import place

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("svg", "png", "pdf")
FONT = "DejaVu Sans"
INK, SOFT, PANEL, BORDER = "#1F2933", "#66717E", "#F7F9FB", "#E3E8ED"
NODE_INPUT, NODE_MIDDLE, NODE_OUTPUT = "#DCE6F0", "#FFFFFF", "#DDEBDF"
MARGIN, PADDING, HEADING = 22.0, 18.0, 22.0
"""Points around the picture, inside a panel, and for a panel's heading."""
HEADINGS = {"normal": "Normal cell", "reduce": "Reduction cell"}
ARROW = 8.0
RESOLUTION = 200
"""Dots per inch of a PNG."""


def draw(
    architecture: Architecture,
    path: str | Path,
    *,
    title: str | None = None,
    subtitle: str | None = None,
    scores: Sequence[Sequence[float]] | None = None,
) -> Path:
    """Draw an architecture into a file: SVG, PNG or PDF, by the suffix of `path`; returns the path.

    `scores` is an edges x operations table; the entries of chosen operations stand beside them.

    Raises:
        ConfigurationError: a suffix of no known format.

    Example: `draw(result.architecture, "cell.svg", title="Shapley, seed 0")`
    """
    import matplotlib

    path = Path(path)
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in FORMATS:
        raise ConfigurationError(
            f"A picture is written as {', '.join(FORMATS)}, got the file name {path.name!r}. "
            f"Name it {path.stem or 'cell'}.svg, for example."
        )
    dates: dict[str, Any] = {
        "svg": {"Date": None, "Creator": "nastk"},
        "pdf": {"CreationDate": None},
    }
    figure = picture(architecture, title=title, subtitle=subtitle, scores=scores)
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context({"svg.hashsalt": "nastk", "svg.fonttype": "path"}):
        figure.savefig(path, format=suffix, dpi=RESOLUTION, metadata=dates.get(suffix))
    return path


def picture(
    architecture: Architecture,
    *,
    title: str | None = None,
    subtitle: str | None = None,
    scores: Sequence[Sequence[float]] | None = None,
) -> "Figure":
    """The picture as a matplotlib `Figure` that nothing else knows of; arguments as for `draw`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    cells = graphs(architecture, scores)
    panels = [(graph, place(graph, _label_size, _node_size(graph))) for graph in cells]
    legend = _legend(cells)
    inner = max(
        [layout.width for _, layout in panels]
        + [_text_width(title or "", 15.0, "bold") - 2 * PADDING, 260.0]
    )
    inner = max(inner, _text_width(subtitle or "", 9.5) - 2 * PADDING)
    width = inner + 2 * (PADDING + MARGIN)
    rows = _legend_rows(legend, width - 2 * MARGIN)
    head = (24.0 if title else 0.0) + (18.0 if subtitle else 0.0)
    tall = [layout.height + 2 * PADDING + HEADING for _, layout in panels]
    height = 2 * MARGIN + head + sum(tall) + 14.0 * len(tall) + 18.0 * len(rows) - 12.0
    figure = Figure(figsize=(width / 72, height / 72), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.set_axis_off()
    top = _headline(axes, height - MARGIN, title, subtitle)
    for (graph, layout), high in zip(panels, tall, strict=True):
        _panel(axes, graph, layout, (MARGIN, top - high, inner + 2 * PADDING, high))
        top -= high + 14.0
    _draw_legend(axes, rows, top - 5.0, width)
    return figure


def _headline(axes: "Axes", top: float, title: str | None, subtitle: str | None) -> float:
    """Write title and subtitle from `top` downwards; the height that is left."""
    if title:
        _text(axes, MARGIN, top - 8, title, 15.0, INK, weight="bold", ha="left")
        top -= 24.0
    if subtitle:
        _text(axes, MARGIN, top - 5, subtitle, 9.5, SOFT, ha="left")
        top -= 18.0
    return top


def _panel(
    axes: "Axes", graph: Graph, layout: Layout, where: tuple[float, float, float, float]
) -> None:
    """One cell in the rectangle `where` (left, bottom, width, height)."""
    left, bottom, width, height = where
    _rectangle(axes, left, bottom, width, height, PANEL, BORDER, 8.0, 0)
    heading = HEADINGS.get(graph.group, _capital(graph.group.replace("_", " ")))
    _text(axes, left + 14, bottom + height - 19, heading, 10.5, INK, weight="bold", ha="left")
    shift = (left + (width - layout.width) / 2, bottom + PADDING)
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
    from matplotlib.patches import PathPatch, Polygon

    colour, thick, dashes = "#A9B3BE", 1.1, "-"
    if placed.link is not None:
        kind = families.family(placed.link.operation)
        colour, thick, dashes = kind.colour, 1.9, (":" if kind is families.NONE else "-")
        if placed.link.score is not None and strongest > 0:
            thick = 1.1 + 2.0 * abs(placed.link.score) / strongest
    path, tip = _path(placed.curve, shift)
    axes.add_patch(
        PathPatch(
            path, fill=False, edgecolor=PANEL, linewidth=thick + 2.4, capstyle="butt", zorder=1
        )
    )
    axes.add_patch(
        PathPatch(path, fill=False, edgecolor=colour, linewidth=thick, linestyle=dashes, zorder=1)
    )
    x, y = tip
    size = ARROW * 0.75 if placed.link is None else ARROW + max(thick - 1.9, 0.0) * 2.0
    corners = [
        (x, y),
        (x - size, y + size * 0.42),
        (x - size * 0.75, y),
        (x - size, y - size * 0.42),
    ]
    if placed.curve[-1].arrive[0] > placed.curve[-1].end[0]:
        corners = [(2 * x - a, b) for a, b in corners]
    axes.add_patch(Polygon(corners, closed=True, facecolor=colour, linewidth=0, zorder=2))


def _path(curve: Sequence[Segment], shift: tuple[float, float]) -> tuple[Any, tuple[float, float]]:
    """The curve as a matplotlib path that stops inside its arrow head, and the head's tip."""
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
    box = placed.box
    fill = (
        NODE_INPUT
        if placed.node in graph.inputs
        else NODE_OUTPUT
        if placed.node == graph.output
        else NODE_MIDDLE
    )
    left, bottom = box.left + shift[0], box.y - box.height / 2 + shift[1]
    _rectangle(axes, left, bottom, box.width, box.height, fill, "#7B8794", 7.0, 3, linewidth=1.2)
    _text(axes, box.x + shift[0], box.y + shift[1], _node_text(graph, placed.node), 10.5, INK)


def _draw_label(axes: "Axes", placed: PlacedLink, shift: tuple[float, float]) -> None:
    if placed.link is None or placed.label is None:
        return
    box, colour = placed.label, families.family(placed.link.operation).colour
    left, bottom = box.left + shift[0], box.y - box.height / 2 + shift[1]
    _rectangle(
        axes, left, bottom, box.width, box.height, _tint(colour), colour, 5.0, 4, linewidth=1.0
    )
    x, y = box.x + shift[0], box.y + shift[1]
    if placed.link.score is None:
        _text(axes, x, y, families.readable(placed.link.operation), 8.5, INK)
        return
    _text(
        axes,
        box.left + shift[0] + 7,
        y,
        families.readable(placed.link.operation),
        8.5,
        INK,
        ha="left",
    )
    _text(axes, box.right + shift[0] - 7, y, _score(placed.link), 7.5, SOFT, ha="right")


def _legend(cells: Iterable[Graph]) -> list[families.Family]:
    present = {families.family(link.operation) for graph in cells for link in graph.links}
    return sorted(present, key=lambda kind: kind.name)


def _legend_rows(present: Sequence[families.Family], width: float) -> list[list[families.Family]]:
    """The legend's entries in rows that fit in `width` points."""
    rows: list[list[families.Family]] = [[]]
    for kind in present:
        if rows[-1] and sum(_entry_width(each) for each in [*rows[-1], kind]) > width:
            rows.append([])
        rows[-1].append(kind)
    return rows


def _entry_width(kind: families.Family) -> float:
    return _text_width(kind.name, 8.5) + 36.0


def _draw_legend(
    axes: "Axes", rows: Sequence[Sequence[families.Family]], top: float, width: float
) -> None:
    for number, row in enumerate(rows):
        x = (width - sum(_entry_width(kind) for kind in row) + 18.0) / 2
        y = top - 18.0 * number
        for kind in row:
            _rectangle(
                axes, x, y - 4.5, 13.0, 9.0, _tint(kind.colour), kind.colour, 3.0, 4, linewidth=1.2
            )
            _text(axes, x + 18.0, y, kind.name, 8.5, SOFT, ha="left")
            x += _entry_width(kind)


def _label_size(link: Link) -> tuple[float, float]:
    extra = 0.0 if link.score is None else _text_width(_score(link), 7.5) + 7.0
    return _text_width(families.readable(link.operation), 8.5) + 14.0 + extra, 19.0


def _node_size(graph: Graph) -> Any:
    """The size of a node's box: as wide as its name asks for; square where the name is short."""

    def size(node: int) -> tuple[float, float]:
        name = graph.name(node)
        wide = 44.0 if name.startswith("c_") else max(28.0, _text_width(name, 10.5) + 18.0)
        return wide, 28.0 if graph.chain else 36.0

    return size


def _node_text(graph: Graph, node: int) -> str:
    name = graph.name(node)
    return f"$\\mathit{{{name[0]}}}{name[1:]}$" if name.startswith("c_") else name


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _score(link: Link) -> str:
    return "" if link.score is None else f"{link.score:.3g}"


@cache
def _text_width(text: str, size: float, weight: str = "normal") -> float:
    """The width of a text in points, the same on every machine: the font comes with matplotlib."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    width, _, _ = TextToPath().get_text_width_height_descent(
        text, FontProperties(family=FONT, size=size, weight=weight), False
    )
    return float(width) if text else 0.0


def _tint(colour: str, share: float = 0.13) -> tuple[float, ...]:
    """A light tone of a colour: `share` of it on white."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return tuple(share * part + 1 - share for part in parts)


def _text(
    axes: "Axes", x: float, y: float, text: str, size: float, colour: str, **style: Any
) -> None:
    fixed: dict[str, Any] = {
        "ha": "center",
        "va": "center_baseline",
        "family": FONT,
        "zorder": 5,
    } | style
    axes.text(x, y, text, fontsize=size, color=colour, **fixed)


def _rectangle(
    axes: "Axes", left: float, bottom: float, width: float, height: float, fill: Any, edge: str,
    radius: float, zorder: int, linewidth: float = 0.8,
) -> None:  # fmt: skip
    from matplotlib.patches import FancyBboxPatch

    style = f"round,pad=0,rounding_size={radius}"
    axes.add_patch(
        FancyBboxPatch((left, bottom), width, height, boxstyle=style, facecolor=fill,
                       edgecolor=edge, linewidth=linewidth, zorder=zorder)
    )  # fmt: skip
