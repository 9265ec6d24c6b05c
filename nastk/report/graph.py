"""The cells of an architecture as graphs to draw: their inputs, their output, and what joins them.

An architecture says only which edges its space has. Four rules make a drawing of them:

* nodes that no edge of the group leads to are its inputs;
* a cell with several inputs (or several ends) has an output of its own, which joins what the cell
  computes, as DARTS does; with one input and one end, that end is the output, as in NAS-Bench-201;
* edges that all lead from a node to the next are a chain of layers;
* a chain that is cut into groups (stages) is drawn as one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nastk.base.errors import DataError
from nastk.spaces.architecture import Architecture
from nastk.spaces.subspace import Edge


@dataclass(frozen=True)
class Link:
    """One chosen operation between two nodes, with the `score` the search gave it, if known."""

    source: int
    node: int
    operation: str
    score: float | None = None


@dataclass(frozen=True)
class Graph:
    """One cell: numbered nodes from `inputs` over `middle` to `output`, joined by `links`.

    `joined` are the nodes that a DARTS-like output concatenates; empty where the output is computed
    by links like any other node.

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
        """A node's name: `c_{k-2}`, `c_{k-1}` are earlier cells' outputs, `c_{k}` is this one's."""
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
        """The links that lead to `node`, in the order of their sources."""
        return sorted(
            (link for link in self.links if link.node == node), key=lambda link: link.source
        )


def graphs(
    architecture: Architecture, scores: Sequence[Sequence[float]] | None = None
) -> list[Graph]:
    """The cells of an architecture, in the order in which its space names them.

    The links remember `scores`, an edges x operations table (nested sequences, array or tensor).

    Raises:
        DataError: an edge does not lead to a higher node, or `scores` is not one row an edge.
    """
    _check(architecture, scores)
    links: list[list[Link]] = []
    for row, (edge, chosen) in enumerate(
        zip(architecture.edges, architecture.choices, strict=True)
    ):
        given = None if scores is None else scores[row]
        links.append([_link(edge, operation, given) for operation in chosen])
    if _is_chain(architecture.edges):
        groups = list(dict.fromkeys(edge.group for edge in architecture.edges))
        name = groups[0] if len(groups) == 1 else "layers"
        return [_graph(name, architecture.edges, [link for each in links for link in each])]
    found = []
    for group in dict.fromkeys(edge.group for edge in architecture.edges):
        rows = [row for row, edge in enumerate(architecture.edges) if edge.group == group]
        edges = [architecture.edges[row] for row in rows]
        found.append(_graph(group, edges, [link for row in rows for link in links[row]]))
    return found


def _check(architecture: Architecture, scores: Sequence[Sequence[float]] | None) -> None:
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
    score = None if scores is None else float(scores[edge.operations.index(operation)])
    return Link(edge.tail, edge.head, operation, score)


def _is_chain(edges: Sequence[Edge]) -> bool:
    """Whether each edge joins a node to the next, and inner nodes have one edge in, one out."""
    sources = sorted(edge.tail for edge in edges)
    if not sources:
        return False
    steps = all(edge.head == edge.tail + 1 for edge in edges)
    return steps and sources == list(range(sources[0], sources[0] + len(sources)))


def _graph(group: str, edges: Sequence[Edge], links: Sequence[Link]) -> Graph:
    nodes = sorted({edge.tail for edge in edges} | {edge.head for edge in edges})
    targets, sources = {edge.head for edge in edges}, {edge.tail for edge in edges}
    inputs = tuple(node for node in nodes if node not in targets)
    ends = tuple(node for node in nodes if node not in sources)
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
