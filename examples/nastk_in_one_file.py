"""A whole architecture search in one file, with torch, scikit-learn's digits, and nothing of nastk.

    python nastk_in_one_file.py                      a DARTS search: half a minute on one CPU core
    python nastk_in_one_file.py --updater random     the same trainer, another method

Read it before nastk itself. The package is this file with every part made exact, safe and general,
and it keeps the file's three ideas:

1. The mixture is an argument. `supernet(images, mixture)` is told how to mix its operations; it has
   no architecture parameters of its own, so that a mask or a path is just another argument.
2. The updater answers, the trainer drives. `search` asks `mixtures` before each weight step and
   `architecture` at the end. It does not know which method it is talking to.
3. A probe measures everything and changes nothing. Methods see the supernet only through `Probe`.
"""

import argparse
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

# A cell has nodes 0 (its input) to 3 (its output); each pair of nodes is an edge, and an edge is a
# decision.
EDGES = [(source, node) for node in (1, 2, 3) for source in range(node)]
OPERATIONS = ("skip", "max_pool", "conv_1x1", "conv_3x3")
CHANNELS, CELLS, BATCH = 8, 3, 64
Architecture = tuple[str, ...]  # one operation for each edge


@dataclass(frozen=True)
class Mixture:
    """One weight for each (edge, operation), and which of them are computed at all."""

    weights: Tensor  # edges x operations, may carry gradient
    active: Tensor  # edges x operations, boolean

    @classmethod
    def softmax(cls, alpha: Tensor) -> "Mixture":
        """Every operation, weighted by the softmax of its edge's row (DARTS, equation 2)."""
        return cls(alpha.softmax(1), torch.ones_like(alpha, dtype=torch.bool))

    @classmethod
    def path(cls, architecture: Architecture) -> "Mixture":
        """One operation for each edge, at weight one; the others are skipped."""
        chosen = torch.tensor([[name == each for each in OPERATIONS] for name in architecture])
        return cls(chosen.float(), chosen)


# -------------------------------------------------------- networks: all operations, the chosen ones


def norm(past: bool) -> nn.Module:
    """With `past`, an ordinary batch norm; without, one that keeps nothing and leaves no trace."""
    return nn.BatchNorm2d(CHANNELS, affine=past, track_running_stats=past)


def operation(name: str, past: bool) -> nn.Module:
    """A fresh operation that keeps the size and the channels of its input."""
    if name == "skip":
        return nn.Identity()
    if name == "max_pool":
        return nn.MaxPool2d(3, stride=1, padding=1)
    size = {"conv_1x1": 1, "conv_3x3": 3}[name]
    convolution = nn.Conv2d(CHANNELS, CHANNELS, size, padding=size // 2, bias=False)
    return nn.Sequential(nn.ReLU(), convolution, norm(past))


class Cells(nn.Module):
    """A stem, three cells and a classifier; `operations` names what each edge of a cell holds."""

    def __init__(self, operations: list[Architecture], past: bool) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, CHANNELS, 3, padding=1)
        self.norms = nn.ModuleList(norm(past) for _ in range(CELLS))
        self.cells = nn.ModuleList(
            nn.ModuleList(
                nn.ModuleList(operation(name, past) for name in names) for names in operations
            )
            for _ in range(CELLS)
        )
        self.head = nn.Linear(CHANNELS, 10)

    def forward(self, images: Tensor, mixture: Mixture) -> Tensor:
        """Logits. A node sums its edges, an edge its active operations with their weights."""
        features = self.stem(images)
        for norm, cell in zip(self.norms, self.cells, strict=True):
            nodes = [norm(features), 0, 0, 0]
            for row, (source, node) in enumerate(EDGES):
                for column in mixture.active[row].nonzero().flatten().tolist():
                    nodes[node] = nodes[node] + mixture.weights[row, column] * cell[row][column](
                        nodes[source]
                    )
            features = nodes[-1]
        return self.head(features.mean((2, 3)))


def supernet() -> Cells:
    """Every operation on every edge: weights, and nothing that knows of architectures."""
    return Cells([OPERATIONS] * len(EDGES), past=False)


def network(architecture: Architecture) -> Cells:
    """Only what was chosen, to be trained from scratch; its mixture is all ones."""
    return Cells([(name,) for name in architecture], past=True)


# ---------------------------------------------------------------- images and measurements


@dataclass(frozen=True)
class Images:
    """A split. Its batches depend on seed and step alone: every method sees the same ones."""

    pixels: Tensor
    labels: Tensor
    seed: int

    def __len__(self) -> int:
        return len(self.labels) // BATCH

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Batch number `step` of an endless sequence of shuffled passes."""
        number, position = divmod(step, len(self))
        order = torch.randperm(
            len(self.labels), generator=torch.Generator().manual_seed(1000 * self.seed + number)
        )
        chosen = order[position * BATCH :][:BATCH]
        return self.pixels[chosen], self.labels[chosen]


def digits(seed: int) -> list[Images]:
    """Train (weights learn here), valid (architectures learn here), test (nobody learns here)."""
    found = load_digits()
    pixels, labels = (
        torch.tensor(found.images, dtype=torch.float32)[:, None] / 8 - 1,
        torch.tensor(found.target),
    )
    parts = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0)).split(
        [700, 700, 397]
    )
    return [Images(pixels[part], labels[part], seed) for part in parts]


@dataclass
class Probe:
    """All that a method sees of a run: it measures the supernet and leaves it as it was."""

    supernet: Cells
    valid: Images
    rng: torch.Generator
    step: int = 0
    images: int = 0  # what measuring has cost so far

    def loss(self, mixture: Mixture, batch: tuple[Tensor, Tensor]) -> Tensor:
        """The loss on `batch`, differentiable in the mixture's weights."""
        self.images += len(batch[1])
        return F.cross_entropy(self.supernet(batch[0], mixture), batch[1])

    @torch.no_grad()
    def accuracy(self, mixture: Mixture) -> float:
        """Accuracy (0..1) on the validation images."""
        self.images += len(self.valid.labels)
        return float(
            (self.supernet(self.valid.pixels, mixture).argmax(1) == self.valid.labels)
            .float()
            .mean()
        )


# ---------------------------------------------------------------- two methods


class Darts:
    """Alpha descends the validation loss, the weights the training loss (Liu et al., ICLR 2019)."""

    def __init__(self) -> None:
        self.alpha = torch.zeros(len(EDGES), len(OPERATIONS), requires_grad=True)
        self.adam = torch.optim.Adam([self.alpha], lr=0.01, betas=(0.5, 0.999), weight_decay=1e-3)

    def before_step(self, probe: Probe) -> None:
        """One step of alpha, with the weights as constants: the first order of the paper."""
        loss = probe.loss(Mixture.softmax(self.alpha), probe.valid.batch(probe.step))
        (self.alpha.grad,) = torch.autograd.grad(loss, self.alpha)
        self.adam.step()

    def mixtures(self, probe: Probe) -> list[Mixture]:
        """Train all operations, by their softmax."""
        return [Mixture.softmax(self.alpha.detach())]

    def architecture(self, probe: Probe) -> Architecture:
        """The strongest operation of each edge."""
        return tuple(OPERATIONS[int(row.argmax())] for row in self.alpha)


class RandomPath:
    """Each step trains a random path; the answer is the best of 20 others on validation data."""

    def before_step(self, probe: Probe) -> None:
        """Nothing is learned while the weights are."""

    def mixtures(self, probe: Probe) -> list[Mixture]:
        """Train one path."""
        return [Mixture.path(self.draw(probe))]

    def architecture(self, probe: Probe) -> Architecture:
        """A random search with the shared weights."""
        return max(
            (self.draw(probe) for _ in range(20)),
            key=lambda drawn: probe.accuracy(Mixture.path(drawn)),
        )

    def draw(self, probe: Probe) -> Architecture:
        """A random operation for each edge."""
        return tuple(
            OPERATIONS[int(torch.randint(len(OPERATIONS), (), generator=probe.rng))] for _ in EDGES
        )


# ---------------------------------------------------------------- the trainer, which knows neither


class Weights:
    """SGD with a cosine schedule over `steps` steps: how supernet and network learn weights."""

    def __init__(self, module: nn.Module, steps: int) -> None:
        self.sgd = torch.optim.SGD(module.parameters(), 0.05, momentum=0.9, weight_decay=3e-4)
        self.cosine = torch.optim.lr_scheduler.CosineAnnealingLR(self.sgd, steps)

    def step(self, loss: Tensor) -> None:
        """One step down the gradient of `loss`."""
        self.sgd.zero_grad()
        loss.backward()
        self.sgd.step()
        self.cosine.step()


def search(
    updater: Darts | RandomPath, train: Images, valid: Images, epochs: int, seed: int
) -> Architecture:
    """Train a supernet as `updater` answers, and return its decision."""
    trained = supernet()
    weights = Weights(trained, epochs * len(train))
    probe = Probe(trained, valid, torch.Generator().manual_seed(seed))
    for probe.step in range(epochs * len(train)):
        images, labels = train.batch(probe.step)
        updater.before_step(probe)
        mixtures = updater.mixtures(probe)
        loss = torch.stack(
            [F.cross_entropy(trained(images, mixture), labels) for mixture in mixtures]
        ).mean()
        weights.step(loss)
        if (probe.step + 1) % len(train) == 0:
            print(f"epoch {(probe.step + 1) // len(train):2d}  loss {loss.item():.3f}")
    architecture = updater.architecture(probe)
    print(
        f"valid accuracy {probe.accuracy(Mixture.path(architecture)):.1%} as a path of the supernet"
    )
    print(f"{probe.images:,} images measured")
    return architecture


def retrain(architecture: Architecture, train: Images, test: Images, epochs: int) -> float:
    """Test accuracy of the stand-alone network, trained from scratch."""
    trained = network(architecture)
    ones = torch.ones(len(EDGES), 1)
    everything = Mixture(ones, ones.bool())
    weights = Weights(trained, epochs * len(train))
    for step in range(epochs * len(train)):
        images, labels = train.batch(step)
        weights.step(F.cross_entropy(trained(images, everything), labels))
    with torch.no_grad():
        return float(
            (trained.eval()(test.pixels, everything).argmax(1) == test.labels).float().mean()
        )


def main(arguments: list[str] | None = None) -> None:
    """Search, show what was found, train it from scratch."""
    parser = argparse.ArgumentParser(description="An architecture search in one file.")
    parser.add_argument("--updater", choices=["darts", "random"], default="darts")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    torch.manual_seed(asked.seed)
    train, valid, test = digits(asked.seed)
    updater = Darts() if asked.updater == "darts" else RandomPath()
    architecture = search(updater, train, valid, asked.epochs, asked.seed)
    for (source, node), name in zip(EDGES, architecture, strict=True):
        print(f"  {source} -> {node}  {name}")
    print(
        f"test accuracy {retrain(architecture, train, test, asked.epochs):.1%}, "
        "trained from scratch"
    )


if __name__ == "__main__":
    main()
