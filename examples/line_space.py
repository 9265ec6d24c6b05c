"""A search space written by hand: layers in a line, each with one of three operations.

python examples/line_space.py --updater shapley
"""

import argparse
from collections.abc import Sequence

from pydantic import Field
from torch import nn

import nastk

OPERATIONS = ("conv3", "conv5", "skip")


def operation(name, channels):
    """A fresh operation. Its norm uses the statistics of the batch and keeps none."""
    if name == "skip":
        return nn.Identity()
    size = {"conv3": 3, "conv5": 5}[name]
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, size, padding=size // 2, bias=False),
        nn.BatchNorm2d(channels, track_running_stats=False),
    )


class LineSupernet(nastk.Supernet):
    """Every operation of every layer, mixed as it is told."""

    def __init__(self, edges, channels, task):
        super().__init__()
        self.stem = nn.Conv2d(task.channels, channels, 3, padding=1)
        self.layers = nn.ModuleList(
            nn.ModuleList(operation(name, channels) for name in edge.operations) for edge in edges
        )
        self.head = nn.Linear(channels, task.classes)

    def forward(self, images, mixture):
        """Logits; operations that are not active are not computed."""
        features = self.stem(images)
        for edge, modules in enumerate(self.layers):
            total = features.new_zeros(features.shape)
            for column, module in enumerate(modules):
                if mixture.active[edge, column]:
                    total = total + mixture.weights[edge, column] * module(features)
            features = total
        return self.head(features.mean((2, 3)))

    def operations(self):
        """Every (edge, operation, module)."""
        for edge, modules in enumerate(self.layers):
            for column, module in enumerate(modules):
                yield edge, column, module


class LineSpace(nastk.SingleChoiceSpace):
    """Layers in a line, each with one operation."""

    name = "line"
    summary = "layers in a line, each a convolution or a skip"

    class Options(nastk.Options):
        """Options of the space."""

        layers: int = Field(4, ge=1, description="layers that are decided")
        channels: int = Field(16, ge=2, description="channels of every feature map")

    def __init__(self, options=None):
        super().__init__(options)
        self.edges = tuple(
            nastk.Edge(f"layer:{layer}", OPERATIONS, "layers", tail=layer, head=layer + 1)
            for layer in range(self.options.layers)
        )

    def supernet(self, task):
        """Fresh shared weights for images of this task."""
        return LineSupernet(self.edges, self.options.channels, task)

    def network(self, architecture, task):
        """The stand-alone network: the same skeleton with what was chosen."""
        channels = self.options.channels
        chosen = [name for _, name in self.check(architecture).links()]
        return nn.Sequential(
            nn.Conv2d(task.channels, channels, 3, padding=1),
            *(operation(name, channels) for name in chosen),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(channels, task.classes),
        )

    def to_text(self, architecture):
        """`conv3|skip|conv5|conv3`."""
        return "|".join(name for _, name in architecture.links())

    def from_text(self, text):
        """The inverse."""
        names = text.split("|")
        if len(names) != len(self.edges):
            raise nastk.DataError(
                f"Expected {len(self.edges)} operations between `|`, got {len(names)}: {text!r}."
            )
        return self.check(self.architecture((name,) for name in names))


def main(arguments: Sequence[str] | None = None) -> None:
    """Search it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updater", default="shapley")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--epochs", type=int, default=8)
    given = parser.parse_args(arguments)
    nastk.register(LineSpace)
    result = nastk.search("line", given.updater, given.data, trainer={"epochs": given.epochs})
    print(result.text)


if __name__ == "__main__":
    main()
