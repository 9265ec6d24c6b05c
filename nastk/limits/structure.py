"""What a space's rule lets be chosen, found out by asking it: `Structure`."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from nastk.spaces.architecture import Architecture
from nastk.spaces.space import SearchSpace
from nastk.spaces.subspace import Edge

RANDOM = 32


@dataclass(frozen=True)
class Rivals:
    """Edges of which every architecture takes the same number of operations, `taken`.

    None where that number differs; then `edges` is one edge.
    """

    edges: tuple[int, ...]
    taken: int | None


@dataclass(frozen=True, eq=False)
class Structure:
    """Which operations can be chosen at all, and which edges compete for being chosen.

    `choosable` is true for each (edge, operation) that some architecture has. An edge that always
    has one operation is alone in its `rivals`; in the DARTS space the edges into a node are
    together, and two operations of theirs are taken.

    Example: `Structure.of(space).rivals`
    """

    choosable: Bool[Tensor, "edges ops"]
    rivals: tuple[Rivals, ...]

    @classmethod
    def of(cls, space: SearchSpace) -> "Structure":
        """Ask `space` for an architecture with each operation, and for random ones."""
        full, rng = space.full(), torch.Generator().manual_seed(0)
        asked = [with_operation(space, *player, rng) for player in full.players()]
        drawn = [space.sample(full, rng) for _ in range(RANDOM)]
        tables = torch.stack([table_of(each) for each in (*asked, *drawn)])
        return cls(tables.any(0), tuple(_rivals(space.edges, tables)))

    def levelled(
        self, costs: Float64[Tensor, "edges ops"], rest: float
    ) -> tuple[Float64[Tensor, "edges ops"], float]:
        """Costs and rest with the same sums, in which the cheapest of all rivals is at zero.

        What no architecture can have costs zero.
        """
        costs = costs.masked_fill(~self.choosable, 0.0)
        for each in self.rivals:
            here = torch.zeros_like(self.choosable)
            here[list(each.edges)] = self.choosable[list(each.edges)]
            if each.taken is not None:
                least = costs[here].min()
                costs = torch.where(here, costs - least, costs)
                rest += float(least) * each.taken
        return costs, rest


def with_operation(
    space: SearchSpace, edge: int, operation: int, rng: torch.Generator
) -> Architecture:
    """A random architecture that has this operation, if the space's rule allows one."""
    full = space.full()
    wanted = torch.rand(len(full.alive), len(full.alive[0]), generator=rng)
    wanted[edge, operation] = 2.0
    return space.decide(wanted, full)


def table_of(architecture: Architecture) -> Bool[Tensor, "edges ops"]:
    """What is chosen, as a tensor on the CPU."""
    return torch.tensor(architecture.table(), dtype=torch.bool)


def _rivals(edges: Sequence[Edge], tables: Bool[Tensor, "samples edges ops"]) -> list[Rivals]:
    """The edges alone, else by node, where the number taken is the same in all samples."""
    taken = {row: _number(tables, [row]) for row in range(len(edges))}
    found = [Rivals((row,), number) for row, number in taken.items() if number]
    nodes: dict[tuple[str, int], list[int]] = {}
    for row, edge in enumerate(edges):
        if not taken[row]:
            nodes.setdefault((edge.group, edge.node), []).append(row)
    for rows in nodes.values():
        together = _number(tables, rows)
        if together:
            found.append(Rivals(tuple(rows), together))
        else:
            found += [Rivals((row,), None) for row in rows]
    return found


def _number(tables: Bool[Tensor, "samples edges ops"], rows: Sequence[int]) -> int | None:
    """How many operations each sample takes from `rows`; None where that differs."""
    counts = set(tables[:, list(rows)].sum((1, 2)).tolist())
    return int(counts.pop()) if len(counts) == 1 else None
