"""All operations of a space at once: `Supernet`, a network with weights that is told how to mix."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from nastk.spaces.mixture import Mixture

Measure = Callable[[Sequence[Mixture]], Sequence[Float[Tensor, "batch classes"]]]
"""The logits of some images under each of these mixtures."""


@dataclass
class Answers:
    """Logits of some images under any mixtures, and how they were come by, in a word.

    Example: `(logits,) = Answers(supernet.measuring(images))([Mixture.uniform(subspace)])`
    """

    measure: Measure
    strategy: str = "plain"

    def __call__(self, mixtures: Sequence[Mixture]) -> Sequence[Float[Tensor, "batch classes"]]:
        """Called for one mixture or several; `strategy` is then how it was done."""
        return self.measure(mixtures)


class Supernet(nn.Module, ABC):
    """Every operation of every edge, with shared weights and no architecture parameters.

    Norms use the statistics of the batch and keep none of their own, so a forward pass changes
    nothing. Its parameters are exactly what the weight optimiser trains.

    Example: `logits = space.supernet(task)(images, Mixture.uniform(space.full()))`
    """

    strategy: ClassVar[str] = "plain"
    """How `measuring` goes about it, in a word: named in the cost of a run."""

    @abstractmethod
    def forward(
        self, images: Float[Tensor, "batch channels height width"], mixture: Mixture
    ) -> Float[Tensor, "batch classes"]:
        """Called for every weight step and every measurement: the logits under `mixture`.

        Operations that are not active are not computed; an edge with none contributes zeros.
        Gradient flows to the weights and, where it carries gradient, to `mixture.weights`.
        """

    def measuring(self, images: Float[Tensor, "batch channels height width"]) -> Measure:
        """Called to measure many mixtures on the same images, without gradient.

        The answer gives for each mixture what `forward` gives. It may keep what successive mixtures
        agree on; the weights stay as they are as long as it is used.
        """
        return lambda mixtures: [self(images, each) for each in mixtures]

    def together(
        self, images: Float[Tensor, "batch channels height width"], mixtures: Sequence[Mixture]
    ) -> int:
        """Called while measuring: how many of `mixtures`, from the first on, to ask for at once.

        One where operations draw: what is asked for at once draws from one stream.
        """
        return 1

    def own_name(self, name: str) -> str | None:
        """Called for each tensor of a file of weights: what this supernet calls it.

        None leaves a tensor out. Spaces whose supernets other code trains as well know its names.
        """
        return name

    @abstractmethod
    def operations(self) -> Iterator[tuple[int, int, nn.Module]]:
        """Called by updaters that hook or tell apart operations: (edge, operation, module).

        One item for each cell that shares the edge, so a pair may come several times.
        """


def recomputed(part: nn.Module, *inputs: Any) -> Any:
    """Called in training for a part of a supernet that keeps no map: computed again going back.

    Example: `state = recomputed(cell, state, terms)` equals `cell(state, terms)`
    """
    # On the way back the part has its own weights again, but was perhaps computed with others
    # (`functional_call`): so those that it has now are handed over.
    weights: dict[str, Tensor] = dict(part.named_parameters())
    call = partial(torch.func.functional_call, part, weights)
    return checkpoint(call, inputs, use_reentrant=False)


def is_heard(module: nn.Module) -> bool:
    """Whether anybody has hooked `module`, so that it has to be called for its output."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )
