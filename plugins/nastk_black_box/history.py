"""The evaluated architectures of a run: `Evaluation`, and `History`, their list."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nastk import Architecture, SearchSpace, Subspace

WORST = float("-inf")
"""Stands for the value of an architecture whose evaluation failed, such as a diverged training."""


@dataclass(frozen=True)
class Evaluated:
    """An evaluated architecture: its `value` (larger is better), and those that it came from.

    `number` counts the evaluations of a run from 0, and `parents` are such numbers. `value` is
    minus infinity for an evaluation that failed.
    """

    number: int
    architecture: Architecture
    value: float
    parents: tuple[int, ...] = ()


@dataclass
class History:
    """The evaluations of a run in their order, and the proposals that they answered.

    `order` holds the number of an evaluation for each proposal: a proposal that was known before
    repeats the number of its first evaluation.

    Example: `history.add(architecture, 0.93).number`
    """

    evaluations: list[Evaluated] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    _first: dict[str, int] = field(default_factory=dict)

    def add(
        self, architecture: Architecture, value: float, parents: Sequence[int] = ()
    ) -> Evaluated:
        """Called with a new evaluation; returns its entry."""
        entry = Evaluated(len(self.evaluations), architecture, value, tuple(parents))
        self.evaluations.append(entry)
        self.order.append(entry.number)
        self._first.setdefault(architecture.id, entry.number)
        return entry

    def repeat(self, entry: Evaluated) -> None:
        """Called with a proposal that was evaluated before."""
        self.order.append(entry.number)

    def of(self, architecture: Architecture) -> Evaluated | None:
        """Returns the first evaluation of an architecture; None if there is none."""
        number = self._first.get(architecture.id)
        return None if number is None else self.evaluations[number]

    def proposals(self) -> Iterator[Evaluated]:
        """Yields the evaluation of every proposal, in the order of the proposals."""
        return (self.evaluations[number] for number in self.order)

    def best(self, subspace: Subspace | None = None) -> Evaluated | None:
        """Returns the best evaluation, the first of equals, of the architectures in `subspace`."""
        inside = (
            one
            for one in self.evaluations
            if subspace is None or subspace.contains(Subspace(one.architecture.table()))
        )
        return max(inside, key=lambda one: one.value, default=None)

    def state_dict(self) -> dict[str, Any]:
        """Returns the history as plain lists; a failed evaluation has the value None."""
        rows = [
            {
                "choices": one.architecture.choices,
                "value": None if one.value == WORST else one.value,
                "parents": list(one.parents),
            }
            for one in self.evaluations
        ]
        return {"evaluations": rows, "order": list(self.order)}

    @classmethod
    def of_state(cls, state: Mapping[str, Any], space: SearchSpace) -> "History":
        """Returns the history whose `state_dict` is `state`."""
        history = cls()
        for row in state["evaluations"]:
            value = WORST if row["value"] is None else float(row["value"])
            parents = [int(number) for number in row["parents"]]
            history.add(space.architecture(row["choices"]), value, parents)
        history.order = [int(number) for number in state["order"]]
        return history
