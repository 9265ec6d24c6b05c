"""`Weights`: a supernet in training with its optimiser, below both `Probe` and `Branch`.

This module does not know updaters: `branch.py` adds the updater, and `probe.py` measures the
weights for it.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from nastk.data.objective import Objective
from nastk.nn.execution import Execution
from nastk.nn.sharing import NOT_SHARED, Sharing
from nastk.spaces.mixture import Mixture
from nastk.spaces.subspace import Subspace
from nastk.spaces.supernet import Answers, Supernet, has_hooks

NamedWeights = Mapping[str, Tensor]
"""The parameters of a supernet by name, as returned by `Probe.weights`."""


@dataclass(eq=False)
class Weights:
    """The weights of a supernet, their optimiser, and the progress of their training.

    `epoch` counts finished epochs and `step` all weight steps, those of the unfinished epoch
    included. `subspace` holds the operations alive in the supernet, `rng` is the random stream of
    its updater. With `resting=False` momentum and decay also move weights without a gradient in a
    step, provided that they were trained before. `objective` is what a step minimises.

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

    @property
    def shares(self) -> bool:
        """True if several processes share the images of a pass, each with gradients of its share.

        Hooks on modules must see all images, so with hooks each process computes all of them.
        """
        several = self.execution.processes.size > 1
        return several and not any(map(has_hooks, self.supernet.modules()))

    def _sharing(self, images: Float[Tensor, "batch channels height width"]) -> Sharing:
        return Sharing(self.execution.processes, len(images)) if self.shares else NOT_SHARED

    def logits(
        self,
        mixture: Mixture,
        images: Float[Tensor, "batch channels height width"],
        weights: NamedWeights | None = None,
        exact: bool = False,
    ) -> Float[Tensor, "batch classes"]:
        """Returns the logits under `mixture`, with the supernet's own weights or with `weights`.

        The pass is computed in the run's precision; with `exact`, or if the precision of `weights`
        is not that of the images, in the precision of the weights.
        """
        on_device = mixture.to(self.execution.device)
        if weights is not None:
            dtype = next(iter(weights.values()), images).dtype
            if dtype != images.dtype:
                exact, images, on_device = True, images.to(dtype), on_device.to(dtype)
                weights = {**self._buffers(dtype), **weights}
        sharing = self._sharing(images)
        part, on_device = sharing.images(images), _entering(sharing, on_device)
        with nullcontext() if exact else self.execution.autocast():
            if weights is None:
                logits: Tensor = self.supernet(part, on_device)
            else:
                inputs = (part, on_device)
                weights = sharing.inputs(weights)
                logits = torch.func.functional_call(self.supernet, weights, inputs)
        return sharing.leave(_upcast(logits))

    def measuring(self, images: Float[Tensor, "batch channels height width"]) -> Answers:
        """Returns a function from mixtures to the logits of `images`, without gradient.

        It computes in the run's precision and may cache values that mixtures share.
        """
        sharing = self._sharing(images)
        supernet_measure = self.supernet.measuring(sharing.images(images))

        def measure(mixtures: Sequence[Mixture]) -> list[Tensor]:
            on_device = [mixture.to(self.execution.device) for mixture in mixtures]
            with self.execution.autocast():
                return [sharing.leave(_upcast(logits)) for logits in supernet_measure(on_device)]

        return Answers(measure, self.supernet.strategy)

    def one_by_one(
        self,
        images: Float[Tensor, "batch channels height width"],
        weights: NamedWeights | None = None,
        exact: bool = False,
    ) -> Answers:
        """Returns a function from mixtures to logits that runs a forward pass for each mixture."""
        logits = self.logits
        return Answers(lambda mixtures: [logits(mix, images, weights, exact) for mix in mixtures])

    def stepped(
        self, gradients: Mapping[str, Tensor], weights: NamedWeights | None = None
    ) -> dict[str, Tensor]:
        """Returns the weights after a step of SGD along `gradients`; the step is not taken.

        The step starts from the supernet's weights or from `weights` (all of them), in whose
        precision it is computed. A weight without a gradient does not change: SGD skips it, decay
        and momentum included. With `resting=False` its gradient counts as zero instead.
        """
        group = self.optimizer.param_groups[0]
        after = {}
        for name, trained in self.supernet.named_parameters():
            velocity = self._velocity(trained)
            weight = (trained if weights is None else weights[name]).detach()
            if name not in gradients and (self.resting or velocity is None):
                after[name] = weight
                continue
            # Let s = gradient + decay * weight. The velocity becomes v = momentum * v + s (v = s in
            # the first step). The step is v, or with Nesterov s + momentum * v.
            step = gradients.get(name, 0.0) + group["weight_decay"] * weight
            if velocity is not None:
                velocity = group["momentum"] * velocity.to(weight.dtype) + step
                step = step + group["momentum"] * velocity if group["nesterov"] else velocity
            elif group["nesterov"]:
                step = step + group["momentum"] * step
            after[name] = weight - group["lr"] * step
        return after

    def added_up(
        self, gradients: Mapping[str, Tensor | None], own: bool
    ) -> dict[str, Tensor | None]:
        """Returns the sums over the processes of gradients of the supernet's `own` weights.

        Those of other weights, which were inputs of the pass, are summed already.
        """
        summed = dict(gradients)
        if not own or not self.shares:
            return summed
        reached = {name: value for name, value in gradients.items() if value is not None}
        sums = self.execution.processes.summed(list(reached.values()))
        summed.update(zip(reached, sums, strict=True))
        return summed

    def move_on(self) -> None:
        """Called before the optimiser step: with `resting=False`, sets missing gradients to zero.

        Momentum and decay then move weights that the step leaves out. Weights that were never
        trained (they have no momentum) stay out, as in training loops with
        `zero_grad(set_to_none=False)`, which creates no gradients.
        """
        if self.resting:
            return
        for weight in self.supernet.parameters():
            if weight.grad is None and self._velocity(weight) is not None:
                weight.grad = torch.zeros_like(weight)

    def _buffers(self, dtype: torch.dtype) -> dict[str, Tensor]:
        """Returns the supernet's buffers by name, floating-point ones in precision `dtype`."""
        return {
            name: buffer.to(dtype) if buffer.is_floating_point() else buffer
            for name, buffer in self.supernet.named_buffers()
        }

    def _velocity(self, weight: Tensor) -> Tensor | None:
        """Returns the momentum buffer of a weight; None if no step has trained the weight."""
        buffer: Tensor | None = self.optimizer.state.get(weight, {}).get("momentum_buffer")
        return buffer


def _entering(sharing: Sharing, mixture: Mixture) -> Mixture:
    """Returns the mixture so that its gradient is summed over the processes."""
    if sharing is NOT_SHARED:
        return mixture
    return Mixture(sharing.inputs({"weights": mixture.weights})["weights"], mixture.active)


def _upcast(logits: Float[Tensor, "batch classes"]) -> Float[Tensor, "batch classes"]:
    """Upcast bf16 logits to fp32, which sums and comparisons need."""
    return logits.float() if logits.dtype == torch.bfloat16 else logits
