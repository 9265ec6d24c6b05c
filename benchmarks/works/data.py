"""The data pipeline: crop, flip, normalise and cut out, as PIL transforms and as nastk's stream.

The reference is the DataLoader in this process (workers=0); its figure with two workers is beside
it. Both read the same images from memory; nothing is decoded.
"""

from statistics import median

import torch
from torch import Tensor

from benchmarks.parity import SINGLE, Report, relative
from benchmarks.reference.pipeline import MEAN, STD, Pictures, loader, treatment
from benchmarks.timing import ratio
from benchmarks.works.setting import Measured, Setting, compared, cpus, walls
from nastk import Augmentation, Split, Stream
from nastk.base.seeds import generator
from nastk.data.streams import TensorStream

BATCH, SIDE, PADDING, CUTOUT = 64, 32, 4, 16


def pipeline(setting: Setting) -> Measured:
    """One pass over all images, in batches of 64."""
    pixels, labels = pictures(setting.sizes.images)
    report = Report()
    stream = stream_of(pixels, labels)
    report.check("normalised images, float32", normalised_apart(pixels, labels), SINGLE)
    report.check("share of images that no crop explains", unexplained(pixels), 0.0)
    arrays = pixels.permute(0, 2, 3, 1).numpy()
    shown = Pictures(arrays, labels.tolist(), treatment(train=True))

    def loaded(workers: int) -> None:
        for _ in loader(shown, BATCH, workers):
            pass

    def streamed(run: int) -> None:
        for _ in stream.epoch(run):
            pass

    # Workers are processes that have to start: a quick run of a few images does without.
    others = {"workers": lambda run: loaded(2)} if setting.isolated else {}
    measured, taken = compared(setting, lambda run: loaded(0), streamed, others)
    extra = {"images": len(labels), "batch": BATCH, "parity": report.errors}
    if others:
        with_workers = taken["workers"]
        extra |= {
            "ratio_to_2_workers": ratio(cpus(with_workers), cpus(taken["ours"])).value,
            "wall_ratio_to_2_workers": median(walls(with_workers)) / median(walls(taken["ours"])),
        }
    return Measured(measured.ratio, {**measured.extra, **extra})


def pictures(count: int) -> tuple[Tensor, Tensor]:
    """Images of random pixels with labels, uint8, none of them black."""
    rng = generator(0, "benchmarks", "pictures")
    pixels = torch.randint(1, 256, (count, 3, SIDE, SIDE), generator=rng, dtype=torch.uint8)
    return pixels, torch.randint(10, (count,), generator=rng)


def stream_of(pixels: Tensor, labels: Tensor) -> Stream:
    """Our stream over the images, with the reference's augmentation."""
    augmentation = Augmentation(MEAN, STD, crop_padding=PADDING, flip=True, cutout=CUTOUT)
    return TensorStream(Split(pixels, labels, augmentation), BATCH, 0, "train")


def normalised_apart(pixels: Tensor, labels: Tensor) -> float:
    """How far a batch without augmentation is from the reference's, whose images it names."""
    stream = stream_of(pixels, torch.arange(len(labels)))
    batch = next(iter(stream.once()))
    arrays = pixels.permute(0, 2, 3, 1).numpy()
    shown = Pictures(arrays, labels.tolist(), treatment(train=False))
    expected = torch.stack([shown[int(index)][0] for index in batch.labels])
    return relative(batch.images, expected)


def unexplained(pixels: Tensor, count: int = 8) -> float:
    """The share of augmented images that are no crop, mirrored or not, with a square cut out."""
    named = stream_of(pixels, torch.arange(len(pixels)))
    batch = named.at(0)
    some = list(zip(batch.images, batch.labels, strict=True))[:count]
    return sum(not _is_a_crop(image, pixels[int(label)]) for image, label in some) / len(some)


def _is_a_crop(image: Tensor, pixels: Tensor) -> bool:
    """Whether `image` is one of the crops of `pixels`, but for a square of zeros."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    padded = torch.nn.functional.pad(pixels, [PADDING] * 4)
    crops = torch.stack(
        [
            crop.flip(2) if mirrored else crop
            for row in range(2 * PADDING + 1)
            for column in range(2 * PADDING + 1)
            for crop in [padded[:, row : row + SIDE, column : column + SIDE]]
            for mirrored in (False, True)
        ]
    )
    apart = ((crops.float() / 255 - mean) / std - image).abs().amax(1) > 1e-5  # crops x side x side
    hole = (image == 0).all(0)
    fits = ~(apart & ~hole).flatten(1).any(1)
    rows, columns = hole.any(1).sum(), hole.any(0).sum()
    square = bool(hole.sum() == rows * columns) and int(max(rows, columns)) <= CUTOUT
    return bool(fits.any()) and square
