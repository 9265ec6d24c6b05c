"""`Supernet`: a network with all operations of a space, weighted by a mixture at every call."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from nastk.base.errors import ConfigurationError
from nastk.spaces.mixture import Mixture

Measure = Callable[[Sequence[Mixture]], Sequence[Float[Tensor, "batch classes"]]]
"""Returns the logits of fixed images under each of the given mixtures."""


@dataclass
class Answers:
    """Returns the logits of fixed images for a list of mixtures; `strategy` names the code path.

    Example: `(logits,) = Answers(supernet.measuring(images))([Mixture.uniform(subspace)])`
    """

    measure: Measure
    strategy: str = "plain"

    def __call__(self, mixtures: Sequence[Mixture]) -> Sequence[Float[Tensor, "batch classes"]]:
        """Returns the logits of each mixture; afterwards `strategy` names the code path used."""
        return self.measure(mixtures)


class Supernet(nn.Module, ABC):
    """All operations of all edges, with shared weights and no architecture parameters.

    Norms use the statistics of the batch and keep no running statistics, so a forward pass changes
    nothing. The parameters are exactly those that the weight optimiser trains.

    Example: `logits = space.supernet(task)(images, Mixture.uniform(space.full()))`
    """

    strategy: ClassVar[str] = "plain"
    """Name of the code path of `measuring`, recorded in the cost of a run."""

    @abstractmethod
    def forward(
        self, images: Float[Tensor, "batch channels height width"], mixture: Mixture
    ) -> Float[Tensor, "batch classes"]:
        """Called for every weight step and every measurement: returns the logits under `mixture`.

        Operations that are not active are not computed; an edge without an active operation
        contributes zeros. Gradient flows to the supernet's weights and, if they require gradient,
        to `mixture.weights`.
        """

    def measuring(self, images: Float[Tensor, "batch channels height width"]) -> Measure:
        """Called to measure many mixtures on the same images, without gradient.

        The returned function gives the same logits as `forward` for each mixture. It may cache
        values that several mixtures share, so the weights must not change while it is in use.
        """
        return lambda mixtures: [self(images, mixture) for mixture in mixtures]

    def together(
        self, images: Float[Tensor, "batch channels height width"], mixtures: Sequence[Mixture]
    ) -> int:
        """Called while measuring: returns how many of the first `mixtures` to measure in one call.

        It is 1 if operations draw random numbers: mixtures of one call share a random stream.
        """
        return 1

    def own_name(self, name: str) -> str | None:
        """Called for each tensor of a file of weights: returns the supernet's own name for it.

        None skips the tensor. Spaces override this to read the weights of the authors' code.
        """
        return name

    @abstractmethod
    def operations(self) -> Iterator[tuple[int, int, nn.Module]]:
        """Called by updaters that hook or inspect operations: yields (edge, operation, module).

        Every cell that shares an edge has its own modules, so a pair may occur several times.
        """


class NoSupernet(Supernet):
    """Stands where a run has no supernet, because its updater trains none: it has no weights.

    Example: `NoSupernet().state_dict()` is empty.
    """

    def forward(
        self, images: Float[Tensor, "batch channels height width"], mixture: Mixture
    ) -> Float[Tensor, "batch classes"]:
        """Called by mistake only.

        Raises:
            ConfigurationError: always, as there is nothing to compute with.
        """
        raise ConfigurationError(
            "This run has no supernet, because its updater trains none. Name an evaluator that "
            "needs none, or an updater that trains one; `nastk plugins` lists both."
        )

    def operations(self) -> Iterator[tuple[int, int, nn.Module]]:
        """Yields nothing."""
        return iter(())


def recomputed(part: nn.Module, *inputs: Any) -> Any:
    """Run `part` under gradient checkpointing: its activations are recomputed in the backward pass.

    Example: `state = recomputed(cell, state, terms)` equals `cell(state, terms)`
    """
    # The supernet may be inside `functional_call`, which replaces its weights for the forward pass
    # only. The recomputation must use the same weights, so the present ones are passed on.
    weights: dict[str, Tensor] = dict(part.named_parameters())
    call = partial(torch.func.functional_call, part, weights)
    return checkpoint(call, inputs, use_reentrant=False)


def has_hooks(module: nn.Module) -> bool:
    """True if a hook is registered on `module`; such modules must not be fused."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )
