"""`MobileNetSpace`: the layers as edges and the methods of a search space.

The layers are a chain: edge i joins node i to node i + 1, and its operations are the candidates of
layer i + 1. Layers that change size or width have no `skip`, so the rows have different lengths.
"""

from collections.abc import Iterable
from typing import Any

from torch import nn

from nastk import (
    Architecture,
    DataError,
    Edge,
    Inheritance,
    Preset,
    Published,
    SingleChoiceSpace,
    Supernet,
    Task,
)
from nastk.base import near_miss
from nastk_spaces_mobilenet.network import MobileNetwork
from nastk_spaces_mobilenet.operations import names
from nastk_spaces_mobilenet.options import MobileNetOptions
from nastk_spaces_mobilenet.published import LIKELY, PUBLISHED
from nastk_spaces_mobilenet.skeleton import plan, stages
from nastk_spaces_mobilenet.supernet import MobileNetSupernet, chain_names
from nastk_spaces_mobilenet.text import configuration, read, write


class MobileNetSpace(SingleChoiceSpace):
    """A chain of inverted residual blocks with one decision per layer (Cai et al. 2019).

    Example:
        space = MobileNetSpace(MobileNetSpace.Options(layout="proxyless-gpu"))
        logits = space.supernet(task)(images, Mixture.uniform(space.full()))
        network = space.network(space.from_text("PROXYLESS_GPU"), task)
    """

    name = "mobilenet"
    summary = "a chain of MobileNet blocks: kernel and expansion of each layer, or to skip it"
    presets = (
        Preset(
            "quick",
            "nastk: small enough to search in minutes on two CPU cores",
            space=("mobilenet",),
            space_options={
                "widths": [16, 24, 32],
                "depths": [2, 2, 2],
                "strides": [2, 2, 2],
                "stem_channels": 16,
                "first_channels": 8,
                "head_channels": 128,
                "kernels": [3, 5],
            },
            evaluators=("supernet", "size", "retrain,preset=quick,baseline=1"),
        ),
    )

    published = {  # noqa: RUF012
        name: Published(network.text, network.options) for name, network in PUBLISHED.items()
    }

    class Options(MobileNetOptions):
        """The options of the space; `options.py` describes them."""

    def __init__(self, options: MobileNetOptions | None = None) -> None:
        super().__init__(options)
        layout, kernels = self.options.described(), self.options.kernels
        self.edges = tuple(
            Edge(
                f"stage{stage}:{number}->{number + 1}",
                names(kernels, layout.expansions, self.options.skip and layer.residual),
                "layers",
                number,
                number + 1,
            )
            for number, (stage, layer) in enumerate(zip(stages(layout), plan(layout), strict=True))
        )

    def supernet(self, task: Task) -> Supernet:
        """Called once for every fresh branch, under the run's `weights` random stream."""
        return MobileNetSupernet(self.options, self.edges, task)

    def network(self, architecture: Architecture, task: Task) -> nn.Module:
        """Called to train, count or export an architecture: a `MobileNetwork`."""
        return MobileNetwork(self.options, self.check(architecture), task)

    def inheritance(self, architecture: Architecture) -> Inheritance:
        """Called to train a network on from its supernet: each layer is one of its candidates."""
        options = self.options
        width = options.supernet_multiplier or options.width_multiplier
        names = chain_names(self.check(architecture))
        return Inheritance(names, {"width_multiplier": width})

    def to_text(self, architecture: Architecture) -> str:
        """Returns one word per layer: `mb3_5x5 skip skip skip mb3_7x7 ...`."""
        return write([name for (name,) in self.check(architecture).choices])

    def from_text(self, text: str) -> Architecture:
        """The inverse of `to_text`; also reads a published network by name, as `PROXYLESS_GPU`.

        It reads the spellings and configurations of other programs (`text.py`), and nastk's own
        JSON.

        Raises:
            DataError: the text is no architecture of this space, or a network with other widths;
                the message says where it departs from the expected form.
        """
        if (architecture := self.own(text)) is not None:
            return architecture
        layout, multiplier = self.options.described(), self.options.width_multiplier
        known = PUBLISHED.get(text.strip().upper())
        if known is not None:
            known.check(text.strip().upper(), layout, multiplier)
        elif text.strip().isidentifier() and text.strip().isupper():
            raise DataError(
                f"No published network is named {text.strip()!r}."
                f"{near_miss(text.strip(), PUBLISHED)} Known: {', '.join(PUBLISHED)}."
            )
        text = text if known is None else known.text
        return self._named(read(text, self.edges, layout, multiplier))

    @classmethod
    def options_for(cls, text: str) -> dict[str, Any]:
        """Called for a text without options: returns the layout of a name or of a configuration.

        See `SearchSpace.options_for`.
        """
        if options_of_name := super().options_for(text):
            return options_of_name
        try:
            if configuration(text) is None:
                return {}
        except DataError:
            return {}
        for options in LIKELY:
            try:
                cls(cls.Options(**options)).from_text(text)
            except DataError:
                continue
            return dict(options)
        return {}

    def _named(self, operations: Iterable[str]) -> Architecture:
        """Returns the architecture with these operations, one per layer."""
        return self.architecture((name,) for name in operations)
