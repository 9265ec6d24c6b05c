"""Estimates the Shapley values of a supernet's operations: `Measuring`, for both updaters.

It combines the options of `options.py`, the games of `coalitions.py` and `paths.py`, and the
samplers of `estimate.py` and `exact.py`; `stopping.py` may end the sampling early.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from nastk import Batch, DivergenceError, Mixture, Probe, SearchSpace, Subspace
from nastk.base import table_to_json
from nastk_shapley.coalitions import estimation_stream, null_players, supernet_game, whole_batch
from nastk_shapley.estimate import Estimate, Game, monte_carlo, random_orders
from nastk_shapley.exact import exact
from nastk_shapley.options import EstimateOptions
from nastk_shapley.path_coalitions import operation_counts, path_game
from nastk_shapley.paths import PathGame, exact_path_values, path_sets, path_values
from nastk_shapley.stopping import ConfidentRanking


@dataclass(frozen=True)
class Measuring:
    """Estimates the Shapley values of operations of `space` under a mixture, by `options`.

    Example: `Measuring(space, options).estimate(probe, Mixture.uniform(probe.subspace))`
    """

    space: SearchSpace
    options: EstimateOptions

    def estimate(self, probe: Probe, mixture: Mixture) -> Estimate:
        """Returns the Shapley values, in the order of `probe.subspace.alive_operations()`.

        Orders and paths are drawn from `probe.rng`. It costs at most `images` images, forward only.
        The game of paths does not use `mixture`.

        Raises:
            DivergenceError: the value of a coalition is not finite.
            PluginError: only connected paths count, and the subspace has none.
        """
        if self.options.game == "paths":
            estimate = self._estimate_paths(probe)
        else:
            estimate = self._estimate_mixtures(probe, mixture)
        if not bool(estimate.values.isfinite().all()):
            raise DivergenceError(
                f"A coalition has no finite value after {probe.epoch} epochs: its logits overflow. "
                "Lower the learning rate, or use `-u value=accuracy`."
            )
        return estimate

    def game(self, probe: Probe, mixture: Mixture) -> Game:
        """Returns the game of the alive operations; every order has a batch of the valid split."""
        options, players = self.options, probe.subspace.alive_operations()
        null = null_players(self.space.edges, players)
        return supernet_game(
            probe,
            mixture,
            players,
            self._batches(probe),
            options.value,
            null,
            bool(options.keep_last),
            options.norms,
        )

    def game_of_paths(self, probe: Probe) -> PathGame:
        """Returns the game of paths (`paths.py`); every set has a batch of the valid split."""
        options = self.options
        return path_game(probe, self.space, self._batches(probe), options.value, options.connected)

    def counted(self) -> int:
        """Returns the number of evaluated players of the whole space: all operations but `none`."""
        players = self.space.full().alive_operations()
        return len(players) - len(null_players(self.space.edges, players))

    def images(self, valid_images: int) -> int:
        """Returns the most images that an estimate of the whole space costs, forward only.

        For mixtures that is samples * (1 + players) * batch, or all coalitions; for paths, samples
        * (operations of the widest edge) * batch, or all paths.
        """
        counted, options = self.counted(), self.options
        if options.game == "paths":
            operations = operation_counts(self.space.full())
            exhaustive = options.takes_all_paths(operations)
            paths = prod(operations) if exhaustive else options.samples * max(operations)
            return paths * min(options.batch_size, valid_images)
        exhaustive = options.takes_exact(counted)
        evaluations = 2**counted if exhaustive else options.samples * (1 + counted)
        return evaluations * min(options.batch_size, valid_images)

    def incompatibility(self, name: str) -> str | None:
        """Returns why updater `name` cannot estimate in this space; None if it can."""
        if self.options.game == "paths":
            return self.options.conflict_of_paths(name, operation_counts(self.space.full()))
        return self.options.conflict(name, self.counted())

    def report(self, probe: Probe, estimate: Estimate, **details: object) -> None:
        """Reports an estimate, with the fields in `details`."""
        errors = table(estimate.standard_errors, probe.subspace, torch.nan)
        values = table(estimate.values, probe.subspace, torch.nan)
        full = estimate.full_values
        probe.report(
            "shapley",
            values=table_to_json(values),
            standard_errors=table_to_json(errors),
            evaluations=estimate.evaluations,
            removals=list(estimate.removals),
            full_value=sum(full) / len(full) if full else None,
            **details,
        )

    def _estimate_mixtures(self, probe: Probe, mixture: Mixture) -> Estimate:
        """Estimates the game of mixtures, from all coalitions or from random orders."""
        options, game = self.options, self.game(probe, mixture)
        if options.takes_exact(game.players - len(game.null)):
            return exact(game, options.rules().risk)
        orders = random_orders(game.players, options.samples, probe.rng, options.antithetic)
        announced = probe.announced(orders, "removal orders")
        return monte_carlo(game, announced, options.rules(), self._enough(probe))

    def _estimate_paths(self, probe: Probe) -> Estimate:
        """Estimates the game of paths, from all paths or from random sets."""
        options, game = self.options, self.game_of_paths(probe)
        if options.takes_all_paths(game.operations):
            return exact_path_values(game)
        block = game.widest if options.antithetic else 1
        # A subspace with fewer operations has shorter rounds; only whole rounds are taken.
        number = max(options.samples // block, 1) * block
        drawn = islice(path_sets(game.operations, probe.rng, options.antithetic), number)
        announced = probe.announced(drawn, "sets of paths", number)
        return path_values(game, announced, options.rules().risk, block, self._enough(probe))

    def _enough(self, probe: Probe) -> ConfidentRanking | None:
        """Returns the test that may end the sampling early; None without one."""
        edges = [edge for edge, _ in probe.subspace.alive_operations()]
        return (
            ConfidentRanking(edges, self.options.stable_gap)
            if self.options.stable_gap > 0
            else None
        )

    def _batches(self, probe: Probe) -> Callable[[int], Batch]:
        """Returns the batches of the samples: one for each, or the same for a whole estimate."""
        options = self.options
        stream = estimation_stream(probe.valid, options.batch_size, options.augment)
        size = min(options.batch_size, probe.valid.images)

        def batch(sample: int) -> Batch:
            number = probe.epoch if options.share_batch else probe.epoch * options.samples + sample
            return whole_batch(stream, size, number)

        return batch


def table(
    values: Float[Tensor, "players"], subspace: Subspace, absent: float = 0.0
) -> Float[Tensor, "edges ops"]:
    """Returns the values of players as a float64 table; other entries are `absent`."""
    filled = torch.full(subspace.mask.shape, absent, dtype=torch.float64)
    filled[subspace.mask] = values
    return filled
