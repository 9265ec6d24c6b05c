"""`Branch`: a supernet in training with its updater, the only mutable state of a run.

The `state_dict` of a branch is complete. A resume loads it, and so does a fork, which is a resume
of the parent's state under another name.
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
    """Sums over the current epoch, kept on the device: loss, correct answers, images."""

    loss: Tensor
    hits: Tensor
    images: int = 0

    @classmethod
    def empty(cls, device: torch.device) -> "Tally":
        """Returns a tally of zeros."""
        zero = torch.zeros((), dtype=torch.float64, device=device)
        return cls(zero, zero.clone())

    def add(self, loss: Float[Tensor, ""], hits: Tensor, images: int) -> None:
        """Add a weight step: its mean loss, number of correct answers and number of images."""
        self.loss += loss * images
        self.hits += hits
        self.images += images

    def means(self) -> tuple[float, float]:
        """Returns the mean loss and accuracy (0..1) so far; waits for the device."""
        images = max(self.images, 1)
        return float(self.loss) / images, float(self.hits) / images


@dataclass(eq=False)
class Branch(Weights):
    """A supernet in training: its weights, its updater and its learning rate schedule.

    A branch with `ended` set is not trained any further.
    """

    updater: ArchitectureUpdater = field(kw_only=True)
    schedule: Schedule = field(kw_only=True)
    ended: bool = field(default=False, kw_only=True)
    tally: Tally = field(init=False)

    def __post_init__(self) -> None:
        self.tally = Tally.empty(self.execution.device)

    def state_dict(self) -> dict[str, Any]:
        """Returns the complete state: nested tensors, numbers and strings."""
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
        """Load a copy of `state`, and return self; the branch of `state` does not change."""
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
    """Returns a deep copy of nested containers of tensors and plain values."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, Mapping):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(copied(item) for item in value)
    return value
