"""The options of `MobileNetSpace`: a published layout, changes to it, and the candidates."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field, model_validator

from nastk import Options, Task
from nastk_spaces_mobilenet.layouts import LAYOUTS, Layout, LayoutName, Style

Count = Annotated[int, Field(ge=1)]
Stride = Annotated[int, Field(ge=1, le=2)]

CHANGES = (
    "stem_channels",
    "first_channels",
    "widths",
    "depths",
    "strides",
    "head_channels",
    "expansions",
    "squeeze",
    "hard_swish",
    "style",
)
"""Options that are fields of `Layout`; an unset option is taken from the layout."""


class MobileNetOptions(Options):
    """Options of the space; the defaults are ProxylessNAS's search space on ImageNet."""

    layout: LayoutName = Field(
        "proxyless", description="published layout, from which all that is unset below is taken"
    )
    widths: tuple[Count, ...] | None = Field(
        None, min_length=1, description="channels of each stage"
    )
    depths: tuple[Count, ...] | None = Field(None, min_length=1, description="layers of each stage")
    strides: tuple[Stride, ...] | None = Field(
        None, min_length=1, description="stride of each stage's first layer: 1 or 2"
    )
    stem_channels: int | None = Field(None, ge=1, description="channels of the first convolution")
    first_channels: int | None = Field(
        None, ge=1, description="channels after the first block, which is not searched"
    )
    head_channels: int | None = Field(None, ge=1, description="channels that the classifier reads")
    width_multiplier: float = Field(
        1.0, gt=0, description="all widths times this, rounded to multiples of 8 (1: as they are)"
    )
    supernet_multiplier: float | None = Field(
        None, gt=0, description="the same for the supernet alone; unset: width_multiplier"
    )
    kernels: tuple[Literal[3, 5, 7, 9], ...] = Field(
        (3, 5, 7), min_length=1, description="sizes of the depthwise convolution to choose from"
    )
    expansions: tuple[Count, ...] | None = Field(
        None, min_length=1, description="widths of a block's inside, in its inputs, to choose from"
    )
    skip: bool = Field(
        True, description="offer `skip` where a layer keeps size and width: depth is searched too"
    )
    stem: Literal["auto", "small", "imagenet"] = Field(
        "auto",
        description=(
            "small: neither stem nor first stage halve the side; auto: imagenet where the shorter "
            "side has 128 pixels"
        ),
    )
    style: Style | None = Field(
        None, description="activations and head of MobileNetV2 (ReLU6) or of MobileNetV3"
    )
    squeeze: tuple[Count, ...] | None = Field(
        None, description="stages, counted from 1, whose blocks have squeeze-and-excitation"
    )
    hard_swish: tuple[Count, ...] | None = Field(
        None, description="stages, counted from 1, whose blocks have the activation hard swish"
    )
    affine: bool = Field(True, description="give the supernet's norms a scale and a shift")
    norm_epsilon: float = Field(
        1e-3, gt=0, description="what norms add to a variance; MobileNetV3 has 0.00001"
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="dropout before the classifier of a stand-alone network"
    )

    def described(self) -> Layout:
        """Called when the space is made: returns the layout with all changes applied."""
        changes = {name: value for name in CHANGES if (value := getattr(self, name)) is not None}
        return replace(LAYOUTS[self.layout], **changes)

    def is_small(self, task: Task) -> bool:
        """Called when networks are built: True if they begin with the stem for small images."""
        return task.shorter < 128 if self.stem == "auto" else self.stem == "small"

    @model_validator(mode="after")
    def _one_entry_a_stage(self) -> "MobileNetOptions":
        layout = self.described()
        lengths = {name: len(getattr(layout, name)) for name in ("widths", "depths", "strides")}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{name} has {count}" for name, count in lengths.items())
            raise ValueError(f"widths, depths and strides with one entry for each stage ({counts})")
        stages = lengths["widths"]
        for name in ("squeeze", "hard_swish"):
            if any(stage > stages for stage in getattr(self, name) or ()):
                raise ValueError(f"{name} to name stages from 1 to {stages}")
        for name in ("kernels", "expansions"):
            chosen = getattr(self, name) or ()
            if len(set(chosen)) != len(chosen):
                raise ValueError(f"{name} to name each size once")
        return self
