"""The updater `evnas`: an epoch trains a generation, which is then measured and bred.

`options.py` holds the options, `genetics.py` breeds, `decoding.py` turns genomes into mixtures, and
`fitness.py` measures them. This module combines them.
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

    Step t of an epoch trains genome t mod P of a population of P. After the epoch every genome's
    fitness is its accuracy on the valid split, and the next generation is bred. The result is the
    fittest genome of the last generation.

    Example: `nastk.search(space="darts", updater=nastk.use("evnas", mutation=0.2), data="digits")`
    """

    name = "evnas"
    summary = "breeds architectures by tournament, crossover and mutation in one supernet"
    needs = frozenset({"valid"})
    presets = PRESETS

    class Options(EvNASOptions):
        """The options, see `options.py`."""

    population: list[Individual]
    """The generation in training; after the last epoch, the last generation, ranked."""

    order: list[int]
    """The order of training: step t of the epoch trains `population[order[t % P]]`."""

    leader: Individual | None
    """The fittest individual of the last measured generation; None before the first."""

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: draws a random population."""
        shape = len(self.space.edges), max(len(edge.operations) for edge in self.space.edges)
        self.population = first_generation(shape, self.options.population, rng)
        self.order = self._turns(rng)
        self.leader = None

    def incompatibility(self, plan: Plan) -> str | None:
        """Called when the run is assembled: refuses conflicting rules and too few weight steps."""
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
        """Called by `--dry-run`: returns the images of a pass, for each genome of each generation.

        The number is exact if all genomes of a generation have different mixtures; equal mixtures
        are measured once.
        """
        images = self.options.scorer().images(plan.valid_images)
        return PhaseCost(images_forward=plan.epochs * self.options.population * images)

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: returns the mixture of the next in `order`."""
        step = probe.step - probe.epoch * len(probe.train)
        index = self.order[step % len(self.order)]
        decoder = Decoder(self.space, self.options.decode, self.options.sharpness)
        mixture = decoder.mixture(self.population[index].genome, probe.subspace)
        return [mixture.to(self.device)]

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Called once after every epoch: measures the generation and breeds the next."""
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
        """Called after every epoch and at the end: decodes the fittest genome, at first any."""
        fittest = self.leader or self.population[0]
        return decoded(fittest.genome, self.space, probe.subspace)

    def scores(self, probe: Probe) -> Float[Tensor, "edges ops"]:
        """Called by watchers: returns the fittest genome's softmax over alive operations."""
        fittest = self.leader or self.population[0]
        return Mixture.softmax(fittest.genome, probe.subspace).weights

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: returns the population, order and leader."""
        individuals = [*self.population, *([self.leader] if self.leader else [])]
        return {
            "genomes": torch.stack([individual.genome for individual in individuals]),
            "lineage": [
                [
                    individual.number,
                    list(individual.parents),
                    list(individual.fresh),
                    individual.fitness,
                ]
                for individual in individuals
            ],
            "order": list(self.order),
            "has_leader": self.leader is not None,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: restores the population, order and leader."""
        individuals = [
            _individual(genome, row)
            for genome, row in zip(state["genomes"].cpu(), state["lineage"], strict=True)
        ]
        self.leader = individuals.pop() if state["has_leader"] else None
        self.population = individuals
        self.order = [int(index) for index in state["order"]]

    def _fitness(self, probe: Probe) -> tuple[list[float], int]:
        """Returns the accuracy of each genome, and the number of mixtures that were measured."""
        mixtures, indices = self._mixtures_to_score(probe)
        accuracies = self.options.scorer().accuracies(probe, mixtures)
        return [accuracies[index] for index in indices], len(mixtures)

    def _raced(self, probe: Probe) -> tuple[list[Individual], int]:
        """Returns the population with its fitness, the fittest first, and the mixtures measured.

        The order is that of the race and not of the accuracies alone: genomes that were put out
        early were measured on fewer images.
        """
        mixtures, indices = self._mixtures_to_score(probe)
        options = self.options
        standings = options.scorer().raced(probe, mixtures, options.race_images, options.race)
        return [
            replace(individual, fitness=standing.accuracy)
            for standing in standings
            for individual, index in zip(self.population, indices, strict=True)
            if index == standing.number
        ], len(mixtures)

    def _mixtures_to_score(self, probe: Probe) -> tuple[list[Mixture], list[int]]:
        """Returns the population's different mixtures, and for each genome its index among them."""
        decoder = Decoder(
            self.space, self.options.fitness_decode or self.options.decode, self.options.sharpness
        )
        mixtures, indices = distinct(
            [decoder.mixture(individual.genome, probe.subspace) for individual in self.population]
        )
        return [mixture.to(self.device) for mixture in mixtures], indices

    def _turns(self, rng: torch.Generator) -> list[int]:
        """Returns the order of training in the next epoch, by the option `assignment`."""
        count = len(self.population)
        if self.options.assignment == "shuffled":
            return [int(index) for index in torch.randperm(count, generator=rng)]
        offset = self.options.assignment == "offset"
        start = int(torch.randint(count, (), generator=rng)) if offset else 0
        return [(start + index) % count for index in range(count)]

    def _report(self, probe: Probe, generation: Sequence[Individual], measured: int) -> None:
        """Reports the lineage and fitness of a ranked generation."""
        architectures = [
            decoded(individual.genome, self.space, probe.subspace) for individual in generation
        ]
        rows = [
            {
                "number": individual.number,
                "parents": list(individual.parents),
                "fresh": list(individual.fresh),
                "fitness": individual.fitness,
                "architecture": architecture.id,
            }
            for individual, architecture in zip(generation, architectures, strict=True)
        ]
        accuracies = [individual.fitness or 0.0 for individual in generation]
        probe.report(
            "generation",
            individuals=rows,
            best=self.space.to_text(architectures[0]),
            best_fitness=accuracies[0],
            mean_fitness=sum(accuracies) / len(accuracies),
            measured=measured,
        )


def _individual(genome: Float64[Tensor, "edges ops"], row: Sequence[Any]) -> Individual:
    """Returns the individual of a row of the stored lineage, with its genome."""
    number, parents, fresh, fitness = row
    return Individual(
        int(number),
        genome.clone(),
        tuple(int(parent) for parent in parents),
        tuple(int(edge) for edge in fresh),
        None if fitness is None else float(fitness),
    )
