"""The parts that supernet and stand-alone network share: stem, widths, reductions, preprocessing.

The cells form a chain. Two of them, at one and two thirds, halve height and width and double the
channels. Each cell reads the outputs of the two cells before it; `preprocess` brings these to the
cell's own width.
"""

from dataclasses import dataclass
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from nastk.nn import PointwiseConv2d
from nastk_spaces_darts.operations import Halve, Norm, State


@dataclass(frozen=True)
class CellPlan:
    """One cell of the chain: the channels of its two inputs, its own, and whether it reduces.

    `before` and `previous` are the channels of the older and the newer input. `halve_before` is
    true if the older input still has twice the height and width of the newer one.
    """

    before: int
    previous: int
    channels: int
    reduction: bool
    halve_before: bool

    @property
    def group(self) -> str:
        """The cell type of this cell: `normal` or `reduce`."""
        return "reduce" if self.reduction else "normal"


def reductions(cells: int) -> tuple[int, int]:
    """Returns the indices of the two reduction cells in a chain of `cells`."""
    return cells // 3, 2 * cells // 3


def plan(
    cells: int, channels: int, stem_channels: int, nodes: int, imagenet: bool
) -> list[CellPlan]:
    """Returns the cells of a network in order, for cells of `nodes` concatenated nodes."""
    plans: list[CellPlan] = []
    before, previous, halve_before = stem_channels, stem_channels, imagenet
    for position in range(cells):
        reduction = position in reductions(cells)
        channels *= 2 if reduction else 1
        plans.append(CellPlan(before, previous, channels, reduction, halve_before))
        before, previous, halve_before = previous, nodes * channels, reduction
    return plans


def side_after(size: int, imagenet: bool, halvings: int) -> int:
    """Returns the side in pixels of images of `size` after the stem and `halvings` reductions."""
    for _ in range(halvings + (3 if imagenet else 0)):
        size = (size + 1) // 2
    return size


def preprocess(plan: CellPlan, norm: Norm) -> tuple[nn.Module, nn.Module]:
    """Returns the modules that bring a cell's two inputs (older, newer) to its width.

    The older input is also brought to the height and width of the newer one.
    """
    before = _adapt(plan.before, plan.channels, plan.halve_before, norm)
    return before, _adapt(plan.previous, plan.channels, False, norm)


def _adapt(channels_in: int, channels: int, halve: bool, norm: Norm) -> nn.Module:
    if halve:
        return nn.Sequential(nn.ReLU(), Halve(channels_in, channels, norm))
    return nn.Sequential(nn.ReLU(), PointwiseConv2d(channels_in, channels), norm(channels))


class Stem(nn.Module):
    """The first convolutions, from images to the two inputs of the first cell.

    The small stem is one 3x3 convolution, whose output is both inputs. The ImageNet stem has three
    3x3 convolutions of stride 2; the inputs are the outputs of the second (a quarter of the image's
    side) and of the third (an eighth).
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
        """Called first in every forward pass: returns (older input, newer input)."""
        outputs = [images]
        for layer in self.layers:
            outputs.append(layer(outputs[-1]))
        return (outputs[-2], outputs[-1]) if len(self.layers) > 1 else (outputs[-1], outputs[-1])


def _layer(channels_in: int, channels: int, stride: int, relu: bool, norm: Norm) -> nn.Module:
    convolution = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
    return nn.Sequential(*([nn.ReLU()] if relu else []), convolution, norm(channels))


def average(state: State) -> Float[Tensor, "batch channels"]:
    """Returns the mean over all positions, the input of the classifier."""
    return state.mean((2, 3))
