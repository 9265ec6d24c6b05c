"""How flat a feature map is: the information measure of IS-DARTS, and similar measures.

All of them depend only on the variance over the channels at each position, and grow as it falls.
Features that do not vary at all are infinitely flat; the outputs of `none` are such features.
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
    """Returns the unbiased variance over the channels at each position, in float64.

    It is exactly 0 where all channels are equal, whatever their value.

    Raises:
        ConfigurationError: there is only one channel.
    """
    channels = features.shape[1]
    if channels < FEWEST_CHANNELS:
        raise ConfigurationError(
            f"isdarts measures how features vary over channels, and got features of {channels} "
            "channel. Use space options that give every operation two channels or more."
        )
    # Relative to the first channel, equal channels are exact zeros and a common offset costs no
    # digits.
    shifted = features.double() - features[:, :1]  # images x channels x height x width
    centred = shifted - shifted.mean(1, keepdim=True)
    return (centred.square().sum(1) / (channels - 1)).flatten(1)


def flatness(
    variance: Float[Tensor, "images positions"], channels: int, measure: MeasureName = "official"
) -> Float[Tensor, "images"]:
    """Returns the measure of each image, from the variances at its positions; larger is flatter.

    `official` is the authors' measure, the mean over channels and positions of 3 (f - mu)^2 / sd^6,
    in its closed form 3 (C - 1) / C / sd^4. `inv_var` is 1 / sd^2, `log` is minus log sd, both as
    means over positions; `median` is `official` with the median over positions. The measure (in
    float64) is infinite if a position does not vary (for `median`: if a middle one does not), and
    NaN only if a variance is NaN.

    Example: `flatness(channel_variance(features), features.shape[1])`
    """
    pointwise, over_positions = MEASURES[measure]
    # The definition has 0/0 here. It counts as infinite: constant outputs are removed first.
    values = torch.where(variance == 0, inf, pointwise(variance, channels))
    return over_positions(values)


def _inverse_square(
    variance: Float[Tensor, "images positions"], channels: int
) -> Float[Tensor, "images positions"]:
    return 3 * (channels - 1) / channels / variance.square()


def _mean(values: Float[Tensor, "images positions"]) -> Float[Tensor, "images"]:
    return values.mean(1)


def _middle(values: Float[Tensor, "images positions"]) -> Float[Tensor, "images"]:
    """Returns the median over positions (with two middle values, their mean)."""
    # Sorting, because torch's median has no deterministic form on CUDA.
    ordered = values.sort(1).values
    last = values.shape[1] - 1
    return (ordered[:, last // 2] + ordered[:, (last + 1) // 2]) / 2


MEASURES: dict[MeasureName, tuple[Callable[[Tensor, int], Tensor], Callable[[Tensor], Tensor]]] = {
    "official": (_inverse_square, _mean),
    "inv_var": (lambda variance, channels: 1 / variance, _mean),
    "log": (lambda variance, channels: -variance.log() / 2, _mean),
    "median": (_inverse_square, _middle),
}
"""For each measure: the function of a position's variance, and the average over positions."""
