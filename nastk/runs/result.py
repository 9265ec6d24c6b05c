"""The result of a finished run, read from its folder: `Result`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nastk.base.cost import Cost
from nastk.base.files import write_atomically
from nastk.base.plugins import catalogue
from nastk.base.values import document
from nastk.data.task import Task
from nastk.report.metrics import metrics_of
from nastk.runs.folder import ARCHITECTURE, RESULT, RunFolder
from nastk.spaces.architecture import Architecture
from nastk.spaces.space import SearchSpace
from nastk.train.evaluator import Evaluation

if TYPE_CHECKING:
    from torch import nn

PATIENCE = 60.0
"""Seconds that an evaluation waits while another process writes to the same run."""


@dataclass(frozen=True)
class Result:
    """The result of a finished run: `architecture`, `evaluation`, `cost`, `history`, `network()`.

    Example: `nastk.resume("runs/a").network()`
    """

    folder: RunFolder

    @cached_property
    def _values(self) -> dict[str, Any]:
        return self.folder.result()

    @property
    def architecture(self) -> Architecture:
        """The architecture that the search chose."""
        return Architecture.from_json(self._values["architecture"])

    @property
    def text(self) -> str:
        """The architecture as its space's text, such as a genotype."""
        return str(self._values["text"])

    @property
    def evaluations(self) -> list[Evaluation]:
        """The metrics and notes of each evaluator."""
        return [
            Evaluation(
                value["evaluator"],
                value["metrics"],
                tuple(value["notes"]),
                value.get("seconds", 0.0),
                {name: tuple(each) for name, each in value.get("trainings", {}).items()},
            )
            for value in self._values["evaluations"]
        ]

    @property
    def evaluation(self) -> dict[str, float | int]:
        """The metrics of all evaluators together; of two with one name the later one's.

        Metrics of a name that several evaluators use are there once more under names that do not
        collide, such as `supernet.test_accuracy` beside `retrain.test_accuracy`.
        """
        return metrics_of((each.evaluator, each.metrics) for each in self.evaluations)

    @property
    def cost(self) -> Cost:
        """The cost of the run by phase."""
        return Cost.from_json(self._values["cost"])

    @property
    def finished_early(self) -> dict[str, int] | None:
        """Where a run was finished before its last epoch: `{"epoch": 3, "epochs": 8, "step": 40}`.

        `epoch` of `epochs` had been trained when it was finished (`nastk resume RUN --finish`).
        None for a run that was trained to its end.
        """
        return self._values.get("finished_early")

    @property
    def history(self) -> list[dict[str, Any]]:
        """The events of the run, in order; those of kind `epoch-done` hold loss and accuracy."""
        return self.folder.events()

    @property
    def task(self) -> Task:
        """The task of the run's images, which a network of the architecture must fit."""
        return Task.from_json(self._values["task"])

    def network(self, **options: Any) -> "nn.Module":
        """Returns an untrained stand-alone network of the architecture, for the run's images.

        `options` of the space, such as `network_cells=8`, replace those of the run.
        """
        spec = self.folder.config()["space"]
        space_class = catalogue().load("space", spec["name"])
        space: SearchSpace = space_class(space_class.parse_options(spec["options"]))
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
        decision = {**architecture.to_json(), "text": text}
        values = {
            "architecture": decision,
            "text": text,
            "branch": branch,
            "task": task.to_json(),
            "evaluations": [evaluation.to_json() for evaluation in evaluations],
            "cost": cost.to_json(),
            **({"finished_early": dict(finished_early)} if finished_early else {}),
        }
        write_atomically(folder.path / ARCHITECTURE, document(decision))
        write_atomically(folder.path / RESULT, document(values))

    def add(self, evaluation: Evaluation, cost: Cost | None = None) -> None:
        """Add an evaluation to `result.json`; replaces an earlier one by the same evaluator.

        Its `cost` is added to the run's.
        """
        # The file is read again, as another process may have added an evaluation meanwhile.
        with self.folder.locked(wait=PATIENCE):
            self.__dict__.pop("_values", None)
            before = self._values
            kept = [
                old for old in before["evaluations"] if old["evaluator"] != evaluation.evaluator
            ]
            values = {
                **before,
                "evaluations": [*kept, evaluation.to_json()],
                "cost": (self.cost + (cost or Cost({}))).to_json(),
            }
            write_atomically(self.folder.path / RESULT, document(values))
            self.__dict__.pop("_values", None)
