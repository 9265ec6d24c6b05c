"""All operations of a space at once: `Supernet`, a network with weights that is told how to mix."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from nastk.mixture import Mixture

Measure = Callable[[Mixture], Float[Tensor, "batch classes"]]
"""The logits of some images under a mixture."""


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
        return partial(self, images)

    @abstractmethod
    def operations(self) -> Iterator[tuple[int, int, nn.Module]]:
        """Called by updaters that hook or tell apart operations: (edge, operation, module).

        One item for each cell that shares the edge, so a pair may come several times.
        """
