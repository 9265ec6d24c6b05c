"""The networks that the papers published: `space.from_text("PROXYLESS_GPU")` reads one by its name.

A table of facts from the authors' configuration files. A bar stands between two stages.
"""

from dataclasses import dataclass

from nastk_spaces_mobilenet.layouts import LayoutName


@dataclass(frozen=True)
class Published:
    """A network: its `layout` and `width_multiplier` (options of the space), and its text.

    Example: `PUBLISHED["PROXYLESS_CPU"].layout == "proxyless-cpu"`
    """

    layout: LayoutName
    multiplier: float
    text: str


_MOBILE = (
    "mb3_5x5 mb3_3x3 skip skip | mb3_7x7 mb3_3x3 mb3_5x5 mb3_5x5 | "
    "mb6_7x7 mb3_5x5 mb3_5x5 mb3_5x5 | mb6_5x5 mb3_5x5 mb3_5x5 mb3_5x5 | "
    "mb6_7x7 mb6_7x7 mb3_7x7 mb3_7x7 | mb6_7x7"
)

_TABLE: dict[str, tuple[LayoutName, float, str]] = {
    # Cai et al. 2019
    "PROXYLESS_GPU": (
        "proxyless-gpu",
        1.0,
        "mb3_5x5 skip skip skip | mb3_7x7 skip skip mb3_3x3 | mb6_7x7 skip skip mb3_5x5 | "
        "mb6_5x5 skip mb3_3x3 mb3_5x5 | mb6_7x7 mb6_7x7 mb6_7x7 mb6_5x5 | mb6_7x7",
    ),
    "PROXYLESS_CPU": (
        "proxyless-cpu",
        1.0,
        "mb6_3x3 mb3_3x3 mb3_3x3 mb3_3x3 | mb6_3x3 mb3_3x3 mb3_3x3 mb3_5x5 | "
        "mb6_3x3 skip skip mb3_3x3 | mb6_5x5 mb3_3x3 mb3_3x3 mb3_3x3 | "
        "mb6_5x5 mb3_5x5 mb3_5x5 mb3_3x3 | mb6_5x5",
    ),
    "PROXYLESS_MOBILE": ("proxyless-mobile", 1.0, _MOBILE),
    "PROXYLESS_MOBILE_14": ("proxyless-mobile-14", 1.0, _MOBILE),
    # Hu et al. 2022, few-shot search by gradient matching over ProxylessNAS
    "GM_PROXYLESS": (
        "proxyless",
        1.0,
        "mb6_7x7 mb6_5x5 mb6_5x5 mb6_5x5 | mb6_7x7 mb6_5x5 mb6_3x3 mb6_5x5 | "
        "mb6_7x7 mb6_3x3 mb6_5x5 mb6_3x3 | mb6_5x5 mb6_3x3 mb6_3x3 mb6_3x3 | "
        "mb6_7x7 mb6_7x7 mb6_7x7 mb6_7x7 | mb6_3x3",
    ),
    # Sandler et al. 2018
    "MOBILENET_V2": ("mobilenetv2", 1.0, " ".join(["mb6_3x3"] * 16)),
    # Cai et al. 2020, Once-for-all
    "OFA_595M": (
        "mobilenetv3",
        1.2,
        "mb3_3x3 mb4_5x5 mb3_3x3 skip | mb4_5x5 mb4_5x5 mb6_3x3 mb3_5x5 | "
        "mb6_7x7 mb6_5x5 mb3_3x3 mb4_5x5 | mb6_3x3 mb6_5x5 mb6_7x7 mb4_3x3 | "
        "mb6_3x3 mb6_3x3 mb6_5x5 mb3_3x3",
    ),
    "OFA_482M": (
        "mobilenetv3",
        1.2,
        "mb3_5x5 mb3_3x3 mb3_3x3 skip | mb4_5x5 mb4_3x3 mb4_5x5 mb3_3x3 | "
        "mb4_5x5 mb6_5x5 mb3_3x3 mb3_3x3 | mb6_5x5 mb6_7x7 mb6_3x3 mb4_5x5 | "
        "mb6_7x7 mb6_3x3 mb6_3x3 mb3_3x3",
    ),
    "OFA_389M": (
        "mobilenetv3",
        1.2,
        "mb3_3x3 mb3_3x3 skip skip | mb3_5x5 mb6_5x5 mb3_3x3 skip | "
        "mb4_5x5 mb4_5x5 mb3_3x3 skip | mb6_5x5 mb4_5x5 mb4_3x3 mb4_3x3 | "
        "mb6_3x3 mb6_3x3 mb6_7x7 mb3_3x3",
    ),
    "OFA_PIXEL1_58MS": (
        "mobilenetv3",
        1.0,
        "mb3_3x3 mb3_3x3 skip skip | mb4_7x7 mb3_5x5 mb3_3x3 skip | "
        "mb6_5x5 mb4_5x5 mb3_5x5 skip | mb4_3x3 mb4_7x7 mb3_5x5 skip | "
        "mb6_5x5 mb6_7x7 mb6_3x3 mb4_3x3",
    ),
    # Hu et al. 2022, over Once-for-all
    "GM_OFA_584M": (
        "mobilenetv3",
        1.2,
        "mb3_7x7 mb3_7x7 mb4_5x5 mb4_5x5 | mb4_5x5 mb3_5x5 mb6_7x7 mb4_3x3 | "
        "mb6_7x7 mb4_3x3 mb3_7x7 mb6_7x7 | mb6_7x7 mb6_7x7 mb6_3x3 mb4_3x3 | "
        "mb6_5x5 mb6_3x3 mb6_7x7 mb3_5x5",
    ),
    "GM_OFA_587M": (
        "mobilenetv3",
        1.2,
        "mb4_7x7 mb6_7x7 mb3_5x5 mb3_3x3 | mb3_5x5 mb4_3x3 mb4_3x3 mb4_5x5 | "
        "mb6_3x3 mb6_3x3 mb6_7x7 mb4_7x7 | mb4_7x7 mb6_3x3 mb4_3x3 mb6_3x3 | "
        "mb6_3x3 mb6_7x7 mb6_3x3 mb4_3x3",
    ),
}

PUBLISHED = {
    name: Published(layout, multiplier, text.replace(" | ", " "))
    for name, (layout, multiplier, text) in _TABLE.items()
}
"""Name to network."""
