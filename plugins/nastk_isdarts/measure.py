"""How flat a feature map is: the information measure of IS-DARTS, and others of the same kind.

All of them read one thing, the variance over the channels at each position, and grow where it
shrinks. Features that do not vary at all are infinitely flat: that is how `none` is scored.
"""

from collections.abc import Callable
from math import inf
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from nastk import ConfigurationError

MeasureName = Literal["official", "inv_var", "log", "median"]

FEWEST_CHANNELS = 2


def channel_variance(
    features: Float[Tensor, "images channels height width"],
) -> Float[Tensor, "images positions"]:
    """The unbiased variance over the channels at each position, in float64.

    Exactly 0 where all channels are equal, whatever their value.

    Raises:
        ConfigurationError: there is one channel, over which nothing can vary.
    """
    channels = features.shape[1]
    if channels < FEWEST_CHANNELS:
        raise ConfigurationError(
            f"isdarts measures how features vary over channels, and got features of {channels} "
            "channel. Use space options that give every operation two channels or more."
        )
    # Seen from the first channel, equal ones are exact zeros and a common offset costs no digits.
    shifted = features.double() - features[:, :1]
    centred = shifted - shifted.mean(1, keepdim=True)
    return (centred.square().sum(1) / (channels - 1)).flatten(1)


def flatness(
    variance: Float[Tensor, "images positions"], channels: int, measure: MeasureName = "official"
) -> Float[Tensor, "images"]:
    """The measure of each image, from the variances of its positions (float64); larger is flatter.

    `official` is the mean over channels and positions of 3 (f - mu)^2 / sd^6, the authors' measure,
    in its closed form 3 (C - 1) / C / sd^4. `inv_var` is 1 / sd^2, `log` minus log sd, `median` the
    official one with the median over positions. Infinite where a position does not vary (for
    `median`: where a middle one does not); not a number only where a variance is none.

    Example: `flatness(channel_variance(features), features.shape[1])`
    """
    pointwise, over_positions = MEASURES[measure]
    # 0/0 in the definition. Stated, not left to the arithmetic: what never varies is first to go.
    values = torch.where(variance == 0, inf, pointwise(variance, channels))
    return over_positions(values)


def _inverse_square(
    variance: Float[Tensor, "images positions"], channels: int
) -> Float[Tensor, "images positions"]:
    return 3 * (channels - 1) / channels / variance.square()


def _mean(values: Float[Tensor, "images positions"]) -> Float[Tensor, "images"]:
    return values.mean(1)


def _middle(values: Float[Tensor, "images positions"]) -> Float[Tensor, "images"]:
    """The median over positions (of two in the middle, their mean)."""
    # Sorted by hand: torch's median has no deterministic form on CUDA.
    ordered = values.sort(1).values
    last = values.shape[1] - 1
    return (ordered[:, last // 2] + ordered[:, (last + 1) // 2]) / 2


MEASURES: dict[MeasureName, tuple[Callable[[Tensor, int], Tensor], Callable[[Tensor], Tensor]]] = {
    "official": (_inverse_square, _mean),
    "inv_var": (lambda variance, channels: 1 / variance, _mean),
    "log": (lambda variance, channels: -variance.log() / 2, _mean),
    "median": (_inverse_square, _middle),
}
"""What each makes of the variance at a position, and how the positions become one number."""
