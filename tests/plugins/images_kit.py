"""For the tests of `nastk_images`: folders of random pictures, and pickles as numpy of 2009 had."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nastk_images.folder import Folder

RNG = np.random.default_rng(0)


def random_pixels(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


class OldDtype:
    """Pickles as the one-byte dtype does in files written by the numpy of 2009."""

    def __reduce__(self) -> tuple[Any, ...]:
        return np.dtype, ("u1", 0, 1), (3, "|", None, None, None, -1, -1, 0)


class OldArray:
    """Pickles as a byte array does in such files."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __reduce__(self) -> tuple[Any, ...]:
        make = np.zeros(1).__reduce__()[0]
        return (
            make,
            (np.ndarray, (0,), b"b"),
            (1, self.array.shape, OldDtype(), False, self.array.tobytes()),
        )


def write_pickle(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(value, protocol=2))


def save(path: Path, mode: str = "RGB", size: tuple[int, int] = (8, 8), **more: Any) -> Path:
    """A random picture of `size` (width, height) at `path`, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colours = random_pixels(size[1], size[0], 3)
    Image.fromarray(colours).convert(mode).save(path, **more)
    return path


def flat(root: Path, classes: str = "ab", count: int = 10, **more: Any) -> Path:
    """`root` with class folders of `count` pictures each."""
    for name in classes:
        for number in range(count):
            save(root / name / f"{number}.png", **more)
    return root


def opened(path: Path, **options: Any) -> Folder:
    return Folder(Folder.parse_options({"path": path, **options}))
