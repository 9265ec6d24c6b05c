"""NAS-Bench-Macro: the sizes that its table has, its text, and the networks in plain form."""

import gzip
import json
import os
from functools import cache
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from nastk import DataError, Mixture, Task
from nastk_spaces_mobilenet.macro import DEPTHS, OPERATIONS, MacroSpace

BESIDE = Path(__file__).parents[3] / "shared" / "data"
TABLE = Path(os.environ.get("NASTK_SHARED", BESIDE)) / "nas_bench_macro_cifar10.json.gz"
CIFAR = Task(classes=10, channels=3, size=32)
TASK = Task(classes=3, channels=1, size=8)
SPACE = MacroSpace()
SMALL = MacroSpace(MacroSpace.parse_options({"channels": 4, "head_channels": 16}))

# The benchmark's table: parameters, multiply-adds of one CIFAR-10 image.
KNOWN = {
    "00000000": (387_882, 7_713_280),
    "10000000": (396_298, 12_128_768),
    "01000000": (415_082, 14_447_104),
    "11111111": (1_588_874, 53_246_464),
    "22222222": (2_932_586, 105_660_928),
    "02012100": (890_666, 47_327_744),
}


@cache
def size_of(digits):
    """Parameters and multiply-adds, counted on the network itself."""
    with torch.device("meta"):
        network = SPACE.network(SPACE.from_text(digits), CIFAR).eval()
        image = torch.empty(1, 3, 32, 32)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    return sum(weight.numel() for weight in network.parameters()), counter.get_total_flops() // 2


@pytest.mark.parametrize("digits", KNOWN)
def test_the_networks_have_the_tables_parameters_and_multiply_adds(digits):
    assert size_of(digits) == KNOWN[digits]


def test_all_6561_networks_have_the_tables_parameters_and_multiply_adds():
    """A layer's share does not depend on the others', so seventeen counts give all."""
    if not TABLE.exists():
        pytest.skip(f"{TABLE.name} is not here (its folder: NASTK_SHARED, or ../shared/data)")
    with gzip.open(TABLE, "rt") as file:
        table = json.load(file)
    base = size_of("0" * 8)

    def share(place, digit):
        one = size_of("0" * place + digit + "0" * (7 - place))
        return [one[which] - base[which] for which in (0, 1)]

    shares = [{digit: share(place, digit) for digit in "012"} for place in range(8)]
    texts = [SPACE.to_text(each) for each in SPACE.architectures()]
    assert set(texts) == set(table) and len(texts) == 6561
    for digits, row in table.items():
        added = [shares[place][digit] for place, digit in enumerate(digits)]
        assert base[0] + sum(one for one, _ in added) == row["params"], digits
        assert base[1] + sum(one for _, one in added) == row["flops"], digits


def test_an_identity_inside_a_stage_may_stand_anywhere_after_its_first_layer():
    assert SPACE.canonical(SPACE.from_text("01201102")) == "01210120"
    assert SPACE.canonical(SPACE.from_text("00020001")) == "00020010"
    assert len({SPACE.canonical(each) for each in SPACE.architectures()}) == 3969


@given(st.text("012", min_size=8, max_size=8))
def test_texts_and_architectures_are_one(digits):
    assert SPACE.to_text(SPACE.from_text(f" {digits}\n")) == digits


@pytest.mark.parametrize("text", ["", "0120", "012012012", "0120123x", "０1201201", "mb3_3x3"])
def test_what_is_not_eight_digits_is_refused(text):
    with pytest.raises(DataError, match="8 digits"):
        SPACE.from_text(text)


def plain_norm(x):
    """Statistics of the batch; scale one and shift zero, as fresh norms have."""
    return F.batch_norm(x, None, None, training=True)


def plain_operation(x, module, name, number):
    """An operation from the names of its weights alone."""
    weights = dict(module.named_parameters())
    kernels = [weight for weight in weights.values() if weight.ndim == 4]
    first = number in (0, DEPTHS[0], DEPTHS[0] + DEPTHS[1])
    stride = 2 if first else 1
    if name == "identity":
        return plain_norm(F.conv2d(x, kernels[0], stride=2)) if first else x
    widen, depthwise, narrow = kernels
    y = F.relu(plain_norm(F.conv2d(x, widen)))
    size, inside = depthwise.shape[-1], len(depthwise)
    assert (size, inside) == {"mb3_3x3": (3, 3 * x.shape[1]), "mb6_5x5": (5, 6 * x.shape[1])}[name]
    y = F.conv2d(y, depthwise, stride=stride, padding=size // 2, groups=inside)
    y = plain_norm(F.conv2d(F.relu(plain_norm(y)), narrow))
    return y if first else x + y


@pytest.mark.parametrize("side", [8, 7])
def test_the_supernet_is_the_plain_form(side):
    torch.manual_seed(0)
    supernet = SMALL.supernet(TASK).double()
    draw = torch.Generator().manual_seed(2)
    mask = SMALL.full().mask
    active = mask & (torch.rand(mask.shape, generator=draw) < 0.7)
    active[:, 1] = True
    mixture = Mixture(torch.rand(mask.shape, generator=draw, dtype=torch.float64), active)
    images = torch.randn(3, 1, side, side, generator=draw, dtype=torch.float64)
    modules = {(row, column): module for row, column, module in supernet.operations()}
    x = F.relu(plain_norm(F.conv2d(images, supernet.stem[0].weight, padding=1)))
    for row in range(8):
        x = sum(
            mixture.weights[row, column] * plain_operation(x, modules[row, column], name, row)
            for column, name in enumerate(OPERATIONS)
            if active[row, column]
        )
    head = supernet.head
    x = F.relu(plain_norm(F.conv2d(x, head.features[0].weight))).mean((2, 3))
    expected = F.linear(x, head.classifier.weight, head.classifier.bias)
    torch.testing.assert_close(supernet(images, mixture), expected)


@pytest.mark.parametrize("digits", ["00000000", "12012012", "22222222"])
def test_a_path_of_the_supernet_is_the_network_with_its_weights(digits):
    options = {"channels": 4, "head_channels": 16}
    networks = {f"network_{name}": value for name, value in options.items()}
    space = MacroSpace(MacroSpace.parse_options({**options, **networks}))
    torch.manual_seed(1)
    supernet, images = space.supernet(TASK), torch.randn(5, 1, 8, 8)
    architecture = space.from_text(digits)
    network = space.network(architecture, TASK)
    of = {(row, column): module for row, column, module in supernet.operations()}
    for row, (layer, digit) in enumerate(zip(network.layers, digits, strict=True)):
        layer.load_state_dict(of[row, int(digit)].state_dict(), strict=False)
    network.stem.load_state_dict(supernet.stem.state_dict(), strict=False)
    network.head.load_state_dict(supernet.head.state_dict(), strict=False)
    torch.testing.assert_close(
        network.train()(images), supernet(images, Mixture.of(architecture)), rtol=1e-4, atol=1e-5
    )
