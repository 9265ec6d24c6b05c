"""`SearchSpace`: the interface of all search spaces; `SingleChoiceSpace` for the simple ones.

A space lists its edges, builds the supernet that a search trains and the stand-alone network of an
architecture, and defines the rule that turns scores into an architecture. Its values are defined
in `subspace.py` and `architecture.py`.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nastk.base.component import Component
from nastk.base.errors import ConfigurationError, DataError, PluginError
from nastk.base.reading import json_object_in
from nastk.base.renamed import RenamedMethods
from nastk.data.task import Task
from nastk.spaces.architecture import Architecture, Published
from nastk.spaces.inheritance import Inheritance
from nastk.spaces.subspace import Edge, Subspace
from nastk.spaces.supernet import Supernet

ID = re.compile("[0-9a-f]{12}")
"""The form of an `Architecture.id`."""


class SearchSpace(Component, RenamedMethods, ABC, renamed={"complaint": "why_empty"}):
    """The decisions of a search (`edges`), and the networks that they describe (`network`).

    A space is made from its options: `Darts(Darts.Options(channels=8))`. `edges` is set in
    `__init__` and never changes.

    Example:
        space = DartsSpace(DartsSpace.Options())
        architecture = space.decide(torch.rand(28, 7), space.full())
        network = space.network(architecture, task)
    """

    edges: tuple[Edge, ...]

    published: ClassVar[Mapping[str, Published]] = {}
    """Published architectures by name (in capitals); `from_text` reads these names."""

    costs: Float[Tensor, "edges ops"] | None = None
    """Share of the run's limits that each operation uses up, for updaters with a cost penalty.

    On the CPU, zero for the cheapest operation of an edge; None in a run without limits.
    """

    def __init__(self, options: Any = None) -> None:
        self.options = self.parse_options() if options is None else options

    @abstractmethod
    def supernet(self, task: Task) -> Supernet:
        """Called once for every fresh branch: returns a supernet with new weights.

        The run's `weights` random stream is active during the call.
        """

    @abstractmethod
    def network(self, architecture: Architecture, task: Task) -> nn.Module:
        """Called to train, count or export an architecture: returns its stand-alone network.

        The network is a plain module, freshly initialised.
        """

    @abstractmethod
    def decide(self, scores: Float[Tensor, "edges ops"], subspace: Subspace) -> Architecture:
        """Called by updaters: turns scores (higher is better) into an architecture.

        The rule chooses only operations that are alive in `subspace`; ties go to the lower index.
        """

    @abstractmethod
    def to_text(self, architecture: Architecture) -> str:
        """Returns the text form that the field uses (a genotype, a benchmark's string)."""

    @abstractmethod
    def from_text(self, text: str) -> Architecture:
        """Returns the architecture that `to_text` wrote.

        Raises:
            DataError: the text is no architecture of this space; the message says where it fails.
        """

    def canonical(self, architecture: Architecture) -> str:
        """Called to recognise duplicates: equal texts are architectures of one network.

        Spaces in which several architectures describe one network override it.
        """
        return self.to_text(self.check(architecture))

    def architectures(self) -> Iterator[Architecture]:
        """Called to enumerate the space: yields every architecture, one after the other.

        Raises:
            ConfigurationError: this space cannot list its architectures, only draw them.
        """
        raise ConfigurationError(
            f"Space {self.name!r} cannot list its architectures. Draw a sample of them (--sample "
            "200), or name them in a file."
        )

    @classmethod
    def options_for(cls, text: str) -> dict[str, Any]:
        """Called for a text without space options: returns the options that the text needs.

        A published name needs its own layout; a cell of three nodes needs a space of three nodes.
        Empty if the defaults suffice, or if the text is no architecture of this space.
        """
        published = cls.published.get(text.strip().upper())
        return dict(published.options) if published else {}

    def own(self, text: str) -> Architecture | None:
        """Called by `from_text`: returns the architecture that nastk wrote as JSON.

        `text` may be the content of a run's `architecture.json` or `result.json`. None for any
        other text.

        Raises:
            DataError: the architecture belongs to another space or other options, or the text is
                an id, from which no architecture can be made.
        """
        if ID.fullmatch(text.strip()):
            raise DataError(
                f"{text.strip()} is an id: it tells architectures apart and does not describe one. "
                "Give the text, or the JSON, of the architecture."
            )
        value = json_object_in(text)
        value = value.get("architecture", value) if value else None
        if not isinstance(value, Mapping) or not {"schema", "edges"} <= set(value):
            return None
        architecture = Architecture.from_json(value)
        # The candidates may differ from those of this space as long as the chosen ones exist here.
        names = [edge.name for edge in architecture.edges]
        chosen = dict(zip(names, architecture.choices, strict=True))
        if architecture.space == self.name and set(chosen) == {edge.name for edge in self.edges}:
            architecture = self.architecture(chosen[edge.name] for edge in self.edges)
        return self.check(architecture)

    def why_empty(self, subspace: Subspace) -> str | None:
        """Called for every subspace of an updater: says why it has no architecture, else None."""
        for edge, row in zip(self.edges, subspace.alive, strict=True):
            if not any(row):
                return f"edge {edge.name} has no operation left"
        return None

    def full(self) -> Subspace:
        """Returns the subspace in which every operation of every edge is alive."""
        return Subspace.full(self.edges)

    def sample(self, subspace: Subspace, rng: torch.Generator) -> Architecture:
        """Returns a random architecture of `subspace`: `decide` applied to uniform random scores.

        Spaces in which this is not uniform over the architectures override it.
        """
        return self.decide(
            torch.rand(len(subspace.alive), len(subspace.alive[0]), generator=rng), subspace
        )

    def readable(
        self, scores: Float[Tensor, "edges ops"], subspace: Subspace
    ) -> Float[Tensor, "edges ops"]:
        """Called by `decide`: returns `scores` as float64 on the CPU, checked.

        Operations that are not alive in `subspace` get minus infinity.

        Raises:
            PluginError: the score of an alive operation is NaN, or the shape is wrong.
        """
        alive = subspace.mask
        if scores.shape != alive.shape:
            raise PluginError(
                f"Space {self.name!r} decides on scores of shape {tuple(alive.shape)} "
                f"(edges x operations), got {tuple(scores.shape)}."
            )
        table = scores.detach().to("cpu", torch.float64)
        if bool(table[alive].isnan().any()):
            rows_with_nan = [
                self.edges[int(row)].name
                for row in (table.isnan() & alive).any(1).nonzero().flatten()
            ]
            raise PluginError(
                "The scores to decide on are not a number on "
                f"{', '.join(rows_with_nan[:3])}{' ...' if len(rows_with_nan) > 3 else ''}. "
                "The updater that computed them must not return NaN."
            )
        return table.masked_fill(~alive, -torch.inf)

    def architecture(self, choices: Iterable[Sequence[str]]) -> Architecture:
        """Returns the architecture with these operation names, one sequence for each edge."""
        return Architecture(self.name, self.edges, tuple(tuple(chosen) for chosen in choices))

    def with_options(self, changes: Mapping[str, Any]) -> "SearchSpace":
        """Called by evaluators: returns this space with some options changed, such as network size.

        The edges stay the same, so architectures of one space are architectures of the other.

        Raises:
            ConfigurationError: an option does not exist, a value is not allowed, or an option
                would change the edges.

        Example: `space.with_options({"auxiliary": True}).network(architecture, task)`
        """
        options = self.options.model_dump()
        changed = type(self)(self.parse_options({**options, **changes}))
        if changed.edges != self.edges:
            raise ConfigurationError(
                f"{', '.join(changes)} would change what space {self.name!r} decides on; only what "
                "a network looks like can be set anew."
            )
        return changed

    def inheritance(self, architecture: Architecture) -> Inheritance:
        """Called to train a network on from its supernet: says where its weights are in that.

        Spaces whose networks have the supernet's layers override this.

        Raises:
            ConfigurationError: this space does not offer it.
        """
        raise ConfigurationError(
            f"Networks of space {self.name!r} cannot begin with the weights of a supernet: the "
            "space does not say which weight is which. Train from scratch."
        )

    def check(self, architecture: Architecture) -> Architecture:
        """Returns `architecture` itself if it belongs to this space with these options.

        Raises:
            DataError: the architecture belongs to another space or to other edges.
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
    """Base class of spaces in which every edge takes exactly one operation.

    `decide` takes the best operation of each edge, so `sample` is uniform over the architectures.

    Example: `class Mine(SingleChoiceSpace)` with `edges`, `supernet`, `network` and the text form.
    """

    def decide(self, scores: Float[Tensor, "edges ops"], subspace: Subspace) -> Architecture:
        """Called by updaters: returns the best alive operation of each edge; ties go to the first.

        Raises:
            PluginError: no architecture lies in `subspace`, or an alive score is NaN.
        """
        self.refuse_empty(subspace)
        table = self.readable(scores, subspace).tolist()
        return self.chosen(
            max(subspace.operations(row), key=row_scores.__getitem__)
            for row, row_scores in enumerate(table)
        )

    def check(self, architecture: Architecture) -> Architecture:
        """Returns `architecture` itself if it has exactly one operation on each edge.

        Raises:
            DataError: the architecture belongs to another space or other edges, or an edge has no
                operation or several.
        """
        super().check(architecture)
        for edge, chosen in zip(self.edges, architecture.choices, strict=True):
            if len(chosen) != 1:
                raise DataError(
                    f"Edge {edge.name!r} must have one operation (`none` and `skip` are such), "
                    f"got {len(chosen)}{': ' if chosen else ''}{', '.join(chosen)}."
                )
        return architecture

    def architectures(self) -> Iterator[Architecture]:
        """Called to enumerate the space: yields every architecture, the last edge changing fastest.

        Isomorphic architectures are included; `canonical` tells which these are.
        """
        for columns in product(*(range(len(edge.operations)) for edge in self.edges)):
            yield self.chosen(columns)

    def chosen(self, columns: Iterable[int]) -> Architecture:
        """Returns the architecture with the operation of the given column on each edge."""
        return self.architecture(
            (edge.operations[column],) for edge, column in zip(self.edges, columns, strict=True)
        )

    def refuse_empty(self, subspace: Subspace) -> None:
        """Called before a decision: raises an error if `subspace` is empty.

        Raises:
            PluginError: no architecture lies in `subspace`.
        """
        if why := self.why_empty(subspace):
            raise PluginError(f"No architecture lies in this subspace: {why}.")
