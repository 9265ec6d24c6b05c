"""DARTS-PT: another updater searches first; then operations are chosen by the accuracy lost.

On each edge in turn, the operation is kept whose removal costs the most validation accuracy.
Between two rounds the supernet is tuned further, in the subspace that is left. `perturbation.py`
measures, and `selection.py` decides.
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
from nastk.base import study_presets
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
    # A tenth of the search's first rate. The authors' code never steps its cosine schedule.
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
        """The inner updater, the weight training, the rounds, and the images that measure."""

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
        *study_presets(
            {"nasbench201": 29, "nasbench-macro": 13}, inner="random", interval=1, batches=20
        ),
    )

    tuning: bool
    """True once the first round is over."""

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: makes the inner updater; no round is over yet."""
        super().setup(rng)
        self.tuning = False

    def incompatibility(self, plan: Plan) -> str | None:
        """Called when the run is assembled: refuses too few epochs, then asks the inner updater."""
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
        """Called by `--dry-run`: returns the inner cost plus a pass for each operation and edge."""
        inner = super().max_cost(plan)
        if inner is None:
            return None
        size = min(self.options.batch_size, plan.valid_images)
        images = min(self.options.batches * size or plan.valid_images, plan.valid_images)
        removals = len(self.space.full().alive_operations()) + len(self.space.edges)
        return inner + PhaseCost(images_forward=removals * images)

    def architecture(self, probe: Probe) -> Architecture:
        """Called after every epoch and at the end: the kept operations; before, inner's choice."""
        if self._rounds(probe.subspace):
            return super().architecture(probe)
        return self.space.decide(torch.zeros(probe.subspace.mask.shape), probe.subspace)

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Called once after every epoch: runs the rounds that are due and returns what they leave.

        Without a round, and where the inner updater changes the subspace itself, its continuations
        are returned unchanged.
        """
        continuations = super().after_epoch(probe)
        unchanged = list(continuations) == [Continuation(probe.subspace)]
        if not unchanged or not self._due(probe, probe.subspace):
            return continuations
        subspace, scorer = probe.subspace, self._scorer(probe)
        while self._due(probe, subspace):
            subspace = self._round(scorer, subspace)
        schedule = None if self.tuning else self._schedule(probe.epochs - probe.epoch)
        self.tuning = True
        return [Continuation(subspace, schedule=schedule)]

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: returns the inner state and `tuning`.

        The decisions themselves are in the branch's subspace.
        """
        return {**super().state_dict(), "tuning": self.tuning}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: restores the inner updater and `tuning`."""
        super().load_state_dict(state)
        self.tuning = bool(state["tuning"])

    def _schedule(self, left: int) -> CosineRestart | None:
        """Returns the restarted schedule for the `left` epochs; None without a `tuning_rate`."""
        rate = self.options.tuning_rate
        if rate is None or left < 1:
            return None
        return CosineRestart(left, rate, None if self.options.tuning_cosine else rate)

    def _scorer(self, probe: Probe) -> RemovalScorer:
        """Returns the scorer of this epoch, with its images and its mixing weights."""
        options = self.options
        stream = probe.valid.view("darts-pt", options.batch_size, options.augment)
        batches = list(islice(stream.epoch(probe.epoch), options.batches or None))
        scores = self.inner.scores(probe) if options.mixing == "scores" else None
        return RemovalScorer(
            self.space, probe, batches, as_weights(scores, probe.subspace), options.criterion
        )

    def _rounds(self, subspace: Subspace) -> int:
        """Returns the number of rounds that are left in `subspace`."""
        return rounds_left(self.space.edges, subspace, self.space.why_empty)

    def _due(self, probe: Probe, subspace: Subspace) -> bool:
        """True if the remaining rounds need all the remaining epochs, so that one must run now."""
        rounds = self._rounds(subspace)
        needed = self.options.interval * (rounds - 1) + self.options.final
        return rounds > 0 and probe.epochs - probe.epoch <= needed

    def _round(self, scorer: RemovalScorer, subspace: Subspace) -> Subspace:
        """Decides a random edge of every cell type, or thins a node of each if no edge is open."""
        edge_groups = open_edges(self.space.edges, subspace)
        for rows in edge_groups:
            subspace = scorer.decide(_drawn(rows, scorer.probe.rng), subspace)
        if not edge_groups:
            for nodes in wide_nodes(self.space.edges, subspace, self.space.why_empty):
                subspace = scorer.thin(_drawn(nodes, scorer.probe.rng), subspace)
        return subspace


def _drawn(choices: Sequence[Choice], rng: torch.Generator) -> Choice:
    """Returns one of `choices`, drawn uniformly."""
    return choices[int(torch.randint(len(choices), (), generator=rng))]
