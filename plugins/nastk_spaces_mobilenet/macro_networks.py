"""The networks of NAS-Bench-Macro: `MacroSupernet`, and `MacroNetwork` for one architecture.

Both are a 3x3 convolution at full size, three stages of inverted residual blocks, a 1x1
convolution, global average pooling and a classifier. Every stage doubles the channels and halves
height and width; activations are ReLU (Su et al. 2021, and the benchmark's table of sizes). In a
layer that changes the shape, `identity` is a 1x1 convolution with a norm.
"""

from collections.abc import Sequence
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

from nastk import Task
from nastk.nn import BatchNorm, ChoosingConv2d, PointwiseConv2d
from nastk_spaces_mobilenet.operations import LayerPlan, Norm, State, operation
from nastk_spaces_mobilenet.supernet import ChainSupernet, MixedLayer

IDENTITY = "identity"


def plan(depths: Sequence[int], channels: int) -> list[LayerPlan]:
    """Returns the layers in order, after a stem of `channels` channels."""
    plans: list[LayerPlan] = []
    for depth in depths:
        for number in range(depth):
            first = number == 0
            width = 2 * channels if first else channels
            plans.append(
                LayerPlan(
                    channels_in=channels,
                    channels=width,
                    stride=2 if first else 1,
                    residual=not first,
                    squeeze=False,
                    activation="relu",
                )
            )
            channels = width
    return plans


def candidate(name: str, plan: LayerPlan, norm: Norm) -> nn.Module:
    """Returns the operation called `name`, for a layer of this plan."""
    if name != IDENTITY:
        return operation(name, plan, norm)
    if plan.residual:
        return nn.Identity()
    convolution = ChoosingConv2d(plan.channels_in, plan.channels, 1, plan.stride, bias=False)
    return nn.Sequential(convolution, norm(plan.channels))


class Stem(nn.Sequential):
    """The first 3x3 convolution, at full size, with its norm and activation.

    Example: `Stem(task.channels, 32, nn.BatchNorm2d)(images)`
    """

    def __init__(self, image_channels: int, channels: int, norm: Norm) -> None:
        convolution = nn.Conv2d(image_channels, channels, 3, padding=1, bias=False)
        super().__init__(convolution, norm(channels), nn.ReLU())


class Head(nn.Module):
    """The layers after the chain: a 1x1 convolution, global average pooling and the classifier.

    Example: `Head(256, 1280, task.classes, nn.BatchNorm2d)(state)`
    """

    def __init__(self, channels: int, width: int, classes: int, norm: Norm) -> None:
        super().__init__()
        convolution = PointwiseConv2d(channels, width)
        self.features = nn.Sequential(convolution, norm(width), nn.ReLU())
        self.classifier = nn.Linear(width, classes)

    def forward(self, state: State) -> Float[Tensor, "batch classes"]:
        """Called last in every forward pass: returns the logits."""
        return self.classifier(self.features(state).mean((2, 3)))  # type: ignore[no-any-return]


class MacroSupernet(ChainSupernet):
    """The supernet of a `MacroSpace`; its norms use batch statistics and have no buffers.

    Example: `logits = space.supernet(task)(images, Mixture.uniform(space.full()))`
    """

    def __init__(
        self,
        depths: Sequence[int],
        names: Sequence[str],
        task: Task,
        channels: int,
        head_channels: int,
        affine: bool,
    ) -> None:
        super().__init__()
        norm = partial(BatchNorm, affine=affine)
        layers = plan(depths, channels)
        self.stem = Stem(task.channels, channels, norm)
        self.layers = nn.ModuleList(
            MixedLayer(layer, [candidate(name, layer, norm) for name in names]) for layer in layers
        )
        self.head = Head(layers[-1].channels, head_channels, task.classes, norm)


class MacroNetwork(nn.Module):
    """The stand-alone network of an architecture, an ordinary module with ordinary norms.

    Example: `logits = space.network(space.from_text("22222222"), task)(images)`
    """

    def __init__(
        self,
        depths: Sequence[int],
        names: Sequence[str],
        task: Task,
        channels: int,
        head_channels: int,
    ) -> None:
        super().__init__()
        layers = plan(depths, channels)
        self.stem = Stem(task.channels, channels, nn.BatchNorm2d)
        self.layers = nn.Sequential(
            *(
                candidate(name, layer, nn.BatchNorm2d)
                for name, layer in zip(names, layers, strict=True)
            )
        )
        self.head = Head(layers[-1].channels, head_channels, task.classes, nn.BatchNorm2d)

    def forward(self, images: State) -> Float[Tensor, "batch classes"]:
        """Called in training and evaluation: returns the logits."""
        return self.head(self.layers(self.stem(images)))  # type: ignore[no-any-return]
