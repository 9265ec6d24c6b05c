"""`local-search`: White, Nolen and Savani, UAI 2021 (arXiv 2005.02960).

Beginning at a random architecture, its neighbours are evaluated in random order, and the search
moves to a better one, until none is: a local optimum. Then it begins anew at random.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from pydantic import Field

from nastk import Architecture, Probe, Subspace
from nastk_black_box.history import Evaluated
from nastk_black_box.neighbours import neighbours
from nastk_black_box.presets import quick
from nastk_black_box.search import BlackBoxOptions, BlackBoxSearch, Proposal


class LocalSearch(BlackBoxSearch):
    """Climbs from random architectures to local optima, one decision at a time.

    Example: `nastk.use("local-search", evaluator="table", move="first")`
    """

    name = "local-search"
    summary = "moves to better neighbours by an evaluator, from random starts; no supernet"
    presets = (quick(move="first"),)

    class Options(BlackBoxOptions):
        """How the search moves, and what it is evaluated by."""

        move: Literal["best", "first"] = Field(
            "best",
            description="move to the best neighbour once all are evaluated, or to the first that "
            "is better",
        )

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: nothing is evaluated yet."""
        super().setup(rng)
        self.place: Evaluated | None = None
        self.leader: Evaluated | None = None
        self.left: list[Architecture] = []

    def propose(self, probe: Probe) -> Proposal:
        """Called for every evaluation: returns a neighbour of the present place, or a start."""
        left = [one for one in self.left if self._inside(one, probe)]
        if not left and self._better(self.leader):
            # All neighbours are evaluated, and the best of them is better.
            left = self._go_to(self.leader, probe)
        if not left or self.place is None:
            self.place, self.left = None, []
            return Proposal(self.space.sample(probe.subspace, probe.rng))
        self.left = left[1:]
        return Proposal(left[0], (self.place,))

    def told(self, probe: Probe, proposal: Proposal, entry: Evaluated) -> None:
        """Called with the value of every proposal: begins there, moves there, or remembers it."""
        if not proposal.parents or (self.options.move == "first" and self._better(entry)):
            self.left = self._go_to(entry, probe)
        elif self.leader is None or entry.value > self.leader.value:
            self.leader = entry

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: returns the history and the present place."""
        place = {
            "place": None if self.place is None else self.place.number,
            "leader": None if self.leader is None else self.leader.number,
            "left": [one.choices for one in self.left],
        }
        return {**super().state_dict(), **place}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: restores the history and the present place."""
        super().load_state_dict(state)
        self.place, self.leader = (self._entry(state[name]) for name in ("place", "leader"))
        self.left = [self.space.architecture(choices) for choices in state["left"]]

    def _go_to(self, entry: Evaluated | None, probe: Probe) -> list[Architecture]:
        """Moves to an evaluated architecture; returns its neighbours in random order."""
        self.place, self.leader = entry, None
        if entry is None:
            return []
        around: Sequence[Architecture] = neighbours(entry.architecture, self.space, probe.subspace)
        order = torch.randperm(len(around), generator=probe.rng).tolist()
        return [around[index] for index in order]

    def _better(self, entry: Evaluated | None) -> bool:
        """True if an evaluated architecture is better than the present place."""
        return entry is not None and self.place is not None and entry.value > self.place.value

    def _inside(self, architecture: Architecture, probe: Probe) -> bool:
        """True if an architecture lies in the branch's subspace, which may have shrunk."""
        return probe.subspace.contains(Subspace(architecture.table()))

    def _entry(self, number: int | None) -> Evaluated | None:
        return None if number is None else self.history.evaluations[int(number)]
