"""The cells of an architecture as graphs to draw: inputs, inner nodes, output, and links.

An architecture lists only the edges of its space. Four rules make a graph of them:

* nodes that no edge of the group leads to are the cell's inputs;
* a cell with several inputs (or several ends) gets a further output node, which concatenates the
  nodes that the cell computes, as in DARTS; with one input and one end, that end is the output, as
  in NAS-Bench-201;
* edges that each lead from a node to the next one are a chain of layers;
* a chain that is divided into groups (stages) is drawn as one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nastk.base.errors import DataError
from nastk.spaces.architecture import Architecture
from nastk.spaces.subspace import Edge


@dataclass(frozen=True)
class Link:
    """A chosen operation from node `source` to `node`, with its `score` in the search, if known."""

    source: int
    node: int
    operation: str
    score: float | None = None


@dataclass(frozen=True)
class Graph:
    """A cell: numbered nodes from `inputs` over `middle` to `output`, connected by `links`.

    `joined` holds the nodes that a DARTS-like output concatenates; it is empty where links lead to
    the output as to any other node.

    Example: `graphs(architecture)[0].name(0) == "c_{k-2}"`
    """

    group: str
    inputs: tuple[int, ...]
    middle: tuple[int, ...]
    output: int
    links: tuple[Link, ...]
    joined: tuple[int, ...]
    chain: bool

    @property
    def nodes(self) -> tuple[int, ...]:
        """All nodes: inputs, middle, output."""
        return (*self.inputs, *self.middle, self.output)

    def name(self, node: int) -> str:
        """Returns a node's name; `c_{k-1}` is an earlier cell's output, `c_{k}` this cell's."""
        if len(self.inputs) > 1:
            if node == self.output:
                return "c_{k}"
            if node in self.inputs:
                return f"c_{{k-{len(self.inputs) - self.inputs.index(node)}}}"
            return str(self.middle.index(node))
        if node in self.inputs:
            return "input"
        return "output" if node == self.output else str(node)

    def into(self, node: int) -> list[Link]:
        """Returns the links that lead to `node`, in the order of their sources."""
        return sorted(
            (link for link in self.links if link.node == node), key=lambda link: link.source
        )


def graphs(
    architecture: Architecture, scores: Sequence[Sequence[float]] | None = None
) -> list[Graph]:
    """Returns the cells of an architecture, in the order in which its space names them.

    The links get their `scores` from an edges x operations table (nested sequences, array, tensor).

    Raises:
        DataError: an edge does not lead to a higher node, or `scores` lacks a row for each edge.
    """
    _check(architecture, scores)
    links: list[list[Link]] = []
    for row, (edge, chosen) in enumerate(
        zip(architecture.edges, architecture.choices, strict=True)
    ):
        row_scores = None if scores is None else scores[row]
        links.append([_link(edge, operation, row_scores) for operation in chosen])
    if _is_chain(architecture.edges):
        groups = list(dict.fromkeys(edge.group for edge in architecture.edges))
        name = groups[0] if len(groups) == 1 else "layers"
        return [
            _graph(name, architecture.edges, [link for edge_links in links for link in edge_links])
        ]
    cells = []
    for group in dict.fromkeys(edge.group for edge in architecture.edges):
        rows = [row for row, edge in enumerate(architecture.edges) if edge.group == group]
        edges = [architecture.edges[row] for row in rows]
        cells.append(_graph(group, edges, [link for row in rows for link in links[row]]))
    return cells


def _check(architecture: Architecture, scores: Sequence[Sequence[float]] | None) -> None:
    """Raises `DataError` as `graphs` does."""
    for edge in architecture.edges:
        if edge.head <= edge.tail:
            raise DataError(
                f"Edge {edge.name} leads from node {edge.tail} to node {edge.head}. "
                "To be drawn, edges must lead to a higher number: renumber the nodes of the space."
            )
    if scores is not None and len(scores) != len(architecture.edges):
        raise DataError(
            f"Scores need one row for each of the {len(architecture.edges)} edges, "
            f"got {len(scores)} rows."
        )


def _link(edge: Edge, operation: str, scores: Sequence[float] | None) -> Link:
    """Returns the link of a chosen operation; `scores` are those of the edge's operations."""
    score = None if scores is None else float(scores[edge.operations.index(operation)])
    return Link(edge.tail, edge.head, operation, score)


def _is_chain(edges: Sequence[Edge]) -> bool:
    """True if every edge leads to the next node, and inner nodes have one edge in and one out."""
    tails = sorted(edge.tail for edge in edges)
    if not tails:
        return False
    steps = all(edge.head == edge.tail + 1 for edge in edges)
    return steps and tails == list(range(tails[0], tails[0] + len(tails)))


def _graph(group: str, edges: Sequence[Edge], links: Sequence[Link]) -> Graph:
    """Returns the cell of one group of edges."""
    nodes = sorted({edge.tail for edge in edges} | {edge.head for edge in edges})
    heads, tails = {edge.head for edge in edges}, {edge.tail for edge in edges}
    inputs = tuple(node for node in nodes if node not in heads)
    ends = tuple(node for node in nodes if node not in tails)
    inner = tuple(node for node in nodes if node not in inputs)
    chain = _is_chain(edges)
    if len(inputs) == 1 and len(ends) == 1:
        return Graph(
            group,
            inputs,
            tuple(node for node in inner if node != ends[0]),
            ends[0],
            tuple(links),
            (),
            chain,
        )
    joined = inner if len(inputs) > 1 else ends
    return Graph(group, inputs, inner, nodes[-1] + 1, tuple(links), joined, chain)
