"""What the tests of limits share: judges in closed form, and limited spaces made of them."""

import torch

from nastk import Evaluation, EvaluationContext, Evaluator, Task
from nastk.limits.limit import LimitOptions, read
from nastk.limits.space import ConstrainedSpace
from nastk.testing import ToyData, ToySpace

REST, CONV = 127, 144  # parameters of a toy network for three classes, and of one convolution


class ToySize(Evaluator):
    """The toy's parameters in closed form; counts how often it was asked."""

    name, summary = "toy-size", "parameters of toy networks"

    def __init__(self, setting=None, options=None):
        super().__init__(setting or setting_of(ToySpace()), options)
        self.asked = 0

    def evaluate(self, architecture, probe):
        self.asked += 1
        found = sum(
            CONV * {"first": 2, "second": 1}[edge.group]
            for edge, name in architecture.links()
            if name == "conv"
        )
        skips = sum(name == "skip" for _, name in architecture.links())
        return Evaluation(self.name, {"parameters": float(REST + found), "skips": float(skips)})


class Summed(Evaluator):
    """The sum of a random table's entries, another one for each metric: `a` and `b`."""

    name, summary = "summed", "sums of random tables"

    def __init__(self, space, seed=0):
        super().__init__(setting_of(space))
        rng = torch.Generator().manual_seed(seed)
        shape = space.full().mask.shape
        self.tables = {
            name: torch.rand(shape, generator=rng, dtype=torch.float64) for name in ("a", "b")
        }

    def evaluate(self, architecture, probe):
        chosen = torch.tensor(architecture.table())
        return Evaluation(
            self.name, {name: float(table[chosen].sum()) for name, table in self.tables.items()}
        )


class Closed(Evaluator):
    """The sizes of NAS-Bench-201 networks as the space counts them, without building any."""

    name, summary = "closed", "sizes in closed form"

    def evaluate(self, architecture, probe):
        size = self.context.space.size(architecture, self.context.task)
        metrics = {"parameters": size.parameters, "multiply_adds": size.multiply_adds}
        return Evaluation(self.name, {name: float(value) for name, value in metrics.items()})


class Crooked(Closed):
    """Sizes that are no sum: each `none` makes the next one count for less."""

    name = "crooked"

    def evaluate(self, architecture, probe):
        found = super().evaluate(architecture, probe).metrics
        nothing = sum("none" in chosen for chosen in architecture.choices)
        scale = 0.9 + 0.1 / (1 + nothing)
        return Evaluation(self.name, {name: scale * value for name, value in found.items()})


def limited(space, evaluator, *texts):
    """`space` with limits written as on the command line, all known by `evaluator`."""
    return ConstrainedSpace(
        space, [(LimitOptions(**read(f"{text}:judge")), evaluator) for text in texts]
    )


def limited_toy(text="params=415"):
    """The toy within a limit: by default one convolution in the first cells, or two in the last."""
    return limited(ToySpace(), ToySize(), text)


def setting_of(space):
    """What an evaluator judges in: images of CIFAR-10's form (the splits are others)."""
    return EvaluationContext(space, Task(10, 3, 32), ToyData().splits(0))
