"""What the supernet and a stand-alone network share: stem, widths, reductions, preprocessing.

Cells stand in a row. Two of them, at one and two thirds, halve the positions and double the
channels. Each cell reads the outputs of the two cells before it, brought to its own width by
`preprocess`.
"""

from dataclasses import dataclass
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from nastk_spaces_darts.operations import Halve, Norm, Pointwise, State


@dataclass(frozen=True)
class CellPlan:
    """One cell of the row: the widths of its two inputs, its own, and where positions are halved.

    `halve_before` says that the older input still has twice as many positions as the newer one.
    """

    before: int
    previous: int
    channels: int
    reduction: bool
    halve_before: bool

    @property
    def group(self) -> str:
        """The cell type that decides this cell."""
        return "reduce" if self.reduction else "normal"


def reductions(cells: int) -> tuple[int, int]:
    """The positions of the two reduction cells in a row of `cells`."""
    return cells // 3, 2 * cells // 3


def plan(
    cells: int, channels: int, stem_channels: int, nodes: int, imagenet: bool
) -> list[CellPlan]:
    """The cells of a network in order, for cells of `nodes` concatenated nodes."""
    plans: list[CellPlan] = []
    before, previous, halve_before = stem_channels, stem_channels, imagenet
    for position in range(cells):
        reduction = position in reductions(cells)
        channels *= 2 if reduction else 1
        plans.append(CellPlan(before, previous, channels, reduction, halve_before))
        before, previous, halve_before = previous, nodes * channels, reduction
    return plans


def side_after(size: int, imagenet: bool, halvings: int) -> int:
    """The side in pixels left of images of `size` after the stem and so many reduction cells."""
    for _ in range(halvings + (3 if imagenet else 0)):
        size = (size + 1) // 2
    return size


def preprocess(plan: CellPlan, norm: Norm) -> tuple[nn.Module, nn.Module]:
    """What brings a cell's two inputs to its own width, and the older to the newer one's size."""
    before = _adapt(plan.before, plan.channels, plan.halve_before, norm)
    return before, _adapt(plan.previous, plan.channels, False, norm)


def _adapt(channels_in: int, channels: int, halve: bool, norm: Norm) -> nn.Module:
    if halve:
        return nn.Sequential(nn.ReLU(), Halve(channels_in, channels, norm))
    return nn.Sequential(nn.ReLU(), Pointwise(channels_in, channels), norm(channels))


class Stem(nn.Module):
    """The first convolutions: images in, the two inputs of the first cell out.

    Small: one 3x3 convolution, both inputs are its output. ImageNet: three 3x3 convolutions of
    stride 2, the inputs are the outputs of the second (a quarter of the side) and of the third (an
    eighth).
    """

    def __init__(self, image_channels: int, channels: int, imagenet: bool, norm: Norm) -> None:
        super().__init__()
        widths = (
            (image_channels, channels // 2, channels, channels)
            if imagenet
            else (image_channels, channels)
        )
        stride = 2 if imagenet else 1
        self.layers = nn.ModuleList(
            _layer(width, next_width, stride, index > 0, norm)
            for index, (width, next_width) in enumerate(pairwise(widths))
        )

    def forward(self, images: State) -> tuple[State, State]:
        """Called first in every forward pass: (older input, newer input)."""
        outputs = [images]
        for layer in self.layers:
            outputs.append(layer(outputs[-1]))
        return (outputs[-2], outputs[-1]) if len(self.layers) > 1 else (outputs[-1], outputs[-1])


def _layer(channels_in: int, channels: int, stride: int, relu: bool, norm: Norm) -> nn.Module:
    convolution = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
    return nn.Sequential(*([nn.ReLU()] if relu else []), convolution, norm(channels))


def average(state: State) -> Float[Tensor, "batch channels"]:
    """The mean over all positions, which the classifier reads."""
    return state.mean((2, 3))
