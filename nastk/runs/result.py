"""What a finished run found, read from its folder: `Result`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nastk.base.cost import Cost
from nastk.base.files import write_atomically
from nastk.base.plugins import catalogue
from nastk.base.values import document
from nastk.data.task import Task
from nastk.runs.folder import ARCHITECTURE, RESULT, RunFolder
from nastk.spaces.architecture import Architecture
from nastk.spaces.space import SearchSpace
from nastk.train.evaluator import Evaluation

if TYPE_CHECKING:
    from torch import nn

PATIENCE = 60.0
"""Seconds that an evaluation waits for another process to write its own."""


@dataclass(frozen=True)
class Result:
    """What a finished run found: `architecture`, `evaluation`, `cost`, `history`, and `network()`.

    Example: `nastk.resume("runs/a").network()`
    """

    folder: RunFolder

    @cached_property
    def _values(self) -> dict[str, Any]:
        return self.folder.result()

    @property
    def architecture(self) -> Architecture:
        """The architecture that was found."""
        return Architecture.from_json(self._values["architecture"])

    @property
    def text(self) -> str:
        """The architecture as its space's text, such as a genotype."""
        return str(self._values["text"])

    @property
    def evaluations(self) -> list[Evaluation]:
        """What each evaluator said."""
        return [
            Evaluation(
                one["evaluator"], one["metrics"], tuple(one["notes"]), one.get("seconds", 0.0)
            )
            for one in self._values["evaluations"]
        ]

    @property
    def evaluation(self) -> dict[str, float | int]:
        """The metrics of all evaluators together; of a metric that two give, the later one's."""
        return {name: value for one in self.evaluations for name, value in one.metrics.items()}

    @property
    def cost(self) -> Cost:
        """What the search has cost, phase by phase."""
        return Cost.from_json(self._values["cost"])

    @property
    def finished_early(self) -> dict[str, int] | None:
        """`{"epoch": 3, "epochs": 8, "step": 40}` of a run that was closed before its last epoch.

        `epoch` of `epochs` were trained when it was closed (`nastk resume RUN --finish`); None for
        a run that was trained to its end.
        """
        return self._values.get("finished_early")

    @property
    def history(self) -> list[dict[str, Any]]:
        """The events of the run, in order; those of kind `epoch-done` make the curves."""
        return self.folder.events()

    @property
    def task(self) -> Task:
        """What a network of the architecture must fit: the images of the run."""
        return Task.from_json(self._values["task"])

    def network(self, **options: Any) -> "nn.Module":
        """A fresh stand-alone network of the architecture, for the run's images: to be trained.

        `options` of the space take the place of the run's, such as `network_cells=8`.
        """
        named = self.folder.config()["space"]
        space_class = catalogue().load("space", named["name"])
        space: SearchSpace = space_class(space_class.parse_options(named["options"]))
        return space.with_options(options).network(self.architecture, self.task)

    @staticmethod
    def store(
        folder: RunFolder,
        architecture: Architecture,
        text: str,
        evaluations: Sequence[Evaluation],
        cost: Cost,
        branch: str,
        task: Task,
        finished_early: Mapping[str, int] | None = None,
    ) -> None:
        """Write `architecture.json` and, last, `result.json`, which makes the run finished."""
        found = {**architecture.to_json(), "text": text}
        values = {
            "architecture": found,
            "text": text,
            "branch": branch,
            "task": task.to_json(),
            "evaluations": [one.to_json() for one in evaluations],
            "cost": cost.to_json(),
            **({"finished_early": dict(finished_early)} if finished_early else {}),
        }
        write_atomically(folder.path / ARCHITECTURE, document(found))
        write_atomically(folder.path / RESULT, document(values))

    def add(self, evaluation: Evaluation, cost: Cost | None = None) -> None:
        """Put another evaluation into `result.json`; one by the same evaluator is replaced.

        What it has cost is added to the run's.
        """
        # Read again: another process may have added one while this one was judging.
        with self.folder.locked(wait=PATIENCE):
            self.__dict__.pop("_values", None)
            before = self._values
            kept = [
                one for one in before["evaluations"] if one["evaluator"] != evaluation.evaluator
            ]
            values = {
                **before,
                "evaluations": [*kept, evaluation.to_json()],
                "cost": (self.cost + (cost or Cost({}))).to_json(),
            }
            write_atomically(self.folder.path / RESULT, document(values))
            self.__dict__.pop("_values", None)
