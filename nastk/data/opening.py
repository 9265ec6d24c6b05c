"""`stream`: the stream that suits a split, from memory or from files."""

import torch
from torch import Tensor

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
) -> Stream:
    """The stream that suits `split`: from memory, or from files that `workers` processes read.

    `workers` None means one for each core, at most 8; 0 reads in this process.

    Raises:
        DataError: the split is empty.
    """
    if isinstance(split.images, Tensor):
        return TensorStream(split, batch_size, seed, name, device, augment)
    return LoaderStream(split, batch_size, seed, name, device, augment, workers)
