"""`WrappedSpace`, the base of spaces that are another space but for a few answers."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nastk.data.task import Task
from nastk.spaces.architecture import Architecture
from nastk.spaces.inheritance import Inheritance
from nastk.spaces.space import SearchSpace
from nastk.spaces.subspace import Subspace
from nastk.spaces.supernet import Supernet


class WrappedSpace(SearchSpace):
    """A space that answers as the space `inner`; a subclass overrides what it answers otherwise.

    A subclass sets `inner` and `edges`, and what else is a class variable of other spaces, in its
    `__init__`. Attributes that only `inner` has are found too.

    Example:
        class Renamed(WrappedSpace):
            def __init__(self, space):
                super().__init__(space.options)
                self.inner, self.edges = space, space.edges
    """

    inner: SearchSpace

    def __getattr__(self, name: str) -> Any:
        """Returns an attribute that only the wrapped space has."""
        if name.startswith("_") or name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    def supernet(self, task: Task) -> Supernet:
        """Called once for every fresh branch: returns a supernet of the wrapped space."""
        return self.inner.supernet(task)

    def network(self, architecture: Architecture, task: Task) -> nn.Module:
        """Called to train, count or export an architecture: a network of the wrapped space."""
        return self.inner.network(architecture, task)

    def inheritance(self, architecture: Architecture) -> Inheritance:
        """Called to train a network on from its supernet: as the wrapped space answers."""
        return self.inner.inheritance(architecture)

    def decide(self, scores: Float[Tensor, "edges ops"], subspace: Subspace) -> Architecture:
        """Called by updaters: decides as the wrapped space."""
        return self.inner.decide(scores, subspace)

    def sample(self, subspace: Subspace, rng: torch.Generator) -> Architecture:
        """Called by updaters that draw: draws as the wrapped space."""
        return self.inner.sample(subspace, rng)

    def why_empty(self, subspace: Subspace) -> str | None:
        """Called for every subspace of an updater: asks the wrapped space."""
        return self.inner.why_empty(subspace)

    def with_options(self, changes: Mapping[str, Any]) -> SearchSpace:
        """Called by evaluators: returns the wrapped space with changed options."""
        return self.inner.with_options(changes)

    def check(self, architecture: Architecture) -> Architecture:
        """Returns `architecture` itself if it belongs to the wrapped space."""
        return self.inner.check(architecture)

    def to_text(self, architecture: Architecture) -> str:
        """Returns the text form of the wrapped space."""
        return self.inner.to_text(architecture)

    def from_text(self, text: str) -> Architecture:
        """Returns the architecture that the wrapped space reads."""
        return self.inner.from_text(text)

    def canonical(self, architecture: Architecture) -> str:
        """Called to recognise duplicates: as the wrapped space answers."""
        return self.inner.canonical(architecture)

    def architectures(self) -> Iterator[Architecture]:
        """Called to enumerate: yields the architectures of the wrapped space."""
        return self.inner.architectures()
