"""`TableSupernet`: a supernet that looks up how accurate it is, and is right on so many images.

A path has the accuracy of the table plus a deviation of its own, drawn once for a supernet; a set
of operations, or a mixture, the mean of its paths. Every image has a difficulty between 0 and 1,
spread evenly over the images, and is classified correctly where the accuracy is above it.
"""

from collections.abc import Iterator, Sequence
from zlib import crc32

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor, nn

from nastk import ConfigurationError, Edge, Mixture, Supernet
from nastk.spaces import Measure
from nastk_tables.answers import expected
from nastk_tables.numbered import read

SHARPNESS = 10.0
"""Logit of the right class for each unit of accuracy above an image's difficulty."""

GOLDEN = 0.6180339887498949
"""Multiples of it, modulo one, are spread evenly however many there are."""

WORD = 2**32 - 1


class TableSupernet(Supernet):
    """Answers about paths and mixtures of a space from a table of accuracies.

    With a(w) the accuracy under a mixture and d(i) the difficulty of image i, the logit of its own
    class is 10 (a(w) - d(i)), and that of every other is 0: the share of right answers is a(w), and
    the cross-entropy falls as it rises. There is a weight, since an optimiser needs one; it changes
    no logit and has no gradient.

    Args:
        edges: the edges of the space.
        accuracies: the accuracy (0..1) of each path, an axis for each edge.
        noise: the standard deviation of a path's own deviation, on the same scale.
        luck: the share of images whose difficulty is drawn anew for each mixture.
        classes: the classes of the images.

    The deviations are drawn from torch's global stream. The supernet's images are those of the data
    `numbered`.

    Example: `TableSupernet(space.edges, accuracies, 0.005, 0.0, 10)(images, Mixture.of(path))`
    """

    strategy = "table"

    accuracies: Float64[Tensor, "paths"]
    seed: Int[Tensor, ""]

    def __init__(
        self,
        edges: Sequence[Edge],
        accuracies: Float64[Tensor, "*edges"],
        noise: float,
        luck: float,
        classes: int,
    ) -> None:
        super().__init__()
        self.edges, self.luck, self.classes = tuple(edges), luck, classes
        self.none = [
            edge.operations.index("none") if "none" in edge.operations else None for edge in edges
        ]
        deviations = noise * torch.randn(accuracies.shape, dtype=torch.float64)
        self.counts = accuracies.shape
        # They are part of the state, so that a resumed run and a fork have the same; and flat, as
        # supernets are moved to channels-last memory, which is of four axes.
        self.register_buffer("accuracies", (accuracies + deviations).clamp(0, 1).flatten())
        self.register_buffer("seed", torch.randint(2**31, ()))
        self.inside = _Inside()

    def forward(
        self, images: Float[Tensor, "batch channels height width"], mixture: Mixture
    ) -> Float[Tensor, "batch classes"]:
        """See `Supernet.forward`.

        Raises:
            ConfigurationError: the mixture's weights ask for a gradient.
        """
        if torch.is_grad_enabled() and mixture.weights.requires_grad:
            raise ConfigurationError(_refusal("gradients"))
        (logits,) = self._answering(images)([mixture])
        return logits + 0.0 * self.inside.level.to(logits.dtype)

    def measuring(self, images: Float[Tensor, "batch channels height width"]) -> Measure:
        """See `Supernet.measuring`: the images are read once."""
        return self._answering(images)

    def together(
        self, images: Float[Tensor, "batch channels height width"], mixtures: Sequence[Mixture]
    ) -> int:
        """See `Supernet.together`: all of them."""
        return len(mixtures)

    def operations(self) -> Iterator[tuple[int, int, nn.Module]]:
        """Yields the same module for every operation; it has no output, and refuses hooks."""
        for row, edge in enumerate(self.edges):
            for column in range(len(edge.operations)):
                yield row, column, self.inside

    def accuracies_under(self, mixtures: Sequence[Mixture]) -> Float64[Tensor, "mixtures"]:
        """Returns the accuracy (0..1) under each mixture, before any image is looked at.

        The weights of the active operations of an edge are scaled to add up to one, negative ones
        count as zero. An edge without any takes `none`, where it has that, as it does in a network;
        where it has not, no path is left, and the accuracy is that of a guess.
        """
        shares, complete = self._shares(mixtures)
        found = expected(self.accuracies.reshape(self.counts), shares)
        return torch.where(complete, found, torch.full_like(found, 1 / self.classes))

    def _shares(
        self, mixtures: Sequence[Mixture]
    ) -> tuple[Float64[Tensor, "mixtures edges ops"], Bool[Tensor, "mixtures"]]:
        """Returns the probability of each operation, and which mixtures have a path."""
        device = self.accuracies.device
        weights = (
            torch.stack([mixture.weights.detach() for mixture in mixtures]).to(device).double()
        )
        active = torch.stack([mixture.active for mixture in mixtures]).to(device)
        weights = weights.clamp(min=0) * active
        totals = weights.sum(-1, keepdim=True)
        empty = totals[..., 0] <= 0  # mixtures x edges
        shares = weights / totals.masked_fill(empty[..., None], 1.0)
        complete = torch.ones(len(mixtures), dtype=torch.bool, device=device)
        for row, column in enumerate(self.none):
            if column is None:
                complete &= ~empty[:, row]
                shares[empty[:, row], row, 0] = 1.0
            else:
                shares[empty[:, row], row, column] = 1.0
        return shares, complete

    def _answering(self, images: Float[Tensor, "batch channels height width"]) -> Measure:
        """Returns a function from mixtures to the logits of `images`."""
        labels, numbers = read(images)
        labels = labels.clamp(max=self.classes - 1)
        usual = ((numbers.double() + 0.5) * GOLDEN) % 1.0  # difficulties: images
        lucky = hashed(numbers, int(self.seed)) < self.luck if self.luck else None

        def answer(mixtures: Sequence[Mixture]) -> list[Float[Tensor, "batch classes"]]:
            logits = []
            for accuracy, mixture in zip(self.accuracies_under(mixtures), mixtures, strict=True):
                difficulty = usual
                if lucky is not None:
                    own = hashed(numbers, int(self.seed) ^ _number_of(mixture))
                    difficulty = torch.where(lucky, own, usual)
                margin = (SHARPNESS * (accuracy - difficulty)).to(images.dtype)
                others = torch.zeros(len(images), self.classes, dtype=images.dtype)
                logits.append(others.to(images.device).scatter(1, labels[:, None], margin[:, None]))
            return logits

        return answer


class _Inside(nn.Module):
    """What stands for the operations: a weight that changes nothing, and no output to look at."""

    def __init__(self) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.zeros(()))

    def register_forward_hook(self, *arguments: object, **settings: object) -> None:  # type: ignore[override]
        """Raises a `ConfigurationError`: there is no forward pass of an operation to hook."""
        raise ConfigurationError(_refusal("the outputs of operations"))


def hashed(numbers: Int[Tensor, "images"], key: int) -> Float64[Tensor, "images"]:
    """Returns a number in (0, 1) for each of `numbers`, the same for the same `key`.

    Multiplying and shifting 32 bits twice (a usual integer hash) leaves no order of the numbers.
    """
    bits = (numbers ^ (key & WORD)) & WORD
    for _ in range(2):
        bits = ((bits ^ (bits >> 16)) * 0x45D9F3B) & WORD
    return ((bits ^ (bits >> 16)).double() + 0.5) / 2**32


def _number_of(mixture: Mixture) -> int:
    """Returns a number that tells mixtures apart, by their weights to six digits."""
    weights = mixture.weights.detach().double().cpu() * mixture.active
    return crc32((weights * 1e6).round().long().numpy().tobytes())


def _refusal(what: str) -> str:
    """Returns the message that an updater cannot have `what` of this supernet."""
    return (
        f"The updater asks for {what}, and the supernet of space 'table' has none: it looks "
        "accuracies up and computes no operation. Use an updater that only measures accuracies or "
        "losses (docs/spaces/table.md lists them), or search the space itself."
    )
