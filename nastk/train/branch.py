"""One supernet in training with its updater: `Branch`, the only thing in a run that changes.

Its `state_dict` is everything: a resume loads it, and so does a fork, which is a resume of the
parent's state under another name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nastk.spaces.subspace import Subspace
from nastk.train.options import Schedule
from nastk.train.updater import ArchitectureUpdater
from nastk.train.weights import Weights


@dataclass
class Tally:
    """Sums over the current epoch, kept on the device and read now and then: loss, hits, images."""

    loss: Tensor
    hits: Tensor
    images: int = 0

    @classmethod
    def empty(cls, device: torch.device) -> "Tally":
        """Nothing counted yet."""
        zero = torch.zeros((), dtype=torch.float64, device=device)
        return cls(zero, zero.clone())

    def add(self, loss: Float[Tensor, ""], hits: Tensor, images: int) -> None:
        """Count one weight step: its mean loss, its correct answers, its images."""
        self.loss += loss * images
        self.hits += hits
        self.images += images

    def means(self) -> tuple[float, float]:
        """Mean loss and accuracy (0..1) so far; waits for the device."""
        images = max(self.images, 1)
        return float(self.loss) / images, float(self.hits) / images


@dataclass(eq=False)
class Branch(Weights):
    """One supernet in training: its weights, and the updater and schedule that guide them.

    A branch that `ended` is trained no further.
    """

    updater: ArchitectureUpdater = field(kw_only=True)
    schedule: Schedule = field(kw_only=True)
    ended: bool = field(default=False, kw_only=True)
    tally: Tally = field(init=False)

    def __post_init__(self) -> None:
        self.tally = Tally.empty(self.execution.device)

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on: tensors, numbers, strings and nests of them."""
        return {
            "name": self.name,
            "subspace": self.subspace.to_json(),
            "epoch": self.epoch,
            "step": self.step,
            "ended": self.ended,
            "schedule": self.schedule.to_json(),
            "supernet": dict(self.supernet.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "updater": self.updater.state_dict(),
            "rng": self.rng.get_state(),
            "tally": {
                "loss": self.tally.loss.clone(),
                "hits": self.tally.hits.clone(),
                "images": self.tally.images,
            },
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> "Branch":
        """Go on from `state`, which is copied: the branch it came from is not touched."""
        self.name, self.epoch, self.step, self.ended = (
            state["name"],
            state["epoch"],
            state["step"],
            state["ended"],
        )
        self.subspace = Subspace.from_json(state["subspace"])
        self.schedule = Schedule(**state["schedule"])
        self.supernet.load_state_dict(state["supernet"])
        self.optimizer.load_state_dict(copied(state["optimizer"]))
        self.updater.load_state_dict(copied(state["updater"]))
        self.rng.set_state(state["rng"].cpu())
        device = self.execution.device
        tally = state["tally"]
        self.tally = Tally(
            tally["loss"].clone().to(device), tally["hits"].clone().to(device), tally["images"]
        )
        return self


def copied(value: Any) -> Any:
    """A nest of tensors and plain values, with every tensor and container copied."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, Mapping):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(copied(item) for item in value)
    return value
