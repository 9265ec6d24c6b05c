"""`regularized-evolution`: Real et al., AAAI 2019 (arXiv 1802.01548), algorithm 1.

A population of P architectures begins at random. Then S of it are drawn with replacement, the best
of them is mutated in one decision, the child is evaluated and joins, and the oldest leaves: members
die of age, however good they are.
"""

from collections import deque

import torch
from pydantic import Field

from nastk import Plan, Preset, Probe
from nastk_black_box.history import Evaluated
from nastk_black_box.neighbours import random_neighbour
from nastk_black_box.presets import NATS, quick, study
from nastk_black_box.search import BlackBoxOptions, BlackBoxSearch, Proposal


class RegularizedEvolution(BlackBoxSearch):
    """Breeds architectures by mutation; age, not fitness, decides who leaves the population.

    Example: `nastk.use("regularized-evolution", evaluator="table", population=5, sample=2)`
    """

    name = "regularized-evolution"
    summary = "mutates the best of a few by an evaluator, and drops the oldest; no supernet"
    presets = (
        quick(population=5, sample=2),
        Preset(
            "nats-bench",
            NATS,
            space=("nasbench201",),
            updater_options={"population": 10, "sample": 3, "duplicates": "paid"},
        ),
        *study({"nasbench201": 28, "nasbench-macro": 10}, population=5, sample=2),
    )

    class Options(BlackBoxOptions):
        """The evolution, and what fitness is measured by; the defaults are Real et al.'s."""

        population: int = Field(
            100, ge=1, description="architectures that are alive; as many begin at random"
        )
        sample: int = Field(
            25, ge=1, description="members drawn with replacement, the best of which is mutated"
        )

    def incompatibility(self, plan: Plan) -> str | None:
        """Called when the run is assembled: refuses a run that ends before anything is bred."""
        if plan.epochs > self.options.population:
            return None
        return (
            f"regularized-evolution: a population of {self.options.population} begins at random, "
            f"so nothing would be bred in {plan.epochs} evaluations (epochs). Set `-u population="
            f"{max(plan.epochs // 5, 1)}` or less, or more epochs."
        )

    def propose(self, probe: Probe) -> Proposal:
        """Called for every evaluation: returns a random architecture at first, then a mutant."""
        alive = self.alive()
        if len(alive) < self.options.population:
            return Proposal(self.space.sample(probe.subspace, probe.rng))
        parent = self.parent(alive, probe.rng)
        child = random_neighbour(parent.architecture, self.space, probe.subspace, probe.rng)
        if child is None:
            return Proposal(self.space.sample(probe.subspace, probe.rng))
        return Proposal(child, (parent,))

    def alive(self) -> list[Evaluated]:
        """Returns the population: the proposals of the last P, the oldest first."""
        return list(deque(self.history.proposals(), self.options.population))

    def parent(self, alive: list[Evaluated], rng: torch.Generator) -> Evaluated:
        """Returns the best of some members drawn with replacement, the first drawn of equals."""
        drawn: list[int] = torch.randint(len(alive), (self.options.sample,), generator=rng).tolist()
        return max((alive[index] for index in drawn), key=lambda one: one.value)
