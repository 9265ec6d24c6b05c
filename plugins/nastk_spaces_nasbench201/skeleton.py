"""The parts that supernet and stand-alone network share: stem, stages, reduction blocks, head.

Both are a 3x3 convolution, N cells of C channels, a reduction, N cells of 2C, a reduction, N cells
of 4C, then a norm, ReLU, global average pooling and the classifier (Dong and Yang 2020, section
2.1).
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nastk_spaces_nasbench201.operations import Norm, State


def stem(image_channels: int, channels: int, norm: Norm) -> nn.Sequential:
    """Returns the first convolution with its norm."""
    convolution = nn.Conv2d(image_channels, channels, 3, padding=1, bias=False)
    return nn.Sequential(convolution, norm(channels))


def stages(
    channels: int, cells: int, cell: Callable[[int], nn.Module], norm: Norm
) -> nn.ModuleList:
    """Returns three stages of `cells` cells with a `Reduction` between two stages.

    `cell` makes a cell from its number of channels.
    """
    blocks = [cell(channels) for _ in range(cells)]
    for _ in range(2):
        blocks.append(Reduction(channels, norm))
        channels *= 2
        blocks += [cell(channels) for _ in range(cells)]
    return nn.ModuleList(blocks)


class Reduction(nn.Module):
    """A basic residual block that halves height and width and doubles the channels.

    Example: `Reduction(16, nn.BatchNorm2d)(state)` has 32 channels
    """

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        wide = 2 * channels
        self.convolutions = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, wide, 3, stride=2, padding=1, bias=False),
            norm(wide),
            nn.ReLU(),
            nn.Conv2d(wide, wide, 3, padding=1, bias=False),
            norm(wide),
        )
        # `ceil_mode` only matters for odd sizes, which do not occur in the benchmark.
        self.beside = nn.Sequential(
            nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(channels, wide, 1, bias=False)
        )

    def forward(self, state: State) -> State:
        """Called between two stages: half the height and width (rounded up), twice the channels."""
        return self.beside(state) + self.convolutions(state)  # type: ignore[no-any-return]


class Head(nn.Module):
    """The last norm, ReLU, global average pooling and the classifier.

    Example: `Head(64, 10, nn.BatchNorm2d)(state)` gives logits of ten classes
    """

    def __init__(self, channels: int, classes: int, norm: Norm) -> None:
        super().__init__()
        self.norm = norm(channels)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, state: State) -> Float[Tensor, "batch classes"]:
        """Called last in every forward pass: returns the logits."""
        return self.classifier(torch.relu(self.norm(state)).mean((2, 3)))  # type: ignore[no-any-return]
