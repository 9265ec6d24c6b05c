"""What can be decided: edges with their candidate operations, and which of them are still alive.

`Edge` is one decision. `Subspace` says which operations are alive on which edge: it is the search
state that updaters shrink and split. Both are frozen, hashable values that write themselves as
JSON. Next: `architecture.py` (what was decided), `mixture.py` (how a supernet is told to mix).
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
    """Which operations are alive: one row an edge, one column an operation, padded to equal length.

    Padding (columns past the operations of a shorter edge) is never alive.

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
        """Everything alive on these edges."""
        width = max(len(edge.operations) for edge in edges)
        return cls(
            tuple(tuple(column < len(edge.operations) for column in range(width)) for edge in edges)
        )

    @classmethod
    def of(cls, mask: "Bool[Tensor, 'edges ops'] | Iterable[Iterable[bool]]") -> Self:
        """The subspace that a boolean table describes (a tensor or nested sequences)."""
        rows = mask.tolist() if hasattr(mask, "tolist") else mask
        return cls(tuple(tuple(bool(value) for value in row) for row in rows))

    @property
    def mask(self) -> "Bool[Tensor, 'edges ops']":
        """The table as a boolean tensor on the CPU."""
        import torch

        return torch.tensor(self.alive, dtype=torch.bool)

    def alive_operations(self) -> list[tuple[int, int]]:
        """Every alive (edge, operation), in the order of the table: edge by edge."""
        return [(e, o) for e, row in enumerate(self.alive) for o, alive in enumerate(row) if alive]

    def operations(self, edge: int) -> tuple[int, ...]:
        """The columns alive on `edge`."""
        return tuple(column for column, alive in enumerate(self.alive[edge]) if alive)

    def keep(self, mask: "Bool[Tensor, 'edges ops'] | Iterable[Iterable[bool]]") -> Self:
        """What is alive here and in `mask`: never brings an operation back."""
        other = type(self).of(mask)
        return type(self)(
            tuple(
                tuple(a and b for a, b in zip(row, kept, strict=True))
                for row, kept in zip(self.alive, other.alive, strict=True)
            )
        )

    def only(self, edge: int, operations: Iterable[int]) -> Self:
        """The same with nothing but `operations` (those that are alive) on `edge`."""
        if not 0 <= edge < len(self.alive):
            raise IndexError(f"There are edges 0 to {len(self.alive) - 1}, got {edge}.")
        wanted = set(operations)
        row = tuple(alive and column in wanted for column, alive in enumerate(self.alive[edge]))
        return type(self)((*self.alive[:edge], row, *self.alive[edge + 1 :]))

    def drop(self, edge: int, operation: int) -> Self:
        """The same without one operation."""
        return self.only(edge, set(self.operations(edge)) - {operation})

    def split(self, edge: int, groups: Sequence[Iterable[int]]) -> list[Self]:
        """One subspace for each group of operations of `edge`, everything else alike."""
        return [self.only(edge, group) for group in groups]

    def contains(self, other: "Subspace") -> bool:
        """Whether everything alive in `other` is alive here."""
        return self.keep(other.alive) == other

    def connects(self, edges: Sequence[Edge]) -> bool:
        """Whether something alive other than `none` leads to the last node of every cell type.

        Where it does not, every network of this subspace computes a constant.
        """
        names = [[edge.operations[at] for at in self.operations(n)] for n, edge in enumerate(edges)]
        return connected(edges, names)

    def to_json(self) -> list[str]:
        """One string of ones and zeros for each edge."""
        return ["".join("1" if alive else "0" for alive in row) for row in self.alive]

    @classmethod
    def from_json(cls, rows: Sequence[str]) -> Self:
        """The inverse of `to_json`."""
        return cls(tuple(tuple(character == "1" for character in row) for row in rows))


def connected(edges: Sequence[Edge], names: Sequence[Collection[str]]) -> bool:
    """Whether the last node of every cell type is reached from an input without using `none`.

    `names` are the operations of each edge. An input is a node that no edge enters.
    """
    kept = [not set(some) <= {"none"} for some in names]
    return all(_reached(edges, kept, group) for group in {edge.group for edge in edges})


def _reached(edges: Sequence[Edge], kept: Sequence[bool], group: str) -> bool:
    own = [(edge, use) for edge, use in zip(edges, kept, strict=True) if edge.group == group]
    nodes = {edge.head for edge, _ in own}
    reached = {edge.tail for edge, _ in own} - nodes
    # In the order of their nodes, so that one walk follows every path.
    for edge, use in sorted(own, key=lambda pair: pair[0].head):
        if use and edge.tail in reached:
            reached.add(edge.head)
    return max(nodes) in reached
