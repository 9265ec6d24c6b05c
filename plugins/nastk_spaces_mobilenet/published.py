"""The networks of the papers; `space.from_text("PROXYLESS_GPU")` reads a network by its name.

The table holds facts from the authors' configuration files; a bar separates two stages.
"""

from dataclasses import dataclass, fields
from typing import Any

from nastk import DataError
from nastk_spaces_mobilenet.layouts import LAYOUTS, Layout, LayoutName


@dataclass(frozen=True)
class Network:
    """A published network: its text, with the `layout` and width `multiplier` of its space.

    `scales` is true if the network was published in several widths under the same name.

    Example: `PUBLISHED["PROXYLESS_CPU"].layout == "proxyless-cpu"`
    """

    layout: LayoutName
    multiplier: float
    text: str
    scales: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """The options of the space whose text this is, without those that have their default."""
        wanted: dict[str, Any] = {} if self.layout == "proxyless" else {"layout": self.layout}
        return wanted if self.multiplier == 1.0 else {**wanted, "width_multiplier": self.multiplier}

    def check(self, name: str, layout: Layout, multiplier: float) -> None:
        """Called before the text is read in a space of this layout and multiplier.

        Raises:
            DataError: the space would build another network from the text; the message names the
                options that differ.
        """
        published = LAYOUTS[self.layout]
        # The candidate expansions may differ: they do not change the chosen network.
        parts = [field.name for field in fields(Layout) if field.name != "expansions"]
        different = [part for part in parts if getattr(published, part) != getattr(layout, part)]
        if multiplier != self.multiplier and not self.scales:
            different.append("width_multiplier")
        if not different:
            return
        use = f"-s layout={self.layout} -s width_multiplier={self.multiplier:g}"
        raise DataError(
            f"{name} is a network of `{use}`, and this space has another "
            f"{', '.join(different)}: there the name would be another network. Use these options "
            "and no others for widths and depths, or give the text of the network that is meant."
        )


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
    name: Network(layout, multiplier, text.replace(" | ", " "), name == "MOBILENET_V2")
    for name, (layout, multiplier, text) in _TABLE.items()
}
"""The published networks by name."""

LIKELY: list[dict[str, Any]] = [
    {},
    *({"layout": name} for name in LAYOUTS if name != "proxyless"),
    {"layout": "mobilenetv3", "width_multiplier": 1.2},
]
"""Options that are tried in this order for a configuration that comes without options."""
