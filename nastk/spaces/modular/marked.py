"""What the choices of a network decide together: `edges_of`; and a network with them made.

Choices are found as submodules, in the order in which the network holds them. Those of one name are
one edge; the edges are a chain in that order.
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
    """One edge of a network, by name, and the choice layers that follow it, by place."""

    name: str
    choices: Mapping[str, Choice]

    @property
    def operations(self) -> tuple[str, ...]:
        """The candidates."""
        return next(iter(self.choices.values())).names


def decisions(module: nn.Module, owner: str) -> list[Decision]:
    """Called on every network built: its decisions in order; the choices learn their places.

    Raises:
        ConfigurationError: there is no choice, or choices of one name differ in operations.
    """
    found: dict[str, dict[str, Choice]] = {}
    for place, choice in module.named_modules():
        if isinstance(choice, Choice) and place:
            choice.place = repr(choice.name or place)
            found.setdefault(choice.name or place, {})[place] = choice
    if not found:
        raise ConfigurationError(
            f"The network of {owner} has no layer to decide. Mark layers with nastk.Choice, and "
            "keep them as attributes or in a torch.nn.ModuleList."
        )
    for name, choices in found.items():
        _check_alike(name, choices)
    return [Decision(name, choices) for name, choices in found.items()]


def edges_of(found: Sequence[Decision]) -> tuple[Edge, ...]:
    """The decisions as a chain of edges."""
    return tuple(
        Edge(each.name, each.operations, GROUP, number, number + 1)
        for number, each in enumerate(found)
    )


def decided(module: nn.Module, found: Sequence[Decision], architecture: Architecture) -> nn.Module:
    """`module` with the chosen operation in the place of every choice; no choice is left."""
    for decision, (operation,) in zip(found, architecture.choices, strict=True):
        column = decision.operations.index(operation)
        for choice in decision.choices.values():
            _replace(module, choice, choice.operations[column])
    return module


def _replace(module: nn.Module, choice: Choice, operation: nn.Module) -> None:
    """Everywhere: a network may hold one layer in two places."""
    for parent in list(module.modules()):
        for attribute, child in list(parent._modules.items()):
            if child is choice:
                parent.register_module(attribute, operation)


def _check_alike(name: str, choices: Mapping[str, Choice]) -> None:
    (first, one), *others = choices.items()
    for place, other in others:
        if other.names != one.names:
            raise ConfigurationError(
                f"The choices named {name!r} are one decision, and need the same operations in the "
                f"same order: {first} has {', '.join(one.names)}; {place} has "
                f"{', '.join(other.names)}. Give them different names, or the same operations."
            )
        if other.name != one.name:
            unnamed = first if one.name is None else place
            raise ConfigurationError(
                f"One choice has the name {name!r}, and another, without a name, has the place "
                f"{unnamed!r}. Give the second a name too: the same to decide them as one."
            )
