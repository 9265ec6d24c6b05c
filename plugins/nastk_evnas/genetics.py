"""The genetic algorithm of EvNAS on plain matrices: no supernet, no images, any fitness.

A genome is a real matrix with one row an edge. `first_generation` draws them, `ranked` sorts them
by their fitness, `next_generation` keeps the elites and breeds the rest: two tournaments, row
crossover, row mutation. `evolve` runs these three on a function, `updater.py` on a supernet.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from nastk import ConfigurationError


@dataclass(frozen=True)
class Rules:
    """How a generation is bred from the one before; the defaults are EvNAS's.

    `tournament` genomes are drawn for each parent, and the fittest becomes it. The `elites` fittest
    go on unchanged. `mutation` is the probability that a row of a child is drawn anew, `crossover`
    the probability that a child has two parents at all (else it starts as a copy of the first).

    Example: `Rules(population=20, tournament=5)`
    """

    population: int = 50
    tournament: int = 10
    elites: int = 1
    mutation: float = 0.1
    crossover: float = 1.0

    def conflict(self) -> str | None:
        """Why these rules cannot work together; None if they can."""
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
    """One genome with where it comes from.

    `number` counts births from 0 and is unique in a run. `parents` are numbers (none: drawn at
    random at the start; the same twice where one won both tournaments). `fresh` are the rows that
    mutation drew. `fitness` is that of its own generation; None before it is measured.
    """

    number: int
    genome: Float64[Tensor, "edges ops"]
    parents: tuple[int, ...] = ()
    fresh: tuple[int, ...] = ()
    fitness: float | None = None


def random_genome(shape: tuple[int, int], rng: torch.Generator) -> Float64[Tensor, "edges ops"]:
    """A matrix of independent numbers, uniform in [0, 1)."""
    return torch.rand(shape, generator=rng, dtype=torch.float64)


def first_generation(
    shape: tuple[int, int], population: int, rng: torch.Generator
) -> list[Individual]:
    """`population` random genomes of (edges, operations), numbered from 0."""
    return [Individual(number, random_genome(shape, rng)) for number in range(population)]


def ranked(population: Sequence[Individual], fitness: Sequence[float]) -> list[Individual]:
    """The population with its fitness, the fittest first, not-a-number last; ties stay in order."""
    scored = [
        replace(one, fitness=float(value)) for one, value in zip(population, fitness, strict=True)
    ]
    return sorted(scored, key=lambda one: -_comparable(one.fitness))


def tournament(generation: Sequence[Individual], size: int, rng: torch.Generator) -> Individual:
    """The fittest of `size` different members, drawn uniformly; of equals, the one drawn first."""
    drawn = torch.randperm(len(generation), generator=rng)[:size].tolist()
    return generation[max(drawn, key=lambda place: _comparable(generation[place].fitness))]


def crossover(
    first: Float64[Tensor, "edges ops"],
    second: Float64[Tensor, "edges ops"],
    rng: torch.Generator,
) -> Float64[Tensor, "edges ops"]:
    """A genome of whole rows: each from `first` or from `second`, with equal chance."""
    from_first = torch.rand(len(first), 1, generator=rng) >= 0.5
    return torch.where(from_first, first, second)


def mutate(
    genome: Float64[Tensor, "edges ops"], rate: float, rng: torch.Generator
) -> tuple[Float64[Tensor, "edges ops"], Bool[Tensor, "edges"]]:
    """The genome with each row drawn anew with probability `rate`, and which rows were."""
    hit = torch.rand(len(genome), generator=rng) < rate
    new = random_genome((genome.shape[0], genome.shape[1]), rng)
    return torch.where(hit[:, None], new, genome), hit


def next_generation(
    generation: Sequence[Individual], rules: Rules, rng: torch.Generator
) -> list[Individual]:
    """The elites of a ranked generation, the very genomes, and children up to `population`."""
    elites = [replace(one, fitness=None) for one in generation[: rules.elites]]
    number = 1 + max(one.number for one in generation)
    children = [
        _child(generation, rules, rng, number + place)
        for place in range(rules.population - len(elites))
    ]
    return elites + children


def evolve(
    fitness: Callable[[Sequence[Float64[Tensor, "edges ops"]]], Sequence[float]],
    shape: tuple[int, int],
    rules: Rules,
    rng: torch.Generator,
) -> Iterator[list[Individual]]:
    """Every generation in turn, ranked by `fitness` (higher is better). Endless.

    Raises:
        ConfigurationError: the rules cannot work together.

    Example: `last = list(islice(evolve(look_up, (6, 5), Rules(), rng), 50))[-1]`
    """
    if why := rules.conflict():
        raise ConfigurationError(why)
    population = first_generation(shape, rules.population, rng)
    while True:
        generation = ranked(population, fitness([one.genome for one in population]))
        yield generation
        population = next_generation(generation, rules, rng)


def _child(
    generation: Sequence[Individual], rules: Rules, rng: torch.Generator, number: int
) -> Individual:
    first = tournament(generation, rules.tournament, rng)
    second = tournament(generation, rules.tournament, rng)
    # Drawn whether it is needed or not: rates change what is done, never which numbers come next.
    recombined = crossover(first.genome, second.genome, rng)
    both = bool(torch.rand((), generator=rng) < rules.crossover)
    genome, hit = mutate(recombined if both else first.genome, rules.mutation, rng)
    parents = (first.number, second.number) if both else (first.number,)
    return Individual(number, genome, parents, tuple(hit.nonzero().flatten().tolist()))


def _comparable(fitness: float | None) -> float:
    """The fitness as a key: unmeasured and not-a-number are worst."""
    return -torch.inf if fitness is None or fitness != fitness else fitness
