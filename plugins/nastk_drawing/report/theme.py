"""The colours of a report in light and dark, and those of the pictures in it.

Pictures are drawn with the colours of `canvas` and of the families of operations. In a page each
of these becomes a CSS variable, so that one SVG is right in both schemes.
"""

from functools import cache

from nastk.report import FAMILIES
from nastk_drawing import canvas
from nastk_drawing.tree_picture import CHOSEN

PAPER = "#FFFFFF"
NAMED = {
    "ink": (canvas.INK, "#E4E9EE"),
    "soft": (canvas.SOFT, "#9CA8B4"),
    "paper": (PAPER, "#12181F"),
    "panel": (canvas.PANEL, "#1A222B"),
    "border": (canvas.BORDER, "#2D3843"),
    "line": (canvas.LINE, "#566472"),
    "node-input": (canvas.NODE_INPUT, "#23384D"),
    "node-output": (canvas.NODE_OUTPUT, "#21392A"),
    "node-edge": (canvas.NODE_EDGE, "#8491A0"),
    "chosen": (CHOSEN, "#62C28A"),
}
"""For each variable its colour in light, which pictures use, and in dark."""
BRIGHT = {
    "#B4BAC2": "#6C7783",
    "#68717D": "#A3AFBB",
    "#CC79A7": "#E39AC2",
    "#0072B2": "#5CAEE3",
    "#E69F00": "#F2B94B",
    "#009E73": "#3FCBA2",
    "#D55E00": "#F5914A",
}
"""For the colour of each family of operations the one that is seen on a dark page."""
TINT, DARK_TINT = 0.13, 0.24


@cache
def variables() -> dict[str, tuple[str, str]]:
    """Returns all variables with their colours in light and dark, as `#rrggbb` in lower case."""
    found = dict(NAMED)
    for kind in FAMILIES:
        name = kind.name.replace(" ", "-")
        dark = BRIGHT[kind.colour]
        found[name] = (kind.colour, dark)
        found[f"{name}-tint"] = (
            mixed(kind.colour, PAPER, TINT),
            mixed(dark, NAMED["panel"][1], DARK_TINT),
        )
    return {name: (light.lower(), dark.lower()) for name, (light, dark) in found.items()}


@cache
def by_colour() -> dict[str, str]:
    """Returns for each colour of pictures the name of its variable."""
    return {light: name for name, (light, _) in variables().items()}


def mixed(colour: str, other: str, share: float) -> str:
    """Returns the colour that is `share` of one and the rest of another.

    >>> mixed("#000000", "#FFFFFF", 0.5)
    '#808080'
    """
    pairs = [(int(colour[at : at + 2], 16), int(other[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)


def css() -> str:
    """Returns the declarations of all variables: light ones, and dark ones where asked for."""
    light = "".join(f"--{name}:{pair[0]};" for name, pair in variables().items())
    dark = "".join(f"--{name}:{pair[1]};" for name, pair in variables().items())
    screen = "screen and (prefers-color-scheme: dark)"  # paper is light
    return f":root{{{light}}}\n@media {screen}{{:root{{{dark}}}}}"
