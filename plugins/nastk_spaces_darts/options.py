"""The options of `DartsSpace`: they set its operations, its supernet and its networks."""

from typing import Literal

from pydantic import Field, model_validator

from nastk import Options, Task


class DartsOptions(Options):
    """Options of the space; the defaults are DARTS's settings on CIFAR, without `none`."""

    nodes: int = Field(4, ge=1, le=8, description="nodes of a cell besides its two inputs")
    include_none: bool = Field(
        False, description="add the operation `none`, which no cell may keep"
    )
    channels: int = Field(16, ge=2, description="channels of the supernet's first cells")
    cells: int = Field(
        8, ge=3, description="cells of the supernet; reductions at one and two thirds"
    )
    stem_multiplier: int = Field(
        3, ge=1, description="channels of the small stem (and the supernet's), in `channels`"
    )
    stem: Literal["auto", "small", "imagenet"] = Field(
        "auto",
        description=(
            "small keeps the images' size, imagenet an eighth; auto: imagenet where the shorter "
            "side has 128 pixels"
        ),
    )
    partial_channels: int = Field(
        1,
        ge=1,
        description="K of PC-DARTS: operations see one channel in K, the others bypass; 1 is off",
    )
    edge_weights: bool = Field(
        False,
        description=(
            "scale an edge's bypassing channels by the sum of its weights (PC-DARTS's beta)"
        ),
    )
    pool_norm: bool = Field(
        True, description="normalise after the supernet's poolings; Shapley-NAS does not"
    )
    recompute: bool = Field(
        False,
        description=(
            "compute the supernet's cells again on the way back: half the memory of a weight step "
            "or less, for a longer one"
        ),
    )
    distinct_inputs: bool = Field(
        True,
        description="a node keeps operations of two different inputs; IS-DARTS does not ask for it",
    )
    network_channels: int | None = Field(
        None,
        ge=2,
        description=(
            "channels of a stand-alone network's first cells; unset: 36 (imagenet's stem: 48)"
        ),
    )
    network_cells: int | None = Field(
        None, ge=3, description="cells of a stand-alone network; unset: 20 (imagenet's stem: 14)"
    )
    auxiliary: bool = Field(
        False, description="give stand-alone networks DARTS's auxiliary classifier"
    )
    drop_path: float = Field(
        0.0, ge=0, lt=1, description="drop path probability a stand-alone network starts with"
    )

    def is_imagenet(self, task: Task) -> bool:
        """Called when networks are built: True if they begin with the stem for large images."""
        return task.shorter >= 128 if self.stem == "auto" else self.stem == "imagenet"

    @model_validator(mode="after")
    def _divisible(self) -> "DartsOptions":
        if self.channels % self.partial_channels:
            raise ValueError("channels to be a multiple of partial_channels")
        return self
