"""`DartsNetwork`: the stand-alone network of an architecture, to train, count and export.

It is an ordinary module with ordinary norms (affine, with running statistics). Auxiliary head and
drop path are those of DARTS's final training.
"""

from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nastk import Architecture, ConfigurationError, Task
from nastk_spaces_darts.genotype import GROUPS
from nastk_spaces_darts.operations import Operation, State, Views, operation
from nastk_spaces_darts.options import DartsOptions
from nastk_spaces_darts.skeleton import (
    CellPlan,
    Stem,
    average,
    plan,
    preprocess,
    reductions,
    side_after,
)

Logits = Float[Tensor, "batch classes"]
Link = tuple[str, int, int]
"""A chosen operation of a cell: (name, source, node)."""


class DartsNetwork(nn.Module):
    """The network of an architecture.

    It returns logits, but in training with the option `auxiliary` a pair: logits and logits of the
    auxiliary head. `drop_path` is the probability with which a path is dropped in training; the
    training loop may change it from epoch to epoch.

    Example:
        network = space.network(space.from_text("DARTS_V2"), task)
        network.drop_path = 0.2 * epoch / epochs
    """

    def __init__(self, options: DartsOptions, architecture: Architecture, task: Task) -> None:
        super().__init__()
        imagenet = options.is_imagenet(task)
        channels = options.network_channels or (48 if imagenet else 36)
        cells = options.network_cells or (14 if imagenet else 20)
        stem_channels = channels if imagenet else options.stem_multiplier * channels
        self.drop_path: float = options.drop_path
        self.stem = Stem(task.channels, stem_channels, imagenet, nn.BatchNorm2d)
        plans = plan(cells, channels, stem_channels, options.nodes, imagenet)
        links = {group: _links(architecture, group) for group in GROUPS}
        self.cells = nn.ModuleList(
            NetworkCell(cell, links[cell.group], options.nodes) for cell in plans
        )
        self.classifier = nn.Linear(options.nodes * plans[-1].channels, task.classes)
        self.auxiliary_after = reductions(cells)[1]
        self.auxiliary: nn.Module | None = None
        if options.auxiliary:
            sides = (task.height, task.width)
            width = options.nodes * plans[self.auxiliary_after].channels
            self.auxiliary = auxiliary_head(
                width, task.classes, imagenet, [side_after(side, imagenet, 2) for side in sides]
            )

    def forward(self, images: State) -> Logits | tuple[Logits, Logits]:
        """Called in training and evaluation: returns logits, or (logits, auxiliary logits)."""
        before, previous = self.stem(images)
        auxiliary = None
        for position, cell in enumerate(self.cells):
            before, previous = (
                previous,
                cell(before, previous, self.drop_path if self.training else 0.0),
            )
            if position == self.auxiliary_after and self.auxiliary is not None and self.training:
                auxiliary = self.auxiliary(previous)
        logits = self.classifier(average(previous))
        return logits if auxiliary is None else (logits, auxiliary)


class NetworkCell(nn.Module):
    """One cell of a network, with the chosen operations only; two may read the same input."""

    def __init__(self, plan: CellPlan, links: Sequence[Link], nodes: int) -> None:
        super().__init__()
        self.preprocess0, self.preprocess1 = preprocess(plan, nn.BatchNorm2d)
        self.strides = [2 if plan.reduction and source < 2 else 1 for source in range(2 + nodes)]
        self.incoming = [
            [(index, source) for index, (_, source, end) in enumerate(links) if end == node]
            for node in range(2, 2 + nodes)
        ]
        self.operations = nn.ModuleList(
            operation(name, plan.channels, self.strides[source], nn.BatchNorm2d)
            for name, source, _ in links
        )

    def forward(self, before: State, previous: State, drop_path: float) -> State:
        """Called once per cell: returns its nodes, concatenated along the channels.

        A node is the sum of its chosen operations.
        """
        inputs = [self.preprocess0(before), self.preprocess1(previous)]
        views = [
            Views(state, stride, {}) for state, stride in zip(inputs, self.strides, strict=False)
        ]
        for incoming in self.incoming:
            terms = [self._output(index, views[source], drop_path) for index, source in incoming]
            views.append(Views(sum(terms[1:], terms[0]), 1, {}))
        return torch.cat([node.state for node in views[2:]], 1)

    def _output(self, index: int, views: Views, drop_path: float) -> State:
        module = cast(Operation, self.operations[index])
        output: State = module(views.read(module.reads))
        return dropped(output, drop_path) if drop_path > 0 and not module.is_identity else output


def dropped(x: State, probability: float) -> State:
    """Returns `x` with each image zeroed at this `probability` and the others divided by 1 - p."""
    keep = 1.0 - probability
    return x * (torch.rand(len(x), 1, 1, 1, device=x.device) < keep).to(x.dtype).div(keep)


def auxiliary_head(channels: int, classes: int, imagenet: bool, sides: Sequence[int]) -> nn.Module:
    """Returns DARTS's auxiliary classifier, for maps of `sides` (height, width) pixels.

    It reads the output of the second reduction cell. The ImageNet head has no second norm, as in
    the networks whose results DARTS published.

    Raises:
        ConfigurationError: the head's pooling would not leave the 2x2 positions that its
            convolution needs.
    """
    stride, (least, most) = (2, (7, 8)) if imagenet else (3, (8, 10))
    if not least <= min(sides) <= max(sides) <= most:
        left = " x ".join(map(str, sides)) if len(set(sides)) > 1 else str(sides[0])
        raise ConfigurationError(
            f"The auxiliary head needs {least} to {most} pixels a side after the second "
            f"reduction, and these images leave {left} (CIFAR's 32 leave 8, ImageNet's 224 leave "
            "7). Use -s auxiliary=false."
        )
    second_norm = [] if imagenet else [nn.BatchNorm2d(768)]
    return nn.Sequential(
        nn.ReLU(),
        nn.AvgPool2d(5, stride, count_include_pad=False),
        nn.Conv2d(channels, 128, 1, bias=False),
        nn.BatchNorm2d(128),
        nn.ReLU(),
        nn.Conv2d(128, 768, 2, bias=False),
        *second_norm,
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(768, classes),
    )


def _links(architecture: Architecture, group: str) -> list[Link]:
    return [
        (name, edge.tail, edge.head) for edge, name in architecture.links() if edge.group == group
    ]
