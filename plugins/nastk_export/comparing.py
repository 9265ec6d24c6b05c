"""An export compared with the network that it came from: `difference`.

A process of its own loads the exported folder as its users will, with the format's runtime and
without nastk, and computes logits in batches of several sizes.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from nastk import DataSource, NastkError, PluginError, Split, TrainedModel, catalogue
from nastk_export.standalone.predict import Array, normalised

LIMIT = 1e-4
"""The largest difference of a logit that an export may have."""
RANDOM = 16
"""The number of random images."""
SIZES = (1, 2, 7)
"""The sizes of the first batches; the others have up to `LARGEST` images, or as many as may be."""
LARGEST = 64

PROGRAM = """
import sys
sys.modules["nastk"] = None  # importing it fails
folder, source, target, *sizes = sys.argv[1:]
sys.path.insert(0, folder)
import numpy, pathlib, predict
network, images = predict.load(pathlib.Path(folder)), numpy.load(source)
logits, start = [], 0
while start < len(images):
    size = int(sizes.pop(0) if len(sizes) > 1 else sizes[0])
    logits.append(network(images[start:start + size]))
    start += size
numpy.save(target, numpy.concatenate(logits))
"""


def random_images(model: TrainedModel, count: int = RANDOM) -> Array:
    """Returns fresh random images, normalised: images x channels x height x width."""
    image = model.image
    sides = (count, image.height, image.width, image.channels)
    pixels = np.random.default_rng().integers(0, 256, sides)
    return normalised(pixels, model.mean, model.std)


def real_images(model: TrainedModel, count: int) -> Array:
    """Returns up to `count` images that the model's data are made of, normalised.

    They are validation images, or training images where there are none.

    Raises:
        NastkError: the images are not at hand.
    """
    source_class: type[DataSource] = catalogue().load("data", model.data.name)
    source = source_class(source_class.parse_options(model.data.options))
    splits = source.splits(model.seed)
    pixels = _pixels(splits.valid if len(splits.valid) else splits.train, count)
    if tuple(pixels.shape[1:]) != (model.image.channels, model.image.height, model.image.width):
        raise NastkError(f"the images are now of shape {tuple(pixels.shape[1:])}")
    return normalised(pixels.permute(0, 2, 3, 1).numpy(), model.mean, model.std)


def _pixels(split: Split, count: int) -> Tensor:
    """Returns the first images of a split: images x channels x height x width, uint8."""
    if isinstance(split.images, Tensor):
        return split.images[:count]
    images = split.images
    return torch.stack([images.read(index, None) for index in range(min(count, len(images)))])


def difference(network: nn.Module, folder: Path, images: Array, most: int | None = None) -> float:
    """Returns the largest difference between a logit of the export and one of the network.

    `most` is the most images of a batch, if there is such a limit.

    Raises:
        NastkError: the network's answers differ from call to call.
        PluginError: the runtime cannot load or run the export, or gives other shapes.
    """
    inputs = torch.from_numpy(images)
    with torch.no_grad():
        expected, again = network(inputs), network(inputs)
    if not torch.equal(expected, again):
        raise NastkError(
            "The network gives other logits at each call (it has an operation with random "
            "numbers, such as noise), so an export could not be compared. Choose an architecture "
            "without it."
        )
    found = _logits(folder, images, most or LARGEST)
    if found.shape != tuple(expected.shape):
        raise PluginError(
            f"The export gives logits of shape {found.shape}, the network {tuple(expected.shape)}."
        )
    distance = np.abs(found - expected.numpy()).max()
    return float("inf") if np.isnan(distance) else float(distance)


def _logits(folder: Path, images: Array, largest: int) -> Array:
    """Returns the logits of the exported folder, computed in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        source, target = Path(place, "images.npy"), Path(place, "logits.npy")
        np.save(source, images)
        sizes = [str(size) for size in (*SIZES, largest)]
        arguments = [str(folder.resolve()), str(source), str(target), *sizes]
        done = subprocess.run(
            [sys.executable, "-P", "-c", PROGRAM, *arguments], capture_output=True, text=True
        )
        if done.returncode:
            words = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise PluginError(f"The export cannot be loaded again by its runtime: {words[-1]}")
        logits: Array = np.load(target)
        return logits
