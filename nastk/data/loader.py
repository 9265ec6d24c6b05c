"""The stream over images too large for memory: workers read ahead, the answers stay the same."""

import os
import warnings
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from itertools import count
from typing import Any

import torch
from jaxtyping import Int, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nastk.base.errors import DataError
from nastk.base.seeds import seed_of
from nastk.data.augment import augment as augmented
from nastk.data.order import Order
from nastk.data.splits import ImageFile, Split
from nastk.data.streams import Batch, Stream
from nastk.data.upload import uploaded

Request = list[tuple[int, int | None]]
"""One batch to read: (index, seed) for each image."""


class LoaderStream(Stream):
    """A stream over a split whose images are read when needed.

    Steps asked for one after the other are read ahead by `workers` processes (0: read on demand in
    this one); any other step restarts the reading there. Neither changes what a batch holds.

    Example: `LoaderStream(splits.train, batch_size=64, seed=0, name="train", workers=4).epoch(0)`
    """

    _running: Iterator[Any] | None
    _next: int

    def __init__(
        self,
        split: Split,
        batch_size: int,
        seed: int,
        name: str,
        device: torch.device | str = "cpu",
        augment: bool = True,
        workers: int | None = None,
    ) -> None:
        if isinstance(split.images, Tensor):
            raise TypeError(
                "LoaderStream expects an ImageFile, got images in memory. Use TensorStream."
            )
        self.images = len(split)
        self._split = split
        self._device = torch.device(device)
        self._workers = usual_workers() if workers is None else workers
        self._begin(Order(len(split), batch_size, seed, name), augment)

    def __len__(self) -> int:
        return len(self._order)

    def at(self, step: int) -> Batch:
        """See `Stream.at`."""
        indices = self._order.batch(step)
        if self._running is None or step != self._next:
            self._requests.start = step
            self._running = iter(self._loader)
        # Unset until the batch has arrived, so that a failure or an interrupt restarts the reading.
        running, self._running = self._running, None
        batch = self._batch(next(running), indices, self._order.noise(step), self._augment)
        self._running, self._next = running, step + 1
        return batch

    def once(self) -> Iterator[Batch]:
        """See `Stream.once`."""
        batches = list(self._order.once())
        requests: list[Request] = [
            [(index, None) for index in indices.tolist()] for indices in batches
        ]
        for raw, indices in zip(self._reading(requests), batches, strict=True):
            yield self._batch(raw, indices, 0, False)

    def view(
        self, name: str, batch_size: int | None = None, augment: bool | None = None
    ) -> "LoaderStream":
        """See `Stream.view`; the view has workers of its own, which start when it is first used."""
        other = copy(self)
        other._begin(
            self._order.view(name, batch_size), self._augment if augment is None else augment
        )
        return other

    def _begin(self, order: Order, augment: bool) -> None:
        """Set the order, with nothing read yet."""
        self._order, self._augment = order, augment
        self._requests = _Requests(order, augment)
        self._loader = self._reading(self._requests, keep=True)
        self._running, self._next = None, 0

    def _reading(self, requests: Iterable[Request], keep: bool = False) -> DataLoader[Any]:
        """A loader that answers `requests`; with `keep`, its workers outlive a restart."""
        return DataLoader(
            _Reader(self._split.images),  # type: ignore[arg-type]
            batch_sampler=requests,
            collate_fn=_unchanged,
            num_workers=self._workers,
            persistent_workers=keep and self._workers > 0,
            pin_memory=self._device.type == "cuda",
            # Without one of its own the loader would draw from torch's global stream.
            generator=torch.Generator(),
        )

    def _batch(
        self, raw: "Tensor | DataError", indices: Int[Tensor, "batch"], seed: int, augment: bool
    ) -> Batch:
        """What a worker answered, on the device and augmented."""
        if isinstance(raw, DataError):
            # A new one: an exception that its own frame holds would keep the workers alive.
            raise DataError(str(raw))
        images = uploaded(raw, self._device)
        labels = uploaded(self._split.labels[indices].long(), self._device)
        return Batch(augmented(images, self._split.augmentation, seed, augment), labels)


@dataclass
class _Requests:
    """What to read, batch after batch without end, from `start` on."""

    order: Order
    augment: bool
    start: int = 0

    def __iter__(self) -> Iterator[Request]:
        for step in count(self.start):
            seed, indices = self.order.noise(step), self.order.batch(step).tolist()
            seeds = [
                seed_of(seed, place) if self.augment else None for place in range(len(indices))
            ]
            yield list(zip(indices, seeds, strict=True))


@dataclass
class _Reader(Dataset[Any]):
    """Reads one request in a worker."""

    images: ImageFile

    def __getitems__(
        self, request: Request
    ) -> "UInt8[Tensor, 'batch channels height width'] | DataError":
        try:
            # What PIL warns of was said when the set was opened; here it would be a line of PIL's
            # code among the run's own lines.
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", module=r"PIL\.")
                return torch.stack([self.images.read(index, seed) for index, seed in request])
        except DataError as error:
            # An exception would come back wrapped in a traceback; as a value it stays one line.
            return error


def _unchanged(answer: Any) -> Any:
    """The loader's collate function: `_Reader` answers with whole batches already."""
    return answer


def usual_workers() -> int:
    """One reading process for each core this process may use, at most 8."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return min(cores, 8)
