"""A network's class as a search space: `ModularSpace`, and `space_of`, which makes one in a line.

The edges are the decisions of the network (`marked.py`), the supernet is the network with its
choices told how to mix (`supernet.py`), a stand-alone network is the network with each choice
replaced by what was chosen. Text form: `first=conv3 second=skip`.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

import torch
from torch import nn

from nastk.base.errors import ConfigurationError, DataError, near_miss
from nastk.data.task import Task
from nastk.spaces.architecture import Architecture
from nastk.spaces.modular.marked import Decision, decided, decisions, edges_of
from nastk.spaces.modular.supernet import ModularSupernet
from nastk.spaces.space import SingleChoiceSpace
from nastk.spaces.subspace import Edge
from nastk.spaces.supernet import Supernet


class ModularSpace(SingleChoiceSpace):
    """The space of a network whose undecided layers are `nastk.Choice`: subclass it with `build`.

    `build` is the network's class, if that is made from a `Task` alone, or a method that makes the
    network from a task and `self.options`. It draws weights as it likes; the choices must be the
    same for every task. The edges are read from a network built for `example`.

    Example:
        class Mine(nastk.ModularSpace):
            name, summary = "mine", "three layers of my own"
            build = MyNetwork
    """

    example: ClassVar[Task] = Task(classes=10, channels=3, size=32)
    """The images for which a network is built to see which choices it has."""

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        with torch.random.fork_rng(devices=[]):
            self.edges = edges_of(decisions(self._built(self.example), self._owner))

    @abstractmethod
    def build(self, task: Task) -> nn.Module:
        """Called for every supernet and stand-alone network: a fresh network with its choices."""

    def supernet(self, task: Task) -> Supernet:
        """Called once for every fresh branch, under the run's `weights` random stream.

        Raises:
            ConfigurationError: this network cannot be a supernet, or its choices depend on `task`.
        """
        network, found = self._marked(task)
        return ModularSupernet(network, found, task)

    def network(self, architecture: Architecture, task: Task) -> nn.Module:
        """Called to train, count or export an architecture: the network, with its choices made.

        Norms are as `build` made them; what was not chosen is not in it.
        """
        self.check(architecture)
        network, found = self._marked(task)
        # Built on the CPU, where a constructor may compute; then to where the caller makes things.
        return decided(network, found, architecture).to(torch.get_default_device())

    def to_text(self, architecture: Architecture) -> str:
        """Each choice with its operation: `first=conv3 second=skip`."""
        return " ".join(f"{edge.name}={name}" for edge, name in self.check(architecture).links())

    def from_text(self, text: str) -> Architecture:
        """The inverse of `to_text`; the choices may come in any order, with commas between.

        Reads nastk's own JSON too.

        Raises:
            DataError: the text is no architecture of this space; says where it stops being one.
        """
        if (own := self.own(text)) is not None:
            return own
        given: dict[str, str] = {}
        for part in text.strip("\"' \n").replace(", ", " ").split():
            name, equals, operation = part.partition("=")
            if not equals:
                raise DataError(f"Expected choice=operation, such as {self._form()}; got {part!r}.")
            if name in given:
                raise DataError(f"Choice {name!r} is there twice: {text!r}.")
            given[name] = self._read(name, operation)
        if missing := [edge.name for edge in self.edges if edge.name not in given]:
            raise DataError(
                f"Nothing is said of {', '.join(missing)}. Expected an operation for each choice, "
                f"such as {self._form()}."
            )
        return self.architecture((given[edge.name],) for edge in self.edges)

    def _read(self, name: str, operation: str) -> str:
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

    def _form(self) -> str:
        return " ".join(f"{edge.name}={edge.operations[0]}" for edge in self.edges[:2])

    def _marked(self, task: Task) -> tuple[nn.Module, list[Decision]]:
        """A fresh network for `task`, and its decisions, which are those of this space."""
        network = self._built(task)
        found = decisions(network, self._owner)
        edges = edges_of(found)
        if edges != self.edges:
            raise ConfigurationError(
                f"The choices of {self._owner} depend on the images: {_listed(edges)} for {task}, "
                f"{_listed(self.edges)} for {self.example}. Choices and their operations must be "
                "the same for every task; make what differs an option."
            )
        return network, found

    def _built(self, task: Task) -> nn.Module:
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
    return "; ".join(f"{edge.name} ({', '.join(edge.operations)})" for edge in edges)


def space_of(
    build: Callable[[Task], nn.Module], *, name: str | None = None, summary: str | None = None
) -> type[ModularSpace]:
    """The search space (a class) of a network with choices: what `nastk.register` takes.

    Args:
        build: the network's class or a function; called with a `Task` it makes a fresh network.
        name: what users type; the lower-case name of `build` where None.
        summary: one line for `nastk plugins`; the first line of its docstring where None.

    Raises:
        ConfigurationError: `build` has no name and none was given.

    Example: `space = nastk.space_of(MyNetwork)()`
    """
    called = str(getattr(build, "__name__", ""))
    title = called if called.isidentifier() else name
    if not title:
        raise ConfigurationError(
            f"A space needs a name, and {build!r} has none. "
            'Give one: nastk.space_of(build, name="mine").'
        )
    first = (build.__doc__ or "").strip().partition("\n")[0].rstrip(".") if called else ""
    made = type(
        title,
        (ModularSpace,),
        {
            "__doc__": f"The space of `{title}`.",
            "__module__": build.__module__,
            "name": name or title.lower(),
            "summary": summary or first or f"the choices of {title}",
            "build": staticmethod(build),
        },
    )
    return cast(type[ModularSpace], made)
