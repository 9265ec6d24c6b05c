"""Says what the network in this folder sees in pictures.

    python predict.py a.jpg b.png --top 3
    python predict.py a.jpg --json

Pictures are read as the images were that the network was trained with; `model.json` has their form
and the names of the classes. As a module: `Predictor(folder)("a.jpg")`.
"""

import argparse
import json
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

Array = np.ndarray[Any, np.dtype[Any]]
Network = Callable[[Array], Array]
Box = tuple[float, float, float, float]

BEHIND = (128, 128, 128, 255)
"""The grey behind transparent parts."""
CLEAR_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")
"""PIL's modes of grey pictures with more than 8 bits."""
ORIENTED = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")
"""The keys under which formats store a picture's orientation."""
UNREADABLE = (
    OSError, SyntaxError, ValueError, EOFError, TypeError, AttributeError, LookupError,
    ArithmeticError, struct.error, Image.DecompressionBombError,
)  # fmt: skip
"""The errors of PIL for files that are missing, cut off, of another kind or far too large."""


def load(folder: Path) -> Network:
    """Returns the network in `folder` as a function from images to logits."""
    raise NotImplementedError("an export puts the function for its format here")


class Predictor:
    """The network in a folder, with its pictures' form and its classes.

    `Predictor(folder)("a.jpg")` gives the probability of each class, by name.
    """

    def __init__(self, folder: str | Path, network: Network | None = None) -> None:
        model = json.loads(Path(folder, "model.json").read_text(encoding="utf-8"))
        self.image, self.mean, self.std = model["image"], model["mean"], model["std"]
        names = model["classes"]
        self.classes = [str(i) if name is None else name for i, name in enumerate(names)]
        self.network = network or load(Path(folder))

    def __call__(self, picture: str | Path) -> dict[str, float]:
        """Returns the probability of each class for a picture, the most probable first."""
        return self.seen(read_picture(picture, self.image))

    def seen(self, pixels: Array) -> dict[str, float]:
        """Returns the same for pixels that `read_picture` gave."""
        logits = self.network(normalised(pixels[None], self.mean, self.std))[0]
        chances = softmax(logits).tolist()
        order = sorted(range(len(chances)), key=lambda index: -chances[index])
        return {self.classes[index]: chances[index] for index in order}


def read_picture(picture: str | Path, form: dict[str, Any]) -> Array:
    """Returns the pixels of a picture (height x width x channels, 0..255) at the network's size.

    The picture is turned upright, scaled until it covers the size, and cut to the middle; `form`
    has channels, height and width, and may have `middle`, the part of the sides that is left, and
    `levels`, the values of grey pictures with more than 8 bits that become 0 and 255.
    """
    height, width, channels = form["height"], form["width"], form["channels"]
    with Image.open(picture) as opened:
        opened.draft(None, (4 * width, 4 * height))  # large JPEG files decode faster
        upright: Image.Image = opened
        if opened.format == "TIFF" or any(key in opened.info for key in ORIENTED):
            upright = ImageOps.exif_transpose(opened)
        plain = as_plain(upright, channels, form.get("levels") or (0, 65535))
        box = middle(plain.size, (width, height), form.get("middle", 1.0))
        if plain.size != (width, height) or box != (0, 0, width, height):
            plain = plain.resize((width, height), Image.Resampling.BILINEAR, box=box)
        return np.array(plain, dtype=np.uint8).reshape(height, width, channels)


def as_plain(picture: Image.Image, channels: int, levels: Sequence[int]) -> Image.Image:
    """Returns a picture with 8-bit grey or RGB pixels; transparent parts are laid over grey."""
    if picture.mode == "F":
        raise ValueError("pixels are floating-point numbers; expected 8 or 16 bits")
    if channels not in (1, 3):
        raise ValueError(f"the network takes images of {channels} channels; pictures have 1 or 3")
    if picture.mode in DEEP_MODES:
        low, high = levels
        span = max(high - low, 1)
        values = np.asarray(picture).astype(np.int64).clip(low, high) - low
        # Adding half of the divisor rounds to the nearest level.
        picture = Image.fromarray(((values * 255 + span // 2) // span).astype(np.uint8))
    if picture.mode in CLEAR_MODES or "transparency" in picture.info:
        solid = picture.convert("LA") if picture.mode == "La" else picture
        solid = solid.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", solid.size, BEHIND), solid)
    mode = "L" if channels == 1 else "RGB"
    return picture if picture.mode == mode else picture.convert(mode)


def middle(sides: tuple[int, int], size: tuple[int, int], part: float) -> Box:
    """Returns the middle box of a picture in the proportions of `size`: left, top, right, bottom.

    It is `part` as long as the largest such box; all sizes are (width, height).
    """
    (width, height), (wide, high) = sides, size
    if width * high <= height * wide:
        across, down = width * part, width * high / wide * part
    else:
        across, down = height * wide / high * part, height * part
    left, top = (width - across) / 2, (height - down) / 2
    return left, top, left + across, top + down


def normalised(pixels: Array, mean: Sequence[float], std: Sequence[float]) -> Array:
    """Returns images x channels x height x width as the network takes them, from 0..255."""
    middle, width = (np.array(values, dtype=np.float32) for values in (mean, std))
    scaled = (pixels.astype(np.float32) / np.float32(255) - middle) / width
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def softmax(logits: Array) -> Array:
    """Returns the probabilities of the classes."""
    powers: Array = np.exp(logits.astype(np.float64) - logits.max())
    shares: Array = powers / powers.sum()
    return shares


def predict(predictor: Predictor, pictures: Sequence[str], top: int, as_json: bool) -> int:
    """Prints what is seen in each picture; returns 1 if one cannot be read, else 0.

    Pictures that cannot be read are named on stderr, and the others go on.
    """
    rows: list[dict[str, Any]] = []
    for picture in pictures:
        try:
            pixels = read_picture(picture, predictor.image)
        except UNREADABLE as error:
            print(f"{picture} cannot be read ({type(error).__name__}: {error})", file=sys.stderr)
            rows.append({"image": picture, "error": f"{type(error).__name__}: {error}"})
            continue
        seen = list(predictor.seen(pixels).items())[:top]
        classes = [{"class": name, "probability": chance} for name, chance in seen]
        rows.append({"image": picture, "classes": classes})
        if not as_json:
            words = ", ".join(f"{name} {100 * chance:.1f} %" for name, chance in seen)
            print(f"{picture}: {words}")
    if as_json:
        print(json.dumps(rows, indent=2))
    return int(any("error" in row for row in rows))


def main() -> None:
    """Reads the command line and predicts."""
    parser = argparse.ArgumentParser(description="Says what the network sees in pictures.")
    parser.add_argument("pictures", nargs="+", metavar="IMAGE")
    parser.add_argument("--top", type=int, default=3, help="classes that are printed")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    folder = Path(__file__).resolve().parent
    sys.exit(predict(Predictor(folder), given.pictures, given.top, given.json))


if __name__ == "__main__":
    main()
