"""`words` reads the configurations in which ProxylessNAS and Once-for-all store networks.

`{"ks": [...], "e": [...], "d": [...]}` is Once-for-all's choice of kernels, expansions and depths;
a `.config` lists the blocks of a network in order (ProxylessNAS, Once-for-all, MCUNet).
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from nastk import DataError
from nastk_spaces_mobilenet.layouts import Layout
from nastk_spaces_mobilenet.operations import SKIP, LayerPlan
from nastk_spaces_mobilenet.skeleton import plan, scaled

CONVOLUTIONS = ("mobile_inverted_conv", "conv")
"""The keys of a block's convolution in a `.config`, in older and newer releases."""


def words(config: Mapping[str, Any], layout: Layout, multiplier: float) -> list[str]:
    """Returns the word of each layer, such as `mb6_3x3`.

    Raises:
        DataError: `config` has none of these forms, or its network has other widths or depths.
    """
    if "blocks" in config:
        return _of_blocks(config, layout, multiplier)
    if {"ks", "e", "d"} <= set(config):
        return _of_choices(config, layout, multiplier)
    raise DataError(
        "This is no configuration of a network: expected Once-for-all's {ks, e, d}, or a .config "
        f"with blocks; it has {', '.join(map(repr, list(config)[:8])) or 'nothing'}."
    )


def _of_choices(config: Mapping[str, Any], layout: Layout, multiplier: float) -> list[str]:
    """Returns the words of Once-for-all's choice; a stage's layers beyond its depth are skipped."""
    stages, layers = len(layout.depths), sum(layout.depths)
    kernels, expansions = (_whole(config, name, layers) for name in ("ks", "e"))
    # In ProxylessNAS-like spaces the last stage has a single layer, and `d` leaves it out.
    fixed = 1 if layout.depths[-1] == 1 and len(_listed(config, "d")) == stages - 1 else 0
    depths = [*_whole(config, "d", stages - fixed), *([1] * fixed)]
    width = config.get("w", config.get("wid"))
    if isinstance(width, int | float) and abs(width - multiplier) > 1e-6:
        raise DataError(
            f"This network has all widths times {width:g}, the space times {multiplier:g}. "
            f"Use `-s width_multiplier={width:g}`."
        )
    names: list[str] = []
    for stage, (depth, most) in enumerate(zip(depths, layout.depths, strict=True), start=1):
        if not 1 <= depth <= most:
            raise DataError(f"d: stage {stage} has 1 to {most} layers, got {depth}.")
        for layer in range(most):
            index = len(names)
            word = f"mb{expansions[index]}_{kernels[index]}x{kernels[index]}"
            names.append(word if layer < depth else SKIP)
    return names


def _of_blocks(config: Mapping[str, Any], layout: Layout, multiplier: float) -> list[str]:
    """Returns the words of a `.config`: a block goes to the first layer that it fits.

    Layers between two blocks are skipped. Widths are part of the network, so the stem and the first
    block must fit too.
    """
    blocks = [_convolution(number, block) for number, block in enumerate(_listed(config, "blocks"))]
    if not blocks or blocks[0] is None:
        raise DataError("This .config has no first block.")
    stem, first = config.get("first_conv"), blocks[0]
    has = (_number(stem, "out_channels"), first["out_channels"])
    wanted = tuple(
        scaled(width, multiplier) for width in (layout.stem_channels, layout.first_channels)
    )
    if has != wanted:
        raise _other(f"begins with {has[0]} and {has[1]} channels", f"{wanted[0]} and {wanted[1]}")
    rest, names = deque(blocks[1:]), []
    for number, layer in enumerate(plan(layout, multiplier), start=1):
        block = rest[0] if rest else None
        if block is not None and _fits(block, layer):
            names.append(f"mb{block['expansion']}_{block['kernel']}x{block['kernel']}")
            rest.popleft()
        elif layer.residual:
            names.append(SKIP)
            if rest and block is None:
                rest.popleft()
        else:
            shown = "nothing" if block is None else _shape(block)
            expected = f"{layer.channels_in} to {layer.channels} channels, stride {layer.stride},"
            raise _other(f"has {shown} at layer {number}", expected)
    if rest:
        raise DataError(f"This .config has {len(rest)} blocks more than the space has layers.")
    return names


def _convolution(number: int, block: Any) -> dict[str, Any] | None:
    """Returns the numbers that describe block `number`, or None if the block is a `ZeroLayer`."""
    inner = None
    if isinstance(block, Mapping):
        inner = next((block[name] for name in CONVOLUTIONS if name in block), block)
    if inner is None or (isinstance(inner, Mapping) and inner.get("name") == "ZeroLayer"):
        return None
    names = ("in_channels", "out_channels", "stride")
    numbers: dict[str, Any] = {name: _number(inner, name) for name in names}
    numbers["kernel"] = _number(inner, "kernel_size")
    numbers["expansion"] = _number(inner, "expand_ratio")
    middle = _number(inner, "mid_channels")
    if numbers["expansion"] is None and middle is not None and numbers["in_channels"]:
        numbers["expansion"] = round(middle / numbers["in_channels"])
    missing = [name for name, value in numbers.items() if value is None]
    if missing:
        raise DataError(f"blocks[{number}] says no {', '.join(missing)}.")
    return numbers


def _fits(block: Mapping[str, Any], layer: LayerPlan) -> bool:
    """True if the block has the channels and the stride of the layer."""
    wanted = (layer.channels_in, layer.channels, layer.stride)
    return (block["in_channels"], block["out_channels"], block["stride"]) == wanted


def _shape(block: Mapping[str, Any]) -> str:
    """Returns channels and stride of a block, for a message."""
    return f"{block['in_channels']} to {block['out_channels']} channels, stride {block['stride']},"


def _other(has: str, wanted: str) -> DataError:
    """Returns the error for a network whose widths or depths are not those of the space."""
    return DataError(
        f"This network {has}, the space has {wanted} there. Give the options of its own layout "
        "(`-s layout=...`, `-s width_multiplier=...`, or widths, depths and strides)."
    )


def _number(block: Any, name: str) -> int | None:
    """Returns the whole number `name` of a block, or None.

    A list with one number is accepted, and so is a float without a fraction.
    """
    value = block.get(name) if isinstance(block, Mapping) else None
    value = value[0] if isinstance(value, Sequence) and len(value) == 1 else value
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value == int(value)
    return int(value) if whole else None  # type: ignore[arg-type]


def _listed(config: Mapping[str, Any], name: str) -> list[Any]:
    """Returns the list `name` of the configuration."""
    value = config.get(name)
    if not isinstance(value, list):
        raise DataError(f"{name} must be a list, got {value!r}.")
    return value


def _whole(config: Mapping[str, Any], name: str, count: int) -> list[int]:
    """Returns the list `name` of the configuration, checked to hold `count` whole numbers."""
    value = _listed(config, name)
    if len(value) != count or not all(type(item) is int for item in value):
        raise DataError(f"{name} must be {count} whole numbers in this space, got {value!r}.")
    return value
