"""What path updaters do after the last epoch: `ChoiceOptions`, and `PathUpdater`, which does it."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import Field

import nastk
from nastk import Architecture, ArchitectureUpdater, Continuation, PhaseCost, Plan, Probe, Subspace
from nastk_sampling.candidates import CandidateScorer, RacingScorer, Ranked, sample_distinct
from nastk_sampling.evolution import Evolution, evolve
from nastk_sampling.paths import Sampler

ChoiceName = Literal["sample", "evolution"]


@dataclass(frozen=True)
class Choice:
    """How the answer is found, `sample` or `evolution`, and whether only connected paths count."""

    kind: ChoiceName
    connected: bool


class ChoiceOptions(nastk.Options):
    """How architectures are found and judged after the last epoch."""

    candidates: int = Field(
        100,
        ge=1,
        description="sample: distinct architectures drawn and scored after the last epoch",
    )
    population: int = Field(
        50, ge=2, description="evolution: architectures scored in each generation"
    )
    generations: int = Field(20, ge=1, description="evolution: generations, the first one random")
    parents: int = Field(
        10, ge=1, description="evolution: the best so far that breed the next generation"
    )
    mutation: float = Field(
        0.1, ge=0, le=1, description="evolution: probability that a mutated edge is drawn anew"
    )
    batches: int = Field(
        0, ge=0, description="validation batches that score a candidate; 0 is the whole split"
    )
    batch_size: int = Field(
        250, ge=2, description="images in a scoring batch; batch statistics depend on it"
    )
    race: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="score all on race_images, and those that lead on more until they are told "
        "apart, missing the best with this probability at most; 0: all on all images",
    )
    race_images: int = Field(
        1_000, ge=2, description="race: images that score every candidate, in whole batches"
    )

    def evolution(self) -> Evolution:
        """How candidates breed."""
        return Evolution(self.population, self.generations, self.parents, self.mutation)

    def images(self, valid: int) -> int:
        """How many images of a valid split of so many score a candidate."""
        size = min(self.batch_size, valid)
        # A last batch of a single image is dropped by every stream: norms need two.
        whole = valid - (valid > size and valid % size == 1)
        return min(self.batches * size or whole, whole)


class PathUpdater(ArchitectureUpdater):
    """Trains paths; after the last epoch takes the best architecture by the supernet's weights.

    A subclass answers `choice` (from its options) and `mixtures`. Until the last epoch is over
    `architecture` is a fixed random one.

    Example: `class Mine(PathUpdater): ...`
    """

    needs = frozenset({"valid"})

    @property
    @abstractmethod
    def choice(self) -> Choice:
        """Called after the last epoch and by `max_cost`: how the answer is found."""

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: the seed of the first answer."""
        self.guess = int(torch.randint(2**31, (), generator=rng))
        self.ranking: list[Ranked] = []

    def max_cost(self, plan: Plan) -> PhaseCost:
        """Called by `--dry-run`: the images forward that scoring takes at most."""
        if not plan.decides:
            return PhaseCost()
        return PhaseCost(images_forward=self._judged() * self.options.images(plan.valid_images))

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Called once after every epoch: after the last one ranks candidates."""
        if probe.epoch >= probe.epochs:
            self.ranking = self._ranked(probe)
            probe.report("candidates", ranking=[self._row(each) for each in self.ranking])
        return [Continuation(probe.subspace)]

    def architecture(self, probe: Probe) -> Architecture:
        """Called after every epoch and at the end: the best candidate (a random one before)."""
        best = next(self._inside(probe.subspace), None)
        if best is not None:
            return best.architecture
        return self.sampler(probe.subspace).draw(torch.Generator().manual_seed(self.guess))

    def sampler(self, subspace: Subspace) -> Sampler:
        """Called wherever architectures are drawn: which ones may be."""
        return Sampler(self.space, subspace, self.choice.connected)

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: the seed of the first answer, and the ranking."""
        ranking = [
            {"choices": each.architecture.choices, "accuracy": each.accuracy, **_images(each)}
            for each in self.ranking
        ]
        return {"guess": self.guess, "ranking": ranking}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: the same answers as where `state` was taken."""
        self.guess = int(state["guess"])
        self.ranking = [
            Ranked(
                self.space.architecture(row["choices"]), float(row["accuracy"]), row.get("images")
            )
            for row in state["ranking"]
        ]

    def _judged(self) -> int:
        """Architectures that are judged at most."""
        if self.choice.kind == "sample":
            return int(self.options.candidates)
        return int(self.options.population * self.options.generations)

    def _ranked(self, probe: Probe) -> list[Ranked]:
        options, sampler = self.options, self.sampler(probe.subspace)
        if options.race:
            racing = RacingScorer(
                probe, options.batch_size, options.batches, options.race_images, options.race
            )
            self._scored(racing, sampler, probe)
            return racing.finish()
        scorer = CandidateScorer(probe, options.batch_size, options.batches, self._judged())
        return self._scored(scorer, sampler, probe)

    def _scored(
        self, scorer: CandidateScorer | RacingScorer, sampler: Sampler, probe: Probe
    ) -> list[Ranked]:
        if self.choice.kind == "evolution":
            return evolve(scorer, sampler, self.options.evolution(), probe.rng)
        return scorer(sample_distinct(sampler, probe.rng, self.options.candidates))

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
            **_images(ranked),
        }


def _images(ranked: Ranked) -> dict[str, int]:
    """How many images a raced candidate was measured on."""
    return {} if ranked.images is None else {"images": ranked.images}
