from contextlib import nullcontext

import pytest
import torch
from torch import nn

from nastk import ConfigurationError, Execution


@pytest.fixture
def no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def one_gpu(monkeypatch):
    """A machine that says it has one CUDA device; `able` says whether it has bf16."""
    able = [True]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: able[0])
    return able


@pytest.mark.parametrize(
    ("asked", "device", "bf16"),
    [
        (("auto", "auto"), "cpu", False),
        (("cpu", "auto"), "cpu", False),
        (("cpu", "fp32"), "cpu", False),
        (("cpu", "bf16"), "cpu", True),
    ],
)
def test_chosen_without_a_gpu(no_cuda, asked, device, bf16):
    chosen = Execution.choose(*asked)
    assert (str(chosen.device), chosen.bf16, chosen.deterministic) == (device, bf16, False)


@pytest.mark.parametrize(
    ("asked", "able", "device", "bf16"),
    [
        (("auto", "auto"), True, "cuda", True),
        (("auto", "auto"), False, "cuda", False),
        (("cuda:0", "fp32"), True, "cuda:0", False),
        (("cpu", "auto"), True, "cpu", False),
    ],
)
def test_chosen_with_a_gpu(one_gpu, asked, able, device, bf16):
    one_gpu[0] = able
    chosen = Execution.choose(*asked)
    assert (str(chosen.device), chosen.bf16) == (device, bf16)


def test_what_a_gpu_lacks_is_said(one_gpu):
    one_gpu[0] = False
    with pytest.raises(
        ConfigurationError, match=r"'cuda' has no bf16\. Use --precision fp32 or auto"
    ):
        Execution.choose("cuda", "bf16")
    with pytest.raises(
        ConfigurationError, match="'cuda:1' was asked for, and this machine has 1 CUDA devices"
    ):
        Execution.choose("cuda:1")


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda", "this machine has 0 CUDA devices. Use --device cpu or auto"),
        ("gpu", "Expected a device such as auto, cpu, cuda or cuda:1, got 'gpu'"),
        ("mps", "runs on cpu and cuda, got device 'mps'"),
    ],
)
def test_a_device_that_is_not_there(no_cuda, device, message):
    with pytest.raises(ConfigurationError, match=message):
        Execution.choose(device)


def test_autocast_only_where_asked():
    layer, images = nn.Linear(4, 4), torch.ones(2, 4)
    for bf16, dtype in ((False, torch.float32), (True, torch.bfloat16)):
        with Execution(torch.device("cpu"), bf16).autocast():
            assert layer(images).dtype == dtype


def test_place_lays_images_out_channels_last():
    placed = Execution(torch.device("cpu")).place(nn.Conv2d(3, 8, 3))
    assert placed.weight.is_contiguous(memory_format=torch.channels_last)


def switches():
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.deterministic,
    )


@pytest.mark.parametrize(("asked", "got"), [(0, 2), (1, 1), (3, 3)])
def test_the_number_of_threads_is_set_and_restored(asked, got):
    torch.set_num_threads(2)
    try:
        with Execution(torch.device("cpu"), threads=asked).settings():
            assert torch.get_num_threads() == got
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("before", [(True, False), (True, True), (False, False)])
@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("failing", [True, False])
def test_settings_hold_inside_and_are_restored(before, deterministic, failing):
    torch.use_deterministic_algorithms(before[0], warn_only=before[1])
    try:
        found = switches()
        fails = pytest.raises(KeyError) if failing else nullcontext()
        with fails, Execution(torch.device("cpu"), deterministic=deterministic).settings():
            assert torch.backends.cudnn.deterministic is deterministic
            assert torch.backends.cudnn.benchmark is not deterministic
            assert torch.are_deterministic_algorithms_enabled() is (deterministic or before[0])
            if failing:
                raise KeyError
        assert switches() == found
    finally:
        torch.use_deterministic_algorithms(True)
