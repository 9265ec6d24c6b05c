"""The weights of one supernet in training: `Weights`, which a probe measures and a branch trains.

Nothing here knows the updater: `branch.py` adds it, `probe.py` shows an updater these weights.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from nastk.data.objective import Objective
from nastk.nn.execution import Execution
from nastk.spaces.mixture import Mixture
from nastk.spaces.subspace import Subspace
from nastk.spaces.supernet import Answers, Supernet

NamedWeights = Mapping[str, Tensor]
"""The parameters of a supernet by name, such as `Probe.weights` gives and `Probe.loss` takes."""


@dataclass(eq=False)
class Weights:
    """The weights of one supernet, the optimiser that trains them, and how far they are trained.

    `epoch` counts finished epochs, `step` weight steps; `step` may be ahead of `epoch` inside an
    epoch. `subspace` is what is alive in the supernet, `rng` the random stream of its updater.
    Where weights are not `resting`, momentum and decay move those that a step leaves out, if they
    were ever trained. `objective` is what a step minimises.

    Example: `Weights("0", space.full(), supernet, optimizer, rng, execution).logits(mixture, x)`
    """

    name: str
    subspace: Subspace
    supernet: Supernet
    optimizer: torch.optim.SGD
    rng: torch.Generator
    execution: Execution
    epoch: int = 0
    step: int = 0
    resting: bool = True
    objective: Objective = field(default_factory=Objective)

    def logits(
        self,
        mixture: Mixture,
        images: Float[Tensor, "batch channels height width"],
        weights: NamedWeights | None = None,
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
        self, gradients: Mapping[str, Tensor], weights: NamedWeights | None = None
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


def _widened(logits: Float[Tensor, "batch classes"]) -> Float[Tensor, "batch classes"]:
    """Upcast bf16 logits to fp32: sums and comparisons need it."""
    return logits.float() if logits.dtype == torch.bfloat16 else logits
