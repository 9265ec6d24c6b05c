"""`count` gives the size of a stand-alone network in closed form, without building the network.

It equals the benchmark's table for all 15,625 architectures (CIFAR-10, C = 16, N = 5). Convolutions
and the classifier with its bias count as multiply-adds; norms, poolings and sums do not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nastk import Task

TAPS = {"nor_conv_1x1": 1, "nor_conv_3x3": 9}
"""Input positions that a convolution reads per output position, by the operation's name."""


@dataclass(frozen=True)
class NetworkSize:
    """The number of parameters, and of multiply-adds for one image.

    Example: `space.size(architecture, task).parameters`
    """

    parameters: int
    multiply_adds: int


def count(names: Sequence[str], channels: int, cells: int, task: Task) -> NetworkSize:
    """Returns the size of the network whose cell has the six operations `names`.

    `channels` is the width of the first stage, `cells` the number of cells in each stage.
    """
    convolutions = [TAPS[name] for name in names if name in TAPS]
    height, width = task.height, task.width
    parameters, multiply_adds = _convolution(9, task.channels, channels, height * width)
    for stage in range(3):
        if stage:
            height, width = (height + 1) // 2, (width + 1) // 2
            added = _reduction(channels, height * width)
            channels *= 2
            parameters, multiply_adds = parameters + added[0], multiply_adds + added[1]
        for taps in convolutions:
            added = _convolution(taps, channels, channels, height * width)
            parameters, multiply_adds = (
                parameters + cells * added[0],
                multiply_adds + cells * added[1],
            )
    classifier = (channels + 1) * task.classes
    return NetworkSize(parameters + 2 * channels + classifier, multiply_adds + classifier)


def _convolution(taps: int, channels_in: int, channels: int, positions: int) -> tuple[int, int]:
    """Returns parameters and multiply-adds of a convolution with its norm, for one image.

    `positions` is the number of output positions, height x width.
    """
    weights = taps * channels_in * channels
    return weights + 2 * channels, weights * positions


def _reduction(channels: int, positions: int) -> tuple[int, int]:
    """Like `_convolution` for a reduction block: two 3x3 convolutions and a 1x1 on the shortcut."""
    first = _convolution(9, channels, 2 * channels, positions)
    second = _convolution(9, 2 * channels, 2 * channels, positions)
    shortcut = channels * 2 * channels
    return first[0] + second[0] + shortcut, first[1] + second[1] + shortcut * positions
