"""`Processes`: the processes that torchrun started for one run, and what they exchange.

Each holds the whole run: the same weights, the same random streams, the same updater. They divide
only the passes of images through the supernet (`nastk/nn/sharing.py`), and add up what comes of it.
So each makes the same decisions, and `agree` checks that it does.
"""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from nastk.base.errors import ConfigurationError, LostProcessError, NastkError

Answer = TypeVar("Answer")
Item = TypeVar("Item")

PATIENCE = timedelta(minutes=30)
"""The time after which a process that does not answer counts as lost; one that ends is at once."""

SPEAKING = 1.0
"""Seconds that the first process to fail has for its message."""

VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""Environment variables by which torchrun tells a process which one it is."""


@dataclass(frozen=True)
class Processes:
    """The processes of a run: this one is `rank` of `size`, counted from 0.

    All methods but `rows` are called by all processes together, in the same order.

    Raises:
        LostProcessError: another process has ended.

    Example: `Processes().size` is 1; `Processes.started()` finds those that torchrun started.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def started(cls) -> "Processes":
        """Returns the processes that torchrun started; one alone where it did not.

        Raises:
            ConfigurationError: the others cannot be reached.
        """
        if not _are_several():
            return cls()
        if not dist.is_initialized():
            # Numbers and texts go over gloo, so that they never wait for a GPU.
            cuda = torch.cuda.is_available() and dist.is_nccl_available()
            backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
            try:
                dist.init_process_group(backend, timeout=PATIENCE)
            except (RuntimeError, ValueError) as error:
                raise ConfigurationError(
                    f"The processes of this run cannot reach each other at "
                    f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}: {_line(error)}. "
                    "Start them with `torchrun --standalone --nproc-per-node N -m nastk search`."
                ) from None
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def device_index(self) -> int:
        """The number of this process among those on its machine, which is that of its GPU."""
        return int(os.environ.get("LOCAL_RANK", self.rank))

    def rows(self, images: int) -> slice:
        """Returns the images of a batch that are this process's share."""
        return slice(images * self.rank // self.size, images * (self.rank + 1) // self.size)

    def summed(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Returns the sum of each tensor over the processes; one exchange for all of them.

        They have one type and one device.
        """
        if self.size == 1 or not tensors:
            return list(tensors)
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
        self._exchange(lambda: dist.all_reduce(flat))
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]

    def gathered(self, rows: Tensor, total: int) -> Tensor:
        """Returns the `total` rows of all processes, of which this one has its share `rows`."""
        lengths = [self._length(total, rank) for rank in range(self.size)]
        longest = max(lengths)  # gloo and nccl exchange pieces of equal size
        padded = rows.new_zeros((longest, *rows.shape[1:]))
        padded[: len(rows)] = rows
        pieces = [torch.empty_like(padded) for _ in lengths]
        self._exchange(lambda: dist.all_gather(pieces, padded))
        return torch.cat([piece[:n] for piece, n in zip(pieces, lengths, strict=True)])

    def part(self, items: list[Item]) -> list[Item]:
        """Returns this process's share of the items; all of them where there are too few."""
        return items[self.rows(len(items))] if len(items) >= self.size else items

    def joined(self, rows: Tensor, total: int) -> Tensor:
        """Returns the rows of all processes, of which this one has its `part` of `total` items."""
        return self.gathered(rows, total) if total >= self.size > 1 else rows

    def agree(self, what: str, value: str, flag: bool = False) -> bool:
        """Check that `value` is the same in all processes; returns True if any has its `flag` set.

        Raises:
            NastkError: the values differ; names `what`, and shows each.
        """
        if self.size == 1:
            return flag
        digest = int.from_bytes(hashlib.sha256(f"{what}\n{value}".encode()).digest()[:7], "big")
        highest = torch.tensor([digest, -digest, int(flag)])
        self._exchange(lambda: dist.all_reduce(highest, dist.ReduceOp.MAX))
        most, least, flags = highest.tolist()
        if most != -least:
            raise NastkError(self._disagreement(what, value))
        return bool(flags)

    def _length(self, total: int, rank: int) -> int:
        rows = Processes(rank, self.size).rows(total)
        return int(rows.stop - rows.start)

    def _disagreement(self, what: str, value: str) -> str:
        """Returns the message that the processes have different values of `what`."""
        values: list[Any] = [None] * self.size
        self._exchange(lambda: dist.all_gather_object(values, (what, value)))
        each = "; ".join(
            f"process {rank} has {shown if name == what else f'{name} {shown}'}"
            for rank, (name, shown) in enumerate(values)
        )
        return (
            f"The processes of this run do not agree on {what}: {each}. Each must have the same "
            "request, images and versions, and an updater must draw from `probe.rng` alone."
        )

    def _exchange(self, work: Callable[[], Answer]) -> Answer:
        """Returns the result of an exchange; an error means that another process has ended."""
        try:
            return work()
        except RuntimeError as error:
            raise LostProcessError(
                f"Another of the {self.size} processes of this run ended, or does not answer; this "
                f"is process {self.rank} ({_line(error)})."
            ) from error


ALONE = Processes()
"""The processes of a run that torchrun did not start: one."""


def check_alone(command: str, instead: str) -> None:
    """Called by commands that one process carries out; `instead` is what to do in several.

    Raises:
        ConfigurationError: torchrun started several.
    """
    if _are_several():
        raise ConfigurationError(
            f"{command} is for one process, and torchrun started {os.environ['WORLD_SIZE']}. "
            f"{instead}"
        )


def _are_several() -> bool:
    """True if torchrun, or what sets the same variables, started several processes."""
    size = os.environ.get("WORLD_SIZE", "1")
    return size.isdigit() and int(size) > 1 and all(map(os.environ.get, VARIABLES))


def speaks() -> bool:
    """Called where this process fails: True if it is the first of a run's, which says why.

    The others fail with it, and their messages would hide its own. They end a little later, since
    torchrun ends all processes as soon as one has ended.
    """
    if not dist.is_initialized():
        return os.environ.get("RANK", "0") == "0"
    first = True
    with suppress(RuntimeError):
        # torchrun itself serves this store, so it is there after any of the processes.
        store = dist.distributed_c10d._get_default_store()
        first = int(store.add("nastk/failures", 1)) == 1
    if not first:
        time.sleep(SPEAKING)
    return first


def _line(error: Exception) -> str:
    """Returns the first sentence of an error's message, without a full stop."""
    text = str(error).strip().splitlines() or [type(error).__name__]
    # gloo names a line of its own source first, and advises in further sentences.
    return text[0].split("] ")[-1].split(". ")[0].rstrip(".")[:160]
