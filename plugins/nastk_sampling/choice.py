"""The choice of an architecture after the last epoch: `ChoiceOptions` and `PathUpdater`."""

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
    """How an architecture is chosen, `sample` or `evolution`, and if only from connected paths."""

    kind: ChoiceName
    connected: bool


class ChoiceOptions(nastk.Options):
    """How architectures are found and scored after the last epoch."""

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
        """Returns the rules of the evolution."""
        return Evolution(self.population, self.generations, self.parents, self.mutation)

    def images(self, valid: int) -> int:
        """Returns the number of images that score a candidate, with `valid` in the valid split."""
        size = min(self.batch_size, valid)
        # Streams drop a last batch of a single image, because norms need two.
        whole = valid - (valid > size and valid % size == 1)
        return min(self.batches * size or whole, whole)


class PathUpdater(ArchitectureUpdater):
    """Trains paths; after the last epoch chooses the best architecture by supernet accuracy.

    A subclass defines `choice` (from its options) and `mixtures`. Before the end of the last epoch
    `architecture` is a fixed random one.

    Example: `class Mine(PathUpdater): ...`
    """

    needs = frozenset({"valid"})

    @property
    @abstractmethod
    def choice(self) -> Choice:
        """Called after the last epoch and by `max_cost`: how the architecture is chosen."""

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: draws the seed of the first architecture."""
        self.guess = int(torch.randint(2**31, (), generator=rng))
        self.ranking: list[Ranked] = []

    def max_cost(self, plan: Plan) -> PhaseCost:
        """Called by `--dry-run`: returns the most images forward that scoring takes."""
        if not plan.decides:
            return PhaseCost()
        return PhaseCost(
            images_forward=self._candidates_scored() * self.options.images(plan.valid_images)
        )

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Called once after every epoch: after the last, ranks candidates."""
        if probe.epoch >= probe.epochs:
            self.ranking = self._ranked(probe)
            probe.report("candidates", ranking=[self._row(ranked) for ranked in self.ranking])
        return [Continuation(probe.subspace)]

    def architecture(self, probe: Probe) -> Architecture:
        """Called after every epoch and at the end: the best candidate; before, a random one."""
        best = next(self._inside(probe.subspace), None)
        if best is not None:
            return best.architecture
        return self.sampler(probe.subspace).draw(torch.Generator().manual_seed(self.guess))

    def sampler(self, subspace: Subspace) -> Sampler:
        """Called before architectures are drawn: returns the sampler of a subspace."""
        return Sampler(self.space, subspace, self.choice.connected)

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: returns the seed and the ranking."""
        ranking = [
            {"choices": ranked.architecture.choices, "accuracy": ranked.accuracy, **_images(ranked)}
            for ranked in self.ranking
        ]
        return {"guess": self.guess, "ranking": ranking}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: restores the seed and the ranking of `state`."""
        self.guess = int(state["guess"])
        self.ranking = [
            Ranked(
                self.space.architecture(row["choices"]), float(row["accuracy"]), row.get("images")
            )
            for row in state["ranking"]
        ]

    def _candidates_scored(self) -> int:
        """Returns the most architectures that are scored."""
        if self.choice.kind == "sample":
            return int(self.options.candidates)
        return int(self.options.population * self.options.generations)

    def _ranked(self, probe: Probe) -> list[Ranked]:
        """Returns the ranked candidates, by a race if there is one."""
        options, sampler = self.options, self.sampler(probe.subspace)
        if options.race:
            racing = RacingScorer(
                probe, options.batch_size, options.batches, options.race_images, options.race
            )
            self._scored(racing, sampler, probe)
            return racing.finish()
        scorer = CandidateScorer(
            probe, options.batch_size, options.batches, self._candidates_scored()
        )
        return self._scored(scorer, sampler, probe)

    def _scored(
        self, scorer: CandidateScorer | RacingScorer, sampler: Sampler, probe: Probe
    ) -> list[Ranked]:
        """Scores the candidates of the evolution or the sample; returns them, best first."""
        if self.choice.kind == "evolution":
            return evolve(scorer, sampler, self.options.evolution(), probe.rng)
        return scorer(sample_distinct(sampler, probe.rng, self.options.candidates))

    def _inside(self, subspace: Subspace) -> Iterator[Ranked]:
        """Returns the candidates that lie in `subspace`, best first."""
        return (
            ranked
            for ranked in self.ranking
            if subspace.contains(Subspace(ranked.architecture.table()))
        )

    def _row(self, ranked: Ranked) -> dict[str, Any]:
        """Returns a JSON object for the report of a candidate."""
        architecture = ranked.architecture
        return {
            "id": architecture.id,
            "architecture": self.space.to_text(architecture),
            "accuracy": ranked.accuracy,
            **_images(ranked),
        }


def _images(ranked: Ranked) -> dict[str, int]:
    """Returns the number of images of a raced candidate, as a part of its JSON object."""
    return {} if ranked.images is None else {"images": ranked.images}
