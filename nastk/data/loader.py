"""The stream over images that do not fit in memory: worker processes read batches ahead."""

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
from nastk.base.processes import ALONE, Processes
from nastk.base.seeds import seed_of
from nastk.data.augment import augment as augmented
from nastk.data.order import Order
from nastk.data.splits import ImageFile, Split
from nastk.data.streams import Batch, Stream
from nastk.data.upload import uploaded

Request = list[tuple[int, int | None]]
"""A batch to read: (index, seed) for each image; the seed is None without augmentation."""


class LoaderStream(Stream):
    """A stream over a split whose images are read when needed.

    `workers` processes read consecutive steps ahead (0: this process reads on demand); a request
    for any other step restarts the reading there. Neither changes the content of a batch. Of the
    `processes` of a run each reads its share of a batch, and they exchange what they read.

    Example: `LoaderStream(splits.train, batch_size=64, seed=0, name="train", workers=4).epoch(0)`
    """

    _reader: Iterator[Any] | None
    _next_step: int

    def __init__(
        self,
        split: Split,
        batch_size: int,
        seed: int,
        name: str,
        device: torch.device | str = "cpu",
        augment: bool = True,
        workers: int | None = None,
        processes: Processes = ALONE,
    ) -> None:
        if isinstance(split.images, Tensor):
            raise TypeError(
                "LoaderStream expects an ImageFile, got images in memory. Use TensorStream."
            )
        self.images = len(split)
        self._split = split
        self._device = torch.device(device)
        self._processes = processes
        self._workers = usual_workers() if workers is None else workers
        self._set_order(Order(len(split), batch_size, seed, name), augment)

    def __len__(self) -> int:
        return len(self._order)

    def at(self, step: int) -> Batch:
        """See `Stream.at`."""
        indices = self._order.batch(step)
        if self._reader is None or step != self._next_step:
            self._requests.start = step
            self._reader = iter(self._loader)
        # Unset until the batch has arrived, so that a failure or an interrupt restarts the reading.
        reader, self._reader = self._reader, None
        batch = self._batch(next(reader), indices, self._order.noise(step), self._augment)
        self._reader, self._next_step = reader, step + 1
        return batch

    def once(self) -> Iterator[Batch]:
        """See `Stream.once`."""
        batches = list(self._order.once())
        requests: list[Request] = [
            self._processes.part([(index, None) for index in indices.tolist()])
            for indices in batches
        ]
        for raw, indices in zip(self._data_loader(requests), batches, strict=True):
            yield self._batch(raw, indices, 0, False)

    def view(
        self, name: str, batch_size: int | None = None, augment: bool | None = None
    ) -> "LoaderStream":
        """See `Stream.view`; the view has workers of its own, which start when it is first used."""
        view = copy(self)
        view._set_order(
            self._order.view(name, batch_size), self._augment if augment is None else augment
        )
        return view

    def _set_order(self, order: Order, augment: bool) -> None:
        """Set the order of batches; nothing has been read of it yet."""
        self._order, self._augment = order, augment
        self._requests = _Requests(order, augment, self._processes)
        self._loader = self._data_loader(self._requests, keep=True)
        self._reader, self._next_step = None, 0

    def _data_loader(self, requests: Iterable[Request], keep: bool = False) -> DataLoader[Any]:
        """Returns a loader of the batches of `requests`; with `keep`, workers survive a restart."""
        return DataLoader(
            _BatchReader(self._split.images),  # type: ignore[arg-type]
            batch_sampler=requests,
            collate_fn=_identity,
            num_workers=self._workers,
            persistent_workers=keep and self._workers > 0,
            pin_memory=self._device.type == "cuda",
            # Without a generator of its own the loader would draw from torch's global one.
            generator=torch.Generator(),
        )

    def _batch(
        self, raw: "Tensor | DataError", indices: Int[Tensor, "batch"], seed: int, augment: bool
    ) -> Batch:
        """Returns the batch that a worker read, on the device and augmented.

        Raises:
            DataError: the worker could not read an image.
        """
        if isinstance(raw, DataError):
            # A new error, since `raw` is held by this frame and its traceback would hold the frame:
            # this cycle would keep the workers alive.
            raise DataError(str(raw))
        images = self._processes.joined(uploaded(raw, self._device), len(indices))
        labels = uploaded(self._split.labels[indices].long(), self._device)
        return Batch(augmented(images, self._split.augmentation, seed, augment), labels)


@dataclass
class _Requests:
    """The endless sequence of batches to read, from step `start` on."""

    order: Order
    augment: bool
    processes: Processes
    start: int = 0

    def __iter__(self) -> Iterator[Request]:
        for step in count(self.start):
            seed, indices = self.order.noise(step), self.order.batch(step).tolist()
            seeds = [
                seed_of(seed, position) if self.augment else None
                for position in range(len(indices))
            ]
            yield self.processes.part(list(zip(indices, seeds, strict=True)))


@dataclass
class _BatchReader(Dataset[Any]):
    """The dataset of the loader, which reads a whole batch at once in a worker."""

    images: ImageFile

    def __getitems__(
        self, request: Request
    ) -> "UInt8[Tensor, 'batch channels height width'] | DataError":
        try:
            # PIL's warnings were reported when the set was opened; repeated here they would mix
            # with the output of the run.
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", module=r"PIL\.")
                return torch.stack([self.images.read(index, seed) for index, seed in request])
        except DataError as error:
            # Returned and not raised, since the loader would wrap a raised error in a traceback.
            return error


def _identity(batch: Any) -> Any:
    """The loader's collate function: `_BatchReader` returns whole batches already."""
    return batch


def usual_workers() -> int:
    """Returns the usual number of reading processes: the cores of this process, at most 8."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return min(cores, 8)
