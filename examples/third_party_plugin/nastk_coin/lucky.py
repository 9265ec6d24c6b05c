"""A coin that learns: it tosses after every epoch, measures, and keeps the best it has seen."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import Field

import nastk
from nastk import (
    Architecture,
    ArchitectureUpdater,
    Continuation,
    Mixture,
    PhaseCost,
    Plan,
    Probe,
    Subspace,
)


class LuckyCoin(ArchitectureUpdater):
    """Trains a random path each step; after each epoch, keeps the best of its toss and new ones.

    Example: `nastk.search(space="darts", updater=nastk.use("lucky-coin", tosses=8), epochs=2)`
    """

    name = "lucky-coin"
    summary = "tosses coins and keeps the best by validation accuracy"
    needs = frozenset({"valid"})

    class Options(nastk.Options):
        """How long it tries its luck."""

        tosses: int = Field(
            4, ge=1, description="architectures tossed and measured after each epoch"
        )

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: a first toss, by the branch's own random stream."""
        self.kept = self.space.sample(self.space.full(), rng)

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: a path, so that the weights get used to paths."""
        return [Mixture.of(self.space.sample(probe.subspace, probe.rng))]

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Called once after every epoch: toss, measure all on a validation batch, keep the best."""
        tossed = [self.space.sample(probe.subspace, probe.rng) for _ in range(self.options.tosses)]
        candidates = [self.architecture(probe), *tossed]
        paths = [Mixture.of(candidate) for candidate in candidates]
        accuracies = list(probe.scores(paths, [probe.valid.at(probe.epoch)]))
        best = max(range(len(candidates)), key=accuracies.__getitem__)
        self.kept = candidates[best]
        probe.report("tosses", accuracies=accuracies, kept=best)
        return [Continuation(probe.subspace)]

    def architecture(self, probe: Probe) -> Architecture:
        """Called after every epoch and at the end: the toss it kept, as far as it is alive."""
        if probe.subspace.contains(Subspace(self.kept.table())):
            return self.kept
        return self.space.decide(torch.tensor(self.kept.table()).float(), probe.subspace)

    def max_cost(self, plan: Plan) -> PhaseCost:
        """Called by `--dry-run`: the images measured in the whole run."""
        batch = min(plan.batch_size, plan.valid_images)
        return PhaseCost(images_forward=plan.epochs * (self.options.tosses + 1) * batch)

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: the toss it kept."""
        return {"kept": self.kept.choices}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: go on with the toss that was kept."""
        self.kept = self.space.architecture(state["kept"])
