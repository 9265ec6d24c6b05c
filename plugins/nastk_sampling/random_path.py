"""Random search with shared weights: a random path a step, then the best of a random sample.

The baseline that every one-shot method has to beat. `candidates.py` is the choice after the last
epoch.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from pydantic import Field

import nastk.component
from nastk.architecture import Architecture
from nastk.component import Preset
from nastk.cost import PhaseCost
from nastk.mixture import Mixture
from nastk.probe import Probe
from nastk.subspace import Subspace
from nastk.updater import ArchitectureUpdater, Continuation, Plan
from nastk_sampling.candidates import Ranked, rank, sample_distinct


class RandomPath(ArchitectureUpdater):
    """Uniform random paths, and a random search among them (Li and Talwalkar, UAI 2019).

    The paper is arXiv 1902.07638.

    Until the last epoch is over `architecture` is a fixed random one; then it is the sampled
    architecture whose path has the best validation accuracy with the supernet's weights.

    Example: `nastk.search(space="darts", updater=nastk.use("random", candidates=50), data="svhn")`
    """

    name = "random"
    summary = "trains a random path a step, then takes the best of some sampled architectures"
    needs = frozenset({"valid"})

    class Options(nastk.component.Options):
        """How the sampled architectures are judged."""

        candidates: int = Field(
            100, ge=1, description="distinct architectures sampled and scored after the last epoch"
        )
        batches: int = Field(
            0, ge=0, description="validation batches that score a candidate; 0 is the whole split"
        )
        batch_size: int = Field(
            250, ge=2, description="images in a scoring batch; batch statistics depend on it"
        )

    presets = (
        Preset(
            "quick",
            "not published: few candidates, for a first look",
            updater_options={"candidates": 10},
        ),
    )

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: the seed of the answer before any ranking."""
        self.guess = int(torch.randint(2**31, (), generator=rng))
        self.ranking: list[Ranked] = []

    def forecast(self, plan: Plan) -> PhaseCost:
        """Called by `--dry-run`: the images forward that scoring takes, without weight steps."""
        images = min(
            self.options.batches * self.options.batch_size or plan.valid_images, plan.valid_images
        )
        return PhaseCost(images_forward=self.options.candidates * images)

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: one path of the subspace, drawn by the space."""
        return [Mixture.of(self.space.sample(probe.subspace, probe.rng))]

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Called once after every epoch: after the last one, samples and ranks the candidates."""
        if probe.epoch >= probe.epochs:
            found = sample_distinct(self.space, probe.subspace, probe.rng, self.options.candidates)
            self.ranking = rank(found, probe, self.options.batch_size, self.options.batches)
            probe.report("candidates", ranking=[self._row(each) for each in self.ranking])
        return [Continuation(probe.subspace)]

    def architecture(self, probe: Probe) -> Architecture:
        """Called after every epoch and at the end: the best candidate; before, a random one."""
        best = next(self._inside(probe.subspace), None)
        if best is not None:
            return best.architecture
        return self.space.sample(probe.subspace, torch.Generator().manual_seed(self.guess))

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: the seed of the first answer, and the ranking."""
        ranking = [
            {"choices": each.architecture.choices, "accuracy": each.accuracy}
            for each in self.ranking
        ]
        return {"guess": self.guess, "ranking": ranking}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: the same answers as where `state` was taken."""
        self.guess = int(state["guess"])
        self.ranking = [
            Ranked(self.space.architecture(row["choices"]), float(row["accuracy"]))
            for row in state["ranking"]
        ]

    def _inside(self, subspace: Subspace) -> Iterator[Ranked]:
        return (
            each for each in self.ranking if subspace.contains(Subspace(each.architecture.table()))
        )

    def _row(self, ranked: Ranked) -> dict[str, Any]:
        architecture = ranked.architecture
        return {
            "id": architecture.id,
            "architecture": self.space.to_text(architecture),
            "accuracy": ranked.accuracy,
        }
