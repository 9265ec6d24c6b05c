"""The supernet of the DARTS space as the papers describe it: `DartsReference`.

Liu et al. 2019, section 2.1; with `parts` > 1 the partial channels of Xu et al. 2020, which
Shapley-NAS (Xiao et al. 2022) also trains.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from benchmarks.reference.operations import Halve, MixedEdge, convolution, darts_operation
from nastk import Edge, Task


class DartsReference(nn.Module):
    """Cells in a row over their mixed edges; `weights` has one row an edge of the space.

    Example: `DartsReference(space.edges, task, channels=16, cells=8)(images, weights)`
    """

    def __init__(
        self,
        edges: Sequence[Edge],
        task: Task,
        channels: int,
        cells: int,
        parts: int = 1,
        pool_norm: bool = True,
        stem_multiplier: int = 3,
    ) -> None:
        super().__init__()
        wide = stem_multiplier * channels
        self.stem = nn.Sequential(
            nn.Conv2d(task.channels, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide)
        )
        self.cells = nn.ModuleList()
        before, previous, halved = wide, wide, False
        for position in range(cells):
            reduction = position in (cells // 3, 2 * cells // 3)
            channels *= 2 if reduction else 1
            cell = Cell(edges, before, previous, channels, reduction, halved, parts, pool_norm)
            self.cells.append(cell)
            before, previous, halved = previous, cell.nodes * channels, reduction
        self.classifier = nn.Linear(previous, task.classes)

    def forward(self, images: Tensor, weights: Tensor) -> Tensor:
        """Called for every step and every measurement: logits under the mixing weights."""
        before = previous = self.stem(images)
        for cell in self.cells:
            before, previous = previous, cell(before, previous, weights)
        pooled = nn.functional.adaptive_avg_pool2d(previous, 1)
        return self.classifier(pooled.flatten(1))  # type: ignore[no-any-return]

    def operations(self) -> Iterator[tuple[int, int, nn.Module]]:
        """Called to pair weights: (edge, operation, module), cell by cell."""
        for cell in self.cells:
            for row, edge in zip(cell.rows, cell.edges, strict=True):  # type: ignore[arg-type]
                for column, module in enumerate(edge.operations):
                    yield row, column, module


class Cell(nn.Module):
    """One cell: every node is the sum over all its mixed edges.

    Example: `Cell(space.edges, 48, 48, 16, False, False, 1, True)(before, previous, weights)`
    """

    def __init__(
        self,
        edges: Sequence[Edge],
        before: int,
        previous: int,
        channels: int,
        reduction: bool,
        halved: bool,
        parts: int,
        pool_norm: bool,
    ) -> None:
        super().__init__()
        group = "reduce" if reduction else "normal"
        own = [(row, edge) for row, edge in enumerate(edges) if edge.group == group]
        self.rows = [row for row, _ in own]
        self.nodes = own[-1][1].head - 1
        self.preprocess0 = Halve(before, channels) if halved else convolution(before, channels, 1)
        self.preprocess1 = convolution(previous, channels, 1)
        self.edges = nn.ModuleList()
        for _, edge in own:
            stride = 2 if reduction and edge.tail < 2 else 1
            self.edges.append(
                MixedEdge(
                    edge.operations,
                    lambda name, stride=stride: darts_operation(  # type: ignore[misc]
                        name, channels // parts, stride, pool_norm
                    ),
                    parts,
                    stride,
                )
            )

    def forward(self, before: Tensor, previous: Tensor, weights: Tensor) -> Tensor:
        """Called once a cell on every forward pass: its nodes side by side."""
        states = [self.preprocess0(before), self.preprocess1(previous)]
        place = 0
        for _ in range(self.nodes):
            terms = [
                self.edges[place + source](state, weights[self.rows[place + source]])
                for source, state in enumerate(states)
            ]
            place += len(terms)
            states.append(sum(terms[1:], terms[0]))
        return torch.cat(states[2:], 1)
