"""Pictures with transparent parts: `is_clear` detects them, `opaque` lays them over grey."""

from PIL import Image

MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
"""PIL modes with transparency; pictures of other modes have it if their `info` says so."""
BEHIND = 128
"""The grey behind transparent parts: black shapes and white shapes are both visible on it."""


def is_clear(picture: Image.Image) -> bool:
    """True if a picture has, or may have, transparent parts; only its header is read."""
    return picture.mode in MODES or "transparency" in picture.info


def opaque(picture: Image.Image) -> Image.Image:
    """Returns the picture laid over grey, in RGBA.

    Shapes that are drawn in the transparency channel alone become visible.
    """
    if picture.mode == "La":
        picture = picture.convert("LA")
    picture = picture.convert("RGBA")
    background = Image.new("RGBA", picture.size, (BEHIND,) * 3 + (255,))
    return Image.alpha_composite(background, picture)
