"""A search space and data for tests and tutorials: five epochs take about a second on a CPU.

Two cell types, five edges, four operations (one type lacks pooling, so that tables are ragged),
images of 8x8 pixels in three classes.
"""

from collections.abc import Iterator
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from nastk.base.component import Options
from nastk.base.errors import DataError
from nastk.base.seeds import generator
from nastk.data.augment import Augmentation
from nastk.data.source import DataSource
from nastk.data.splits import Split, Splits
from nastk.data.task import Task
from nastk.spaces.architecture import Architecture
from nastk.spaces.mixture import Mixture
from nastk.spaces.space import SearchSpace
from nastk.spaces.subspace import Edge, Subspace
from nastk.spaces.supernet import Supernet

WIDE = ("none", "skip", "conv", "pool")
NARROW = ("none", "skip", "conv")
EDGES = (
    Edge("first:0->1", WIDE, "first", 0, 1),
    Edge("first:0->2", WIDE, "first", 0, 2),
    Edge("first:1->2", WIDE, "first", 1, 2),
    Edge("second:0->1", NARROW, "second", 0, 1),
    Edge("second:1->2", NARROW, "second", 1, 2),
)
CELLS = ("first", "first", "second")


class Zero(nn.Module):
    """The operation `none`: returns zeros of the input's shape."""

    def forward(self, features: Tensor) -> Tensor:
        """Returns zeros of the shape of `features`."""
        return torch.zeros_like(features)


def operation(name: str, channels: int) -> nn.Module:
    """Returns a new operation of the toy space, for features of `channels` channels."""
    if name == "none":
        return Zero()
    if name == "skip":
        return nn.Identity()
    if name == "pool":
        return nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels, affine=False, track_running_stats=False),
    )


class ToyCell(nn.Module):
    """A cell of the supernet: the operations on the edges of a group."""

    def __init__(self, group: str, channels: int) -> None:
        super().__init__()
        self.edges = [index for index, edge in enumerate(EDGES) if edge.group == group]
        self.operations = nn.ModuleList(
            nn.ModuleList(operation(name, channels) for name in EDGES[index].operations)
            for index in self.edges
        )

    def forward(self, features: Tensor, mixture: Mixture) -> Tensor:
        """Returns the last node, images x channels x height x width.

        A node is the sum of its edges, an edge the weighted sum of its active operations.
        """
        nodes = [features, *(torch.zeros_like(features) for _ in range(2))]
        for index, modules in zip(self.edges, self.operations, strict=True):
            edge = EDGES[index]
            for column, module in enumerate(cast(nn.ModuleList, modules)):
                if mixture.active[index, column]:
                    term = mixture.weights[index, column] * module(nodes[edge.tail])
                    nodes[edge.head] = nodes[edge.head] + term
        return nodes[-1]


class ToySupernet(Supernet):
    """The supernet of the toy space: a stem, three cells and a classifier."""

    def __init__(self, channels: int, task: Task) -> None:
        super().__init__()
        self.stem = nn.Conv2d(task.channels, channels, 3, padding=1)
        self.cells = nn.ModuleList(ToyCell(group, channels) for group in CELLS)
        self.head = nn.Linear(channels, task.classes)

    def forward(self, images: Tensor, mixture: Mixture) -> Tensor:
        """Returns the logits under `mixture`, images x classes."""
        features = self.stem(images)
        for cell in self.cells:
            features = cell(features, mixture)
        logits: Tensor = self.head(features.mean((2, 3)))
        return logits

    def operations(self) -> Iterator[tuple[int, int, nn.Module]]:
        """Yields edge, column and module of every operation of every cell."""
        for cell in self.cells:
            assert isinstance(cell, ToyCell)
            for index, modules in zip(cell.edges, cell.operations, strict=True):
                for column, module in enumerate(cast(nn.ModuleList, modules)):
                    yield index, column, module


class ToyNetwork(nn.Module):
    """The stand-alone network of a toy architecture: the supernet's skeleton, chosen operations."""

    def __init__(self, architecture: Architecture, channels: int, task: Task) -> None:
        super().__init__()
        self.links = [
            [link for link in architecture.links() if link[0].group == group] for group in CELLS
        ]
        self.stem = nn.Conv2d(task.channels, channels, 3, padding=1)
        self.cells = nn.ModuleList(
            nn.ModuleList(operation(name, channels) for _, name in links) for links in self.links
        )
        self.head = nn.Linear(channels, task.classes)

    def forward(self, images: Tensor) -> Tensor:
        """Returns the logits, images x classes."""
        features = self.stem(images)
        for cell, links in zip(self.cells, self.links, strict=True):
            nodes = [features, *(torch.zeros_like(features) for _ in range(2))]
            for module, (edge, _) in zip(cast(nn.ModuleList, cell), links, strict=True):
                nodes[edge.head] = nodes[edge.head] + module(nodes[edge.tail])
            features = nodes[-1]
        logits: Tensor = self.head(features.mean((2, 3)))
        return logits


class ToySpace(SearchSpace):
    """A space of five edges in two cell types.

    An architecture has one operation on each edge; `none` only where no other is alive.

    Example: `ToySpace().from_text("conv,skip,pool,conv,skip")`
    """

    name: ClassVar[str] = "toy"
    summary: ClassVar[str] = "two small cells for tests and tutorials"

    class Options(Options):
        """Options of the toy space."""

        channels: int = Field(4, ge=1, description="channels of every feature map")

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        self.edges = EDGES

    def supernet(self, task: Task) -> Supernet:
        """See `SearchSpace.supernet`."""
        return ToySupernet(self.options.channels, task)

    def network(self, architecture: Architecture, task: Task) -> nn.Module:
        """See `SearchSpace.network`."""
        return ToyNetwork(self.check(architecture), self.options.channels, task)

    def decide(self, scores: Float[Tensor, "edges ops"], subspace: Subspace) -> Architecture:
        """Returns the best alive operation of each edge; `none` only where no other is alive."""
        best = self.readable(scores, subspace)
        best[:, 0] = torch.where(best[:, 1:].isneginf().all(1), best[:, 0], -torch.inf)
        return self.architecture(
            [edge.operations[int(row.argmax())]] for edge, row in zip(EDGES, best, strict=True)
        )

    def to_text(self, architecture: Architecture) -> str:
        """Returns the operations, joined by commas."""
        return ",".join("+".join(chosen) or "-" for chosen in architecture.choices)

    def from_text(self, text: str) -> Architecture:
        """See `SearchSpace.from_text`."""
        if (architecture := self.own(text)) is not None:
            return architecture
        parts = text.strip().split(",")
        if len(parts) != len(EDGES):
            raise DataError(
                f"A toy architecture has {len(EDGES)} operations joined by commas, "
                f"got {len(parts)}: {text!r}."
            )
        return self.architecture([] if part == "-" else part.split("+") for part in parts)


class ToyData(DataSource):
    """Images with a faint pattern of their class under noise, so that learning takes some steps.

    Example: `ToyData().splits(seed=0).train.images.shape`
    """

    name: ClassVar[str] = "toy"
    summary: ClassVar[str] = "synthetic 8x8 images for tests and tutorials"

    class Options(DataSource.Options):
        """Options of the toy data."""

        images: int = Field(
            96, ge=8, le=1_000_000, description="images for training and validation together"
        )

    @property
    def task(self) -> Task:
        """Three classes of images with three channels and 8x8 pixels."""
        return Task(3, 3, 8, ("zero", "one", "two"))

    def splits(self, seed: int) -> Splits:
        """Returns the splits; valid is the last part of the images, test has images of its own.

        Classes alternate from image to image.
        """
        images, labels = self._draw(self.options.images, 0)
        middle = round(self.options.images * self.options.train_fraction)
        test_images, test_labels = self._draw(48, 1)
        augmentation = Augmentation((0.5,) * 3, (0.25,) * 3, crop_padding=1)
        return Splits(
            Split(images[:middle], labels[:middle], augmentation),
            Split(images[middle:], labels[middle:], augmentation),
            Split(test_images, test_labels, augmentation),
        )

    def _draw(self, count: int, part: int) -> tuple[Tensor, Tensor]:
        """Returns images (count x 3 x 8 x 8, bytes) and their labels; `part` is the seed."""
        rng = generator(part, "toy")
        patterns = torch.randint(0, 2, (3, 3, 8, 8), generator=generator(0, "toy", "patterns"))
        labels = torch.arange(count) % 3
        noise = torch.randint(0, 160, (count, 3, 8, 8), generator=rng)
        return (noise + 60 * patterns[labels]).clamp(0, 255).to(torch.uint8), labels
