"""The layer that marks a decision: `Choice`, several operations of which one will stay.

A choice computes nothing by itself: within `use_terms(terms)` it is told, by its edge, which of its
operations to compute and with which weights. What is told lies in a context variable and never in
the module, so a forward pass leaves nothing behind, and two threads do not disturb each other.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from nastk.base.errors import ConfigurationError

Making = nn.Module | Callable[[], nn.Module]
"""An operation: a module, or a function without arguments (a class, a lambda) that makes one."""

Terms = Sequence[Sequence[tuple[int, Tensor]]]
"""For each edge what is computed: (column, weight) of every active operation."""

_TERMS: ContextVar[Terms | None] = ContextVar("nastk_choice_terms", default=None)

NAME = re.compile(r"[^\s=+]+")
FEWEST = 2


@contextmanager
def use_terms(terms: Terms) -> Iterator[None]:
    """Inside, every choice computes what `terms` say for its edge."""
    token = _TERMS.set(terms)
    try:
        yield
    finally:
        _TERMS.reset(token)


class Choice(nn.Module):
    """A layer that is still to be decided: one of several operations, by name.

    Operations are modules, or functions without arguments that make them. They get the same
    inputs, must answer one tensor of the same shape, and do not work in place (`inplace` is
    switched off in them). Choices with the same `name` are one decision, as the cells of a network
    share theirs; a choice without a name is a decision of its own, named by its place in the
    network.

    Names that are no Python words, or that are called `name`, are given as a mapping. Call an
    operation `none` only if it answers zeros: updaters take it for that.

    Raises:
        ConfigurationError: fewer than two operations, a choice inside an operation, or a name with
            a space, `=` or `+` in it.

    Example:
        self.first = nastk.Choice(conv=lambda: nn.Conv2d(8, 8, 3, padding=1), skip=nn.Identity)
        self.pools = nastk.Choice({"3x3": nn.AvgPool2d(3, 1, 1), "5x5": nn.AvgPool2d(5, 1, 2)})
    """

    def __init__(
        self,
        operations: Mapping[str, Making] | None = None,
        /,
        *,
        name: str | None = None,
        **named: Making,
    ) -> None:
        super().__init__()
        given = {**(operations or {}), **named}
        self.name = name
        self.names = tuple(given)
        self.edge: int | None = None
        self.place = name or f"of {', '.join(given) or 'nothing'}"
        self._shapes: dict[tuple[torch.Size, ...], torch.Size] = {}
        self._check_names()
        self.operations = nn.ModuleList(self._made(name, each) for name, each in given.items())

    def forward(self, *inputs: Any) -> Tensor:
        """Called by the network's own forward pass: the weighted sum of the active operations.

        Zeros where none is active.

        Raises:
            ConfigurationError: outside of a supernet; or the operations do not fit together.
        """
        total: Tensor | None = None
        versions = _versions(inputs)
        modules = list(self.operations)
        for column, weight in self._terms():
            answer = self._compute(column, modules[column], inputs)
            if total is None:
                total = answer * weight
            elif answer.shape == total.shape:
                total = torch.addcmul(total, answer, weight)
            else:
                raise self._disagreement(inputs)
        if versions != _versions(inputs):
            raise self._overwriting(inputs)
        return self._zeros(inputs) if total is None else total

    def extra_repr(self) -> str:
        """What `print` shows beside the operations."""
        return f"{self.place!r}, {', '.join(self.names)}"

    def _check_names(self) -> None:
        for name in (*self.names, *([] if self.name is None else [self.name])):
            if not NAME.fullmatch(name):
                raise ConfigurationError(
                    f"Choice {self.place}: {name!r} cannot be a name, since architectures are "
                    "written as text. Leave out spaces, '=' and '+'."
                )
        if len(self.names) < FEWEST:
            raise ConfigurationError(
                f"Choice {self.place} has {len(self.names)} operation(s), which decides nothing. "
                "Give it two or more, or use the operation itself."
            )

    def _made(self, name: str, given: Making) -> nn.Module:
        module = given() if callable(given) and not isinstance(given, nn.Module) else given
        if not isinstance(module, nn.Module):
            raise ConfigurationError(
                f"Operation {name!r} of choice {self.place} must be a module, or a function "
                f"without arguments that makes one; got {module!r}."
            )
        for inner in module.modules():
            if isinstance(inner, Choice):
                raise ConfigurationError(
                    f"Operation {name!r} of choice {self.place} holds a choice itself "
                    f"({', '.join(inner.names)}). Put the choices one after the other, or list "
                    "the combinations as operations."
                )
            if getattr(inner, "inplace", False) is True:
                # The operations share their input: one that overwrites it spoils the others.
                setattr(inner, "inplace", False)  # noqa: B010  (an attribute of torch's layers)
        return module

    def _terms(self) -> Sequence[tuple[int, Tensor]]:
        terms = _TERMS.get()
        if terms is None:
            raise ConfigurationError(
                f"Choice {self.place} was called outside of a supernet, so nothing says what to "
                "compute. Call space.supernet(task)(images, mixture), or build what was chosen "
                "with space.network(architecture, task). (torch.utils.checkpoint calls layers "
                "again later: leave it out around choices.)"
            )
        if self.edge is None:
            raise ConfigurationError(
                f"Choice {self.place} is called, but is no submodule of its network. Keep choices "
                "as attributes or in a torch.nn.ModuleList, not in a plain list."
            )
        return terms[self.edge]

    def _compute(self, column: int, module: nn.Module, inputs: Sequence[Any]) -> Tensor:
        """The answer of one operation, or an error that says whose it is."""
        try:
            answer = module(*inputs)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, TypeError, ValueError) as error:
            raise RuntimeError(
                f"operation {self.names[column]!r} of choice {self.place} fails on an input of "
                f"{_shape_of(inputs)}: {error}"
            ) from error
        if not isinstance(answer, Tensor):
            raise ConfigurationError(
                f"Operation {self.names[column]!r} of choice {self.place} must answer one tensor, "
                f"got {type(answer).__name__}."
            )
        return answer

    def _disagreement(self, inputs: Sequence[Any]) -> ConfigurationError:
        with torch.no_grad():
            shapes = [
                f"{self.names[column]}: {_shape_of([self._compute(column, module, inputs)])}"
                for column, module in enumerate(self.operations)
            ]
        return ConfigurationError(
            f"The operations of choice {self.place} must answer one shape, got "
            f"{'; '.join(shapes)} for an input of {_shape_of(inputs)}. "
            "Give them the same channels, stride and padding."
        )

    def _overwriting(self, inputs: Sequence[Any]) -> ConfigurationError:
        names = []
        with torch.no_grad():
            for column, module in enumerate(self.operations):
                copies = [each.clone() if isinstance(each, Tensor) else each for each in inputs]
                before = _versions(copies)
                self._compute(column, module, copies)
                names += [self.names[column]] if before != _versions(copies) else []
        return ConfigurationError(
            f"Choice {self.place}: {', '.join(names)} changes its input in place, which all its "
            "operations share. Use functions that return a new tensor (relu, not relu_)."
        )

    def _zeros(self, inputs: Sequence[Any]) -> Tensor:
        """What a choice without an active operation adds.

        Only an operation knows the shape: the first is asked once for each shape of the inputs.
        """
        tensors = [each for each in inputs if isinstance(each, Tensor)]
        key = tuple(each.shape for each in tensors)
        if key not in self._shapes:
            cuda = [each.device for each in tensors[:1] if each.device.type == "cuda"]
            with torch.no_grad(), torch.random.fork_rng(devices=cuda):
                self._shapes[key] = self._compute(0, self.operations[0], inputs).shape
        return tensors[0].new_zeros(self._shapes[key])


def _versions(inputs: Sequence[Any]) -> list[int]:
    """How often each tensor was changed in place so far (torch does not count in inference)."""
    return [
        each._version for each in inputs if isinstance(each, Tensor) and not each.is_inference()
    ]


def _shape_of(values: Sequence[Any]) -> str:
    """The shapes of the tensors in `values`, for a message."""
    return ", ".join(
        " x ".join(map(str, each.shape)) or "no size" for each in values if isinstance(each, Tensor)
    )
