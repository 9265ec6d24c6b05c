"""Shapley values of a supernet's operations under a mixture: `Measuring`, one estimate at a time.

It brings together what `options.py` says, the games of `coalitions.py` and `paths.py`, and the
samplers of `estimate.py` and `exact.py`; `stopping.py` may end the sampling early. Both updaters
ask it.
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
    """How operations of `space` are valued under a mixture, by `options`.

    Example: `Measuring(space, options).estimate(probe, Mixture.uniform(probe.subspace))`
    """

    space: SearchSpace
    options: EstimateOptions

    def estimate(self, probe: Probe, mixture: Mixture) -> Estimate:
        """The Shapley values of what is alive, in order of `probe.subspace.alive_operations()`.

        Orders, or paths, come from `probe.rng`; at most `images` are pushed through, forward only.
        The game of paths has no use for `mixture`.

        Raises:
            DivergenceError: a coalition had no finite value.
            PluginError: only connected paths count, and the subspace has none.
        """
        if self.options.game == "paths":
            found = self._of_paths(probe)
        else:
            found = self._of_mixtures(probe, mixture)
        if not bool(found.values.isfinite().all()):
            raise DivergenceError(
                f"A coalition has no finite value after {probe.epoch} epochs: its logits overflow. "
                "Lower the learning rate, or use `-u value=accuracy`."
            )
        return found

    def game(self, probe: Probe, mixture: Mixture) -> Game:
        """The game that the living operations play, a batch of the valid split for each order."""
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
        """The game of `paths.py` that they play, a batch of the valid split for each set."""
        options = self.options
        return path_game(probe, self.space, self._batches(probe), options.value, options.connected)

    def counted(self) -> int:
        """Players of the whole space that are evaluated: all but `none`."""
        players = self.space.full().alive_operations()
        return len(players) - len(null_players(self.space.edges, players))

    def images(self, valid_images: int) -> int:
        """The most images that an estimate of the whole space pushes forward.

        That is samples * (1 + players) * batch, or all coalitions; of paths, samples * (operations
        of the widest edge) * batch, or all paths.
        """
        counted, options = self.counted(), self.options
        if options.game == "paths":
            operations = operation_counts(self.space.full())
            everything = options.takes_all_paths(operations)
            paths = prod(operations) if everything else options.samples * max(operations)
            return paths * min(options.batch_size, valid_images)
        exactly = options.takes_exact(counted)
        evaluations = 2**counted if exactly else options.samples * (1 + counted)
        return evaluations * min(options.batch_size, valid_images)

    def incompatibility(self, name: str) -> str | None:
        """Why updater `name` cannot estimate in this space; None if it can."""
        if self.options.game == "paths":
            return self.options.conflict_of_paths(name, operation_counts(self.space.full()))
        return self.options.conflict(name, self.counted())

    def report(self, probe: Probe, estimate: Estimate, **more: object) -> None:
        """Put an estimate, and what is to stand beside it, on the run's record."""
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
            **more,
        )

    def _of_mixtures(self, probe: Probe, mixture: Mixture) -> Estimate:
        options, game = self.options, self.game(probe, mixture)
        if options.takes_exact(game.players - len(game.null)):
            return exact(game, options.rules().risk)
        orders = random_orders(game.players, options.samples, probe.rng, options.antithetic)
        announced = probe.announced(orders, "removal orders")
        return monte_carlo(game, announced, options.rules(), self._enough(probe))

    def _of_paths(self, probe: Probe) -> Estimate:
        options, game = self.options, self.game_of_paths(probe)
        if options.takes_all_paths(game.operations):
            return exact_path_values(game)
        block = game.widest if options.antithetic else 1
        # Fewer operations make shorter rounds; only whole ones are taken.
        number = max(options.samples // block, 1) * block
        drawn = islice(path_sets(game.operations, probe.rng, options.antithetic), number)
        announced = probe.announced(drawn, "sets of paths", number)
        return path_values(game, announced, options.rules().risk, block, self._enough(probe))

    def _enough(self, probe: Probe) -> ConfidentRanking | None:
        """What may end the sampling early."""
        edges = [edge for edge, _ in probe.subspace.alive_operations()]
        return (
            ConfidentRanking(edges, self.options.stable_gap)
            if self.options.stable_gap > 0
            else None
        )

    def _batches(self, probe: Probe) -> Callable[[int], Batch]:
        """The batch of each sample: a fresh one, or one for all samples of an estimate."""
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
    """Values of players as a table, in float64; `absent` where nothing is alive."""
    found = torch.full(subspace.mask.shape, absent, dtype=torch.float64)
    found[subspace.mask] = values
    return found
