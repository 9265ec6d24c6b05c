"""Gradient matching: distances between the gradients that an edge's operations give shared weights.

For edge e and operation o, g_o is the gradient of the training loss with e forced to o, for the
weights that do not depend on the choice on e. D[i, j] is the mean over R batches of
1 - cos(g_i, g_j). (Symbols of Hu et al., ICLR 2022.) `partition.py` groups operations by D.
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
"""For each weight of an operation, by name, the edges that own it."""


@dataclass(frozen=True)
class Matching:
    """The measurement of distances: its batches, its way of forcing, and the weights compared.

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
        """Returns for each of `edges` the mean distances of its operations alive in `subspace`.

        Round k measures all operations of all edges on the same batch, number `first` + k, and with
        the same mixture `theta(k)` on the other edges.

        Raises:
            ConfigurationError: no weights are shared.
            DivergenceError: a gradient is not finite.
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
                        forced(mixture, edge, column, columns, self.forcing), batch, names[edge]
                    )
                    for column in columns
                ]
                table = distances(gradients)  # operations x operations
                sums[edge] = table if number == 0 else sums[edge] + table
            probe.working("matching gradients", number + 1, self.batches)
        return {edge: _checked(total / self.batches, probe) for edge, total in sums.items()}

    def shared(self, probe: Probe, edge: int) -> list[str]:
        """Returns the names of the weights that the operations of `edge` share: none of its own.

        With scope `cells` these are the weights of the other edges' operations, with `all` every
        weight that `edge` does not own. Names that begin with one of `leave_out` are left out.

        Raises:
            ConfigurationError: no weights are left to compare.
        """
        owned = owners(probe)
        names = [
            name
            for name in probe.weights
            if edge not in owned.get(name, ())
            and (self.scope == "all" or name in owned)
            and not name.startswith(self.leave_out)
        ]
        if not names:
            raise ConfigurationError(
                f"gm: no weights with scope={self.scope} are left to compare when edge number "
                f"{edge} is switched. Use `-u scope=all`, and less in leave_out."
            )
        return names


def owners(probe: Probe) -> dict[str, set[int]]:
    """Returns for each weight of an operation the edges that own it; there may be several."""
    # The probe's weights are detached tensors on the same memory, so addresses identify them.
    names = {weight.data_ptr(): name for name, weight in probe.weights.items() if weight.numel()}
    edges: dict[str, set[int]] = {}
    for edge, _, module in probe.operations():
        for weight in module.parameters():
            if weight.numel():
                edges.setdefault(names[weight.data_ptr()], set()).add(edge)
    return edges


def forced(
    mixture: Mixture, edge: int, operation: int, columns: Sequence[int], forcing: Forcing
) -> Mixture:
    """Returns `mixture` with `edge` forced to one operation, at weight one or (`soft`) its own.

    If the mixture does not compute all of the edge's operations `columns` (as in a path), the
    operation may have no weight of its own, and `soft` is the same as `hard`.
    """
    if forcing == "hard" or not bool(mixture.active[edge, list(columns)].all()):
        return mixture.only(edge, operation)
    return mixture.without_all([(edge, column) for column in columns if column != operation])


def distances(gradients: Sequence[Mapping[str, Tensor]]) -> Float64[Tensor, "ops ops"]:
    """Returns 1 - cosine of every two gradients, each taken as one long vector.

    The distance to a gradient of zeros is 1. The table is symmetric, 0 on the diagonal, within
    [0, 2], on the CPU and computed in double precision.
    """
    gram = _gram(gradients)
    norms = gram.diagonal().sqrt()  # operations
    scale = norms[:, None] * norms[None, :]
    # A gradient of exact zeros (`none` may cut the network) has cosine 0 with every other. The
    # product `gram * 0` keeps NaN, so that `_checked` sees a gradient that is not finite.
    cosine = torch.where(scale > 0, gram / scale.clamp(min=1e-300), gram * 0)
    table = (1 - (cosine + cosine.T) / 2).clamp(0, 2)
    return table.fill_diagonal_(0.0)


def _gram(gradients: Sequence[Mapping[str, Tensor]]) -> Float64[Tensor, "ops ops"]:
    """Returns the inner products of every two gradients, summed weight by weight."""
    parts = []
    for name in gradients[0]:
        # operations x numbers
        rows = torch.stack([gradient[name].flatten() for gradient in gradients]).double()
        parts.append(rows @ rows.T)
    return torch.stack(parts).sum(0).cpu()


def _checked(table: Float[Tensor, "ops ops"], probe: Probe) -> Float[Tensor, "ops ops"]:
    """Returns `table`; raises a DivergenceError if it is not finite."""
    if not bool(torch.isfinite(table).all()):
        raise DivergenceError(
            f"gm: a gradient is not finite after {probe.epoch} epochs, so operations cannot be "
            "compared. Lower the learning rate of the weights."
        )
    return table
