"""The picture of an architecture in characters: `cell` returns something that rich prints.

A cell has a row for each link; the rows of links to the same node meet. A chain of layers is
written in rows:

    c_{k-2} ─ sep_conv_3x3 ─┬─▶ 0          1  mbconv_3x3_e3 ─▶ skip_connect ─▶
    c_{k-1} ─ skip_connect ─╯              3  mbconv_5x5_e6 ─▶ mbconv_3x3_e6
"""

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from nastk.report.ascii import Plain
from nastk.report.families import family
from nastk.report.graph import Graph, Link, graphs
from nastk.spaces.architecture import Architecture

ARROW = " ─▶ "
FRAME = 4
"""Columns that a panel's sides and padding take."""
WIDEST = 160
"""Most columns of a drawing, also on a wider terminal or in a file."""


def cell(architecture: Architecture) -> RenderableType:
    """Returns the cells of an architecture, in the colours of pictures; in ASCII if need be.

    Cells stand side by side where the terminal is wide enough, else below each other.

    Example: `rich.print(cell(result.architecture))`
    """
    return Plain(_Cells(graphs(architecture)))


class _Cells:
    """Renders a panel for each cell, arranged for the width of the terminal."""

    def __init__(self, cells: Sequence[Graph]) -> None:
        self._cells = cells

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        # Output to a file has no width, but a chain is still drawn in rows.
        width = min(options.max_width, WIDEST)
        room = width - FRAME
        drawn = [_chain(graph, room) if _is_long(graph) else _rows(graph) for graph in self._cells]
        widths = [max(line.cell_len for line in lines) + FRAME for lines in drawn]
        if sum(widths) + len(widths) - 1 <= width:
            grid = Table.grid(padding=(0, 1, 0, 0))
            height = max(len(lines) for lines in drawn)
            padded = [[*lines, *[Text()] * (height - len(lines))] for lines in drawn]
            grid.add_row(
                *(_panel(graph, lines) for graph, lines in zip(self._cells, padded, strict=True))
            )
            yield grid
            return
        width = min(max(widths), width)
        for graph, lines in zip(self._cells, drawn, strict=True):
            yield _panel(graph, lines, width)


def _is_long(graph: Graph) -> bool:
    """True if a cell is drawn as rows of layers: a chain of more than three layers."""
    return graph.chain and len(graph.nodes) > 4


def _panel(graph: Graph, lines: Sequence[Text], width: int | None = None) -> Panel:
    """Returns the lines of a cell in a frame with the cell's name."""
    body = Text("\n").join(lines)
    body.overflow = "fold"
    return Panel(
        body, box=box.ROUNDED, title=Text(graph.group, "bold"), title_align="left",
        border_style="dim", padding=(0, 1), expand=False, width=width,
    )  # fmt: skip


def _rows(graph: Graph) -> list[Text]:
    """Returns a row for each link, and one for the nodes that the output concatenates."""
    name_width = max(len(graph.name(node)) for node in (*graph.inputs, *graph.middle))
    operation_width = max((len(link.operation) for link in graph.links), default=0)
    lines: list[Text] = []
    for node in (*graph.middle, graph.output):
        links = graph.into(node)
        if node == graph.output and graph.joined:
            parts = ", ".join(graph.name(joined) for joined in graph.joined)
            lines.append(
                Text.assemble(
                    (parts, "bold"), (" ─ concatenate", "dim"), (ARROW, "dim"), _name(graph, node)
                )
            )
        elif not links:
            lines.append(
                Text.assemble(
                    ("nothing".rjust(name_width), "dim"), (ARROW, "dim"), _name(graph, node)
                )
            )
        for row, link in enumerate(links):
            lines.append(_row(graph, link, name_width, operation_width, row, len(links)))
    return lines


def _row(
    graph: Graph, link: Link, name_width: int, operation_width: int, row: int, count: int
) -> Text:
    """Returns the line of a link: source, operation, and its part of the bracket to the node.

    The link is number `row` of the `count` links to the node, of which the middle one has the
    arrow.
    """
    colour = family(link.operation).terminal
    source = _name(graph, link.source)
    line = Text.assemble(
        " " * (name_width - len(source[0])),
        source,
        (" ─ ", colour),
        (link.operation, f"bold {colour}"),
    )
    line.append(" " + "─" * (operation_width - len(link.operation) + 1), colour)
    middle = row == (count - 1) // 2
    if count == 1:
        corner = "─"
    elif row == 0:
        corner = "┬" if middle else "╮"
    else:
        corner = "╯" if row == count - 1 else "┼" if middle else "┤"
    line.append(corner, "dim")
    if middle:
        line.append("─▶ ", "dim").append(*_name(graph, link.node))
    return line


def _name(graph: Graph, node: int) -> tuple[str, str]:
    """Returns a node's name with its style."""
    return graph.name(node), "bold"


def _chain(graph: Graph, room: int) -> list[Text]:
    """Returns a chain in one line where that fits `room` columns, else in numbered rows."""
    texts = [_layer(graph.into(node)) for node in graph.nodes[1:]]
    first, last = (Text(*_name(graph, node)) for node in (graph.inputs[0], graph.output))
    line = Text(ARROW, "dim").join([first, *texts, last])
    return [line] if line.cell_len <= room else _chain_rows(texts, first, last, room)


def _chain_rows(texts: Sequence[Text], first: Text, last: Text, room: int) -> list[Text]:
    """Returns the layers of a chain in rows that begin with the number of their first layer."""
    width = max(text.cell_len for text in texts)
    gutter = len(str(len(texts))) + 2
    layers_per_row = max((room - gutter) // (width + len(ARROW)), 1)
    lines = [Text.assemble(" " * gutter, first, (ARROW.rstrip(), "dim"))]
    for start in range(0, len(texts), layers_per_row):
        line = Text(f"{start + 1:>{gutter - 2}}  ", "dim")
        for text in texts[start : start + layers_per_row]:
            line.append_text(text).append(" " * (width - text.cell_len)).append(ARROW, "dim")
        lines.append(line)
    if lines[-1].cell_len + last.cell_len <= room:
        lines[-1].append_text(last)
    else:
        lines.append(Text.assemble(" " * gutter, last))
    for line in lines:
        line.rstrip()
    return lines


def _layer(links: Sequence[Link]) -> Text:
    """Returns the operations of a layer; `(nothing)` where none is chosen."""
    if not links:
        return Text("(nothing)", "dim")
    return Text(" + ").join(
        Text(link.operation, f"bold {family(link.operation).terminal}") for link in links
    )
