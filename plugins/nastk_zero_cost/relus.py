"""`recorded_relus` watches the ReLUs of a network while images pass through it.

A network may compute one ReLU and let several layers read it, as the cells of `nasbench201` do.
NASWOT counts the ReLUs of layers, so a ReLU counts once for every module that reads it, and at
least once.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
RELUS = (aten.relu.default, aten.relu_.default)
BOUNDED = (aten.hardtanh.default, aten.hardtanh_.default)
"""ReLU6 is one of these, with a lower bound of 0."""


@dataclass
class Relu:
    """The `output` of a ReLU in one pass, and the number of modules that read it as an input."""

    output: Tensor
    readers: int = 0

    @property
    def times(self) -> int:
        """How often the ReLU counts."""
        return max(1, self.readers)


@contextmanager
def recorded_relus(network: nn.Module) -> Iterator[list[Relu]]:
    """Records the ReLUs of passes through `network` inside the context, in order.

    Example: `with recorded_relus(network) as relus: network(images)`
    """
    relus: list[Relu] = []
    readers = _Readers(relus)
    handles = [
        handle
        for module in network.modules()
        for handle in (
            module.register_forward_pre_hook(readers.enter),
            module.register_forward_hook(readers.leave, always_call=True),
        )
    ]
    try:
        with _Recorder(relus):
            yield relus
    finally:
        for handle in handles:
            handle.remove()


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds every ReLU that is computed, however it was called, to a list."""

    def __init__(self, relus: list[Relu]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.relus = relus

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Called by torch for every operation."""
        output = func(*args, **(kwargs or {}))
        if func in RELUS or (func in BOUNDED and len(args) > 1 and args[1] == 0):
            self.relus.append(Relu(output))
        return output


class _Readers:
    """Counts the modules that read a ReLU's output.

    Modules within such a module do not count, nor do modules that hand the output on as it is, such
    as an identity.
    """

    def __init__(self, relus: list[Relu]) -> None:
        self.relus = relus
        self.calls: list[tuple[tuple[Any, ...], list[Relu]]] = []

    def enter(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Called before a module's forward pass."""
        outer = self.calls[-1][0] if self.calls else ()
        read = [
            relu
            for relu in self.relus
            if _among(relu.output, inputs) and not _among(relu.output, outer)
        ]
        for relu in read:
            relu.readers += 1
        self.calls.append((inputs, read))

    def leave(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        """Called after a module's forward pass."""
        _, read = self.calls.pop()
        for relu in read:
            if relu.output is output:
                relu.readers -= 1


def _among(tensor: Tensor, inputs: tuple[Any, ...]) -> bool:
    return any(tensor is each for each in inputs)
