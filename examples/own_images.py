"""Searching on images of one's own: a folder with a folder of pictures for each class.

    python own_images.py            writes 600 digits as PNG files, and searches on them

The folder it writes is the form that `--data folder:PATH` expects:

    PATH/three/0007.png
    PATH/seven/0012.png
"""

import argparse
import tempfile
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

import nastk

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def write_images(folder: Path, count: int) -> None:
    """Write `count` handwritten digits as pictures, each into the folder of its class."""
    found = load_digits()
    for number, (pixels, label) in enumerate(zip(found.images[:count], found.target, strict=False)):
        place = folder / NAMES[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15).astype("uint8")).save(place / f"{number:04d}.png")


def main(arguments: list[str] | None = None) -> nastk.Result:
    """Write pictures, and search on them."""
    parser = argparse.ArgumentParser(description="Searching on images of one's own.")
    parser.add_argument("--count", type=int, default=600, help="pictures to write")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--space", default="darts")
    parser.add_argument(
        "--out", default=None, help="the run folder; a new one in runs/ where not given"
    )
    asked = parser.parse_args(arguments)

    with tempfile.TemporaryDirectory() as place:
        write_images(Path(place), asked.count)
        data = nastk.use("folder", path=place, train_fraction=0.5)
        result = nastk.search(
            asked.space, "darts", data, preset="quick", epochs=asked.epochs, out=asked.out
        )
        print("found   ", result.text)
        print("accuracy", result.evaluation)
    return result


if __name__ == "__main__":
    main()
