"""Families of operations with their colours, the same in pictures and in the terminal.

The colours are those of Okabe and Ito ("Color Universal Design", 2008), which can be distinguished
with any colour vision.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """A kind of operation: its name in a legend, its colour in a picture and in a terminal.

    An operation belongs to the first family whose `pattern` is in the operation's lower-case name.
    """

    name: str
    colour: str
    terminal: str
    pattern: str


NONE = Family("none", "#B4BAC2", "bright_black", r"^(none|zero(ize)?)$")
SKIP = Family("skip connection", "#68717D", "cyan", r"skip|identity")
DILATED = Family("dilated convolution", "#CC79A7", "magenta", r"dil")
SEPARABLE = Family("separable convolution", "#0072B2", "blue", r"sep|depthwise|dw_?conv")
POOL = Family("pooling", "#E69F00", "yellow", r"pool")
CONVOLUTION = Family("convolution", "#009E73", "green", r"conv|mb\d*|inverted")
OTHER = Family("other operation", "#D55E00", "red", r"")

FAMILIES = (NONE, SKIP, DILATED, SEPARABLE, POOL, CONVOLUTION, OTHER)
"""All families, in the order in which their patterns are tried."""


def family(operation: str) -> Family:
    """Returns the family of an operation, by the operation's name.

    >>> family("sep_conv_3x3").name
    'separable convolution'
    """
    return next(kind for kind in FAMILIES if re.search(kind.pattern, operation.lower()))


def readable(operation: str) -> str:
    """Returns an operation's name as pictures write it.

    >>> readable("sep_conv_3x3")
    'sep conv 3×3'
    """
    return re.sub(r"(\d)x(\d)", "\\1\N{MULTIPLICATION SIGN}\\2", operation.replace("_", " "))
