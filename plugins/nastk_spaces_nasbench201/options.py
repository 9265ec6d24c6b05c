"""The options of `NasBench201Space`: they set its operations, its supernet and its networks."""

from pydantic import Field

from nastk import Options


class NasBench201Options(Options):
    """Options of the space; the defaults are the benchmark's settings on CIFAR."""

    channels: int = Field(16, ge=2, description="channels of the supernet's first stage (C)")
    cells: int = Field(5, ge=1, description="cells in each of the supernet's three stages (N)")
    affine: bool = Field(
        False, description="give the norms of the supernet's operations a scale and a shift"
    )
    recompute: bool = Field(
        False,
        description=(
            "compute the supernet's cells again on the way back: less memory for a weight step, "
            "for a longer one"
        ),
    )
    exclude_none: bool = Field(
        False, description="leave `none` out of the candidates: four operations an edge, not five"
    )
    network_channels: int = Field(
        16, ge=2, description="channels of a stand-alone network's first stage; the benchmark's: 16"
    )
    network_cells: int = Field(
        5, ge=1, description="cells in each stage of a stand-alone network; the benchmark's: 5"
    )
