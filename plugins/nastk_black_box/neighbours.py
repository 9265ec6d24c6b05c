"""The neighbours of an architecture: those that differ from it in one decision."""

from collections.abc import Iterator

import torch

from nastk import Architecture, SearchSpace, Subspace

Table = list[list[bool]]


def neighbours(
    architecture: Architecture, space: SearchSpace, subspace: Subspace
) -> list[Architecture]:
    """Returns the neighbours of an architecture inside `subspace`, in a fixed order.

    A neighbour has another operation on one edge. In a space that also chooses edges, an operation
    may move to another edge of the same node instead, with any operation there. The space decides
    what is an architecture, so a space within limits has only neighbours within them.
    """
    found = (neighbour(table, space, subspace) for table in moves(architecture, subspace))
    return list(dict.fromkeys(one for one in found if one is not None))


def random_neighbour(
    architecture: Architecture, space: SearchSpace, subspace: Subspace, rng: torch.Generator
) -> Architecture | None:
    """Returns a uniformly random neighbour; None if the architecture has none."""
    tables = list(moves(architecture, subspace))
    for index in torch.randperm(len(tables), generator=rng).tolist():
        if (found := neighbour(tables[index], space, subspace)) is not None:
            return found
    return None


def neighbour(table: Table, space: SearchSpace, subspace: Subspace) -> Architecture | None:
    """Returns the architecture with exactly the operations of `table`; None if there is none."""
    chosen = torch.tensor(table, dtype=torch.float64)
    architecture = space.decide(chosen, subspace)
    # Of a table that is no architecture, the space decides on one that is.
    return architecture if [list(row) for row in architecture.table()] == table else None


def moves(architecture: Architecture, subspace: Subspace) -> Iterator[Table]:
    """Yields the tables (edges x operations) with one decision changed, valid or not."""
    before = [list(row) for row in architecture.table()]
    edges = architecture.edges
    for edge, row in enumerate(before):
        chosen = [column for column, is_chosen in enumerate(row) if is_chosen]
        for column in subspace.operations(edge):
            if column in chosen:
                continue
            for old in chosen:
                yield _changed(before, (edge, old), (edge, column))
            if chosen:
                continue
            # The edge is not chosen: it may replace another edge into the same node.
            for other, other_row in enumerate(before):
                if (edges[other].group, edges[other].head) == (edges[edge].group, edges[edge].head):
                    for old, is_chosen in enumerate(other_row):
                        if is_chosen:
                            yield _changed(before, (other, old), (edge, column))


def _changed(table: Table, out: tuple[int, int], into: tuple[int, int]) -> Table:
    """Returns a copy of `table` with one operation taken out and one put in."""
    changed = [list(row) for row in table]
    changed[out[0]][out[1]] = False
    changed[into[0]][into[1]] = True
    return changed


def fresh_edges(architecture: Architecture, parent: Architecture) -> list[int]:
    """Returns the indices of the edges on which an architecture differs from its parent."""
    pairs = zip(architecture.choices, parent.choices, strict=True)
    return [edge for edge, (own, other) in enumerate(pairs) if own != other]
