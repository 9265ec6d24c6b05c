"""The evolutionary choice of SPOS (Guo et al., ECCV 2020, algorithm 1) from a trained supernet.

The evaluator is a function, so that `evolve` runs on any fitness. No architecture is judged twice.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from nastk import Architecture
from nastk_sampling.candidates import Ranked, best_first, unseen
from nastk_sampling.paths import Sampler


@dataclass(frozen=True)
class Evolution:
    """How many are judged in each of how many generations, and how they are bred; SPOS's numbers.

    The `parents` best of all judged so far breed. Half of a generation are crossovers of two of
    them, half are mutations of one: each edge is drawn anew with probability `mutation`.

    Example: `Evolution(population=20, generations=5)`
    """

    population: int = 50
    generations: int = 20
    parents: int = 10
    mutation: float = 0.1


def evolve(
    evaluator: Callable[[Sequence[Architecture]], list[Ranked]],
    sampler: Sampler,
    rules: Evolution,
    rng: torch.Generator,
) -> list[Ranked]:
    """Everything that was judged, the best first: at most population x generations."""
    pool = unseen(lambda: sampler.draw(rng), rules.population, (), sampler)
    ranking, seen = evaluator(pool), {each.id for each in pool}
    for _ in range(1, rules.generations):
        parents = [each.architecture for each in ranking[: rules.parents]]
        pool = _offspring(parents, seen, sampler, rules, rng)
        if not pool:
            break
        seen.update(each.id for each in pool)
        ranking = best_first([*ranking, *evaluator(pool)])
    return ranking


def cross(
    parents: tuple[Architecture, Architecture], sampler: Sampler, rng: torch.Generator
) -> Architecture:
    """A child that takes each edge from either parent with equal chance."""
    first, second = parents
    from_first = torch.rand(len(first.edges), 1, generator=rng) < 0.5
    return _nearest(torch.where(from_first, _table(first), _table(second)), sampler, rng)


def mutate(
    parent: Architecture, rate: float, sampler: Sampler, rng: torch.Generator
) -> Architecture:
    """The parent with each edge set to a uniform living operation with probability `rate`."""
    table = _table(parent)
    hit = torch.rand(len(table), generator=rng) < rate
    for edge in hit.nonzero().flatten().tolist():
        operations = sampler.subspace.operations(edge)
        table[edge] = False
        if operations:
            table[edge, operations[int(torch.randint(len(operations), (), generator=rng))]] = True
    return _nearest(table, sampler, rng)


def _offspring(
    parents: Sequence[Architecture],
    seen: Collection[str],
    sampler: Sampler,
    rules: Evolution,
    rng: torch.Generator,
) -> list[Architecture]:
    """The next generation: crossovers, mutations, and random ones where those bring nothing new."""
    pool: list[Architecture] = []

    def add(make: Callable[[], Architecture], wanted: int) -> None:
        pool.extend(unseen(make, wanted, {*seen, *(each.id for each in pool)}, sampler))

    half = rules.population // 2
    add(lambda: cross(_pair(parents, rng), sampler, rng), half)
    add(
        lambda: mutate(_pair(parents, rng)[0], rules.mutation, sampler, rng),
        rules.population - half,
    )
    add(lambda: sampler.draw(rng), rules.population - len(pool))
    return pool


def _pair(
    parents: Sequence[Architecture], rng: torch.Generator
) -> tuple[Architecture, Architecture]:
    """Two different parents, or the only one twice."""
    places = torch.randperm(len(parents), generator=rng)[:2].tolist()
    return parents[places[0]], parents[places[-1]]


def _table(architecture: Architecture) -> Bool[Tensor, "edges ops"]:
    return torch.tensor(architecture.table(), dtype=torch.bool)


def _nearest(
    table: Bool[Tensor, "edges ops"], sampler: Sampler, rng: torch.Generator
) -> Architecture:
    """What the space decides on `table`; what the table leaves open is decided by lot."""
    lots = torch.rand(table.shape, generator=rng) / 2
    return sampler.space.decide(table.float() + lots, sampler.subspace)
