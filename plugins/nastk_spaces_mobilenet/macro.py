"""`MacroSpace`: NAS-Bench-Macro, a chain of eight layers; all its 6,561 networks were trained.

The facts are from Su et al. 2021 ("Prioritized Architecture Sampling with Monto-Carlo Tree Search",
CVPR), who published the benchmark, and from its table; the networks here have the parameters and
multiply-adds of that table. Edge i joins node i to node i + 1. `macro_networks.py` has the supernet
and the stand-alone network.
"""

import re
from itertools import islice

from pydantic import Field
from torch import nn

import nastk
from nastk import (
    Architecture,
    DataError,
    Edge,
    Inheritance,
    Preset,
    SingleChoiceSpace,
    Supernet,
    Task,
)
from nastk.base import study_preset
from nastk_spaces_mobilenet.macro_networks import MacroNetwork, MacroSupernet
from nastk_spaces_mobilenet.supernet import chain_names

OPERATIONS = ("identity", "mb3_3x3", "mb6_5x5")
"""The operations, in the order of the benchmark's digits 0, 1 and 2."""

BETWEEN = re.compile(r"[\s,;'\"\[\]()]+")
"""Matches the characters that a text may have around and between its digits."""

DEPTHS = (2, 3, 3)
"""The number of layers in each stage."""


class MacroSpace(SingleChoiceSpace):
    """The space of NAS-Bench-Macro (Su et al. 2021): a chain of 8 layers, three operations each.

    An architecture's text is the benchmark's: a digit for each layer, such as `02012100`.

    Example:
        space = MacroSpace(MacroSpace.Options(channels=8))
        logits = space.supernet(task)(images, Mixture.uniform(space.full()))
        network = space.network(space.from_text("22222222"), task)
    """

    name = "nasbench-macro"
    summary = "NAS-Bench-Macro: a chain of 8 layers, 3 operations each; 6,561 networks"
    presets = (
        Preset(
            "quick",
            "nastk: small enough to search in minutes on two CPU cores",
            space=("nasbench-macro",),
            space_options={"channels": 8, "head_channels": 128},
            evaluators=("supernet", "size", "retrain,preset=quick,baseline=1"),
        ),
        study_preset("nasbench-macro", channels=8, head_channels=128),
    )

    class Options(nastk.Options):
        """Options of the space; the defaults are the benchmark's settings."""

        channels: int = Field(
            32,
            ge=2,
            description="channels of the supernet's stem; stages have 2, 4, 8 times as many",
        )
        head_channels: int = Field(
            1280, ge=1, description="channels that the supernet's classifier reads"
        )
        affine: bool = Field(True, description="give the supernet's norms a scale and a shift")
        network_channels: int = Field(
            32, ge=2, description="channels of a stand-alone network's stem; the benchmark's: 32"
        )
        network_head_channels: int = Field(
            1280, ge=1, description="channels that its classifier reads; the benchmark's: 1280"
        )

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        stages = [stage for stage, depth in enumerate(DEPTHS, start=1) for _ in range(depth)]
        self.edges = tuple(
            Edge(f"stage{stage}:{number}->{number + 1}", OPERATIONS, "layers", number, number + 1)
            for number, stage in enumerate(stages)
        )

    def supernet(self, task: Task) -> Supernet:
        """Called once for every fresh branch, under the run's `weights` random stream."""
        options = self.options
        return MacroSupernet(
            DEPTHS, OPERATIONS, task, options.channels, options.head_channels, options.affine
        )

    def network(self, architecture: Architecture, task: Task) -> nn.Module:
        """Called to train, count or export an architecture: a `MacroNetwork`."""
        names = [name for (name,) in self.check(architecture).choices]
        options = self.options
        return MacroNetwork(
            DEPTHS, names, task, options.network_channels, options.network_head_channels
        )

    def inheritance(self, architecture: Architecture) -> Inheritance:
        """Called to train a network on from its supernet: each layer is one of its candidates."""
        options = self.options
        size = {
            "network_channels": options.channels,
            "network_head_channels": options.head_channels,
        }
        return Inheritance(chain_names(self.check(architecture)), size)

    def to_text(self, architecture: Architecture) -> str:
        """Returns the benchmark's digits: `02012100`."""
        return "".join(str(OPERATIONS.index(name)) for (name,) in self.check(architecture).choices)

    def from_text(self, text: str) -> Architecture:
        """The inverse of `to_text`; also reads digits in a list or quotes, and nastk's own JSON.

        Raises:
            DataError: the text is not eight digits from 0 to 2.
        """
        if (architecture := self.own(text)) is not None:
            return architecture
        digits = "".join(BETWEEN.split(text))
        if len(digits) != len(self.edges) or set(digits) - set("012"):
            shown = repr(digits) if len(digits) <= 40 else f"{digits[:37]!r}..."
            raise DataError(
                f"An architecture of {self.name} is {len(self.edges)} digits, one for each layer "
                "(0 identity, 1 expansion 3 and kernel 3, 2 expansion 6 and kernel 5), such as "
                f"02012100; got {shown}."
            )
        return self.chosen(int(digit) for digit in digits)

    def canonical(self, architecture: Architecture) -> str:
        """Called to recognise duplicates: returns the same text for architectures of one network.

        After the first layer of a stage, the place of an `identity` does not matter. The text has
        all of them at the end of the stage, as in the benchmark, whose authors trained 3,969
        networks for the 6,561 texts.
        """
        digits, moved = iter(self.to_text(architecture)), []
        for depth in DEPTHS:
            moved.append(next(digits))
            blocks = [digit for digit in islice(digits, depth - 1) if digit != "0"]
            moved += [*blocks, *"0" * (depth - 1 - len(blocks))]
        return "".join(moved)
