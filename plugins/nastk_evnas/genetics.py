"""The genetic algorithm of EvNAS on plain matrices: no supernet, no images, any fitness.

A genome is a real matrix with one row for each edge. `first_generation` draws genomes, `ranked`
sorts them by fitness, `next_generation` keeps the elites and breeds the rest: two tournaments, row
crossover, row mutation. `evolve` applies these three to a function, `updater.py` to a supernet.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from nastk import ConfigurationError


@dataclass(frozen=True)
class Rules:
    """The rules that breed a generation from the previous one; the defaults are EvNAS's.

    For each parent `tournament` genomes are drawn, and the fittest becomes the parent. The `elites`
    fittest genomes are kept unchanged. `mutation` is the probability that a row of a child is drawn
    anew. `crossover` is the probability that a child has two parents; otherwise it starts as a copy
    of the first.

    Example: `Rules(population=20, tournament=5)`
    """

    population: int = 50
    tournament: int = 10
    elites: int = 1
    mutation: float = 0.1
    crossover: float = 1.0

    def conflict(self) -> str | None:
        """Returns why these rules cannot work together; None if they can."""
        if self.tournament > self.population:
            return (
                f"evnas: tournament must be at most population ({self.population}), got "
                f"{self.tournament}. Set `-u tournament={max(self.population // 5, 1)}`."
            )
        if self.elites >= self.population:
            return (
                f"evnas: {self.elites} elites leave no room for children in a population of "
                f"{self.population}. Set `-u elites=1`, or a larger population."
            )
        return None


@dataclass(frozen=True, eq=False)
class Individual:
    """A genome with its origin.

    `number` counts individuals from 0 and is unique in a run. `parents` are their numbers: empty
    for a random genome of the first generation, the same number twice if one individual won both
    tournaments. `fresh` are the rows that mutation drew anew. `fitness` is measured in each
    generation; None before.
    """

    number: int
    genome: Float64[Tensor, "edges ops"]
    parents: tuple[int, ...] = ()
    fresh: tuple[int, ...] = ()
    fitness: float | None = None


def random_genome(shape: tuple[int, int], rng: torch.Generator) -> Float64[Tensor, "edges ops"]:
    """Returns a matrix of independent numbers, uniform in [0, 1)."""
    return torch.rand(shape, generator=rng, dtype=torch.float64)


def first_generation(
    shape: tuple[int, int], population: int, rng: torch.Generator
) -> list[Individual]:
    """Returns `population` random genomes of shape (edges, operations), numbered from 0."""
    return [Individual(number, random_genome(shape, rng)) for number in range(population)]


def ranked(population: Sequence[Individual], fitness: Sequence[float]) -> list[Individual]:
    """Returns the population with its fitness, fittest first, NaN last; ties keep their order."""
    scored = [
        replace(individual, fitness=float(value))
        for individual, value in zip(population, fitness, strict=True)
    ]
    return sorted(scored, key=lambda individual: -_comparable(individual.fitness))


def tournament(generation: Sequence[Individual], size: int, rng: torch.Generator) -> Individual:
    """Returns the fittest of `size` different members, drawn uniformly; a tie goes to the first."""
    drawn = torch.randperm(len(generation), generator=rng)[:size].tolist()
    return generation[max(drawn, key=lambda index: _comparable(generation[index].fitness))]


def crossover(
    first: Float64[Tensor, "edges ops"],
    second: Float64[Tensor, "edges ops"],
    rng: torch.Generator,
) -> Float64[Tensor, "edges ops"]:
    """Returns a genome that takes each row from `first` or `second` with equal probability."""
    from_first = torch.rand(len(first), 1, generator=rng) >= 0.5
    return torch.where(from_first, first, second)


def mutate(
    genome: Float64[Tensor, "edges ops"], rate: float, rng: torch.Generator
) -> tuple[Float64[Tensor, "edges ops"], Bool[Tensor, "edges"]]:
    """Returns the genome with each row drawn anew with probability `rate`, and these rows."""
    hit = torch.rand(len(genome), generator=rng) < rate
    new = random_genome((genome.shape[0], genome.shape[1]), rng)
    return torch.where(hit[:, None], new, genome), hit


def next_generation(
    generation: Sequence[Individual], rules: Rules, rng: torch.Generator
) -> list[Individual]:
    """Returns the elites of a ranked generation, unchanged, and children up to `population`."""
    elites = [replace(elite, fitness=None) for elite in generation[: rules.elites]]
    number = 1 + max(individual.number for individual in generation)
    children = [
        _child(generation, rules, rng, number + index)
        for index in range(rules.population - len(elites))
    ]
    return elites + children


def evolve(
    fitness: Callable[[Sequence[Float64[Tensor, "edges ops"]]], Sequence[float]],
    shape: tuple[int, int],
    rules: Rules,
    rng: torch.Generator,
) -> Iterator[list[Individual]]:
    """Yields every generation, ranked by `fitness` (higher is better), without end.

    Raises:
        ConfigurationError: the rules cannot work together.

    Example: `last = list(islice(evolve(look_up, (6, 5), Rules(), rng), 50))[-1]`
    """
    if why := rules.conflict():
        raise ConfigurationError(why)
    population = first_generation(shape, rules.population, rng)
    while True:
        generation = ranked(population, fitness([individual.genome for individual in population]))
        yield generation
        population = next_generation(generation, rules, rng)


def _child(
    generation: Sequence[Individual], rules: Rules, rng: torch.Generator, number: int
) -> Individual:
    """Returns a new individual: two tournaments, crossover, mutation."""
    first = tournament(generation, rules.tournament, rng)
    second = tournament(generation, rules.tournament, rng)
    # Always drawn, even if the child has one parent: rates must not shift the random stream.
    recombined = crossover(first.genome, second.genome, rng)
    both = bool(torch.rand((), generator=rng) < rules.crossover)
    genome, hit = mutate(recombined if both else first.genome, rules.mutation, rng)
    parents = (first.number, second.number) if both else (first.number,)
    return Individual(number, genome, parents, tuple(hit.nonzero().flatten().tolist()))


def _comparable(fitness: float | None) -> float:
    """Returns the fitness as a sort key: None and NaN are worst."""
    return -torch.inf if fitness is None or fitness != fitness else fitness
