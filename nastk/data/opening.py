"""`stream` makes the stream that fits a split, from memory or from files."""

import torch
from torch import Tensor

from nastk.base.processes import ALONE, Processes
from nastk.data.loader import LoaderStream
from nastk.data.splits import Split
from nastk.data.streams import Stream, TensorStream


def stream(
    split: Split,
    batch_size: int,
    seed: int,
    name: str,
    device: torch.device | str = "cpu",
    augment: bool = True,
    workers: int | None = None,
    processes: Processes = ALONE,
) -> Stream:
    """Returns a stream over `split`: from memory, or from files that `workers` processes read.

    With `workers` None there is a process for each core, at most 8; with 0 this process reads. Of
    several `processes` of a run each reads its share of a batch from files.

    Raises:
        DataError: the split is empty.
    """
    if isinstance(split.images, Tensor):
        return TensorStream(split, batch_size, seed, name, device, augment)
    return LoaderStream(split, batch_size, seed, name, device, augment, workers, processes)
