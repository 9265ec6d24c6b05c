"""`NasBench201Network`: the stand-alone network of one architecture, to train, count and export.

It is an ordinary module with ordinary norms (affine, with running statistics) and has the layers of
the network that the benchmark trained.
"""

from collections.abc import Sequence
from functools import partial, reduce
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nastk import Architecture, Edge, Task
from nastk_spaces_nasbench201.operations import Operation, State, Views, operation
from nastk_spaces_nasbench201.options import NasBench201Options
from nastk_spaces_nasbench201.skeleton import Head, stages, stem


class NasBench201Network(nn.Module):
    """The network of an architecture.

    Example: `logits = space.network(space.from_text(text), task)(images)`
    """

    def __init__(self, options: NasBench201Options, architecture: Architecture, task: Task) -> None:
        super().__init__()
        channels = options.network_channels
        cell = partial(NetworkCell, architecture.links())
        self.stem = stem(task.channels, channels, nn.BatchNorm2d)
        self.blocks = stages(channels, options.network_cells, cell, nn.BatchNorm2d)
        self.head = Head(4 * channels, task.classes, nn.BatchNorm2d)

    def forward(self, images: State) -> Float[Tensor, "batch classes"]:
        """Called in training and evaluation: returns the logits."""
        state = self.stem(images)
        for block in self.blocks:
            state = block(state)
        return self.head(state)  # type: ignore[no-any-return]


class NetworkCell(nn.Module):
    """One cell of a network, with one operation per edge; `none` gives zeros.

    Example: `NetworkCell(architecture.links(), 16)(state)`
    """

    def __init__(self, links: Sequence[tuple[Edge, str]], channels: int) -> None:
        super().__init__()
        self.incoming = [
            [(index, edge.tail) for index, (edge, _) in enumerate(links) if edge.head == node]
            for node in range(1, links[-1][0].head + 1)
        ]
        self.operations = nn.ModuleList(
            operation(name, channels, nn.BatchNorm2d) for _, name in links
        )

    def forward(self, state: State) -> State:
        """Called once per cell: returns its last node; a node is the sum of its operations."""
        views = [Views(state)]
        for incoming in self.incoming:
            modules = [
                (cast(Operation, self.operations[index]), source) for index, source in incoming
            ]
            terms = [module(views[source].read(module.reads)) for module, source in modules]
            views.append(Views(reduce(torch.add, terms)))
        return views[-1].read("state")
