"""The updater `evnas`: an epoch trains a generation, the valid split judges, the fittest breed.

`options.py` says what can be set, `genetics.py` breeds, `decoding.py` turns genomes into mixtures,
`fitness.py` measures them. This module puts them in order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from nastk import Architecture, ArchitectureUpdater, Continuation, Mixture, PhaseCost, Plan, Probe
from nastk_evnas.decoding import Decoder, decoded, distinct
from nastk_evnas.genetics import Individual, first_generation, next_generation, ranked
from nastk_evnas.options import EvNASOptions
from nastk_evnas.presets import PRESETS


class EvNAS(ArchitectureUpdater):
    """Breeds architectures in one supernet (Sinha and Chen, GECCO 2021, arXiv 2012.12540).

    Step t of an epoch trains genome t mod P of the population. After the epoch every genome's
    fitness is its accuracy on the valid split, and the next generation is bred. The answer is the
    fittest genome of the last generation.

    Example: `nastk.search(space="darts", updater=nastk.use("evnas", mutation=0.2), data="digits")`
    """

    name = "evnas"
    summary = "breeds architectures by tournament, crossover and mutation in one supernet"
    needs = frozenset({"valid"})
    presets = PRESETS

    class Options(EvNASOptions):
        """See `options.py`."""

    population: list[Individual]
    """The generation in training; after the last epoch the last one, ranked."""

    order: list[int]
    """Whose turn it is: step t of the epoch trains `population[order[t % P]]`."""

    leader: Individual | None
    """The fittest of the last generation that was measured; None before the first."""

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: a random population."""
        shape = len(self.space.edges), max(len(edge.operations) for edge in self.space.edges)
        self.population = first_generation(shape, self.options.population, rng)
        self.order = self._turns(rng)
        self.leader = None

    def incompatibility(self, plan: Plan) -> str | None:
        """Called when the run is assembled: rules at odds, genomes that no step trains."""
        if why := self.options.rules().conflict():
            return str(why)
        if self.options.population > plan.steps_per_epoch:
            return (
                f"evnas: an epoch of {plan.steps_per_epoch} weight steps cannot train a population "
                f"of {self.options.population}. Set `-u population={plan.steps_per_epoch}` "
                "or less, or a smaller batch_size."
            )
        return None

    def max_cost(self, plan: Plan) -> PhaseCost:
        """Called by `--dry-run`: the images of a pass, for each genome of each generation.

        Exact where all genomes of a generation decode differently: equal ones are measured once.
        """
        images = self.options.scorer().images(plan.valid_images)
        return PhaseCost(images_forward=plan.epochs * self.options.population * images)

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: the genome whose turn it is."""
        step = probe.step - probe.epoch * len(probe.train)
        place = self.order[step % len(self.order)]
        decoder = Decoder(self.space, self.options.decode, self.options.sharpness)
        mixture = decoder.mixture(self.population[place].genome, probe.subspace)
        return [mixture.to(self.device)]

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Called once after every epoch: measures the generation, breeds the next."""
        if self.options.race and probe.epoch >= probe.epochs:
            generation, measured = self._raced(probe)
        else:
            fitness, measured = self._fitness(probe)
            generation = ranked(self.population, fitness)
        self._report(probe, generation, measured)
        self.leader = generation[0]
        if probe.epoch < probe.epochs:
            self.population = next_generation(generation, self.options.rules(), probe.rng)
            self.order = self._turns(probe.rng)
        else:
            self.population = generation
        return [Continuation(probe.subspace)]

    def architecture(self, probe: Probe) -> Architecture:
        """Called after every epoch and at the end: the fittest genome, decoded (at first: any)."""
        fittest = self.leader or self.population[0]
        return decoded(fittest.genome, self.space, probe.subspace)

    def scores(self, probe: Probe) -> Float[Tensor, "edges ops"]:
        """Called by those who watch: the fittest genome, softmax over what is alive."""
        fittest = self.leader or self.population[0]
        return Mixture.softmax(fittest.genome, probe.subspace).weights

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: genomes, lineage, fitness, turns, leader."""
        everybody = [*self.population, *([self.leader] if self.leader else [])]
        return {
            "genomes": torch.stack([one.genome for one in everybody]),
            "lineage": [
                [one.number, list(one.parents), list(one.fresh), one.fitness] for one in everybody
            ],
            "order": list(self.order),
            "has_leader": self.leader is not None,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: go on exactly where `state` was taken."""
        everybody = [
            _individual(genome, row)
            for genome, row in zip(state["genomes"].cpu(), state["lineage"], strict=True)
        ]
        self.leader = everybody.pop() if state["has_leader"] else None
        self.population = everybody
        self.order = [int(place) for place in state["order"]]

    def _fitness(self, probe: Probe) -> tuple[list[float], int]:
        """The accuracy of each genome of the population, and how many were measured."""
        found, where = self._judged(probe)
        accuracies = self.options.scorer().accuracies(probe, found)
        return [accuracies[place] for place in where], len(found)

    def _raced(self, probe: Probe) -> tuple[list[Individual], int]:
        """The population with its fitness, the fittest first, and how many were measured.

        Not by the numbers alone: who was put out early was measured on fewer images.
        """
        found, where = self._judged(probe)
        options = self.options
        standings = options.scorer().raced(probe, found, options.race_images, options.race)
        return [
            replace(one, fitness=standing.accuracy)
            for standing in standings
            for one, place in zip(self.population, where, strict=True)
            if place == standing.number
        ], len(found)

    def _judged(self, probe: Probe) -> tuple[list[Mixture], list[int]]:
        """The different mixtures of the population, and for each genome its place among them."""
        decoder = Decoder(
            self.space, self.options.fitness_decode or self.options.decode, self.options.sharpness
        )
        found, where = distinct(
            [decoder.mixture(one.genome, probe.subspace) for one in self.population]
        )
        return [mixture.to(self.device) for mixture in found], where

    def _turns(self, rng: torch.Generator) -> list[int]:
        """Whose turn it is in the epoch that begins, by the option `assignment`."""
        count = len(self.population)
        if self.options.assignment == "shuffled":
            return [int(place) for place in torch.randperm(count, generator=rng)]
        offset = self.options.assignment == "offset"
        start = int(torch.randint(count, (), generator=rng)) if offset else 0
        return [(start + place) % count for place in range(count)]

    def _report(self, probe: Probe, generation: Sequence[Individual], measured: int) -> None:
        """Lineage and fitness of a ranked generation on the run's record."""
        found = [decoded(one.genome, self.space, probe.subspace) for one in generation]
        rows = [
            {
                "number": one.number,
                "parents": list(one.parents),
                "fresh": list(one.fresh),
                "fitness": one.fitness,
                "architecture": architecture.id,
            }
            for one, architecture in zip(generation, found, strict=True)
        ]
        accuracies = [one.fitness or 0.0 for one in generation]
        probe.report(
            "generation",
            individuals=rows,
            best=self.space.to_text(found[0]),
            best_fitness=accuracies[0],
            mean_fitness=sum(accuracies) / len(accuracies),
            measured=measured,
        )


def _individual(genome: Float64[Tensor, "edges ops"], row: Sequence[Any]) -> Individual:
    """One row of the stored lineage with its genome."""
    number, parents, fresh, fitness = row
    return Individual(
        int(number),
        genome.clone(),
        tuple(int(parent) for parent in parents),
        tuple(int(edge) for edge in fresh),
        None if fitness is None else float(fitness),
    )
