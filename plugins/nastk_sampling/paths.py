"""The paths that a step trains: `Sampler` draws architectures, `fair_paths` sets of paths."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from nastk import Architecture, Mixture, PluginError, SearchSpace, Subspace

ATTEMPTS = 2_000
"""The most draws of an architecture that the sampler admits."""


@dataclass(frozen=True)
class Sampler:
    """Draws architectures of `subspace` as `space` does; with `only_connected` only connected ones.

    Example: `Sampler(space, subspace, True).draw(rng)`
    """

    space: SearchSpace
    subspace: Subspace
    only_connected: bool = False

    def admits(self, architecture: Architecture) -> bool:
        """True if this sampler may draw `architecture`."""
        return not self.only_connected or architecture.connected()

    def draw(self, rng: torch.Generator) -> Architecture:
        """Returns a random architecture.

        Raises:
            PluginError: none of 2,000 draws was connected.
        """
        for _ in range(ATTEMPTS):
            architecture = self.space.sample(self.subspace, rng)
            if self.admits(architecture):
                return architecture
        raise PluginError(
            f"None of {ATTEMPTS} architectures drawn from this subspace joins input and output. "
            "Use `-u connected=false`, or a subspace with fewer `none`."
        )


def fair_paths(subspace: Subspace, rng: torch.Generator) -> list[Mixture]:
    """Returns as many paths as the widest edge has operations; together they hold each once.

    On every edge path k takes the k-th operation of a random order (FairNAS, algorithm 1). A
    narrower edge continues with a new order, so the counts of its operations differ by at most one.
    """
    count = max(len(subspace.operations(edge)) for edge in range(len(subspace.alive)))
    turns = [_turns(subspace.operations(edge), count, rng) for edge in range(len(subspace.alive))]
    return [_path(subspace, [row[turn] for row in turns if row]) for turn in range(count)]


def _turns(operations: Sequence[int], count: int, rng: torch.Generator) -> list[int]:
    """Returns `count` operations: random orders of `operations` one after the other."""
    turns: list[int] = []
    while operations and len(turns) < count:
        order = torch.randperm(len(operations), generator=rng).tolist()
        turns += [operations[index] for index in order]
    return turns[:count]


def _path(subspace: Subspace, columns: Sequence[int]) -> Mixture:
    """Returns the mixture with one operation of each nonempty edge at weight one."""
    active: Bool[Tensor, "edges ops"] = torch.zeros_like(subspace.mask)
    rows = [edge for edge in range(len(subspace.alive)) if subspace.operations(edge)]
    active[rows, list(columns)] = True
    return Mixture(active.float(), active)
