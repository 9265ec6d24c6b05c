"""`MobileNetwork`: the stand-alone network of one architecture, to train, count and export.

It is an ordinary module with ordinary norms (affine, with running statistics).
"""

from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

from nastk import Architecture, Task
from nastk_spaces_mobilenet.operations import State, operation
from nastk_spaces_mobilenet.options import MobileNetOptions
from nastk_spaces_mobilenet.skeleton import Head, Stem, plan


class MobileNetwork(nn.Module):
    """The network of an architecture; a skipped layer is an identity without parameters.

    Example: `logits = space.network(space.from_text("PROXYLESS_GPU"), task)(images)`
    """

    def __init__(self, options: MobileNetOptions, architecture: Architecture, task: Task) -> None:
        super().__init__()
        layout, small = options.described(), options.is_small(task)
        multiplier = options.width_multiplier
        norm = partial(nn.BatchNorm2d, eps=options.norm_epsilon)
        self.stem = Stem(layout, multiplier, task.channels, small, norm)
        self.layers = nn.Sequential(
            *(
                operation(name, layer, norm)
                for layer, (_, name) in zip(
                    plan(layout, multiplier, small), architecture.links(), strict=True
                )
            )
        )
        self.head = Head(layout, multiplier, task.classes, norm, options.dropout)

    def forward(self, images: State) -> Float[Tensor, "batch classes"]:
        """Called in training and evaluation: returns the logits."""
        return self.head(self.layers(self.stem(images)))  # type: ignore[no-any-return]
