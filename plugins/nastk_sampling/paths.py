"""Which paths a step trains: `Sampler` draws architectures, `fair_paths` sets of paths."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from nastk import Architecture, Mixture, PluginError, SearchSpace, Subspace

ATTEMPTS = 2_000


@dataclass(frozen=True)
class Sampler:
    """Draws architectures of `subspace` as `space` does; with `only_connected`, those that are.

    Example: `Sampler(space, subspace, True).draw(rng)`
    """

    space: SearchSpace
    subspace: Subspace
    only_connected: bool = False

    def admits(self, architecture: Architecture) -> bool:
        """Whether this sampler could have drawn it."""
        return not self.only_connected or architecture.connected()

    def draw(self, rng: torch.Generator) -> Architecture:
        """One architecture.

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
    """As many single paths as the widest edge has operations; together they hold each once.

    Row by row a random permutation: path k takes its k-th operation (FairNAS, algorithm 1). A
    narrower edge goes on with another permutation; its operations are taken equally up to one.
    """
    count = max(len(subspace.operations(edge)) for edge in range(len(subspace.alive)))
    turns = [_turns(subspace.operations(edge), count, rng) for edge in range(len(subspace.alive))]
    return [_path(subspace, [row[turn] for row in turns if row]) for turn in range(count)]


def _turns(operations: Sequence[int], count: int, rng: torch.Generator) -> list[int]:
    """`count` operations: permutations of `operations` one after the other."""
    found: list[int] = []
    while operations and len(found) < count:
        order = torch.randperm(len(operations), generator=rng).tolist()
        found += [operations[place] for place in order]
    return found[:count]


def _path(subspace: Subspace, columns: Sequence[int]) -> Mixture:
    """The mixture that takes one operation of each edge that has any, at weight one."""
    active: Bool[Tensor, "edges ops"] = torch.zeros_like(subspace.mask)
    rows = [edge for edge in range(len(subspace.alive)) if subspace.operations(edge)]
    active[rows, list(columns)] = True
    return Mixture(active.float(), active)
