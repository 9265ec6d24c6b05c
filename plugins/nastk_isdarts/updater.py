"""The updater `isdarts`: train all that is alive at equal weights, then remove the flattest.

`options.py` says what can be set, `mixing.py` what is trained, `measure.py` and `output_hooks.py`
how flat operations are, `shrinking.py` when and which of them go. This module puts them in order.
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
from nastk_isdarts.shrinking import Player, contests, prune, rate, scores

REHEARSAL = 2


class Shrinking(ArchitectureUpdater):
    """Narrows the supernet until an architecture is left (IS-DARTS, He et al., AAAI 2024).

    There is no alpha, and no validation split: all training images train the weights of a constant
    mixture. After some of the last epochs one pass over them measures how flat the output of every
    operation is, and the flattest are removed for good; then training goes on.

    `IsDarts` is the same where weights may be trained by another updater.
    """

    name = "isdarts"
    summary = "removes the operations whose outputs vary least over the channels, step by step"
    needs = frozenset()
    presets = PRESETS

    class Options(IsDartsOptions):
        """See `options.py`."""

    measured: Float[Tensor, "edges ops"] | None
    """The last measures (float64, CPU; NaN where nothing was alive); None before the first."""

    ratings: Float[Tensor, "edges ops"] | None
    """How long each operation has stayed and how well it stood (float64, CPU); None likewise."""

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: asks the space who competes with whom."""
        self.contests = contests(self.space, self.options.keep)
        self.measured = None
        self.ratings = None

    def incompatibility(self, plan: Plan) -> str | None:
        """Called when the run is assembled: too short a run, or not the shrinks that edges need."""
        found: str | None = self.options.conflict(plan.epochs, self.space.edges, self.contests)
        return found

    def max_cost(self, plan: Plan) -> PhaseCost | None:
        """Called by `--dry-run`: a pass over the training images (or `batches`) at each shrink."""
        shrinks = self.options.shrinks_on(self.space.edges)
        images = self.options.images(plan.train_images, plan.batch_size)
        return PhaseCost(images_forward=REHEARSAL + shrinks * images)

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: the constant mixture of what is alive."""
        return [self._mixture(probe)]

    def before_step(self, probe: Probe, batch: Batch) -> None:
        """Called once before every weight step: before the first, tries the measure on two images.

        Raises:
            ConfigurationError, PluginError: this supernet cannot be measured; better known now.
        """
        if probe.step == 0:
            few = Batch(batch.images[:REHEARSAL], batch.labels[:REHEARSAL])
            measure(probe, self.space.edges, self._mixture(probe), [few], self.options.measure)

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Called once after every epoch: at those of the schedule, measures and goes on in less."""
        schedule = self.options.epochs_of(probe.epochs, self.space.edges)
        if probe.epoch not in schedule:
            return [Continuation(probe.subspace)]
        left = len(schedule) - schedule.index(probe.epoch)
        if not any(each.leaving(probe.subspace, left) for each in self.contests):
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
        """Called after every epoch and at the end: the survivors.

        Before the last shrink the space decides, by the order in which they would go. Before the
        first nothing is known: the answer is the first operation everywhere that is not `none`.
        """
        subspace = probe.subspace
        if self.measured is None:
            return self.space.decide(self._unknown(), subspace)
        return self.space.decide(scores(self.measured, subspace, self.options.order), subspace)

    def scores(self, probe: Probe) -> Float[Tensor, "edges ops"] | None:
        """Called by those who watch: `ratings`, which know the removed operations too."""
        return self.ratings

    def measure(self, probe: Probe) -> Measures:
        """Called at each shrink: how flat every living operation is on the training images."""
        return measure(
            probe,
            self.space.edges,
            self._mixture(probe),
            self._batches(probe),
            self.options.measure,
        )

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: the last measures and the ratings."""
        return {"measured": self.measured, "ratings": self.ratings}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: go on exactly where `state` was taken."""
        self.measured, self.ratings = (
            None if state[name] is None else state[name].clone().cpu()
            for name in ("measured", "ratings")
        )

    def _mixture(self, probe: Probe) -> Mixture:
        return constant_mixture(self.space.edges, probe.subspace, self.options.mix)

    def _batches(self, probe: Probe) -> Iterator[Batch]:
        """A pass of its own over the training images, or its first `batches`."""
        settings = self.options
        stream = probe.train.view("isdarts", settings.batch_size, settings.augment)
        total = min(settings.batches or len(stream), len(stream))
        batches = islice(stream.epoch(probe.epoch), total)
        return probe.announced(batches, "measuring operations", total)

    def _unknown(self) -> Float[Tensor, "edges ops"]:
        """Scores that know nothing but that `none` is nothing."""
        width = max(len(edge.operations) for edge in self.space.edges)
        return torch.tensor(
            [
                [-float(name == "none") for name in (*edge.operations, *[""] * width)[:width]]
                for edge in self.space.edges
            ]
        )

    def _report(
        self, probe: Probe, measures: Measures, removed: Sequence[Player], number: int
    ) -> None:
        values = measures.values
        probe.report(
            "isdarts",
            shrink=number,
            measures=table_to_json(values),
            standard_errors=table_to_json(measures.standard_errors),
            deviations=table_to_json(measures.deviations),
            infinite=self._named([tuple(each) for each in values.isinf().nonzero().tolist()]),
            removed=self._named(removed),
            images=measures.images,
        )

    def _named(self, players: Sequence[Player]) -> list[list[str]]:
        """[edge, operation] by name for each player."""
        edges = self.space.edges
        return [[edges[edge].name, edges[edge].operations[column]] for edge, column in players]


class IsDarts(TrainedBy, Shrinking):
    """The updater `isdarts`: `Shrinking`, whose weights another updater may train (`train`).

    Example: `nastk.search(space="nasbench201", updater="isdarts", data="cifar10", preset="paper")`
    """
