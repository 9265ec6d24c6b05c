"""`Choice`: the layer that marks a decision, with several operations of which one will stay.

Inside `use_terms(terms)` a choice looks up, by its edge, which of its operations to compute and
with which weights. The terms are kept in a context variable and not in the module, so a forward
pass leaves no state behind and threads do not disturb each other.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from nastk.base.errors import ConfigurationError

OperationSource = nn.Module | Callable[[], nn.Module]
"""An operation: a module, or a function without arguments (a class, a lambda) that makes one."""

Terms = Sequence[Sequence[tuple[int, Tensor]]]
"""For each edge the (column, weight) of every active operation."""

_TERMS: ContextVar[Terms | None] = ContextVar("nastk_choice_terms", default=None)

NAME = re.compile(r"[^\s=+]+")
FEWEST = 2


@contextmanager
def use_terms(terms: Terms) -> Iterator[None]:
    """Context in which every choice computes the weighted operations of its edge in `terms`."""
    token = _TERMS.set(terms)
    try:
        yield
    finally:
        _TERMS.reset(token)


class Choice(nn.Module):
    """A layer that is still to be decided: one of several named operations.

    Operations are modules, or functions without arguments that make them. They get the same
    inputs, must return one tensor of the same shape, and must not work in place (`inplace` is
    switched off in them). Choices with the same `name` are one decision, such as the same edge in
    several cells; a choice without a name is a decision of its own, named by its path in the
    network (as in `named_modules`).

    Pass a mapping for operations whose names are not Python identifiers, or are `name`. Call an
    operation `none` only if it returns zeros: updaters assume that.

    Raises:
        ConfigurationError: there are fewer than two operations, an operation contains a choice, or
            a name contains a space, `=` or `+`.

    Example:
        self.first = nastk.Choice(conv=lambda: nn.Conv2d(8, 8, 3, padding=1), skip=nn.Identity)
        self.pools = nastk.Choice({"3x3": nn.AvgPool2d(3, 1, 1), "5x5": nn.AvgPool2d(5, 1, 2)})
    """

    def __init__(
        self,
        operations: Mapping[str, OperationSource] | None = None,
        /,
        *,
        name: str | None = None,
        **named: OperationSource,
    ) -> None:
        super().__init__()
        candidates = {**(operations or {}), **named}
        self.name = name
        self.names = tuple(candidates)
        self.edge: int | None = None
        self.label = name or f"of {', '.join(candidates) or 'nothing'}"
        self._shapes: dict[tuple[torch.Size, ...], torch.Size] = {}
        self._check_names()
        self.operations = nn.ModuleList(
            self._build(name, candidate) for name, candidate in candidates.items()
        )

    def forward(self, *inputs: Any) -> Tensor:
        """Called by the network's forward pass: returns the weighted sum of the active operations.

        The sum is zero if no operation is active.

        Raises:
            ConfigurationError: the call is outside of a supernet, the outputs differ in shape, or
                an operation changes its input in place.
        """
        total: Tensor | None = None
        versions = _versions(inputs)
        modules = list(self.operations)
        for column, weight in self._terms():
            output = self._compute(column, modules[column], inputs)
            if total is None:
                total = output * weight
            elif output.shape == total.shape:
                total = torch.addcmul(total, output, weight)
            else:
                raise self._shape_error(inputs)
        if versions != _versions(inputs):
            raise self._in_place_error(inputs)
        return self._zeros(inputs) if total is None else total

    def extra_repr(self) -> str:
        """Returns what `print` shows beside the operations."""
        return f"{self.label!r}, {', '.join(self.names)}"

    def _check_names(self) -> None:
        """Raise a `ConfigurationError` for a name that is not allowed, or too few operations."""
        for name in (*self.names, *([] if self.name is None else [self.name])):
            if not NAME.fullmatch(name):
                raise ConfigurationError(
                    f"Choice {self.label}: {name!r} cannot be a name, since architectures are "
                    "written as text. Leave out spaces, '=' and '+'."
                )
        if len(self.names) < FEWEST:
            raise ConfigurationError(
                f"Choice {self.label} has {len(self.names)} operation(s), which decides nothing. "
                "Give it two or more, or use the operation itself."
            )

    def _build(self, name: str, candidate: OperationSource) -> nn.Module:
        """Returns the module of one operation, which must not contain a choice."""
        is_function = callable(candidate) and not isinstance(candidate, nn.Module)
        module = candidate() if is_function else candidate
        if not isinstance(module, nn.Module):
            raise ConfigurationError(
                f"Operation {name!r} of choice {self.label} must be a module, or a function "
                f"without arguments that makes one; got {module!r}."
            )
        for inner in module.modules():
            if isinstance(inner, Choice):
                raise ConfigurationError(
                    f"Operation {name!r} of choice {self.label} holds a choice itself "
                    f"({', '.join(inner.names)}). Put the choices one after the other, or list "
                    "the combinations as operations."
                )
            if getattr(inner, "inplace", False) is True:
                # The operations share their input, so none of them may overwrite it.
                setattr(inner, "inplace", False)  # noqa: B010  (an attribute of torch's layers)
        return module

    def _terms(self) -> Sequence[tuple[int, Tensor]]:
        """Returns the (column, weight) of each operation to compute in this forward pass."""
        terms = _TERMS.get()
        if terms is None:
            raise ConfigurationError(
                f"Choice {self.label} was called outside of a supernet, so nothing says what to "
                "compute. Call space.supernet(task)(images, mixture), or build what was chosen "
                "with space.network(architecture, task). (torch.utils.checkpoint calls layers "
                "again later: leave it out around choices.)"
            )
        if self.edge is None:
            raise ConfigurationError(
                f"Choice {self.label} is called, but is no submodule of its network. Keep choices "
                "as attributes or in a torch.nn.ModuleList, not in a plain list."
            )
        return terms[self.edge]

    def _compute(self, column: int, module: nn.Module, inputs: Sequence[Any]) -> Tensor:
        """Returns the output of one operation; an error names the operation and its choice."""
        try:
            output = module(*inputs)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, TypeError, ValueError) as error:
            raise RuntimeError(
                f"operation {self.names[column]!r} of choice {self.label} fails on an input of "
                f"{_shape_of(inputs)}: {error}"
            ) from error
        if not isinstance(output, Tensor):
            raise ConfigurationError(
                f"Operation {self.names[column]!r} of choice {self.label} must answer one tensor, "
                f"got {type(output).__name__}."
            )
        return output

    def _shape_error(self, inputs: Sequence[Any]) -> ConfigurationError:
        """Returns the error for operations whose outputs differ in shape; lists the shapes."""
        with torch.no_grad():
            shapes = [
                f"{self.names[column]}: {_shape_of([self._compute(column, module, inputs)])}"
                for column, module in enumerate(self.operations)
            ]
        return ConfigurationError(
            f"The operations of choice {self.label} must answer one shape, got "
            f"{'; '.join(shapes)} for an input of {_shape_of(inputs)}. "
            "Give them the same channels, stride and padding."
        )

    def _in_place_error(self, inputs: Sequence[Any]) -> ConfigurationError:
        """Returns the error for operations that change their input; names these operations."""
        names = []
        with torch.no_grad():
            for column, module in enumerate(self.operations):
                copies = [value.clone() if isinstance(value, Tensor) else value for value in inputs]
                before = _versions(copies)
                self._compute(column, module, copies)
                names += [self.names[column]] if before != _versions(copies) else []
        return ConfigurationError(
            f"Choice {self.label}: {', '.join(names)} changes its input in place, which all its "
            "operations share. Use functions that return a new tensor (relu, not relu_)."
        )

    def _zeros(self, inputs: Sequence[Any]) -> Tensor:
        """Returns the output of a choice without an active operation.

        The shape of the output is that of the first operation, which is computed once for each
        combination of input shapes.
        """
        tensors = [value for value in inputs if isinstance(value, Tensor)]
        key = tuple(tensor.shape for tensor in tensors)
        if key not in self._shapes:
            cuda = [tensor.device for tensor in tensors[:1] if tensor.device.type == "cuda"]
            with torch.no_grad(), torch.random.fork_rng(devices=cuda):
                self._shapes[key] = self._compute(0, self.operations[0], inputs).shape
        return tensors[0].new_zeros(self._shapes[key])


def _versions(inputs: Sequence[Any]) -> list[int]:
    """Returns how often each tensor was changed in place (torch does not count in inference)."""
    return [
        value._version for value in inputs if isinstance(value, Tensor) and not value.is_inference()
    ]


def _shape_of(values: Sequence[Any]) -> str:
    """Returns the shapes of the tensors in `values` as text for a message."""
    return ", ".join(
        " x ".join(map(str, value.shape)) or "no size"
        for value in values
        if isinstance(value, Tensor)
    )
