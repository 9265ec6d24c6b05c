"""Says how good one architecture is: `Evaluator`, the only receiver of the test split."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from nastk.architecture import Architecture
from nastk.component import Component
from nastk.data.splits import Splits
from nastk.data.task import Task
from nastk.probe import Probe
from nastk.space import SearchSpace


@dataclass(frozen=True)
class Evaluation:
    """What an evaluator says of an architecture: metric to value, and who said so.

    Accuracies are fractions (0..1); `parameters` and `multiply_adds` are counts. `higher_is_better`
    metrics come first in `metrics`; `notes` holds what qualifies them, in plain words.
    """

    evaluator: str
    metrics: Mapping[str, float]
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "evaluator": self.evaluator,
            "metrics": dict(self.metrics),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Setting:
    """What an evaluator judges in: space, data with all three splits, seed and device."""

    space: SearchSpace
    task: Task
    splits: Splits
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


class Evaluator(Component, ABC):
    """Says how good one architecture is.

    Example: `Size(setting, Size.Options()).evaluate(architecture, None).metrics["parameters"]`
    """

    needs_supernet: ClassVar[bool] = False
    """Whether `evaluate` needs the probe of a trained supernet."""

    def __init__(self, setting: Setting, options: Any = None) -> None:
        self.setting = setting
        self.options = self.parse_options() if options is None else options

    @abstractmethod
    def evaluate(self, architecture: Architecture, probe: Probe | None) -> Evaluation:
        """Called once at the end of a search, and by `nastk evaluate`: judge `architecture`.

        `probe` measures the supernet that the search trained; None where there is none.
        """
