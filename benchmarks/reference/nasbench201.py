"""The supernet of NAS-Bench-201 as the paper describes it: `NasBench201Reference`.

Dong and Yang 2020, section 2.1: a stem, three stages of N cells, a residual block between two
stages, and a head.
"""

from collections.abc import Iterator, Sequence
from functools import partial

from torch import Tensor, nn

from benchmarks.reference.operations import MixedEdge, nasbench201_operation
from nastk import Edge, Task


class NasBench201Reference(nn.Module):
    """Stages of cells over their mixed edges; `weights` has one row an edge of the space.

    Example: `NasBench201Reference(space.edges, task, channels=16, cells=5)(images, weights)`
    """

    def __init__(self, edges: Sequence[Edge], task: Task, channels: int, cells: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(task.channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        )
        self.blocks = nn.ModuleList()
        for stage in range(3):
            if stage:
                self.blocks.append(Residual(channels))
                channels *= 2
            self.blocks.extend(Cell(edges, channels) for _ in range(cells))
        self.norm = nn.BatchNorm2d(channels)
        self.classifier = nn.Linear(channels, task.classes)

    def forward(self, images: Tensor, weights: Tensor) -> Tensor:
        """Called for every step and every measurement: logits under the mixing weights."""
        state = self.stem(images)
        for block in self.blocks:
            state = block(state, weights) if isinstance(block, Cell) else block(state)
        state = nn.functional.adaptive_avg_pool2d(self.norm(state).relu(), 1)
        return self.classifier(state.flatten(1))  # type: ignore[no-any-return]

    def operations(self) -> Iterator[tuple[int, int, nn.Module]]:
        """Called to pair weights: (edge, operation, module), cell by cell."""
        for block in self.blocks:
            if isinstance(block, Cell):
                for row, edge in enumerate(block.edges):
                    for column, module in enumerate(edge.operations):  # type: ignore[arg-type]
                        yield row, column, module


class Cell(nn.Module):
    """One cell: node 0 is its input, every later node the sum over all its mixed edges.

    Example: `Cell(space.edges, 16)(state, weights)`
    """

    def __init__(self, edges: Sequence[Edge], channels: int) -> None:
        super().__init__()
        self.ends = [(edge.tail, edge.head) for edge in edges]
        make = partial(nasbench201_operation, channels=channels)
        self.edges = nn.ModuleList(MixedEdge(edge.operations, make) for edge in edges)

    def forward(self, state: Tensor, weights: Tensor) -> Tensor:
        """Called once a cell on every forward pass: its last node."""
        nodes = [state]
        for node in range(1, self.ends[-1][1] + 1):
            terms = [
                self.edges[row](nodes[source], weights[row])
                for row, (source, end) in enumerate(self.ends)
                if end == node
            ]
            nodes.append(sum(terms[1:], terms[0]))
        return nodes[-1]


class Residual(nn.Module):
    """Between two stages: half the side, twice the channels, with a shortcut.

    Example: `Residual(16)(state)`, 32 channels
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.main = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, wide, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
            nn.Conv2d(wide, wide, 3, padding=1, bias=False),
            nn.BatchNorm2d(wide),
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels, wide, 1, bias=False))

    def forward(self, state: Tensor) -> Tensor:
        """Called between two stages on every forward pass."""
        return self.main(state) + self.shortcut(state)  # type: ignore[no-any-return]
