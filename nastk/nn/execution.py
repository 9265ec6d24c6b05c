"""Device, precision and memory layout of supernets, which are chosen once for a run."""

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import nn

from nastk.base.errors import ConfigurationError
from nastk.base.processes import ALONE, Processes
from nastk.nn.strided import choose_first
from nastk.nn.synchronised import synchronise

Precision = Literal["auto", "fp32", "bf16"]


@runtime_checkable
class Descent(Protocol):
    """The options of gradient descent; trainer options have them, and evaluator options may."""

    learning_rate: float
    momentum: float
    nesterov: bool
    weight_decay: float


@dataclass(frozen=True)
class Execution:
    """How a supernet computes: `device`, bf16 autocast or not, deterministic or not, CPU `threads`.

    With `threads` 0 torch chooses their number. `processes` share the images of every pass.

    Example: `Execution.choose("auto", "auto")` is CUDA with bf16 if the machine has both, otherwise
    CPU and fp32.
    """

    device: torch.device
    bf16: bool = False
    deterministic: bool = False
    threads: int = 0
    processes: Processes = ALONE

    @classmethod
    def choose(
        cls,
        device: str = "auto",
        precision: Precision = "auto",
        deterministic: bool = False,
        threads: int = 0,
    ) -> "Execution":
        """Returns the execution for these options, with `auto` resolved for this machine.

        Raises:
            ConfigurationError: the machine does not have the device, or the device has no bf16.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            chosen = torch.device(device)
        except RuntimeError:
            raise ConfigurationError(
                f"Expected a device such as auto, cpu, cuda or cuda:1, got {device!r}."
            ) from None
        if chosen.type not in ("cpu", "cuda"):
            raise ConfigurationError(f"nastk runs on cpu and cuda, got device {device!r}.")
        if chosen.type == "cuda":
            count = torch.cuda.device_count() if torch.cuda.is_available() else 0
            if (chosen.index or 0) >= count:
                raise ConfigurationError(
                    f"Device {device!r} was asked for, and this machine has {count} CUDA devices. "
                    "Use --device cpu or auto."
                )
        has_bf16 = chosen.type == "cpu" or torch.cuda.is_bf16_supported()
        if precision == "bf16" and not has_bf16:
            raise ConfigurationError(
                f"Device {device!r} has no bf16. Use --precision fp32 or auto."
            )
        # On a CPU, bf16 does not speed up depthwise convolutions and is less exact: auto is fp32.
        bf16 = precision == "bf16" or (precision == "auto" and chosen.type == "cuda" and has_bf16)
        return cls(chosen, bf16, deterministic, threads)

    def shared(self, processes: Processes) -> "Execution":
        """Returns the execution of this one of `processes`: on CUDA each has a device of its own.

        Raises:
            ConfigurationError: one device was named for all, or the machine has too few.
        """
        if processes.size == 1 or self.device.type != "cuda":
            return replace(self, processes=processes)
        if self.device.index is not None:
            raise ConfigurationError(
                f"Device {self.device} was asked for, and {processes.size} processes need one "
                "each. Use --device cuda."
            )
        index, count = processes.device_index, torch.cuda.device_count()
        if index >= count:
            raise ConfigurationError(
                f"Process {index} of this machine needs a CUDA device of its own, and there are "
                f"{count}. Start as many processes as devices, or use --device cpu."
            )
        return replace(self, device=torch.device("cuda", index), processes=processes)

    def autocast(self) -> AbstractContextManager[Any]:
        """Returns the context for forward passes: autocast if bf16 is on.

        bf16 needs no loss scaling, since it has the exponent range of fp32.
        """
        return (
            torch.autocast(self.device.type, dtype=torch.bfloat16) if self.bf16 else nullcontext()
        )

    def place(self, module: nn.Module, synchronised: bool = False) -> nn.Module:
        """Move a network to the device, in channels-last layout (1.6 to 2 times as fast).

        Its norms are `synchronised` over the processes if that is asked for.
        """
        if synchronised:
            synchronise(module, self.processes)
        if self.device.type == "cpu":
            choose_first(module)
        return module.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def sgd(self, weights: Iterable[nn.Parameter], options: Descent) -> torch.optim.SGD:
        """Returns the optimiser of weight steps on this device, at its initial learning rate."""
        return torch.optim.SGD(
            [{"params": list(weights)}],  # a group, because a run may have no weights at all
            options.learning_rate,
            momentum=options.momentum,
            nesterov=options.nesterov,
            weight_decay=options.weight_decay,
            fused=self.device.type == "cuda",
        )

    @contextmanager
    def settings(self) -> Iterator[None]:
        """Sets torch's global switches inside the context and restores them afterwards.

        Inside, gradients are on and new tensors have single precision, whatever the caller's
        settings are. The caller's settings come back even if a plugin changed them meanwhile.
        """
        gradients, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)
        before = (
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.benchmark,
            torch.backends.cudnn.deterministic,
        )
        warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
        threads = torch.get_num_threads()
        torch.set_num_threads(self.threads or threads)
        torch.backends.cudnn.benchmark = not self.deterministic
        torch.backends.cudnn.deterministic = self.deterministic
        if self.deterministic:
            # cuBLAS is deterministic only with a workspace of fixed size, set before its first use.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=warn_only)
            torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = before[1:]
            torch.set_num_threads(threads)
            torch.set_grad_enabled(gradients)
            torch.set_default_dtype(dtype)
