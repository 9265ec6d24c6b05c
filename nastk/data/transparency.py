"""Pictures with transparent parts: `is_clear` finds them, `opaque` lays them over grey."""

from PIL import Image

MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
"""Modes with transparency; others have it where their `info` says so."""
BEHIND = 128
"""The grey that shows through: black and white shapes, with the rest transparent, stay visible."""


def is_clear(picture: Image.Image) -> bool:
    """Whether a picture has transparent parts, or may have; its header is enough to tell."""
    return picture.mode in MODES or "transparency" in picture.info


def opaque(picture: Image.Image) -> Image.Image:
    """The picture laid over grey, in RGBA, so that what is drawn in transparency alone is seen."""
    if picture.mode == "La":
        picture = picture.convert("LA")
    over = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", over.size, (BEHIND,) * 3 + (255,)), over)
