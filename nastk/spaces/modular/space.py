"""A network's class as a search space: `ModularSpace`, and `space_of`, which makes one in a line.

The edges are the decisions of the network (`marked.py`), the supernet is the network with weighted
choices (`supernet.py`), a stand-alone network is the network with each choice replaced by the
chosen operation. Text form: `first=conv3 second=skip`.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

import torch
from torch import nn

from nastk.base.errors import ConfigurationError, DataError, near_miss
from nastk.data.task import Task
from nastk.spaces.architecture import Architecture
from nastk.spaces.inheritance import Inheritance
from nastk.spaces.modular.marked import Decision, decided, decisions, edges_of
from nastk.spaces.modular.supernet import ModularSupernet
from nastk.spaces.space import SingleChoiceSpace
from nastk.spaces.subspace import Edge
from nastk.spaces.supernet import Supernet


class ModularSpace(SingleChoiceSpace):
    """The space of a network whose undecided layers are `nastk.Choice`; subclasses define `build`.

    `build` is the network's class, if its constructor takes only a `Task`, or a method that makes
    the network from a task and `self.options`. The choices must be the same for every task. The
    edges are read from a network built for the task `example`.

    Example:
        class Mine(nastk.ModularSpace):
            name, summary = "mine", "three layers of my own"
            build = MyNetwork
    """

    example: ClassVar[Task] = Task(classes=10, channels=3, size=32)
    """The task for which a network is built to read its choices."""

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        with torch.random.fork_rng(devices=[]):
            self.edges = edges_of(decisions(self._fresh_network(self.example), self._owner))

    @abstractmethod
    def build(self, task: Task) -> nn.Module:
        """Called for every supernet and stand-alone network: returns a new network with choices."""

    def supernet(self, task: Task) -> Supernet:
        """Called once for every fresh branch: returns a supernet with new weights.

        Raises:
            ConfigurationError: the network cannot be a supernet, or its choices depend on `task`.
        """
        network, chain = self._network_and_decisions(task)
        return ModularSupernet(network, chain, task)

    def network(self, architecture: Architecture, task: Task) -> nn.Module:
        """Called to train, count or export an architecture: returns its stand-alone network.

        Norms are as `build` made them; operations that were not chosen are left out.
        """
        self.check(architecture)
        network, chain = self._network_and_decisions(task)
        # Networks are built on the CPU, since constructors may compute; the caller's default device
        # applies afterwards.
        return decided(network, chain, architecture).to(torch.get_default_device())

    def inheritance(self, architecture: Architecture) -> Inheritance:
        """Called to train a network on from its supernet: the same layers, without the choices."""
        _, chain = self._network_and_decisions(self.example)
        chosen = {
            f"{place}.": f"network.{place}.operations.{decision.operations.index(operation)}."
            for decision, (operation,) in zip(chain, architecture.choices, strict=True)
            for place in decision.choices
        }

        def name_of(name: str) -> str:
            for place, inside in chosen.items():
                if name.startswith(place):
                    return inside + name.removeprefix(place)
            return f"network.{name}"

        return Inheritance(name_of)

    def to_text(self, architecture: Architecture) -> str:
        """Returns each choice with its operation: `first=conv3 second=skip`."""
        return " ".join(f"{edge.name}={name}" for edge, name in self.check(architecture).links())

    def from_text(self, text: str) -> Architecture:
        """Returns the architecture of a text such as `to_text` writes, or of nastk's own JSON.

        The choices may come in any order, separated by spaces or commas.

        Raises:
            DataError: the text is no architecture of this space; the message says where it fails.
        """
        if (from_json := self.own(text)) is not None:
            return from_json
        given: dict[str, str] = {}
        for part in text.strip("\"' \n").replace(", ", " ").split():
            name, equals, operation = part.partition("=")
            if not equals:
                raise DataError(
                    f"Expected choice=operation, such as {self._text_example()}; got {part!r}."
                )
            if name in given:
                raise DataError(f"Choice {name!r} is there twice: {text!r}.")
            given[name] = self._read(name, operation)
        if missing := [edge.name for edge in self.edges if edge.name not in given]:
            raise DataError(
                f"Nothing is said of {', '.join(missing)}. Expected an operation for each choice, "
                f"such as {self._text_example()}."
            )
        return self.architecture((given[edge.name],) for edge in self.edges)

    def _read(self, name: str, operation: str) -> str:
        """Returns `operation` if the choice `name` has it, else raises a `DataError`."""
        known = {edge.name: edge.operations for edge in self.edges}
        if name not in known:
            raise DataError(
                f"{self._owner} has no choice {name!r}.{near_miss(name, known)} "
                f"It has: {', '.join(known)}."
            )
        if operation not in known[name]:
            raise DataError(
                f"Choice {name!r} has no operation {operation!r}."
                f"{near_miss(operation, known[name])} It has: {', '.join(known[name])}."
            )
        return operation

    def _text_example(self) -> str:
        """Returns the first two choices in text form, as an example for error messages."""
        return " ".join(f"{edge.name}={edge.operations[0]}" for edge in self.edges[:2])

    def _network_and_decisions(self, task: Task) -> tuple[nn.Module, list[Decision]]:
        """Returns a new network for `task` and its decisions, which must be those of this space."""
        network = self._fresh_network(task)
        chain = decisions(network, self._owner)
        edges = edges_of(chain)
        if edges != self.edges:
            raise ConfigurationError(
                f"The choices of {self._owner} depend on the images: {_listed(edges)} for {task}, "
                f"{_listed(self.edges)} for {self.example}. Choices and their operations must be "
                "the same for every task; make what differs an option."
            )
        return network, chain

    def _fresh_network(self, task: Task) -> nn.Module:
        """Returns the module that `build` makes on the CPU."""
        with torch.device("cpu"):
            network = self.build(task)
        if not isinstance(network, nn.Module):
            raise ConfigurationError(
                f"`build` of {self._owner} must answer a torch.nn.Module, got {network!r}."
            )
        return network

    @property
    def _owner(self) -> str:
        return f"space {self.name!r}"


def _listed(edges: Sequence[Edge]) -> str:
    """Returns the edges with their operations as text for a message."""
    return "; ".join(f"{edge.name} ({', '.join(edge.operations)})" for edge in edges)


def space_of(
    build: Callable[[Task], nn.Module], *, name: str | None = None, summary: str | None = None
) -> type[ModularSpace]:
    """Returns the search space (a class) of a network with choices, for `nastk.register`.

    Args:
        build: the network's class or a function; makes a new network from a `Task`.
        name: the name that users type; if None, the name of `build` in lower case.
        summary: a line for `nastk plugins`; if None, the first line of the docstring of `build`.

    Raises:
        ConfigurationError: `build` has no name and `name` is None.

    Example: `space = nastk.space_of(MyNetwork)()`
    """
    own_name = str(getattr(build, "__name__", ""))
    title = own_name if own_name.isidentifier() else name
    if not title:
        raise ConfigurationError(
            f"A space needs a name, and {build!r} has none. "
            'Give one: nastk.space_of(build, name="mine").'
        )
    docstring = (build.__doc__ or "") if own_name else ""
    first_line = docstring.strip().partition("\n")[0].rstrip(".")
    space = type(
        title,
        (ModularSpace,),
        {
            "__doc__": f"The space of `{title}`.",
            "__module__": build.__module__,
            "name": name or title.lower(),
            "summary": summary or first_line or f"the choices of {title}",
            "build": staticmethod(build),
        },
    )
    return cast(type[ModularSpace], space)
