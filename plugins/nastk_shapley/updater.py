"""The updater `shapley`: every epoch an estimate, and alpha moves along it.

`options.py` says what can be set, `coalitions.py` turns the supernet into a game, `estimate.py` and
`exact.py` value its players, `settle.py` ends the sampling early, `update.py` moves alpha. This
module puts them in order.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nastk.architecture import Architecture
from nastk.cost import PhaseCost
from nastk.data.stream import Batch
from nastk.errors import DivergenceError
from nastk.events import table_to_json
from nastk.mixture import Mixture
from nastk.probe import Probe
from nastk.updater import ArchitectureUpdater, Continuation, Plan
from nastk_shapley.coalitions import estimation_stream, null_players, supernet_game, whole_batch
from nastk_shapley.estimate import Estimate, Game, monte_carlo, random_orders
from nastk_shapley.exact import exact
from nastk_shapley.options import ShapleyOptions
from nastk_shapley.presets import PRESETS
from nastk_shapley.settle import Settled
from nastk_shapley.update import cell_types, charged


class Shapley(ArchitectureUpdater):
    """Moves alpha along the Shapley values of the operations (Xiao et al., CVPR 2022).

    Alpha is never trained by gradient. The weights train under softmax(alpha); after each epoch
    from `warmup` on, the Shapley value phi of every operation is estimated on the valid split, and
    alpha takes one step along a momentum average s of the normalised phi (equations 6 and 7).

    Example: `nastk.search(space="darts", updater=nastk.use("shapley", samples=20), data="cifar10")`
    """

    name = "shapley"
    summary = "moves alpha along the operations' Shapley values"
    needs = frozenset({"valid"})
    presets = PRESETS

    class Options(ShapleyOptions):
        """See `options.py`."""

    alpha: Float[Tensor, "edges ops"]
    """Logits of the mixture: float32, on the device of the supernet, never with gradient."""

    average: Float[Tensor, "edges ops"]
    """The momentum average s: float64, on the CPU."""

    values: Float[Tensor, "edges ops"] | None
    """The last Shapley values phi (float64, CPU; 0 where no player was); None before any."""

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: alpha near zero, s zero (official: near zero)."""
        self.settings: ShapleyOptions = self.options.resolved
        shape = len(self.space.edges), max(len(edge.operations) for edge in self.space.edges)
        alpha = self.settings.alpha_noise * torch.randn(shape, generator=rng)
        self.alpha = alpha.to(self.device)
        noise = torch.randn(shape, generator=rng, dtype=torch.float64)
        self.average = noise * float(self.settings.momentum_noise or 0.0)
        self.values = None

    def complaint(self, plan: Plan) -> str | None:
        """Called when the run is assembled: a warm-up without updates, options at odds."""
        if self.settings.penalty > 0 and self.space.costs is None:
            return (
                f"shapley: penalty={self.settings.penalty:g} is on shares of a limit, and the run "
                "has none. Give one, such as --limit params=4M, or leave the penalty out."
            )
        return self.settings.conflict(plan.epochs, self._counted())

    def forecast(self, plan: Plan) -> PhaseCost:
        """Called by `--dry-run`: at most samples * (1 + players) * batch images an estimate.

        They are counted forward only.
        """
        counted = self._counted()
        evaluations = (
            2**counted
            if self.settings.takes_exact(counted)
            else self.settings.samples * (1 + counted)
        )
        estimates = len(self.settings.updates(plan.epochs)) + (self.settings.discretise_by == "phi")
        return PhaseCost(
            images_forward=estimates
            * evaluations
            * min(self.settings.batch_size, plan.valid_images)
        )

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: softmax(alpha), without gradient."""
        return [Mixture.softmax(self.alpha, probe.subspace)]

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Called once after every epoch: past the warm-up, estimate and move alpha.

        The subspace stays as it is.
        """
        moves = probe.epoch in self.settings.updates(probe.epochs)
        if moves or (probe.epoch >= probe.epochs and self.settings.discretise_by == "phi"):
            estimate = self.estimate(probe)
            self.values = self._table(estimate.values, probe)
            steps = self._move(probe) if moves else []
            self._report(probe, estimate, steps)
        return [Continuation(probe.subspace)]

    def architecture(self, probe: Probe) -> Architecture:
        """Called after every epoch and at the end: the space's rule on softmax(alpha) or phi."""
        if self.settings.discretise_by == "phi" and self.values is not None:
            return self.space.decide(self._charged(self.values), probe.subspace)
        return self.space.decide(
            Mixture.softmax(self.alpha, probe.subspace).weights, probe.subspace
        )

    def scores(self, probe: Probe) -> Float[Tensor, "edges ops"] | None:
        """Called by those who watch: the last Shapley values phi of what is alive, `none` at 0."""
        if self.values is None:
            return None
        return self.values.masked_fill(~probe.subspace.mask, torch.nan)

    def estimate(self, probe: Probe) -> Estimate:
        """Called by `after_epoch`: the Shapley values of what is alive, in order of `players()`.

        Raises:
            DivergenceError: a coalition had no finite value.
        """
        game = self._game(probe)
        if self.settings.takes_exact(game.players - len(game.null)):
            found = exact(game, self.settings.rules().risk)
        else:
            orders = random_orders(
                game.players, self.settings.samples, probe.rng, self.settings.antithetic
            )
            edges = [edge for edge, _ in probe.subspace.players()]
            enough = (
                Settled(edges, self.settings.stable_gap) if self.settings.stable_gap > 0 else None
            )
            found = monte_carlo(game, self._announced(orders, probe), self.settings.rules(), enough)
        if not bool(found.values.isfinite().all()):
            raise DivergenceError(
                f"A coalition has no finite value after {probe.epoch} epochs: its logits overflow. "
                "Lower the learning rate, or use `-u value=accuracy`."
            )
        return found

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: alpha, s and the last phi."""
        return {"alpha": self.alpha, "average": self.average, "values": self.values}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: go on exactly where `state` was taken."""
        self.alpha = state["alpha"].clone().to(self.device)
        self.average = state["average"].clone().cpu()
        self.values = None if state["values"] is None else state["values"].clone().cpu()

    def _game(self, probe: Probe) -> Game:
        settings, subspace = self.settings, probe.subspace
        players = subspace.players()
        equal = settings.mixing == "uniform"
        mixture = Mixture.uniform(subspace) if equal else Mixture.softmax(self.alpha, subspace)
        stream = estimation_stream(probe.valid, settings.batch_size, settings.augment)
        size = min(settings.batch_size, probe.valid.images)

        def batch(sample: int) -> Batch:
            number = (
                probe.epoch if settings.share_batch else probe.epoch * settings.samples + sample
            )
            return whole_batch(stream, size, number)

        null = null_players(self.space.edges, players)
        return supernet_game(
            probe,
            mixture.to(self.device),
            players,
            batch,
            settings.value,
            null,
            settings.keep_last,
            settings.norms,
        )

    def _counted(self) -> int:
        """Players of the whole space that are evaluated: all but `none`."""
        players = self.space.full().players()
        return len(players) - len(null_players(self.space.edges, players))

    def _announced(self, orders: Sequence[Sequence[int]], probe: Probe) -> Iterator[Sequence[int]]:
        for done, order in enumerate(orders, 1):
            yield order
            probe.working("removal orders", done, len(orders))

    def _move(self, probe: Probe) -> list[float]:
        """One step of alpha along the new s; its length for each cell type."""
        types = cell_types(self.space.edges)
        before = self.alpha.double().cpu()
        assert self.values is not None
        after, self.average = self.settings.update_rule().step(
            before, self.average, self._charged(self.values), probe.subspace.mask, types
        )
        self.alpha = after.to(self.alpha)
        return [float(torch.linalg.vector_norm((after - before)[rows])) for rows in types]

    def _charged(self, values: Float[Tensor, "edges ops"]) -> Float[Tensor, "edges ops"]:
        """The values that alpha moves along: less the penalty on what operations cost."""
        return charged(values, self.space.costs, self.settings.penalty)

    def _table(
        self, values: Float[Tensor, "players"], probe: Probe, absent: float = 0.0
    ) -> Float[Tensor, "edges ops"]:
        table = torch.full(self.alpha.shape, absent, dtype=torch.float64)
        table[probe.subspace.mask] = values
        return table

    def _report(self, probe: Probe, estimate: Estimate, steps: Iterable[float]) -> None:
        errors = self._table(estimate.standard_errors, probe, torch.nan)
        values = self._table(estimate.values, probe, torch.nan)
        probe.report(
            "shapley",
            values=table_to_json(values),
            standard_errors=table_to_json(errors),
            evaluations=estimate.evaluations,
            removals=list(estimate.removals),
            full_value=sum(estimate.full_values) / len(estimate.full_values),
            update_norms=list(steps),
        )
