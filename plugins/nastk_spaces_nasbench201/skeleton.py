"""What the supernet and a stand-alone network have in common: stem, stages, reduction blocks, head.

A 3x3 convolution, N cells of C channels, a reduction, N cells of 2C, a reduction, N cells of 4C,
and a norm, ReLU, mean over all positions and the classifier (Dong and Yang 2020, section 2.1).
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nastk_spaces_nasbench201.operations import Norm, State


def stem(image_channels: int, channels: int, norm: Norm) -> nn.Sequential:
    """The first convolution with its norm."""
    convolution = nn.Conv2d(image_channels, channels, 3, padding=1, bias=False)
    return nn.Sequential(convolution, norm(channels))


def stages(
    channels: int, cells: int, cell: Callable[[int], nn.Module], norm: Norm
) -> nn.ModuleList:
    """Three times `cells` cells, with a `Reduction` between; `cell` makes one from its channels."""
    blocks = [cell(channels) for _ in range(cells)]
    for _ in range(2):
        blocks.append(Reduction(channels, norm))
        channels *= 2
        blocks += [cell(channels) for _ in range(cells)]
    return nn.ModuleList(blocks)


class Reduction(nn.Module):
    """A basic residual block that halves the side and doubles the channels.

    Example: `Reduction(16, nn.BatchNorm2d)(state)`, 32 channels at half the side
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
        # `ceil_mode` matters for an odd side only, which the benchmark has nowhere.
        self.beside = nn.Sequential(
            nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(channels, wide, 1, bias=False)
        )

    def forward(self, state: State) -> State:
        """Called between two stages: half the side (rounded up), twice the channels."""
        return self.beside(state) + self.convolutions(state)  # type: ignore[no-any-return]


class Head(nn.Module):
    """The last norm and the classifier.

    Example: `Head(64, 10, nn.BatchNorm2d)(state)`, logits of ten classes
    """

    def __init__(self, channels: int, classes: int, norm: Norm) -> None:
        super().__init__()
        self.norm = norm(channels)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, state: State) -> Float[Tensor, "batch classes"]:
        """Called last in every forward pass: logits."""
        return self.classifier(torch.relu(self.norm(state)).mean((2, 3)))  # type: ignore[no-any-return]
