"""The parts that supernet and stand-alone network share: the plan of the layers, stem, head.

The stem is a 3x3 convolution and a first block that does not widen. The head is a 1x1 convolution
to many channels, global average pooling and the classifier; MobileNetV3 pools before the last of
two 1x1 convolutions.
"""

from itertools import chain

from jaxtyping import Float
from torch import Tensor, nn

from nastk.nn import PointwiseConv2d
from nastk_spaces_mobilenet.layouts import Layout
from nastk_spaces_mobilenet.operations import (
    ACTIVATIONS,
    Activation,
    InvertedResidual,
    LayerPlan,
    Norm,
    State,
    divisible,
)


def scaled(channels: int, multiplier: float) -> int:
    """Returns a width times the multiplier as a multiple of 8; multiplier 1 changes nothing."""
    return channels if multiplier == 1.0 else divisible(channels * multiplier)


def stages(layout: Layout) -> list[int]:
    """Returns the stage of each searched layer, counted from 1."""
    return list(
        chain.from_iterable([stage] * depth for stage, depth in enumerate(layout.depths, start=1))
    )


def plan(layout: Layout, multiplier: float = 1.0, small: bool = False) -> list[LayerPlan]:
    """Returns the searched layers in order; with `small` the first stage keeps the image size.

    The layout alone decides which layers are residual, whatever `multiplier` and `small` are.
    """
    plans: list[LayerPlan] = []
    before, stage_before = layout.first_channels, 0
    for stage in stages(layout):
        width = layout.widths[stage - 1]
        stride = layout.strides[stage - 1] if stage != stage_before else 1
        plans.append(
            LayerPlan(
                channels_in=scaled(before, multiplier),
                channels=scaled(width, multiplier),
                stride=1 if small and stage == 1 else stride,
                residual=stride == 1 and width == before,
                squeeze=stage in layout.squeeze,
                activation="hard_swish" if stage in layout.hard_swish else _plain(layout),
            )
        )
        before, stage_before = width, stage
    return plans


class Stem(nn.Module):
    """The first convolution and the first block.

    Example: `Stem(layout, 1.0, task.channels, small=True, norm=nn.BatchNorm2d)(images)`
    """

    def __init__(
        self, layout: Layout, multiplier: float, image_channels: int, small: bool, norm: Norm
    ) -> None:
        super().__init__()
        channels = scaled(layout.stem_channels, multiplier)
        stride = 1 if small else 2
        self.convolution = nn.Sequential(
            nn.Conv2d(image_channels, channels, 3, stride, 1, bias=False),
            norm(channels),
            ACTIVATIONS[_outer(layout)](),
        )
        first = LayerPlan(
            channels_in=channels,
            channels=scaled(layout.first_channels, multiplier),
            stride=1,
            residual=layout.stem_channels == layout.first_channels,
            squeeze=False,
            activation=_plain(layout),
        )
        self.block = InvertedResidual(first, 3, 1, norm)

    def forward(self, images: State) -> State:
        """Called first in every forward pass: returns the input of the first layer."""
        return self.block(self.convolution(images))  # type: ignore[no-any-return]


class Head(nn.Module):
    """The layers after the chain: features, global average pooling and the classifier.

    Example: `Head(layout, 1.0, task.classes, nn.BatchNorm2d, dropout=0.2)(state)`
    """

    def __init__(
        self, layout: Layout, multiplier: float, classes: int, norm: Norm, dropout: float = 0.0
    ) -> None:
        super().__init__()
        last = scaled(layout.widths[-1], multiplier)
        # A multiplier below 1 does not narrow the head.
        width = scaled(layout.head_channels, max(multiplier, 1.0))
        inside = 6 * last if layout.style == "v3" else width
        self.features = nn.Sequential(
            PointwiseConv2d(last, inside), norm(inside), ACTIVATIONS[_outer(layout)]()
        )
        self.mix = (
            nn.Sequential(nn.Linear(inside, width, bias=False), nn.Hardswish())
            if layout.style == "v3"
            else nn.Identity()
        )
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, classes)

    def forward(self, state: State) -> Float[Tensor, "batch classes"]:
        """Called last in every forward pass: returns the logits."""
        mean = self.features(state).mean((2, 3))
        return self.classifier(self.dropout(self.mix(mean)))  # type: ignore[no-any-return]


def _plain(layout: Layout) -> Activation:
    """Returns the activation of blocks in stages without hard swish."""
    return "relu" if layout.style == "v3" else "relu6"


def _outer(layout: Layout) -> Activation:
    """Returns the activation of the first and the last convolution."""
    return "hard_swish" if layout.style == "v3" else "relu6"
