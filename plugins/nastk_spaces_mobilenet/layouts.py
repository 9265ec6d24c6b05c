"""`LAYOUTS`: the published layouts of MobileNet-like networks, by the value of the option `layout`.

A network is a stem, a first block without expansion, several stages, whose layers have the same
width, and a head. The numbers are facts from the authors' releases; the documentation's page
`mobilenet` cites them.
"""

from dataclasses import dataclass
from typing import Literal

LayoutName = Literal[
    "proxyless",
    "proxyless-gpu",
    "proxyless-cpu",
    "proxyless-mobile",
    "proxyless-mobile-14",
    "mobilenetv2",
    "mobilenetv3",
]
Style = Literal["v2", "v3"]


@dataclass(frozen=True)
class Layout:
    """All properties of a network that are not searched.

    `widths`, `depths` and `strides` have one entry per stage: its channels, its number of layers
    and the stride of its first layer. `squeeze` and `hard_swish` list stages, counted from 1.

    Example: `LAYOUTS["mobilenetv2"].widths[0] == 24`
    """

    stem_channels: int
    first_channels: int
    widths: tuple[int, ...]
    depths: tuple[int, ...] = (4, 4, 4, 4, 4, 1)
    strides: tuple[int, ...] = (2, 2, 2, 1, 2, 1)
    head_channels: int = 1280
    expansions: tuple[int, ...] = (3, 6)
    squeeze: tuple[int, ...] = ()
    hard_swish: tuple[int, ...] = ()
    style: Style = "v2"


LAYOUTS: dict[LayoutName, Layout] = {
    "proxyless": Layout(32, 16, (24, 40, 80, 96, 192, 320)),
    "proxyless-gpu": Layout(40, 24, (32, 56, 112, 128, 256, 432), head_channels=1728),
    "proxyless-cpu": Layout(40, 24, (32, 48, 88, 104, 216, 360), head_channels=1432),
    "proxyless-mobile": Layout(32, 16, (32, 40, 80, 96, 192, 320)),
    "proxyless-mobile-14": Layout(48, 24, (40, 56, 112, 136, 256, 448), head_channels=1792),
    "mobilenetv2": Layout(32, 16, (24, 32, 64, 96, 160, 320), depths=(2, 3, 4, 3, 3, 1)),
    # Once-for-all's space around MobileNetV3-Large (Cai et al. 2020).
    "mobilenetv3": Layout(
        16,
        16,
        (24, 40, 80, 112, 160),
        depths=(4, 4, 4, 4, 4),
        strides=(2, 2, 2, 1, 2),
        expansions=(3, 4, 6),
        squeeze=(2, 4, 5),
        hard_swish=(3, 4, 5),
        style="v3",
    ),
}
