"""How much the operations of an edge disagree: distances of the gradients they give shared weights.

For edge e and operation o, g_o is the gradient of the training loss for the weights that are shared
when e is switched, with e forced to o. D[i, j] is the mean over R batches of 1 - cos(g_i, g_j).
(Symbols of Hu et al., ICLR 2022.) Next: `partition.py` groups by it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from nastk import ConfigurationError, DivergenceError, Mixture, Probe, Subspace

Forcing = Literal["hard", "soft"]
Scope = Literal["cells", "all"]
Owners = Mapping[str, set[int]]
"""For each weight of an operation, by name: the edges that own it."""


@dataclass(frozen=True)
class Matching:
    """How distances are measured: on which batches, with which force, over which weights.

    Example: `Matching(batches=100).distances(probe, subspace, [0, 1], theta, first=0)`
    """

    batches: int
    batch_size: int | None = None
    augment: bool = True
    forcing: Forcing = "hard"
    scope: Scope = "cells"
    leave_out: tuple[str, ...] = ()

    def distances(
        self,
        probe: Probe,
        subspace: Subspace,
        edges: Sequence[int],
        theta: Callable[[int], Mixture],
        first: int,
    ) -> dict[int, Float64[Tensor, "ops ops"]]:
        """For each of `edges` the mean distances of its operations alive in `subspace`.

        All operations of all edges see the same batch, number `first` + k, under the same mixture
        `theta(k)` of the other edges.

        Raises:
            ConfigurationError: no weights are shared. DivergenceError: a gradient is not finite.
        """
        names = {edge: self.shared(probe, edge) for edge in edges}
        stream = probe.train.view("gm", self.batch_size, self.augment)
        sums = {edge: torch.zeros(0, 0, dtype=torch.float64) for edge in edges}
        for number in range(self.batches):
            batch, mixture = stream.at(first + number), theta(number).masked(subspace.mask)
            for edge in edges:
                columns = subspace.operations(edge)
                gradients = [
                    probe.gradients(
                        forced(mixture, edge, each, columns, self.forcing), batch, names[edge]
                    )
                    for each in columns
                ]
                found = distances(gradients)
                sums[edge] = found if number == 0 else sums[edge] + found
            probe.working("matching gradients", number + 1, self.batches)
        return {edge: _checked(total / self.batches, probe) for edge, total in sums.items()}

    def shared(self, probe: Probe, edge: int) -> list[str]:
        """The names of the weights that are shared when `edge` is switched: none of its own.

        With scope `cells` those of the other edges' operations, with `all` every other weight; in
        both cases none whose name begins with one of `leave_out`.

        Raises:
            ConfigurationError: none is left to compare.
        """
        owned = owners(probe)
        found = [
            name
            for name in probe.weights
            if edge not in owned.get(name, ())
            and (self.scope == "all" or name in owned)
            and not name.startswith(self.leave_out)
        ]
        if not found:
            raise ConfigurationError(
                f"gm: no weights with scope={self.scope} are left to compare when edge number "
                f"{edge} is switched. Use `-u scope=all`, and less in leave_out."
            )
        return found


def owners(probe: Probe) -> dict[str, set[int]]:
    """Which edges own each weight that belongs to an operation; a weight may have several."""
    # The probe hands out weights detached: the same memory, told apart by where it begins.
    names = {weight.data_ptr(): name for name, weight in probe.weights.items() if weight.numel()}
    found: dict[str, set[int]] = {}
    for edge, _, module in probe.operations():
        for weight in module.parameters():
            if weight.numel():
                found.setdefault(names[weight.data_ptr()], set()).add(edge)
    return found


def forced(
    mixture: Mixture, edge: int, operation: int, columns: Sequence[int], forcing: Forcing
) -> Mixture:
    """`mixture` with `edge` forced to one operation: at weight one, or (`soft`) at its own weight.

    A mixture that does not compute all of the edge's operations `columns` (a path) has no weights
    to keep: there soft is hard.
    """
    if forcing == "hard" or not bool(mixture.active[edge, list(columns)].all()):
        return mixture.only(edge, operation)
    return mixture.without_all([(edge, other) for other in columns if other != operation])


def distances(gradients: Sequence[Mapping[str, Tensor]]) -> Float64[Tensor, "ops ops"]:
    """1 - cosine of every two gradients, each one long vector; 1 to one that is zero everywhere.

    Symmetric, 0 on the diagonal, within [0, 2]; on the CPU, added up in double precision.
    """
    gram = _gram(gradients)
    norms = gram.diagonal().sqrt()
    scale = norms[:, None] * norms[None, :]
    # A gradient of exactly zero (`none` cuts the network) agrees with nobody.
    cosine = torch.where(scale > 0, gram / scale.clamp(min=1e-300), gram * 0)
    found = (1 - (cosine + cosine.T) / 2).clamp(0, 2)
    return found.fill_diagonal_(0.0)


def _gram(gradients: Sequence[Mapping[str, Tensor]]) -> Float64[Tensor, "ops ops"]:
    """The inner products of every two gradients."""
    parts = []
    for name in gradients[0]:
        rows = torch.stack([gradient[name].flatten() for gradient in gradients]).double()
        parts.append(rows @ rows.T)
    return torch.stack(parts).sum(0).cpu()


def _checked(table: Float[Tensor, "ops ops"], probe: Probe) -> Float[Tensor, "ops ops"]:
    if not bool(torch.isfinite(table).all()):
        raise DivergenceError(
            f"gm: a gradient is not finite after {probe.epoch} epochs, so operations cannot be "
            "compared. Lower the learning rate of the weights."
        )
    return table
