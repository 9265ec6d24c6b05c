"""The updater `gm`: train weights, split where operations disagree, search in the parts.

`options.py` says what can be set; who does what stands in the package's docstring. This module puts
them in order: it answers for the inner updater, and at the split epochs for itself.
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

    After the epochs in `splits` every branch divides one edge's operations into groups that agree
    on how to change the weights they share, and goes on once for each group. `inner` searches in
    the leaves; the run's architecture is that of the best leaf. Without splits it is `inner`.

    `Gm` is the same where weights may be trained by another updater than `inner`.
    """

    name: ClassVar[str] = "gm"
    summary: ClassVar[str] = (
        "splits the space where operations disagree; another updater searches in each part"
    )
    # What the inner updater needs is asked in `incompatibility`: the class does not know it.
    needs: ClassVar[frozenset[str]] = frozenset()
    presets: ClassVar[tuple[Preset, ...]] = (*PRESETS, *IMAGENET)

    class Options(GmOptions):
        """See `options.py`."""

    inner: ArchitectureUpdater
    """The updater that searches; made anew where a branch starts anew."""

    level: int
    """How many splits the last weight step had behind it."""

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: makes the inner updater, which may draw."""
        self.level = 0
        self.inner = self._made(rng)

    def incompatibility(self, plan: Plan) -> str | None:
        """Called when the run is assembled: too short a run, too few edges, or inner's own."""
        return incompatibility(self.name, self.options, self.space, self.inner, plan)

    def max_cost(self, plan: Plan) -> PhaseCost | None:
        """Called by `--dry-run`: matching at every split, and inner's forecast in every branch."""
        return max_cost(self.options, self.space, self.inner, plan)

    def before_step(self, probe: Probe, batch: Batch) -> None:
        """Called once before every weight step: inner's, unless it is frozen."""
        schedule = self._advance(probe)
        if not schedule.frozen(self.level):
            self.inner.before_step(self._view(probe, schedule), batch)

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: inner's, or (frozen, if asked) all equally."""
        return self.trained(probe, self._advance(probe))

    def after_step(self, probe: Probe) -> None:
        """Called once after every weight step: inner's, unless it is frozen."""
        schedule = self._schedule(probe)
        if not schedule.frozen(self.level):
            self.inner.after_step(self._view(probe, schedule))

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Called once after every epoch: inner's answer, split in parts where it is time.

        An inner updater that itself ends or divides the branch then has its way, unsplit.
        """
        schedule = self._schedule(probe)
        answers = [Continuation(probe.subspace)]
        if not schedule.frozen(self.level):
            answers = list(self.inner.after_epoch(self._view(probe, schedule)))
        if probe.epoch in schedule.splits and len(answers) == 1:
            return self._split(probe, answers[0], schedule)
        return [] if schedule.end <= probe.epoch < schedule.epochs else answers

    def architecture(self, probe: Probe) -> Architecture:
        """Called after every epoch and at the end: inner's, split edges on an equal footing."""
        view = self._view(probe, self._schedule(probe))
        if self.options.derive == "inner" or self.level == 0:
            return self.inner.architecture(view)
        return derived(self.space, self.inner, view)

    def scores(self, probe: Probe) -> Float[Tensor, "edges ops"] | None:
        """Called after an epoch by those who watch: inner's."""
        return self.inner.scores(self._view(probe, self._schedule(probe)))

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: inner's state and the level."""
        return {"level": self.level, "inner": self.inner.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: go on exactly where `state` was taken."""
        self.level = int(state["level"])
        self.inner.load_state_dict(state["inner"])

    # ------------------------------------------------------------------ the inner updater

    def _made(self, rng: torch.Generator) -> ArchitectureUpdater:
        found = updater_class(self.options.inner)
        options = found.parse_options(self.options.inner_options)
        return found(self.space, options, rng, self.device)

    def _schedule(self, probe: Probe) -> SplitSchedule:
        schedule: SplitSchedule = self.options.schedule(probe.epochs)
        return schedule

    def _advance(self, probe: Probe) -> SplitSchedule:
        """Before a weight step: where a split has passed, inner starts anew if its leaf does.

        Not at the split: only here is the random stream the child's own.
        """
        schedule = self._schedule(probe)
        level = schedule.level(probe.epoch)
        if level > self.level:
            self.level = level
            if schedule.fresh(level):
                self.inner = self._made(probe.rng)
        return schedule

    def _view(self, probe: Probe, schedule: SplitSchedule, ahead: int = 0) -> Probe:
        """The probe as inner sees it: its clock starts where its learning does."""
        begin, length = schedule.local_start(self.level), schedule.length(self.level)
        if (begin, length, ahead) == (0, probe.epochs, 0):
            return probe
        return probe.with_clock(begin, length, ahead)

    def trained(self, probe: Probe, schedule: SplitSchedule, ahead: int = 0) -> Sequence[Mixture]:
        """Called before a weight step, and at a split for what the next steps would train."""
        frozen = schedule.frozen(self.level)
        if frozen and self.options.frozen_mixture == "uniform":
            return [Mixture.uniform(probe.subspace).to(self.device)]
        found = self.inner.mixtures(self._view(probe, schedule, ahead))
        # Nobody takes a gradient that comes back while inner is frozen.
        return [each.detach() for each in found] if frozen else found

    # ------------------------------------------------------------------ splitting

    def _split(
        self, probe: Probe, answer: Continuation, schedule: SplitSchedule
    ) -> Sequence[Continuation]:
        """The parts to go on in; one, the whole, where no edge can be split any more."""
        number = schedule.level(probe.epoch)
        cuts = self._cuts(probe, answer.subspace, schedule, number)
        fresh = answer.fresh or schedule.fresh(number)
        best = cuts[chosen(cuts, *self._rule)] if cuts else None
        self._report(probe, number, cuts, best, fresh)
        parts = best.parts(answer.subspace) if best else [answer.subspace]
        restart = self._cosine if schedule.fresh(number) else answer.schedule
        return [Continuation(part, fresh, restart) for part in parts]

    def _cuts(
        self, probe: Probe, subspace: Subspace, schedule: SplitSchedule, number: int
    ) -> list[Cut]:
        """The best cut of each edge that the rule considers, measured where that is needed."""
        partitioner = self.options.partitioner(number)
        edges = self._considered(probe, subspace, number)
        tables: dict[int, Any] = {}
        if edges and (self.options.compares or not partitioner.blind):
            tables = self.options.matching.distances(
                probe,
                subspace,
                edges,
                # One of the mixtures of each of the next steps, not taken.
                lambda ahead: self.trained(probe, schedule, ahead)[0].detach(),
                first=(number - 1) * self.options.batches,
            )
        found = (cut(self.space, subspace, edge, partitioner, tables.get(edge)) for edge in edges)
        return [each for each in found if each is not None]

    def _considered(self, probe: Probe, subspace: Subspace, number: int) -> list[int]:
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
        """The learning rate where a split starts branches anew; None: the trainer's own."""
        length = self.options.restart_cosine
        return None if length is None else CosineRestart(length)

    @property
    def _rule(self) -> tuple[EdgeRule, bool | None]:
        return self.options.edge_rule, self.options.per_pair

    def _report(
        self, probe: Probe, number: int, cuts: Sequence[Cut], best: Cut | None, fresh: bool
    ) -> None:
        """The split on the run's record: part number i of `groups` is the branch's child i."""
        measured = {
            each.edge: value
            for each, value in zip(cuts, values(cuts, *self._rule), strict=True)
            if each.distances is not None
        }
        report = SplitReport(
            edge=best.name if best else None,
            groups=best.named() if best else [],
            value=measured.get(best.edge) if best else None,
            within=self.options.edge_rule == "smallest-within",
            edges=[{**each.to_json(), "value": measured.get(each.edge)} for each in cuts],
        )
        more = {"split": number, "rule": self.options.edge_rule, "fresh": fresh}
        probe.report(SplitReport.topic, epoch=probe.epoch, **asdict(report), **more)


class Gm(TrainedBy, Splitting):
    """The updater `gm`: `Splitting`, whose weights another updater may train (`train`).

    Example: `nastk.search(space="darts", updater=nastk.use("gm", inner="shapley"), data="cifar10")`
    """

    def trained(self, probe: Probe, schedule: SplitSchedule, ahead: int = 0) -> Sequence[Mixture]:
        """Called before a weight step, and at a split: those of who trains."""
        if self.trains is None:
            return super().trained(probe, schedule, ahead)
        return self.trains.mixtures(probe.with_clock(0, probe.epochs, ahead))

    def branches(self) -> int:
        """Called by `max_cost`: the leaves, at most."""
        return leaves(self.options, self.space)

    def _advance(self, probe: Probe) -> SplitSchedule:
        """Where inner starts anew with the weights, who trains them does too."""
        before = self.inner
        schedule = super()._advance(probe)
        if self.inner is not before:
            self.begin_training(probe.rng)
        return schedule
