"""The updater `gm`: trains weights, splits where operations disagree, searches in the parts.

The package's docstring lists the modules. This one combines them: it passes every call on to the
inner updater, and splits the space at the split epochs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from nastk import (
    Architecture,
    ArchitectureUpdater,
    Batch,
    Continuation,
    CosineRestart,
    Mixture,
    PhaseCost,
    Plan,
    Preset,
    Probe,
    Subspace,
)
from nastk.base import SplitReport
from nastk.train import TrainedBy, updater_class
from nastk_fewshot.checks import incompatibility, leaves, max_cost
from nastk_fewshot.cut import Cut, EdgeRule, chosen, cut, splittable, values
from nastk_fewshot.deriving import derived
from nastk_fewshot.imagenet import IMAGENET
from nastk_fewshot.options import GmOptions
from nastk_fewshot.presets import PRESETS
from nastk_fewshot.split_schedule import SplitSchedule


class Splitting(ArchitectureUpdater):
    """Few-shot search by gradient matching around another updater (Hu et al., ICLR 2022).

    After the epochs in `splits` every branch divides one edge's operations into groups whose
    gradients of the shared weights agree, and continues once for each group. `inner` searches in
    the leaves; the run's architecture is that of the best leaf. Without splits the search is that
    of `inner`.

    `Gm` adds the option to train the weights by another updater than `inner`.
    """

    name: ClassVar[str] = "gm"
    summary: ClassVar[str] = (
        "splits the space where operations disagree; another updater searches in each part"
    )
    # `incompatibility` checks the needs of the inner updater, which the class does not know.
    needs: ClassVar[frozenset[str]] = frozenset()
    presets: ClassVar[tuple[Preset, ...]] = (*PRESETS, *IMAGENET)

    class Options(GmOptions):
        """The options, see `options.py`."""

    inner: ArchitectureUpdater
    """The updater that searches; it is made anew when a branch starts anew."""

    level: int
    """The level of the last weight step: the number of splits before it."""

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: makes the inner updater, which may use `rng`."""
        self.level = 0
        self.inner = self._make_inner(rng)

    def incompatibility(self, plan: Plan) -> str | None:
        """Called when the run is assembled: refuses a short run or few edges, then asks inner."""
        return incompatibility(self.name, self.options, self.space, self.inner, plan)

    def max_cost(self, plan: Plan) -> PhaseCost | None:
        """Called by `--dry-run`: the matching of every split, and inner's cost in every branch."""
        return max_cost(self.options, self.space, self.inner, plan)

    def before_step(self, probe: Probe, batch: Batch) -> None:
        """Called once before every weight step: calls inner, unless it is frozen."""
        schedule = self._advance(probe)
        if not schedule.frozen(self.level):
            self.inner.before_step(self._view(probe, schedule), batch)

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: inner's mixtures, or a uniform one while frozen."""
        return self.trained(probe, self._advance(probe))

    def after_step(self, probe: Probe) -> None:
        """Called once after every weight step: calls inner, unless it is frozen."""
        schedule = self._schedule(probe)
        if not schedule.frozen(self.level):
            self.inner.after_step(self._view(probe, schedule))

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Called once after every epoch: inner's continuation, split after the split epochs.

        If inner itself ends or splits the branch, there is no further split.
        """
        schedule = self._schedule(probe)
        continuations = [Continuation(probe.subspace)]
        if not schedule.frozen(self.level):
            continuations = list(self.inner.after_epoch(self._view(probe, schedule)))
        if probe.epoch in schedule.splits and len(continuations) == 1:
            return self._split(probe, continuations[0], schedule)
        return [] if schedule.end <= probe.epoch < schedule.epochs else continuations

    def architecture(self, probe: Probe) -> Architecture:
        """Called after every epoch and at the end: inner's decision, corrected for split edges."""
        view = self._view(probe, self._schedule(probe))
        if self.options.derive == "inner" or self.level == 0:
            return self.inner.architecture(view)
        return derived(self.space, self.inner, view)

    def scores(self, probe: Probe) -> Float[Tensor, "edges ops"] | None:
        """Called by watchers after an epoch: returns inner's scores."""
        return self.inner.scores(self._view(probe, self._schedule(probe)))

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: returns inner's state and the level."""
        return {"level": self.level, "inner": self.inner.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: restores inner and the level from `state`."""
        self.level = int(state["level"])
        self.inner.load_state_dict(state["inner"])

    # ------------------------------------------------------------------ the inner updater

    def _make_inner(self, rng: torch.Generator) -> ArchitectureUpdater:
        """Returns a new inner updater."""
        updater = updater_class(self.options.inner)
        options = updater.parse_options(self.options.inner_options)
        return updater(self.space, options, rng, self.device)

    def _schedule(self, probe: Probe) -> SplitSchedule:
        """Returns the schedule of this run."""
        schedule: SplitSchedule = self.options.schedule(probe.epochs)
        return schedule

    def _advance(self, probe: Probe) -> SplitSchedule:
        """Called before a weight step: makes inner anew if a split that restarts has passed.

        It does so here and not at the split, because only now is the random stream the child's own.
        """
        schedule = self._schedule(probe)
        level = schedule.level(probe.epoch)
        if level > self.level:
            self.level = level
            if schedule.fresh(level):
                self.inner = self._make_inner(probe.rng)
        return schedule

    def _view(self, probe: Probe, schedule: SplitSchedule, ahead: int = 0) -> Probe:
        """Returns the probe for inner, whose clock starts when its learning does."""
        begin, length = schedule.local_start(self.level), schedule.length(self.level)
        if (begin, length, ahead) == (0, probe.epochs, 0):
            return probe
        return probe.with_clock(begin, length, ahead)

    def trained(self, probe: Probe, schedule: SplitSchedule, ahead: int = 0) -> Sequence[Mixture]:
        """Called before a weight step, and at a split: returns the mixtures of the step.

        `ahead` is the number of steps from now.
        """
        frozen = schedule.frozen(self.level)
        if frozen and self.options.frozen_mixture == "uniform":
            return [Mixture.uniform(probe.subspace).to(self.device)]
        mixtures = self.inner.mixtures(self._view(probe, schedule, ahead))
        # A frozen inner updater does not learn: its mixtures need no gradients.
        return [mixture.detach() for mixture in mixtures] if frozen else mixtures

    # ------------------------------------------------------------------ splitting

    def _split(
        self, probe: Probe, whole: Continuation, schedule: SplitSchedule
    ) -> Sequence[Continuation]:
        """Returns a continuation for each part of `whole`, or `whole` if no edge can be split."""
        number = schedule.level(probe.epoch)
        cuts = self._cuts(probe, whole.subspace, schedule, number)
        fresh = whole.fresh or schedule.fresh(number)
        best = cuts[chosen(cuts, *self._rule)] if cuts else None
        self._report(probe, number, cuts, best, fresh)
        parts = best.parts(whole.subspace) if best else [whole.subspace]
        restart = self._cosine if schedule.fresh(number) else whole.schedule
        return [Continuation(part, fresh, restart) for part in parts]

    def _cuts(
        self, probe: Probe, subspace: Subspace, schedule: SplitSchedule, number: int
    ) -> list[Cut]:
        """Returns the best cut of each edge that the rule considers, measured if it needs that."""
        partitioner = self.options.partitioner(number)
        edges = self._considered(probe, subspace, number)
        tables: dict[int, Any] = {}
        if edges and (self.options.compares or not partitioner.blind):
            tables = self.options.matching.distances(
                probe,
                subspace,
                edges,
                # The first mixture of each of the next steps, none of which is taken here.
                lambda ahead: self.trained(probe, schedule, ahead)[0].detach(),
                first=(number - 1) * self.options.batches,
            )
        cuts = (cut(self.space, subspace, edge, partitioner, tables.get(edge)) for edge in edges)
        return [best for best in cuts if best is not None]

    def _considered(self, probe: Probe, subspace: Subspace, number: int) -> list[int]:
        """Returns the edges that the rule considers for split number `number`."""
        options = self.options
        edges = splittable(self.space, subspace, options.partitioner(number), options.cells)
        if options.edge_rule == "first":
            return edges[:1]
        if options.edge_rule == "random" and edges:
            return [edges[int(torch.randint(len(edges), (), generator=probe.rng))]]
        if options.edge_rule == "listed":
            wanted = options.edges[number - 1]
            return [edge for edge in edges if self.space.edges[edge].name == wanted]
        return edges

    @property
    def _cosine(self) -> CosineRestart | None:
        """The learning rate of branches that start anew; None for the trainer's own."""
        length = self.options.restart_cosine
        return None if length is None else CosineRestart(length)

    @property
    def _rule(self) -> tuple[EdgeRule, bool | None]:
        """The rule that compares edges, and whether it takes means over pairs."""
        return self.options.edge_rule, self.options.per_pair

    def _report(
        self, probe: Probe, number: int, cuts: Sequence[Cut], best: Cut | None, fresh: bool
    ) -> None:
        """Reports the split: part number i of `groups` is the branch's child i."""
        measured = {
            option.edge: value
            for option, value in zip(cuts, values(cuts, *self._rule), strict=True)
            if option.distances is not None
        }
        report = SplitReport(
            edge=best.name if best else None,
            groups=best.named() if best else [],
            value=measured.get(best.edge) if best else None,
            within=self.options.edge_rule == "smallest-within",
            edges=[{**option.to_json(), "value": measured.get(option.edge)} for option in cuts],
        )
        details = {"split": number, "rule": self.options.edge_rule, "fresh": fresh}
        probe.report(SplitReport.topic, epoch=probe.epoch, **asdict(report), **details)


class Gm(TrainedBy, Splitting):
    """The updater `gm`: `Splitting` with weights that another updater may train (`train`).

    Example: `nastk.search(space="darts", updater=nastk.use("gm", inner="shapley"), data="cifar10")`
    """

    def trained(self, probe: Probe, schedule: SplitSchedule, ahead: int = 0) -> Sequence[Mixture]:
        """Called before a weight step, and at a split: the mixtures of the updater that trains."""
        if self.trains is None:
            return super().trained(probe, schedule, ahead)
        return self.trains.mixtures(probe.with_clock(0, probe.epochs, ahead))

    def branches(self) -> int:
        """Called by `max_cost`: returns the most leaves."""
        return leaves(self.options, self.space)

    def _advance(self, probe: Probe) -> SplitSchedule:
        """Restarts the updater that trains the weights whenever inner starts anew."""
        before = self.inner
        schedule = super()._advance(probe)
        if self.inner is not before:
            self.begin_training(probe.rng)
        return schedule
