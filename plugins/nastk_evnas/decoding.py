"""What a genome means: the architecture it encodes, and the mixture that the supernet is told.

As published, the mixture is the softmax of the architecture's table of zeros and ones: a bias
towards the chosen operations, not a mask, so all operations are computed and trained.
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
    """The architecture that a genome encodes: the space's own decision on its row-wise softmax.

    The softmax matters where edges compete (DARTS): an edge's rank depends on its whole row.
    """
    return space.decide(Mixture.softmax(genome, subspace).weights, subspace)


@dataclass(frozen=True)
class Decoder:
    """How genomes become mixtures in a space.

    `soft` is softmax(sharpness * dec) with dec the table of the decoded architecture, `hard` is dec
    itself (only the chosen operations are computed), `raw` the softmax of the undecoded genome.

    Example: `Decoder(space, "soft").mixture(genome, subspace)`
    """

    space: SearchSpace
    decoding: DecodingName
    sharpness: float = 1.0

    def mixture(self, genome: Float64[Tensor, "edges ops"], subspace: Subspace) -> Mixture:
        """The mixture of a genome in `subspace`, on the CPU, without gradient."""
        if self.decoding == "raw":
            return Mixture.softmax(genome.float(), subspace)
        architecture = decoded(genome, self.space, subspace)
        if self.decoding == "hard":
            return Mixture.of(architecture)
        table = torch.tensor(architecture.table()).float()
        return Mixture.softmax(self.sharpness * table, subspace)


def distinct(mixtures: Sequence[Mixture]) -> tuple[list[Mixture], list[int]]:
    """The different mixtures as they first come, and for each mixture its place among them."""
    places: dict[tuple[float, ...], int] = {}
    found: list[Mixture] = []
    where = []
    for mixture in mixtures:
        place = places.setdefault(tuple(mixture.weights.flatten().tolist()), len(found))
        if place == len(found):
            found.append(mixture)
        where.append(place)
    return found, where
