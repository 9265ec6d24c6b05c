"""One supernet in training: `Branch`, the only thing in a run that changes.

Its `state_dict` is everything: a resume loads it, and so does a fork, which is a resume of the
parent's state under another name.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nastk.nn.execution import Execution
from nastk.spaces.mixture import Mixture
from nastk.spaces.subspace import Subspace
from nastk.spaces.supernet import Answers, Supernet
from nastk.train.options import Schedule
from nastk.train.updater import ArchitectureUpdater


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
class Branch:
    """One supernet in training, with all that belongs to it.

    `epoch` counts finished epochs, `step` weight steps; `step` may be ahead of `epoch` inside an
    epoch. A branch that `ended` is trained no further. Where weights are not `resting`, momentum
    and decay move those that a step leaves out, if they were ever trained.
    """

    name: str
    subspace: Subspace
    supernet: Supernet
    optimizer: torch.optim.SGD
    schedule: Schedule
    updater: ArchitectureUpdater
    rng: torch.Generator
    execution: Execution
    epoch: int = 0
    step: int = 0
    ended: bool = False
    resting: bool = True
    tally: Tally = field(init=False)

    def __post_init__(self) -> None:
        self.tally = Tally.empty(self.execution.device)

    def logits(
        self,
        mixture: Mixture,
        images: Float[Tensor, "batch channels height width"],
        weights: Mapping[str, Tensor] | None = None,
        exact: bool = False,
    ) -> Float[Tensor, "batch classes"]:
        """The supernet's answer under `mixture`, with its own weights or others.

        In the run's precision, or in that of the weights where it must be `exact` or where they
        are not of the images' precision.
        """
        told = mixture.to(self.execution.device)
        if weights is not None:
            kind = next(iter(weights.values()), images).dtype
            if kind != images.dtype:
                exact, images, told = True, images.to(kind), told.to(kind)
                weights = {**self._buffers(kind), **weights}
        with nullcontext() if exact else self.execution.autocast():
            if weights is None:
                answer: Tensor = self.supernet(images, told)
            else:
                answer = torch.func.functional_call(self.supernet, dict(weights), (images, told))
        return _widened(answer)

    def measuring(self, images: Float[Tensor, "batch channels height width"]) -> Answers:
        """The supernet's answers on `images` under one mixture after the other, without gradient.

        What they agree on may be kept. In the run's precision.
        """
        ask = self.supernet.measuring(images)

        def measure(mixtures: Sequence[Mixture]) -> list[Tensor]:
            told = [each.to(self.execution.device) for each in mixtures]
            with self.execution.autocast():
                return [_widened(answer) for answer in ask(told)]

        return Answers(measure, self.supernet.strategy)

    def stepped(
        self, gradients: Mapping[str, Tensor], weights: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """The weights after an optimiser step along `gradients` that is not taken (SGD's own rule).

        From the supernet's weights, or from `weights`, all of them, in their precision.
        A weight without a gradient stays as it is: SGD passes it by, decay and momentum included.
        Where weights are not `resting`, its gradient counts as zero.
        """
        group = self.optimizer.param_groups[0]
        after = {}
        for name, trained in self.supernet.named_parameters():
            velocity = self._velocity(trained)
            weight = (trained if weights is None else weights[name]).detach()
            if name not in gradients and (self.resting or velocity is None):
                after[name] = weight
                continue
            step = gradients.get(name, 0.0) + group["weight_decay"] * weight
            if velocity is not None:
                velocity = group["momentum"] * velocity.to(weight.dtype) + step
                step = step + group["momentum"] * velocity if group["nesterov"] else velocity
            elif group["nesterov"]:
                step = step + group["momentum"] * step
            after[name] = weight - group["lr"] * step
        return after

    def move_on(self) -> None:
        """Called between a step's gradient and the optimiser: zeros for weights that it left out.

        Nothing where weights rest; and nothing for those that were never trained, which loops that
        set gradients to zero leave alone too. That a weight was trained is seen by its momentum.
        """
        if self.resting:
            return
        for weight in self.supernet.parameters():
            if weight.grad is None and self._velocity(weight) is not None:
                weight.grad = torch.zeros_like(weight)

    def _buffers(self, kind: torch.dtype) -> dict[str, Tensor]:
        """What the supernet holds besides weights, numbers with a point in precision `kind`."""
        return {
            name: buffer.to(kind) if buffer.is_floating_point() else buffer
            for name, buffer in self.supernet.named_buffers()
        }

    def _velocity(self, weight: Tensor) -> Tensor | None:
        """What momentum has gathered; None for a weight that no step has trained."""
        found: Tensor | None = self.optimizer.state.get(weight, {}).get("momentum_buffer")
        return found

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


def _widened(logits: Float[Tensor, "batch classes"]) -> Float[Tensor, "batch classes"]:
    """What is summed and compared is not in reduced precision."""
    return logits.float() if logits.dtype == torch.bfloat16 else logits
