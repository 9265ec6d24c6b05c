"""Shapley values of a supernet's operations under a mixture: `Measuring`, one estimate at a time.

It brings together what `options.py` says, the game of `coalitions.py`, and the samplers of
`estimate.py` and `exact.py`; `settle.py` may end the sampling early. Both updaters ask it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nastk import Batch, DivergenceError, Mixture, Probe, SearchSpace, Subspace
from nastk.base import table_to_json
from nastk_shapley.coalitions import estimation_stream, null_players, supernet_game, whole_batch
from nastk_shapley.estimate import Estimate, Game, monte_carlo, random_orders
from nastk_shapley.exact import exact
from nastk_shapley.options import EstimateOptions
from nastk_shapley.settle import Settled


@dataclass(frozen=True)
class Measuring:
    """How operations of `space` are valued under a mixture, by `options`.

    Example: `Measuring(space, options).estimate(probe, Mixture.uniform(probe.subspace))`
    """

    space: SearchSpace
    options: EstimateOptions

    def estimate(self, probe: Probe, mixture: Mixture) -> Estimate:
        """The Shapley values of what is alive, in order of `probe.subspace.players()`.

        Orders come from `probe.rng`; at most `images` are pushed through, forward only.

        Raises:
            DivergenceError: a coalition had no finite value.
        """
        options, game = self.options, self.game(probe, mixture)
        if options.takes_exact(game.players - len(game.null)):
            found = exact(game, options.rules().risk)
        else:
            orders = random_orders(game.players, options.samples, probe.rng, options.antithetic)
            edges = [edge for edge, _ in probe.subspace.players()]
            enough = Settled(edges, options.stable_gap) if options.stable_gap > 0 else None
            announced = probe.announced(orders, "removal orders")
            found = monte_carlo(game, announced, options.rules(), enough)
        if not bool(found.values.isfinite().all()):
            raise DivergenceError(
                f"A coalition has no finite value after {probe.epoch} epochs: its logits overflow. "
                "Lower the learning rate, or use `-u value=accuracy`."
            )
        return found

    def game(self, probe: Probe, mixture: Mixture) -> Game:
        """The game that the living operations play, a batch of the valid split for each order."""
        options, players = self.options, probe.subspace.players()
        stream = estimation_stream(probe.valid, options.batch_size, options.augment)
        size = min(options.batch_size, probe.valid.images)

        def batch(sample: int) -> Batch:
            number = probe.epoch if options.share_batch else probe.epoch * options.samples + sample
            return whole_batch(stream, size, number)

        null = null_players(self.space.edges, players)
        return supernet_game(
            probe,
            mixture,
            players,
            batch,
            options.value,
            null,
            bool(options.keep_last),
            options.norms,
        )

    def counted(self) -> int:
        """Players of the whole space that are evaluated: all but `none`."""
        players = self.space.full().players()
        return len(players) - len(null_players(self.space.edges, players))

    def images(self, valid_images: int) -> int:
        """The most images that an estimate of the whole space pushes forward.

        That is samples * (1 + players) * batch, or all coalitions.
        """
        counted, options = self.counted(), self.options
        exactly = options.takes_exact(counted)
        evaluations = 2**counted if exactly else options.samples * (1 + counted)
        return evaluations * min(options.batch_size, valid_images)

    def complaint(self, name: str) -> str | None:
        """Why updater `name` cannot estimate in this space; None if it can."""
        return self.options.conflict(name, self.counted())

    def report(self, probe: Probe, estimate: Estimate, **more: object) -> None:
        """Put an estimate, and what is to stand beside it, on the run's record."""
        errors = table(estimate.standard_errors, probe.subspace, torch.nan)
        values = table(estimate.values, probe.subspace, torch.nan)
        probe.report(
            "shapley",
            values=table_to_json(values),
            standard_errors=table_to_json(errors),
            evaluations=estimate.evaluations,
            removals=list(estimate.removals),
            full_value=sum(estimate.full_values) / len(estimate.full_values),
            **more,
        )


def table(
    values: Float[Tensor, "players"], subspace: Subspace, absent: float = 0.0
) -> Float[Tensor, "edges ops"]:
    """Values of players as a table, in float64; `absent` where nothing is alive."""
    found = torch.full(subspace.mask.shape, absent, dtype=torch.float64)
    found[subspace.mask] = values
    return found
