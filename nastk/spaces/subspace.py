"""`Edge`, a decision with its candidate operations, and `Subspace`, the operations still alive.

`Subspace` is the state of a search that updaters shrink and split. Both are frozen, hashable values
with a JSON form. Next: `architecture.py` (the result of a search), `mixture.py` (the weights of the
operations in a forward pass).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from nastk.base.renamed import RenamedMethods, renamed_fields

if TYPE_CHECKING:  # the command line shows subspaces without waiting for torch
    from jaxtyping import Bool
    from torch import Tensor


@renamed_fields(source="tail", node="head")
@dataclass(frozen=True)
class Edge:
    """One decision: an edge of a cell (shared by all cells of its group), or a layer of a chain.

    `operations` are the candidates, in the order of the columns of every table. `group` names the
    cell type. `tail` and `head` are the nodes of the cell that the edge leads from and to (a chain
    numbers its layers). Edges may differ in their operations.

    Example: `Edge("normal:0->2", ("max_pool_3x3", "skip_connect"), "normal", tail=0, head=2)`
    """

    name: str
    operations: tuple[str, ...]
    group: str
    tail: int
    head: int


@dataclass(frozen=True)
class Subspace(RenamedMethods, renamed={"players": "alive_operations"}):
    """The operations that are alive: a row for each edge, a column for each operation.

    Rows are padded to equal length; padding (columns past the operations of an edge) is never
    alive.

    >>> a = Edge("a", ("conv", "skip"), "cell", 0, 1)
    >>> b = Edge("b", ("conv", "pool", "skip"), "cell", 0, 2)
    >>> root = Subspace.full([a, b])
    >>> root.alive
    ((True, True, False), (True, True, True))
    >>> root.drop(1, 0).alive_operations()
    [(0, 0), (0, 1), (1, 1), (1, 2)]
    """

    alive: tuple[tuple[bool, ...], ...]

    @classmethod
    def full(cls, edges: Sequence[Edge]) -> Self:
        """Returns the subspace in which every operation of these edges is alive."""
        width = max(len(edge.operations) for edge in edges)
        return cls(
            tuple(tuple(column < len(edge.operations) for column in range(width)) for edge in edges)
        )

    @classmethod
    def of(cls, mask: "Bool[Tensor, 'edges ops'] | Iterable[Iterable[bool]]") -> Self:
        """Returns the subspace of a boolean table (a tensor or nested sequences)."""
        rows = mask.tolist() if hasattr(mask, "tolist") else mask
        return cls(tuple(tuple(bool(value) for value in row) for row in rows))

    @property
    def mask(self) -> "Bool[Tensor, 'edges ops']":
        """The table as a boolean tensor on the CPU."""
        import torch

        return torch.tensor(self.alive, dtype=torch.bool)

    def alive_operations(self) -> list[tuple[int, int]]:
        """Returns every alive (edge, operation), edge by edge."""
        return [(e, o) for e, row in enumerate(self.alive) for o, alive in enumerate(row) if alive]

    def operations(self, edge: int) -> tuple[int, ...]:
        """Returns the columns of the operations that are alive on `edge`."""
        return tuple(column for column, alive in enumerate(self.alive[edge]) if alive)

    def keep(self, mask: "Bool[Tensor, 'edges ops'] | Iterable[Iterable[bool]]") -> Self:
        """Returns the operations alive both here and in `mask`; never revives an operation."""
        kept = type(self).of(mask)
        return type(self)(
            tuple(
                tuple(a and b for a, b in zip(row, kept_row, strict=True))
                for row, kept_row in zip(self.alive, kept.alive, strict=True)
            )
        )

    def only(self, edge: int, operations: Iterable[int]) -> Self:
        """Returns the subspace with only the alive ones of `operations` on `edge`."""
        if not 0 <= edge < len(self.alive):
            raise IndexError(f"There are edges 0 to {len(self.alive) - 1}, got {edge}.")
        wanted = set(operations)
        row = tuple(alive and column in wanted for column, alive in enumerate(self.alive[edge]))
        return type(self)((*self.alive[:edge], row, *self.alive[edge + 1 :]))

    def drop(self, edge: int, operation: int) -> Self:
        """Returns the subspace without one operation."""
        return self.only(edge, set(self.operations(edge)) - {operation})

    def split(self, edge: int, groups: Sequence[Iterable[int]]) -> list[Self]:
        """Returns a subspace for each group of operations of `edge`; other edges stay the same."""
        return [self.only(edge, group) for group in groups]

    def contains(self, other: "Subspace") -> bool:
        """True if every operation alive in `other` is alive here."""
        return self.keep(other.alive) == other

    def connects(self, edges: Sequence[Edge]) -> bool:
        """True if in every cell type alive operations other than `none` reach the last node.

        Otherwise every network of this subspace computes a constant.
        """
        names = [
            [edge.operations[column] for column in self.operations(row)]
            for row, edge in enumerate(edges)
        ]
        return connected(edges, names)

    def to_json(self) -> list[str]:
        """Returns a string of ones and zeros for each edge."""
        return ["".join("1" if alive else "0" for alive in row) for row in self.alive]

    @classmethod
    def from_json(cls, rows: Sequence[str]) -> Self:
        """Returns the subspace that `to_json` wrote."""
        return cls(tuple(tuple(character == "1" for character in row) for row in rows))


def connected(edges: Sequence[Edge], names: Sequence[Collection[str]]) -> bool:
    """True if in every cell type a path without `none` leads from an input to the last node.

    `names` are the operations of each edge. An input is a node that no edge enters.
    """
    passes = [not set(operations) <= {"none"} for operations in names]
    return all(_reaches_end(edges, passes, group) for group in {edge.group for edge in edges})


def _reaches_end(edges: Sequence[Edge], passes: Sequence[bool], group: str) -> bool:
    """True if edges that pass a signal on lead from an input of the cell to its last node."""
    cell = [
        (edge, passable)
        for edge, passable in zip(edges, passes, strict=True)
        if edge.group == group
    ]
    nodes = {edge.head for edge, _ in cell}
    reached = {edge.tail for edge, _ in cell} - nodes
    # Edges are visited in the order of their heads, so that one walk follows every path.
    for edge, passable in sorted(cell, key=lambda pair: pair[0].head):
        if passable and edge.tail in reached:
            reached.add(edge.head)
    return max(nodes) in reached
