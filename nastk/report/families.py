"""Families of operations with their colours, the same in pictures and in the terminal.

The colours of Okabe and Ito ("Color Universal Design", 2008), told apart with any colour
vision.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """Operations of one kind: its name in a legend, its colour in a picture and in a terminal.

    `pattern` is searched in an operation's lower-case name; the first family that matches has it.
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
"""In the order in which they are asked whether an operation is theirs."""


def family(operation: str) -> Family:
    """The family that an operation belongs to, by its name.

    >>> family("sep_conv_3x3").name
    'separable convolution'
    """
    return next(each for each in FAMILIES if re.search(each.pattern, operation.lower()))


def readable(operation: str) -> str:
    """An operation's name as a picture spells it.

    >>> readable("sep_conv_3x3")
    'sep conv 3×3'
    """
    return re.sub(r"(\d)x(\d)", "\\1\N{MULTIPLICATION SIGN}\\2", operation.replace("_", " "))
