"""DARTS-PT: another updater trains the supernet; the last epochs decide by what is missed most.

Edge by edge, the operation stays whose absence costs most validation accuracy; between two rounds
the supernet is tuned further, in the subspace that is left. `perturbation.py` measures, and
`selection.py` decides.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar, Literal, TypeVar

import torch
from pydantic import Field

from nastk import (
    Architecture,
    Continuation,
    CosineRestart,
    PhaseCost,
    Plan,
    Preset,
    Probe,
    Subspace,
    Wrapper,
)
from nastk.train import TrainedBy, TrainedByOptions, around, as_weights
from nastk_gradient.perturbation import RemovalScorer
from nastk_gradient.published import BENCH_DATA, BENCH_SPACE, DARTS_SPACE, DARTS_TRAINER, HALVES
from nastk_gradient.selection import open_edges, rounds_left, wide_nodes

Choice = TypeVar("Choice")

_PUBLISHED = {
    "inner": "darts",
    "interval": 5,
    "final": 1,
    "batches": 0,
    # A tenth of the rate that the search began with; their code never steps its cosine.
    "tuning_rate": 0.0025,
    "tuning_cosine": False,
}


class DartsPt(TrainedBy, Wrapper):
    """Perturbation-based selection (Wang et al., ICLR 2021, arXiv 2108.04392) over any updater.

    Example: `nastk.search(space="darts", updater=nastk.use("darts-pt", inner="snas"))`
    """

    name = "darts-pt"
    summary = "lets another updater search, then keeps on each edge what accuracy misses most"
    needs: ClassVar[frozenset[str]] = frozenset({"valid"})

    class Options(TrainedByOptions, Wrapper.Options):
        """Who searches inside, who trains, when edges are decided, and on which images."""

        interval: int = Field(
            5, ge=0, description="epochs of tuning from one round to the next; 0: all at one time"
        )
        final: int = Field(1, ge=0, description="epochs of tuning after the last round")
        tuning_rate: float | None = Field(
            None,
            gt=0,
            description="learning rate of the weights from the first round on, where SGD begins "
            "anew; unset: rate and momentum go on",
        )
        tuning_cosine: bool = Field(
            False,
            description="that rate falls to the trainer's minimum by a cosine; else it is constant",
        )
        criterion: Literal["accuracy", "loss"] = Field(
            "accuracy", description="what tells how much an operation is missed"
        )
        mixing: Literal["scores", "uniform"] = Field(
            "scores",
            description="weights to measure under: the inner updater's scores where they are "
            "weights, or all equal",
        )
        batches: int = Field(
            0, ge=0, description="validation batches of a measurement; 0 is the whole split"
        )
        batch_size: int = Field(
            64, ge=2, description="images in such a batch; batch statistics depend on it"
        )
        augment: bool = Field(True, description="measure on augmented images, as the authors do")

    presets = (
        Preset(
            "paper",
            "Wang et al., ICLR 2021; ruocwang/darts-pt, exp_scripts/darts-201.sh and "
            "darts-proj-201.sh",
            space=("nasbench201",),
            data=BENCH_DATA,
            space_options=BENCH_SPACE,
            updater_options=_PUBLISHED,
            data_options=HALVES,
            trainer_options={**DARTS_TRAINER, "epochs": 126},
        ),
        Preset(
            "paper",
            "Wang et al., ICLR 2021; ruocwang/darts-pt, exp_scripts/darts-sota.sh and "
            "darts-proj-sota.sh, space s5",
            space=("darts",),
            data=("cifar10",),
            space_options=DARTS_SPACE,
            updater_options=_PUBLISHED,
            data_options=HALVES,
            trainer_options={**DARTS_TRAINER, "epochs": 131},
        ),
        Preset(
            "quick",
            "not published: all edges at one time before the last epoch, on few images, over a "
            "fast darts",
            updater_options={
                **around("darts", learning_rate=3e-3, warmup=1),
                "interval": 0,
                "final": 1,
                "batches": 2,
            },
        ),
    )

    tuning: bool
    """Whether the first round is over."""

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: the updater inside; no round is over."""
        super().setup(rng)
        self.tuning = False

    def incompatibility(self, plan: Plan) -> str | None:
        """Called when the run is assembled: too few epochs, or what the inner updater says."""
        rounds = self._rounds(self.space.full())
        least = self.options.interval * max(rounds - 1, 0) + self.options.final + 1
        if plan.epochs < least:
            return (
                f"darts-pt decides in {rounds} rounds, {self.options.interval} epochs apart, and "
                f"tunes {self.options.final} after the last: with the first of training it needs "
                f"{least} epochs, got {plan.epochs}. Use `--epochs {least}` or more, or a smaller "
                "`-u interval`."
            )
        return super().incompatibility(plan)

    def max_cost(self, plan: Plan) -> PhaseCost | None:
        """Called by `--dry-run`: the inner updater's, and one pass for each thing taken out."""
        inner = super().max_cost(plan)
        if inner is None:
            return None
        size = min(self.options.batch_size, plan.valid_images)
        images = min(self.options.batches * size or plan.valid_images, plan.valid_images)
        taken_out = len(self.space.full().alive_operations()) + len(self.space.edges)
        return inner + PhaseCost(images_forward=taken_out * images)

    def architecture(self, probe: Probe) -> Architecture:
        """Called after every epoch and at the end: what is left, or the inner updater's so far."""
        if self._rounds(probe.subspace):
            return super().architecture(probe)
        return self.space.decide(torch.zeros(probe.subspace.mask.shape), probe.subspace)

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Called once after every epoch: the inner updater's answer, or less, where a round is due.

        An epoch in which the inner updater itself changes the subspace is left to it.
        """
        answer = super().after_epoch(probe)
        if list(answer) != [Continuation(probe.subspace)] or not self._due(probe, probe.subspace):
            return answer
        subspace, scorer = probe.subspace, self._scorer(probe)
        while self._due(probe, subspace):
            subspace = self._round(scorer, subspace)
        schedule = None if self.tuning else self._schedule(probe.epochs - probe.epoch)
        self.tuning = True
        return [Continuation(subspace, schedule=schedule)]

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: the inner updater's, and whether it is tuned.

        Decisions are the subspace.
        """
        return {**super().state_dict(), "tuning": self.tuning}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: the inner updater goes on."""
        super().load_state_dict(state)
        self.tuning = bool(state["tuning"])

    def _schedule(self, left: int) -> CosineRestart | None:
        """SGD begun anew for the epochs that are left, if that is asked for."""
        rate = self.options.tuning_rate
        if rate is None or left < 1:
            return None
        return CosineRestart(left, rate, None if self.options.tuning_cosine else rate)

    def _scorer(self, probe: Probe) -> RemovalScorer:
        """Who measures in this epoch: on which images, and under which weights."""
        options = self.options
        stream = probe.valid.view("darts-pt", options.batch_size, options.augment)
        batches = list(islice(stream.epoch(probe.epoch), options.batches or None))
        scores = self.inner.scores(probe) if options.mixing == "scores" else None
        return RemovalScorer(
            self.space, probe, batches, as_weights(scores, probe.subspace), options.criterion
        )

    def _rounds(self, subspace: Subspace) -> int:
        return rounds_left(self.space.edges, subspace, self.space.why_empty)

    def _due(self, probe: Probe, subspace: Subspace) -> bool:
        """Whether the rounds that are left need every epoch from here on."""
        rounds = self._rounds(subspace)
        needed = self.options.interval * (rounds - 1) + self.options.final
        return rounds > 0 and probe.epochs - probe.epoch <= needed

    def _round(self, scorer: RemovalScorer, subspace: Subspace) -> Subspace:
        """One edge of every cell type decided, in random order; after the edges, one node."""
        of_edges = open_edges(self.space.edges, subspace)
        for rows in of_edges:
            subspace = scorer.decide(_drawn(rows, scorer.probe.rng), subspace)
        if not of_edges:
            for nodes in wide_nodes(self.space.edges, subspace, self.space.why_empty):
                subspace = scorer.thin(_drawn(nodes, scorer.probe.rng), subspace)
        return subspace


def _drawn(several: Sequence[Choice], rng: torch.Generator) -> Choice:
    """One of several, each as likely."""
    return several[int(torch.randint(len(several), (), generator=rng))]
