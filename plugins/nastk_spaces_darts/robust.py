"""The spaces S1 to S4 of RobustDARTS, with few operations per edge, on which DARTS fails.

All four are DARTS cells (`cells.py`), searched and built like `DartsSpace`. They differ in the
operations of an edge. The table of S1 is data from the authors' release; the columns keep its order
of operations.
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
"""The short names of operations in the table of S1."""

# A line is a node, with one pair of operations for each of its inputs.
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
    """Returns the preset `quick` of the space named `space`."""
    citation = "nastk: small enough to search in minutes on two CPU cores"
    options = {"channels": 8, "cells": 5, "partial_channels": 2}
    evaluators = ("supernet", "size", "retrain,preset=quick,baseline=1")
    return (
        Preset("quick", citation, space=(space,), space_options=options, evaluators=evaluators),
    )


class S1(CellSpace):
    """S1 of Zela et al. 2020: each edge has the two operations that DARTS ranked highest on it.

    Example: `S1().edges[0].operations == ("skip_connect", "dil_conv_3x3")`
    """

    name = "s1"
    summary = "RobustDARTS S1: DARTS cells with two operations an edge, other ones on each edge"
    presets = _quick("s1")

    class Options(DartsOptions):
        """The options of the DARTS space; with fewer than four nodes the table is cut short."""

        nodes: int = Field(4, ge=1, le=4, description="nodes of a cell besides its two inputs")

    def candidates(self, group: str, number: int) -> tuple[str, ...]:
        """Called once for each edge: returns its two operations from the published table."""
        pairs = " ".join(S1_TABLE[group]).split()
        return tuple(SHORT[short] for short in pairs[number].split("/"))


class S2(CellSpace):
    """S2 of Zela et al. 2020: every edge has a skip connection and a separable convolution.

    Example: `S2().edges[0].operations == ("skip_connect", "sep_conv_3x3")`
    """

    name = "s2"
    summary = "RobustDARTS S2: DARTS cells of skip_connect and sep_conv_3x3"
    presets = _quick("s2")

    class Options(DartsOptions):
        """The options of the DARTS space."""

    def candidates(self, group: str, number: int) -> tuple[str, ...]:
        """Called once for each edge: returns the two operations, the same for every edge."""
        return ("skip_connect", "sep_conv_3x3")


class S3(CellSpace):
    """S3 of Zela et al. 2020: S2 with `none`, which takes part in the search but is never kept.

    Example: `S3().edges[0].operations == ("none", "skip_connect", "sep_conv_3x3")`
    """

    name = "s3"
    summary = "RobustDARTS S3: DARTS cells of none, skip_connect and sep_conv_3x3"
    presets = _quick("s3")

    class Options(DartsOptions):
        """The options of the DARTS space, with `none` by default (without it this is S2)."""

        include_none: bool = Field(
            True, description="have the operation `none`, which no cell may keep"
        )

    def candidates(self, group: str, number: int) -> tuple[str, ...]:
        """Called once for each edge: returns its operations besides `none`."""
        return ("skip_connect", "sep_conv_3x3")


class S4(CellSpace):
    """S4 of Zela et al. 2020: every edge has noise, which can only harm, and a sep_conv_3x3.

    Example: `S4().edges[0].operations == ("noise", "sep_conv_3x3")`
    """

    name = "s4"
    summary = "RobustDARTS S4: DARTS cells of noise and sep_conv_3x3"
    presets = _quick("s4")

    class Options(DartsOptions):
        """The options of the DARTS space."""

    def candidates(self, group: str, number: int) -> tuple[str, ...]:
        """Called once for each edge: returns the two operations, the same for every edge."""
        return ("noise", "sep_conv_3x3")
