"""What can be decided, and what a decision means: `SearchSpace`.

A space lists its edges, builds the supernet that a search trains and the stand-alone network of an
architecture, and owns the rule by which scores become an architecture. `subspace.py` and
`architecture.py` hold the values it speaks in.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nastk.base.component import Component
from nastk.base.errors import ConfigurationError, DataError, PluginError
from nastk.base.reading import json_value
from nastk.base.renamed import RenamedMethods
from nastk.data.task import Task
from nastk.spaces.architecture import Architecture, Published
from nastk.spaces.subspace import Edge, Subspace
from nastk.spaces.supernet import Supernet

ID = re.compile("[0-9a-f]{12}")
"""The form of an `Architecture.id`."""


class SearchSpace(Component, RenamedMethods, ABC, renamed={"complaint": "why_empty"}):
    """What can be decided (`edges`), and what a decision means (`network`).

    A space is made from its options: `Darts(Darts.Options(channels=8))`. `edges` is set in
    `__init__` and never changes.

    Example:
        space = DartsSpace(DartsSpace.Options())
        architecture = space.decide(torch.rand(28, 7), space.full())
        network = space.network(architecture, task)
    """

    edges: tuple[Edge, ...]

    published: ClassVar[Mapping[str, Published]] = {}
    """Architectures that `from_text` reads by their names, which are in capitals."""

    costs: Float[Tensor, "edges ops"] | None = None
    """For updaters with a penalty: the share of the run's limits that choosing an operation takes.

    On the CPU, zero for the cheapest of an edge; None in a run without limits.
    """

    def __init__(self, options: Any = None) -> None:
        self.options = self.parse_options() if options is None else options

    @abstractmethod
    def supernet(self, task: Task) -> Supernet:
        """Called once for every fresh branch, under the run's `weights` random stream."""

    @abstractmethod
    def network(self, architecture: Architecture, task: Task) -> nn.Module:
        """Called to train, count or export an architecture: its network.

        A plain stand-alone module, freshly initialised.
        """

    @abstractmethod
    def decide(self, scores: Float[Tensor, "edges ops"], subspace: Subspace) -> Architecture:
        """Called by updaters: the space's rule from scores (higher is better) to an architecture.

        Only operations alive in `subspace` may be chosen; ties go to the lower index.
        """

    @abstractmethod
    def to_text(self, architecture: Architecture) -> str:
        """The text form that the field exchanges (a genotype, a benchmark's string)."""

    @abstractmethod
    def from_text(self, text: str) -> Architecture:
        """The inverse of `to_text`.

        Raises:
            DataError: the text is no architecture of this space; says where it stops being one.
        """

    @classmethod
    def options_for(cls, text: str) -> dict[str, Any]:
        """Called for an architecture that comes without options: those that `text` needs.

        A published name needs its own layout, a cell of three nodes a space of three nodes. Empty
        where the defaults do, or where the text is none of this space.
        """
        known = cls.published.get(text.strip().upper())
        return dict(known.options) if known else {}

    def own(self, text: str) -> Architecture | None:
        """For `from_text`: the architecture that nastk wrote as JSON, or None for any other text.

        Takes the content of a run's `architecture.json` or `result.json`.

        Raises:
            DataError: it is one of another space or other options, or an id, which says nothing.
        """
        if ID.fullmatch(text.strip()):
            raise DataError(
                f"{text.strip()} is an id: it tells architectures apart and does not describe one. "
                "Give the text, or the JSON, of the architecture."
            )
        value = _object(text)
        value = value.get("architecture", value) if value else None
        if not isinstance(value, Mapping) or not {"schema", "edges"} <= set(value):
            return None
        found = Architecture.from_json(value)
        # The same decision where this space has other candidates beside those chosen.
        chosen = dict(zip((edge.name for edge in found.edges), found.choices, strict=True))
        if found.space == self.name and set(chosen) == {edge.name for edge in self.edges}:
            found = self.architecture(chosen[edge.name] for edge in self.edges)
        return self.check(found)

    def why_empty(self, subspace: Subspace) -> str | None:
        """Called on each subspace an updater returns: why it has no architecture, else None."""
        for edge, row in zip(self.edges, subspace.alive, strict=True):
            if not any(row):
                return f"edge {edge.name} has no operation left"
        return None

    def full(self) -> Subspace:
        """Every operation of every edge."""
        return Subspace.full(self.edges)

    def sample(self, subspace: Subspace, rng: torch.Generator) -> Architecture:
        """An architecture of `subspace` by the rule of `decide` on uniform random scores.

        Spaces whose rule would not make this uniform over their architectures override it.
        """
        return self.decide(
            torch.rand(len(subspace.alive), len(subspace.alive[0]), generator=rng), subspace
        )

    def readable(
        self, scores: Float[Tensor, "edges ops"], subspace: Subspace
    ) -> Float[Tensor, "edges ops"]:
        """For `decide`: a checked float64 CPU copy of `scores`, minus infinity where none is alive.

        Raises:
            PluginError: the scores of a living operation are not a number, or have another shape.
        """
        alive = subspace.mask
        if scores.shape != alive.shape:
            raise PluginError(
                f"Space {self.name!r} decides on scores of shape {tuple(alive.shape)} "
                f"(edges x operations), got {tuple(scores.shape)}."
            )
        table = scores.detach().to("cpu", torch.float64, copy=True)
        if bool(table[alive].isnan().any()):
            bad = [
                self.edges[int(row)].name
                for row in (table.isnan() & alive).any(1).nonzero().flatten()
            ]
            raise PluginError(
                "The scores to decide on are not a number on "
                f"{', '.join(bad[:3])}{' ...' if len(bad) > 3 else ''}. "
                "The updater that computed them must not return NaN."
            )
        return table.masked_fill(~alive, -torch.inf)

    def architecture(self, choices: Iterable[Sequence[str]]) -> Architecture:
        """The architecture with these operation names on the edges, in their order."""
        return Architecture(self.name, self.edges, tuple(tuple(chosen) for chosen in choices))

    def with_options(self, changes: Mapping[str, Any]) -> "SearchSpace":
        """Called by evaluators: this space with these options changed, for a network's other size.

        What can be decided stays the same, so the architectures are those of this space.

        Raises:
            ConfigurationError: an option that the space does not have, a value that it does not
                take, or one that changes its edges.

        Example: `space.with_options({"auxiliary": True}).network(architecture, task)`
        """
        given = self.options.model_dump()
        changed = type(self)(self.parse_options({**given, **changes}))
        if changed.edges != self.edges:
            raise ConfigurationError(
                f"{', '.join(changes)} would change what space {self.name!r} decides on; only what "
                "a network looks like can be set anew."
            )
        return changed

    def check(self, architecture: Architecture) -> Architecture:
        """`architecture` itself if it is one of this space with these options.

        Raises:
            DataError: it belongs to another space, or to other edges.
        """
        if architecture.space != self.name or architecture.edges != self.edges:
            raise DataError(
                f"Expected an architecture of space {self.name!r} "
                f"with {len(self.edges)} edges, "
                f"got one of {architecture.space!r} with {len(architecture.edges)}. "
                "Use the space options of the run it came from."
            )
        return architecture


class SingleChoiceSpace(SearchSpace):
    """A space in which every edge takes exactly one operation: what such spaces answer alike.

    `decide` takes the best of each edge, so `sample` is uniform over the architectures.

    Example: `class Mine(SingleChoiceSpace)` with `edges`, `supernet`, `network` and the text form.
    """

    def decide(self, scores: Float[Tensor, "edges ops"], subspace: Subspace) -> Architecture:
        """Called by updaters: the best living operation of each edge; ties: the first.

        Raises:
            PluginError: no architecture lies in `subspace`, or a living score is not a number.
        """
        self.refuse_empty(subspace)
        table = self.readable(scores, subspace).tolist()
        return self.chosen(
            max(subspace.operations(row), key=numbers.__getitem__)
            for row, numbers in enumerate(table)
        )

    def check(self, architecture: Architecture) -> Architecture:
        """`architecture` itself if it is one of this space: exactly one operation on each edge.

        Raises:
            DataError: it belongs to another space or other edges, or an edge has none or several.
        """
        super().check(architecture)
        for edge, chosen in zip(self.edges, architecture.choices, strict=True):
            if len(chosen) != 1:
                raise DataError(
                    f"Edge {edge.name!r} must have one operation (`none` and `skip` are such), "
                    f"got {len(chosen)}{': ' if chosen else ''}{', '.join(chosen)}."
                )
        return architecture

    def chosen(self, columns: Iterable[int]) -> Architecture:
        """The architecture with one operation, by its column, on each edge."""
        return self.architecture(
            (edge.operations[column],) for edge, column in zip(self.edges, columns, strict=True)
        )

    def refuse_empty(self, subspace: Subspace) -> None:
        """Called before deciding.

        Raises:
            PluginError: no architecture lies in `subspace`.
        """
        if why := self.why_empty(subspace):
            raise PluginError(f"No architecture lies in this subspace: {why}.")


def _object(text: str) -> Mapping[str, Any] | None:
    """The JSON object that a text is; None where it is none."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = json_value(text)
    except ValueError:
        return None
    return value if isinstance(value, Mapping) else None
