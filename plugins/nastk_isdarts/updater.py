"""The updater `isdarts`: trains alive operations at equal weights, then removes the flattest.

`options.py` holds the options, `mixing.py` the training mixture; `measure.py` and `output_hooks.py`
measure how flat operations are, `shrinking.py` says when which of them are removed. This module
combines them.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nastk import (
    Architecture,
    ArchitectureUpdater,
    Batch,
    Continuation,
    Mixture,
    PhaseCost,
    Plan,
    Probe,
)
from nastk.base import table_to_json
from nastk.train import TrainedBy
from nastk_isdarts.mixing import constant_mixture
from nastk_isdarts.options import IsDartsOptions
from nastk_isdarts.output_hooks import Measures, measure
from nastk_isdarts.presets import PRESETS
from nastk_isdarts.shrinking import Operation, contests, prune, rate, scores

REHEARSAL = 2
"""Images of the trial measurement before the first weight step."""


class Shrinking(ArchitectureUpdater):
    """Narrows the supernet until an architecture is left (IS-DARTS, He et al., AAAI 2024).

    There is no alpha and no validation split: all training images train the weights, under a
    constant mixture. After some of the last epochs a pass over them measures how flat the output of
    every operation is. The flattest operations are removed for good, and training goes on.

    `IsDarts` adds the option to train the weights by another updater.
    """

    name = "isdarts"
    summary = "removes the operations whose outputs vary least over the channels, step by step"
    needs = frozenset()
    presets = PRESETS

    class Options(IsDartsOptions):
        """The options, see `options.py`."""

    measured: Float[Tensor, "edges ops"] | None
    """The last measures (float64, CPU; NaN for dead operations); None before the first shrink."""

    ratings: Float[Tensor, "edges ops"] | None
    """The ratings of `shrinking.rate` (float64, CPU); None before the first shrink."""

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: derives the contests from the space."""
        self.contests = contests(self.space, self.options.keep)
        self.measured = None
        self.ratings = None

    def incompatibility(self, plan: Plan) -> str | None:
        """Called when the run is assembled: refuses a short run or a wrong number of shrinks."""
        reason: str | None = self.options.conflict(plan.epochs, self.space.edges, self.contests)
        return reason

    def max_cost(self, plan: Plan) -> PhaseCost | None:
        """Called by `--dry-run`: returns the images of one measurement for each shrink."""
        shrinks = self.options.shrinks_on(self.space.edges)
        images = self.options.images(plan.train_images, plan.batch_size)
        return PhaseCost(images_forward=REHEARSAL + shrinks * images)

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: returns the constant mixture."""
        return [self._mixture(probe)]

    def before_step(self, probe: Probe, batch: Batch) -> None:
        """Called once before every weight step: before the first, tries the measure on two images.

        So a supernet that cannot be measured is refused before it trains.

        Raises:
            ConfigurationError, PluginError: the supernet cannot be measured.
        """
        if probe.step == 0:
            sample = Batch(batch.images[:REHEARSAL], batch.labels[:REHEARSAL])
            measure(probe, self.space.edges, self._mixture(probe), [sample], self.options.measure)

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Called once after every epoch: measures and shrinks after those of the schedule."""
        schedule = self.options.epochs_of(probe.epochs, self.space.edges)
        if probe.epoch not in schedule:
            return [Continuation(probe.subspace)]
        left = len(schedule) - schedule.index(probe.epoch)
        if not any(contest.leaving(probe.subspace, left) for contest in self.contests):
            return [Continuation(probe.subspace)]
        measures = self.measure(probe)
        smaller, removed = prune(
            self.space,
            probe.subspace,
            self.contests,
            measures.values,
            left,
            self.options.order,
            self.options.distinct_inputs,
        )
        self.measured = measures.values
        number = len(schedule) - left + 1
        self.ratings = rate(
            self.ratings, probe.subspace, measures.values, number, self.options.order
        )
        self._report(probe, measures, removed, number)
        return [Continuation(smaller)]

    def architecture(self, probe: Probe) -> Architecture:
        """Called after every epoch and at the end: returns the survivors as an architecture.

        Before the last shrink the space decides, by the order in which operations would be removed.
        Before the first shrink it decides without measures, which gives the first operation of
        every edge that is not `none`.
        """
        subspace = probe.subspace
        if self.measured is None:
            return self.space.decide(self._unknown(), subspace)
        return self.space.decide(scores(self.measured, subspace, self.options.order), subspace)

    def scores(self, probe: Probe) -> Float[Tensor, "edges ops"] | None:
        """Called by watchers: returns `ratings`, which include the removed operations."""
        return self.ratings

    def measure(self, probe: Probe) -> Measures:
        """Called at each shrink: measures every alive operation on the training images."""
        return measure(
            probe,
            self.space.edges,
            self._mixture(probe),
            self._batches(probe),
            self.options.measure,
        )

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: returns the last measures and the ratings."""
        return {"measured": self.measured, "ratings": self.ratings}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: restores the measures and ratings of `state`."""
        self.measured, self.ratings = (
            None if state[name] is None else state[name].clone().cpu()
            for name in ("measured", "ratings")
        )

    def _mixture(self, probe: Probe) -> Mixture:
        return constant_mixture(self.space.edges, probe.subspace, self.options.mix)

    def _batches(self, probe: Probe) -> Iterator[Batch]:
        """Returns the batches of a separate pass over the training images (`batches` of them)."""
        options = self.options
        stream = probe.train.view("isdarts", options.batch_size, options.augment)
        total = min(options.batches or len(stream), len(stream))
        batches = islice(stream.epoch(probe.epoch), total)
        return probe.announced(batches, "measuring operations", total)

    def _unknown(self) -> Float[Tensor, "edges ops"]:
        """Returns the scores before any measurement: -1 for `none`, 0 for all others."""
        width = max(len(edge.operations) for edge in self.space.edges)
        return torch.tensor(
            [
                [-float(name == "none") for name in (*edge.operations, *[""] * width)[:width]]
                for edge in self.space.edges
            ]
        )

    def _report(
        self, probe: Probe, measures: Measures, removed: Sequence[Operation], number: int
    ) -> None:
        """Reports a shrink: its number, the measures and the removed operations."""
        values = measures.values
        probe.report(
            "isdarts",
            shrink=number,
            measures=table_to_json(values),
            standard_errors=table_to_json(measures.standard_errors),
            deviations=table_to_json(measures.deviations),
            infinite=self._named([tuple(index) for index in values.isinf().nonzero().tolist()]),
            removed=self._named(removed),
            images=measures.images,
        )

    def _named(self, operations: Sequence[Operation]) -> list[list[str]]:
        """Returns [edge name, operation name] for each operation."""
        edges = self.space.edges
        return [[edges[edge].name, edges[edge].operations[column]] for edge, column in operations]


class IsDarts(TrainedBy, Shrinking):
    """The updater `isdarts`: `Shrinking` with weights that another updater may train (`train`).

    Example: `nastk.search(space="nasbench201", updater="isdarts", data="cifar10", preset="paper")`
    """
