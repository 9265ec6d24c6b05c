"""The spaces S1 to S4 of RobustDARTS, on which DARTS was shown to fail: few operations an edge.

All four are DARTS cells (`cells.py`), searched and built as `DartsSpace` is. They differ in what an
edge may choose. The table of S1 is data from the authors' release, whose order of operations the
columns keep.
"""

from pydantic import Field

from nastk import Preset
from nastk_spaces_darts.cells import CellSpace
from nastk_spaces_darts.options import DartsOptions

SHORT = {
    "max": "max_pool_3x3",
    "avg": "avg_pool_3x3",
    "skip": "skip_connect",
    "sep3": "sep_conv_3x3",
    "dil3": "dil_conv_3x3",
    "dil5": "dil_conv_5x5",
}
"""What the table of S1 calls the operations."""

# One line a node; one pair for each of its inputs.
S1_TABLE = {
    "normal": (
        "skip/dil3 skip/dil5",
        "skip/dil5 skip/sep3 skip/dil3",
        "max/skip skip/sep3 skip/sep3 skip/dil3",
        "skip/sep3 max/skip skip/dil3 dil3/dil5 dil3/dil5",
    ),
    "reduce": (
        "max/avg max/dil3",
        "max/avg max/avg skip/dil5",
        "max/avg max/sep3 skip/dil3 skip/dil5",
        "max/avg max/avg skip/dil5 skip/dil5 skip/dil5",
    ),
}


def _quick(space: str) -> tuple[Preset, ...]:
    """The preset `quick` of one of the spaces."""
    source = "nastk: small enough to search in minutes on two CPU cores"
    options = {"channels": 8, "cells": 5, "partial_channels": 2}
    judges = ("supernet", "size", "retrain,preset=quick,baseline=1")
    return (Preset("quick", source, space=(space,), space_options=options, evaluators=judges),)


class S1(CellSpace):
    """S1 of Zela et al. 2020: on each edge the two operations that DARTS itself liked best there.

    Example: `S1().edges[0].operations == ("skip_connect", "dil_conv_3x3")`
    """

    name = "s1"
    summary = "RobustDARTS S1: DARTS cells with two operations an edge, other ones on each edge"
    presets = _quick("s1")

    class Options(DartsOptions):
        """Those of the DARTS space; the table has four nodes, fewer take its beginning."""

        nodes: int = Field(4, ge=1, le=4, description="nodes of a cell besides its two inputs")

    def candidates(self, group: str, number: int) -> tuple[str, ...]:
        """Called once for each edge: its two operations in the published table."""
        pairs = " ".join(S1_TABLE[group]).split()
        return tuple(SHORT[short] for short in pairs[number].split("/"))


class S2(CellSpace):
    """S2 of Zela et al. 2020: a skip connection or a separable convolution.

    Example: `S2().edges[0].operations == ("skip_connect", "sep_conv_3x3")`
    """

    name = "s2"
    summary = "RobustDARTS S2: DARTS cells of skip_connect and sep_conv_3x3"
    presets = _quick("s2")

    class Options(DartsOptions):
        """Those of the DARTS space."""

    def candidates(self, group: str, number: int) -> tuple[str, ...]:
        """Called once for each edge: the two operations, on every edge."""
        return ("skip_connect", "sep_conv_3x3")


class S3(CellSpace):
    """S3 of Zela et al. 2020: S2 and `none`, which takes part in the search and is never kept.

    Example: `S3().edges[0].operations == ("none", "skip_connect", "sep_conv_3x3")`
    """

    name = "s3"
    summary = "RobustDARTS S3: DARTS cells of none, skip_connect and sep_conv_3x3"
    presets = _quick("s3")

    class Options(DartsOptions):
        """Those of the DARTS space, with `none` (without it this is S2)."""

        include_none: bool = Field(
            True, description="have the operation `none`, which no cell may keep"
        )

    def candidates(self, group: str, number: int) -> tuple[str, ...]:
        """Called once for each edge: what it has besides `none`."""
        return ("skip_connect", "sep_conv_3x3")


class S4(CellSpace):
    """S4 of Zela et al. 2020: noise, which can only harm, or a separable convolution.

    Example: `S4().edges[0].operations == ("noise", "sep_conv_3x3")`
    """

    name = "s4"
    summary = "RobustDARTS S4: DARTS cells of noise and sep_conv_3x3"
    presets = _quick("s4")

    class Options(DartsOptions):
        """Those of the DARTS space."""

    def candidates(self, group: str, number: int) -> tuple[str, ...]:
        """Called once for each edge: the two operations, on every edge."""
        return ("noise", "sep_conv_3x3")
