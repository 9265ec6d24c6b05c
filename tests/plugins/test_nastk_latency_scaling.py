"""`nastk scale`: one architecture counted and timed over widths and depths."""

import json
from typing import Any

import pytest
import torch
from cli_kit import called
from torch import nn

from nastk import ConfigurationError, Execution, Task
from nastk.testing import ToySpace
from nastk_latency.onnx_timing import Onnx, _compare
from nastk_latency.scale_command import limits_of, listed
from nastk_latency.scaling import Torch, grid, median_seconds, option_of, sizes
from nastk_spaces_darts.space import DartsSpace

TASK = Task(classes=10, channels=3, size=32)
TEXT = "conv,skip,pool,conv,skip"


def toy_sizes(over: dict[str, Any], limits: dict[str, float], **clocks: Any) -> list[Any]:
    space = ToySpace()
    return sizes(space.from_text(TEXT), space, grid(over, [], TASK), limits, clocks)


def test_a_grid_has_every_combination_and_the_tasks_own_size_without_others() -> None:
    over = {"channels": [4, 8], "cells": [2]}
    assert grid(over, [], TASK) == [
        ({"channels": 4, "cells": 2}, TASK),
        ({"channels": 8, "cells": 2}, TASK),
    ]
    assert [task.size for _, task in grid({}, [16, (8, 12)], TASK)] == [16, (8, 12)]


def toy_parameters(channels: int) -> int:
    """Stem, two convolutions on `first` in two cells, one on `second` and the classifier."""
    convolution = 9 * channels * channels
    return (27 * channels + channels) + 3 * convolution + (10 * channels + 10)


def test_counts_are_those_of_the_networks_sorted_by_multiply_adds() -> None:
    found = toy_sizes({"channels": [16, 4, 8]}, {})
    assert [size.options["channels"] for size in found] == [4, 8, 16]
    for size in found:
        channels = size.options["channels"]
        assert size.metrics["parameters"] == toy_parameters(channels)
        pixels = 32 * 32
        expected = pixels * (27 * channels + 3 * 9 * channels**2) + 10 * channels
        assert size.metrics["multiply_adds"] == expected


@pytest.mark.slow
def test_a_published_cell_has_its_published_size_among_others() -> None:
    """3.35 M parameters and 528 M multiply-adds of DARTS_V2 at 36 channels and 20 cells."""
    space = DartsSpace()
    architecture = space.from_text("DARTS_V2")
    over = {"network_channels": [36], "network_cells": [20]}
    (found,) = sizes(architecture, space, grid(over, [], TASK), {}, {})
    assert found.metrics == {"parameters": 3_349_342, "multiply_adds": 528_359_040}


def test_only_what_is_within_the_limits_is_timed_and_times_have_limits_too() -> None:
    timed = []

    def clock(network: nn.Module, task: Task) -> float:
        assert not network.training
        timed.append(network.stem.out_channels)
        return network.stem.out_channels / 1000

    over = {"channels": [4, 8, 16, 32]}
    limits = {"parameters": float(toy_parameters(16)), "latency": 0.009}
    found = toy_sizes(over, limits, latency=clock)
    assert timed == [4, 8, 16]
    assert [size.metrics["latency"] for size in found] == [0.004, 0.008]


def test_the_median_of_a_clock_leaves_out_the_first_passes() -> None:
    ticks = iter([0, 5, 5, 6, 6, 8, 8, 11])
    calls: list[int] = []
    assert median_seconds(lambda: calls.append(1), 4, lambda: next(ticks)) == 2.5
    assert len(calls) > 4


def test_timing_changes_neither_the_network_nor_the_random_stream() -> None:
    space = ToySpace()
    network = space.network(space.from_text(TEXT), TASK).eval()
    layers = [type(module) for module in network.modules()]
    before = [weight.clone() for weight in network.parameters()]
    assert Torch(Execution.choose("cpu", "fp32", threads=1), 2, 1)(network, TASK) >= 0
    assert [type(module) for module in network.modules()] == layers
    assert all(map(torch.equal, before, network.parameters()))
    state = torch.random.get_rng_state()
    toy_sizes({"channels": [4]}, {}, latency=lambda network, task: float(torch.rand(())))
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("text", "expected"),
    [("16,24", [16, 24]), (" 8 ,", [8]), ("auto,1.5", ["auto", 1.5])],
)
def test_values_are_read_from_a_list(text: str, expected: list[Any]) -> None:
    assert listed(text, "--cells") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("params=4M", ("parameters", 4e6)), ("latency=20ms", ("latency", 0.02))],
)
def test_limits_are_read(text: str, expected: tuple[str, float]) -> None:
    assert limits_of([text], repeats=1, onnx=False) == dict([expected])


@pytest.mark.parametrize("text", ["madds", "accuracy=3", "onnx_latency=2ms"])
def test_limits_of_what_is_not_known_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"with params, madds, latency, such as"):
        limits_of([text], repeats=3, onnx=False)


def test_the_option_for_width_is_that_of_the_network() -> None:
    assert option_of(DartsSpace(), ("network_channels", "channels"), "--channels") == (
        "network_channels"
    )
    with pytest.raises(
        ConfigurationError, match=r"no option network_cells or cells, which --cells"
    ):
        option_of(ToySpace(), ("network_cells", "cells"), "--cells")


def test_the_command_prints_a_table_and_json() -> None:
    asked = ["scale", TEXT, "--space", "toy", "--channels", "4,8", "--repeats", "1"]
    code, out, err = called(*asked, "--image", "16", "--limit", "params=700")
    assert code == 0
    assert out.splitlines()[0].split() == [
        "image", "channels", "parameters", "multiply", "adds", "latency"
    ]  # fmt: skip
    assert out.splitlines()[1].split()[:2] == ["16x16", "4"] and len(out.splitlines()) == 2
    assert "1 of 2 sizes are beyond the limits" in err and "-s channels=4" in err
    code, out, _ = called(*asked[:-1], "0", "--classes", "3", "--json")
    values = json.loads(out)
    assert (code, values["architecture"], values["space"]) == (0, TEXT, "toy")
    assert [list(size) for size in values["sizes"]] == [
        ["options", "image", "parameters", "multiply_adds"]
    ] * 2


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--cells", "3"], "no option network_cells or cells"),
        (["--channels", ","], "--channels takes values such as 16,24,36"),
        (["--over", "channels=none"], "channels: expected a valid integer"),
        (["--over", "width=3"], "has no option 'width'"),
        (["--image", "big"], "--image: expected 1 to 65536 pixels a side"),
        (["--limit", "params=10", "--channels", "4"], "None of the 1 sizes is within the limits"),
        (["--limit", "latency=1ms", "--repeats", "0"], "Times need --repeats of at least 1"),
    ],
)
def test_what_cannot_be_done_is_one_message(flags: list[str], words: str) -> None:
    code, _, err = called("scale", TEXT, "--space", "toy", "--repeats", "0", *flags)
    assert code == 2
    assert words in " ".join(err.split())


def test_another_runtime_must_give_the_same_logits() -> None:
    logits = torch.tensor([[1.0, -2.0]])
    _compare(logits, logits * (1 + 1e-6))
    for other in (logits + 0.1, logits * torch.nan):
        with pytest.raises(ConfigurationError, match=r"logits that differ by"):
            _compare(logits, other)


@pytest.mark.slow
def test_an_onnx_graph_is_timed() -> None:
    pytest.importorskip("onnxruntime")
    space = ToySpace()
    network = space.network(space.from_text(TEXT), TASK).eval()
    assert Onnx(batch=2, repeats=1, threads=1)(network, TASK) >= 0
