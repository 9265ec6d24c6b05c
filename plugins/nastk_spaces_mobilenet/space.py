"""`MobileNetSpace`: the space's layers as edges, and who answers each of a space's questions.

The layers are a chain: edge i joins node i to node i + 1, and its operations are the candidates of
layer i + 1. Layers that change size or width have no `skip`, so the rows have different lengths.
"""

from collections.abc import Iterable

from jaxtyping import Float
from torch import Tensor, nn

from nastk.architecture import Architecture
from nastk.component import Preset
from nastk.data.task import Task
from nastk.errors import DataError, PluginError
from nastk.space import SearchSpace
from nastk.subspace import Edge, Subspace
from nastk.supernet import Supernet
from nastk_spaces_mobilenet.network import MobileNetwork
from nastk_spaces_mobilenet.operations import names
from nastk_spaces_mobilenet.options import MobileNetOptions
from nastk_spaces_mobilenet.published import PUBLISHED
from nastk_spaces_mobilenet.skeleton import plan, stages
from nastk_spaces_mobilenet.supernet import MobileNetSupernet
from nastk_spaces_mobilenet.text import read, write


class MobileNetSpace(SearchSpace):
    """A chain of inverted residual blocks, one decision a layer (ProxylessNAS, Cai et al. 2019).

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
        ),
    )

    class Options(MobileNetOptions):
        """Described in `options.py`."""

    def __init__(self, options: MobileNetOptions | None = None) -> None:
        super().__init__(options)
        layout, kernels = self.options.described(), self.options.kernels
        self.edges = tuple(
            Edge(
                f"stage{stage}:{number}->{number + 1}",
                names(kernels, layout.expansions, self.options.skip and each.residual),
                "layers",
                number,
                number + 1,
            )
            for number, (stage, each) in enumerate(zip(stages(layout), plan(layout), strict=True))
        )

    def supernet(self, task: Task) -> Supernet:
        """Called once for every fresh branch, under the run's `weights` random stream."""
        return MobileNetSupernet(self.options, self.edges, task)

    def network(self, architecture: Architecture, task: Task) -> nn.Module:
        """Called to train, count or export an architecture: a `MobileNetwork`."""
        return MobileNetwork(self.options, self.check(architecture), task)

    def decide(self, scores: Float[Tensor, "edges ops"], subspace: Subspace) -> Architecture:
        """Called by updaters: the best living operation of each layer; ties: the first.

        Raises:
            PluginError: a layer has nothing alive, or a living score is not a number.
        """
        if why := self.complaint(subspace):
            raise PluginError(f"No architecture lies in this subspace: {why}.")
        table = self.readable(scores, subspace).tolist()
        return self._chosen(
            edge.operations[max(subspace.operations(row), key=table[row].__getitem__)]
            for row, edge in enumerate(self.edges)
        )

    def check(self, architecture: Architecture) -> Architecture:
        """`architecture` itself if it is one of this space: exactly one operation for each layer.

        Raises:
            DataError: it belongs to another space or other options, or a layer has none or several.
        """
        super().check(architecture)
        for number, chosen in enumerate(architecture.choices, start=1):
            if len(chosen) != 1:
                raise DataError(
                    f"Layer {number} must have one operation (which may be 'skip' where it is "
                    f"offered), got {len(chosen)}{': ' if chosen else ''}{', '.join(chosen)}."
                )
        return architecture

    def to_text(self, architecture: Architecture) -> str:
        """One word a layer: `mb3_5x5 skip skip skip mb3_7x7 ...`."""
        return write([name for (name,) in self.check(architecture).choices])

    def from_text(self, text: str) -> Architecture:
        """The inverse of `to_text`; also reads a published network by name, as `PROXYLESS_GPU`.

        Raises:
            DataError: the text is no architecture of this space; says where it stops being one.
        """
        known = PUBLISHED.get(text.strip().upper())
        if known is None:
            return self._chosen(read(text, self.edges))
        try:
            return self._chosen(read(known.text, self.edges))
        except DataError as error:
            raise DataError(
                f"{text.strip()} is of the space with `-s layout={known.layout}`. {error}"
            ) from None

    def _chosen(self, operations: Iterable[str]) -> Architecture:
        return self.architecture((name,) for name in operations)
