"""The architecture and the mixture that a genome encodes.

As published, the mixture is the softmax of the architecture's table of zeros and ones. It prefers
the chosen operations but masks none, so all operations are computed and trained.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float64
from torch import Tensor

from nastk import Architecture, Mixture, SearchSpace, Subspace

DecodingName = Literal["soft", "hard", "raw"]


def decoded(
    genome: Float64[Tensor, "edges ops"], space: SearchSpace, subspace: Subspace
) -> Architecture:
    """Returns the architecture of a genome: the space's decision on its row-wise softmax.

    The softmax matters in spaces where edges compete (DARTS): an edge's rank depends on its whole
    row.
    """
    return space.decide(Mixture.softmax(genome, subspace).weights, subspace)


@dataclass(frozen=True)
class Decoder:
    """Turns genomes into mixtures of a space.

    `soft` is softmax(sharpness * dec) with dec the table of the decoded architecture, `hard` is dec
    itself (only the chosen operations are computed), `raw` the softmax of the undecoded genome.

    Example: `Decoder(space, "soft").mixture(genome, subspace)`
    """

    space: SearchSpace
    decoding: DecodingName
    sharpness: float = 1.0

    def mixture(self, genome: Float64[Tensor, "edges ops"], subspace: Subspace) -> Mixture:
        """Returns the mixture of a genome in `subspace`, on the CPU, without gradient."""
        if self.decoding == "raw":
            return Mixture.softmax(genome.float(), subspace)
        architecture = decoded(genome, self.space, subspace)
        if self.decoding == "hard":
            return Mixture.of(architecture)
        table = torch.tensor(architecture.table()).float()
        return Mixture.softmax(self.sharpness * table, subspace)


def distinct(mixtures: Sequence[Mixture]) -> tuple[list[Mixture], list[int]]:
    """Returns the different mixtures, and for every mixture its index among them.

    The different mixtures are in the order of their first appearance.
    """
    known: dict[tuple[float, ...], int] = {}
    different: list[Mixture] = []
    indices = []
    for mixture in mixtures:
        index = known.setdefault(tuple(mixture.weights.flatten().tolist()), len(different))
        if index == len(different):
            different.append(mixture)
        indices.append(index)
    return different, indices
