"""The supernet of NAS-Bench-Macro as the paper describes it: `MacroReference`.

Su et al. 2021: a 3x3 convolution at full size, three stages of inverted residual blocks (two, three
and three), each stage of twice the width and half the side of what comes before, a 1x1 convolution,
the mean over all positions and a classifier. Activations are ReLU.
"""

from collections.abc import Iterator

from torch import Tensor, nn

from benchmarks.reference.operations import MixedEdge
from nastk import Task

DEPTHS = (2, 3, 3)


class MacroReference(nn.Module):
    """A chain of mixed edges; `weights` has a row, or the number of an operation, for each layer.

    Example: `MacroReference(task, channels=8, head_channels=128)(images, weights)`
    """

    def __init__(self, task: Task, channels: int, head_channels: int) -> None:
        super().__init__()
        self.stem = normed(nn.Conv2d(task.channels, channels, 3, padding=1, bias=False))
        self.layers = nn.ModuleList()
        for depth in DEPTHS:
            for number in range(depth):
                self.layers.append(layer(channels, first=number == 0))
                channels = channels if number else 2 * channels
        self.features = normed(nn.Conv2d(channels, head_channels, 1, bias=False))
        self.classifier = nn.Linear(head_channels, task.classes)

    def forward(self, images: Tensor, weights: Tensor) -> Tensor:
        """Called for every step: logits under the mixing weights, or along a path."""
        state = self.stem(images)
        for edge, own in zip(self.layers, weights, strict=True):
            state = edge(state, own)
        pooled = nn.functional.adaptive_avg_pool2d(self.features(state), 1)
        return self.classifier(pooled.flatten(1))  # type: ignore[no-any-return]

    def operations(self) -> Iterator[tuple[int, int, nn.Module]]:
        """Called to pair weights: (layer, operation, module)."""
        for row, edge in enumerate(self.layers):
            for column, module in enumerate(edge.operations):  # type: ignore[arg-type]
                yield row, column, module


def layer(channels: int, first: bool) -> MixedEdge:
    """The three candidates of a layer; the first of a stage halves the side and doubles the width.

    There, doing nothing is a 1x1 convolution with a norm.
    """
    width, stride = (2 * channels, 2) if first else (channels, 1)
    nothing: nn.Module = nn.Identity()
    if first:
        nothing = nn.Sequential(Corners(channels, width), nn.BatchNorm2d(width))
    candidates = {
        "identity": nothing,
        "small": Block(channels, width, 3, 3, stride),
        "large": Block(channels, width, 6, 5, stride),
    }
    return MixedEdge(candidates, lambda name: candidates[name])


class Corners(nn.Conv2d):
    """A 1x1 convolution with stride 2, of pixels taken before it (see `operations.Halve`).

    Example: `Corners(8, 16)(state)`
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, 1, bias=False)

    def forward(self, state: Tensor) -> Tensor:
        """Called on every forward pass."""
        return super().forward(state[:, :, ::2, ::2])


class Block(nn.Module):
    """Widen, convolve each channel, narrow, each with a norm; a shortcut where the shape is kept.

    Example: `Block(16, 16, expansion=6, size=5, stride=1)(state)`
    """

    def __init__(
        self, channels_in: int, channels: int, expansion: int, size: int, stride: int
    ) -> None:
        super().__init__()
        inside = expansion * channels_in
        self.body = nn.Sequential(
            *normed(nn.Conv2d(channels_in, inside, 1, bias=False)),
            *normed(nn.Conv2d(inside, inside, size, stride, size // 2, groups=inside, bias=False)),
            nn.Conv2d(inside, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.shortcut = stride == 1

    def forward(self, state: Tensor) -> Tensor:
        """Called on every forward pass."""
        found: Tensor = self.body(state)
        return found + state if self.shortcut else found


def normed(convolution: nn.Conv2d) -> nn.Sequential:
    """A convolution, its norm, ReLU."""
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU())
