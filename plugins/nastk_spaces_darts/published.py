"""The cells that the papers published; `space.from_text("DARTS_V2")` reads a cell by its name.

The table holds facts from the authors' releases. Each line has two nodes; a node is written as its
two `operation<input`. In IS-DARTS's reduction cell a node reads the same input twice.
"""

from nastk_spaces_darts.genotype import Cell, write

_TABLE = {
    "DARTS_V1": (  # Liu et al. 2019 (first order)
        "sep_conv_3x3<0 + sep_conv_3x3<1 | skip_connect<0 + sep_conv_3x3<1 | "
        "skip_connect<0 + sep_conv_3x3<1 | sep_conv_3x3<0 + skip_connect<2",
        "max_pool_3x3<0 + max_pool_3x3<1 | max_pool_3x3<0 + skip_connect<2 | "
        "max_pool_3x3<0 + skip_connect<2 | avg_pool_3x3<0 + skip_connect<2",
    ),
    "DARTS_V2": (  # Liu et al. 2019 (second order)
        "sep_conv_3x3<0 + sep_conv_3x3<1 | sep_conv_3x3<0 + sep_conv_3x3<1 | "
        "skip_connect<0 + sep_conv_3x3<1 | skip_connect<0 + dil_conv_3x3<2",
        "max_pool_3x3<0 + max_pool_3x3<1 | max_pool_3x3<1 + skip_connect<2 | "
        "max_pool_3x3<0 + skip_connect<2 | max_pool_3x3<1 + skip_connect<2",
    ),
    "SHAPLEY_CIFAR10": (  # Xiao et al. 2022, searched on CIFAR-10
        "sep_conv_3x3<0 + sep_conv_3x3<1 | dil_conv_3x3<0 + sep_conv_3x3<1 | "
        "dil_conv_3x3<2 + skip_connect<3 | sep_conv_3x3<1 + dil_conv_5x5<3",
        "max_pool_3x3<0 + sep_conv_3x3<1 | sep_conv_3x3<0 + dil_conv_5x5<2 | "
        "max_pool_3x3<0 + sep_conv_3x3<2 | skip_connect<2 + dil_conv_3x3<3",
    ),
    "SHAPLEY_IMAGENET": (  # Xiao et al. 2022, searched on ImageNet
        "sep_conv_5x5<0 + sep_conv_3x3<1 | skip_connect<1 + dil_conv_5x5<2 | "
        "sep_conv_5x5<0 + sep_conv_3x3<2 | sep_conv_3x3<1 + skip_connect<2",
        "dil_conv_3x3<0 + sep_conv_3x3<1 | sep_conv_5x5<1 + avg_pool_3x3<2 | "
        "skip_connect<1 + sep_conv_3x3<3 | sep_conv_3x3<2 + sep_conv_3x3<4",
    ),
    "ISDARTS": (  # He et al. 2024
        "sep_conv_5x5<0 + sep_conv_3x3<1 | dil_conv_5x5<0 + sep_conv_5x5<1 | "
        "sep_conv_5x5<0 + sep_conv_5x5<1 | sep_conv_3x3<0 + sep_conv_5x5<2",
        "sep_conv_5x5<0 + max_pool_3x3<1 | sep_conv_5x5<2 + dil_conv_5x5<2 | "
        "sep_conv_5x5<0 + sep_conv_5x5<2 | dil_conv_5x5<0 + sep_conv_5x5<2",
    ),
    "EVNAS_A": (  # Sinha and Chen 2021
        "sep_conv_3x3<0 + sep_conv_3x3<1 | sep_conv_3x3<1 + sep_conv_5x5<2 | "
        "skip_connect<0 + skip_connect<2 | sep_conv_3x3<1 + dil_conv_5x5<3",
        "avg_pool_3x3<0 + dil_conv_5x5<1 | sep_conv_3x3<0 + avg_pool_3x3<2 | "
        "skip_connect<1 + skip_connect<2 | sep_conv_5x5<0 + skip_connect<1",
    ),
    "EVNAS_B": (  # Sinha and Chen 2021
        "sep_conv_5x5<0 + sep_conv_3x3<1 | max_pool_3x3<0 + sep_conv_5x5<2 | "
        "sep_conv_3x3<0 + sep_conv_3x3<1 | skip_connect<0 + sep_conv_5x5<2",
        "max_pool_3x3<0 + skip_connect<1 | max_pool_3x3<0 + avg_pool_3x3<1 | "
        "skip_connect<2 + avg_pool_3x3<3 | sep_conv_5x5<0 + sep_conv_5x5<2",
    ),
    "EVNAS_C": (  # Sinha and Chen 2021
        "skip_connect<0 + sep_conv_3x3<1 | sep_conv_5x5<1 + skip_connect<2 | "
        "sep_conv_3x3<0 + max_pool_3x3<1 | sep_conv_3x3<0 + sep_conv_5x5<3",
        "dil_conv_3x3<0 + sep_conv_5x5<1 | sep_conv_5x5<0 + skip_connect<1 | "
        "max_pool_3x3<0 + max_pool_3x3<1 | max_pool_3x3<0 + max_pool_3x3<2",
    ),
}


def _cell(line: str) -> Cell:
    """Returns the cell that a line of the table describes."""
    nodes = [[link.split("<") for link in node.split(" + ")] for node in line.split(" | ")]
    return [[(name, int(source)) for name, source in node] for node in nodes]


PUBLISHED = {name: write(_cell(normal), _cell(reduce)) for name, (normal, reduce) in _TABLE.items()}
"""The `Genotype` text of each published cell by its name, for spaces of four nodes."""
