"""A search space of one's own: an ordinary network whose undecided layers are `nastk.Choice`.

python own_space.py                           a search on handwritten digits
python own_space.py --updater isdarts         the same with another method
"""

import argparse

import torch
from torch import nn

import nastk


def convolution(channels: int, size: int, groups: int = 1) -> nn.Module:
    """A layer that keeps the form of its input, like everything that may stand in its place."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, size, padding=size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


class Mine(nn.Module):
    """Four layers to decide: two alone, two that are decided together."""

    def __init__(self, task: nastk.Task, channels: int = 16) -> None:
        super().__init__()
        self.stem = nn.Conv2d(task.channels, channels, 3, padding=1)
        self.first = nastk.Choice(
            conv3=convolution(channels, 3), conv5=convolution(channels, 5), skip=nn.Identity()
        )
        self.second = nastk.Choice(
            conv1=convolution(channels, 1), depthwise=convolution(channels, 3, groups=channels)
        )
        self.blocks = nn.ModuleList(
            nastk.Choice(conv3=convolution(channels, 3), pool=nn.AvgPool2d(3, 1, 1), name="block")
            for _ in range(2)
        )
        self.head = nn.Linear(channels, task.classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits; the choices are called like any layer."""
        features = self.second(self.first(self.stem(images)))
        for block in self.blocks:
            features = features + block(features)
        return self.head(features.mean((2, 3)))


def main(arguments: list[str] | None = None) -> nastk.Result:
    """Make the network a space, search it, and take the network that was found."""
    parser = argparse.ArgumentParser(description="A search space of one's own.")
    parser.add_argument("--updater", default="shapley")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument(
        "--out", default=None, help="the run folder; a new one in runs/ where not given"
    )
    asked = parser.parse_args(arguments)

    nastk.register(nastk.space_of(Mine))
    result = nastk.search(
        "mine", asked.updater, asked.data, epochs=asked.epochs, preset="quick", out=asked.out
    )

    print("found       ", result.text)
    print("evaluation  ", result.evaluation)
    network = result.network()  # a plain torch module: every choice is now one layer
    print("parameters  ", sum(weight.numel() for weight in network.parameters()))
    print("run folder  ", result.folder.path)
    return result


if __name__ == "__main__":
    main()
