"""The supernets' norm: batch statistics, and those of an earlier pass where they are frozen."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nastk.nn.batch_moments import Statistics
from nastk.nn.norms import BatchNorm, Frozen, parameter_free


def some(seed=0, batch=4, channels=3, side=5):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, channels, side, side, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("affine", [False, True])
def test_it_normalises_by_the_batch_and_keeps_nothing(affine):
    norm, x = BatchNorm(3, affine=affine).double(), some()
    expected = F.batch_norm(x, None, None, norm.weight, norm.bias, True)
    assert torch.equal(norm(x), expected) and torch.equal(norm.eval()(x), expected)
    assert not list(norm.buffers())


def test_a_single_value_becomes_the_shift():
    norm = BatchNorm(2, affine=True)
    nn.init.constant_(norm.bias, 0.5)
    assert torch.equal(norm(torch.randn(1, 2, 1, 1)), torch.full((1, 2, 1, 1), 0.5))
    assert torch.equal(BatchNorm(2)(torch.randn(1, 2, 1, 1)), torch.zeros(1, 2, 1, 1))


def test_statistics_are_the_mean_and_the_biased_variance_of_each_channel():
    mean, variance = Statistics.of(some())
    rows = some().permute(1, 0, 2, 3).flatten(1)
    torch.testing.assert_close(mean, rows.mean(1))
    torch.testing.assert_close(variance, rows.var(1, correction=0))


@pytest.mark.parametrize(
    "norm", [BatchNorm(3), BatchNorm(3, affine=True), nn.BatchNorm2d(3, track_running_stats=False)]
)
def test_frozen_statistics_are_those_of_the_first_pass(norm):
    net = nn.Sequential(norm.double())
    first, second = some(1), 3 * some(2) + 1
    frozen = Frozen(net)
    with torch.no_grad(), frozen.applied():
        gathered, again = net(first), net(second)
    mean, variance = Statistics.of(first)
    torch.testing.assert_close(gathered, net(first))
    torch.testing.assert_close(
        again, F.batch_norm(second, mean, variance, norm.weight, norm.bias, False, 0.0, norm.eps)
    )
    torch.testing.assert_close(net(second), F.batch_norm(second, None, None, training=True))


def test_what_is_frozen_lasts_from_one_application_to_the_next_and_ends_with_an_error():
    net, frozen = nn.Sequential(BatchNorm(3)), None
    frozen = Frozen(net)
    with pytest.raises(ValueError), torch.no_grad(), frozen.applied():
        net(some(1))
        raise ValueError
    assert net[0].frozen is None
    with torch.no_grad(), frozen.applied():
        assert net[0].frozen is not None
        kept = net(some(2))
    mean, variance = Statistics.of(some(1))
    torch.testing.assert_close(kept, F.batch_norm(some(2), mean, variance))


@pytest.mark.parametrize(
    "norm, free",
    [(BatchNorm(2), True), (BatchNorm(2, affine=True), False), (nn.BatchNorm2d(2), False)],
)
def test_a_sum_takes_over_norms_without_parameters_only(norm, free):
    assert parameter_free(norm) is free


@pytest.mark.parametrize("last", [True, False])
def test_statistics_of_many_positions_keep_their_digits(last):
    """Summed one after the other, the variance of 65,536 positions is off by 1e-5."""
    x = torch.randn(64, 2, 32, 32, generator=torch.Generator().manual_seed(0)) + 0.5
    layout = torch.channels_last if last else torch.contiguous_format
    x = x.contiguous(memory_format=layout).requires_grad_()
    found, exact = BatchNorm(2)(x), BatchNorm(2)(x.double())
    assert found.is_contiguous(memory_format=layout)
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=3e-6)
    with torch.no_grad():
        measured = BatchNorm(2)(x)
    assert measured.is_contiguous(memory_format=layout)
    torch.testing.assert_close(measured.double(), exact, rtol=0, atol=3e-6)
    weights = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    (one,) = torch.autograd.grad((found * weights).sum(), x)
    (other,) = torch.autograd.grad((exact * weights).sum(), x)
    torch.testing.assert_close(one, other, rtol=0, atol=3e-6)
