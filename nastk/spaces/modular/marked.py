"""The decisions of a network with choices (`decisions`, `edges_of`), and the network after them.

The choices are submodules of the network, in the order of `named_modules`. Choices with the same
name are one edge; the edges form a chain in that order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from nastk.base.errors import ConfigurationError
from nastk.spaces.architecture import Architecture
from nastk.spaces.modular.choice import Choice
from nastk.spaces.subspace import Edge

GROUP = "layers"


@dataclass(frozen=True)
class Decision:
    """An edge of a network, and the choice layers that share it, by their module names."""

    name: str
    choices: Mapping[str, Choice]

    @property
    def operations(self) -> tuple[str, ...]:
        """Names of the candidate operations."""
        return next(iter(self.choices.values())).names


def decisions(module: nn.Module, owner: str) -> list[Decision]:
    """Called on every network built: returns its decisions in order.

    Sets `place` of every choice for its error messages.

    Raises:
        ConfigurationError: there is no choice, or choices of one name differ in operations.
    """
    by_name: dict[str, dict[str, Choice]] = {}
    for place, choice in module.named_modules():
        if isinstance(choice, Choice) and place:
            choice.label = repr(choice.name or place)
            by_name.setdefault(choice.name or place, {})[place] = choice
    if not by_name:
        raise ConfigurationError(
            f"The network of {owner} has no layer to decide. Mark layers with nastk.Choice, and "
            "keep them as attributes or in a torch.nn.ModuleList."
        )
    for name, choices in by_name.items():
        _check_alike(name, choices)
    return [Decision(name, choices) for name, choices in by_name.items()]


def edges_of(chain: Sequence[Decision]) -> tuple[Edge, ...]:
    """Returns the decisions as a chain of edges."""
    return tuple(
        Edge(decision.name, decision.operations, GROUP, number, number + 1)
        for number, decision in enumerate(chain)
    )


def decided(module: nn.Module, chain: Sequence[Decision], architecture: Architecture) -> nn.Module:
    """Returns `module` itself, with every choice replaced by its chosen operation."""
    for decision, (operation,) in zip(chain, architecture.choices, strict=True):
        column = decision.operations.index(operation)
        for choice in decision.choices.values():
            _replace(module, choice, choice.operations[column])
    return module


def _replace(module: nn.Module, choice: Choice, operation: nn.Module) -> None:
    """Replace `choice` everywhere: a network may hold the same layer under several names."""
    for parent in list(module.modules()):
        for attribute, child in list(parent._modules.items()):
            if child is choice:
                parent.register_module(attribute, operation)


def _check_alike(name: str, choices: Mapping[str, Choice]) -> None:
    """Raise a `ConfigurationError` if choices of one name differ in operations."""
    (first_place, first), *rest = choices.items()
    for place, choice in rest:
        if choice.names != first.names:
            raise ConfigurationError(
                f"The choices named {name!r} are one decision, and need the same operations in the "
                f"same order: {first_place} has {', '.join(first.names)}; {place} has "
                f"{', '.join(choice.names)}. Give them different names, or the same operations."
            )
        if choice.name != first.name:
            unnamed = first_place if first.name is None else place
            raise ConfigurationError(
                f"One choice has the name {name!r}, and another, without a name, has the place "
                f"{unnamed!r}. Give the second a name too: the same to decide them as one."
            )
