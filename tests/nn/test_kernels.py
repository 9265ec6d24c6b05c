"""The fast forms against the plain ones, in float64: values, gradients, and their gradients."""

import itertools

import pytest
import torch
from kernels_kit import EXACT, drawn

from nastk.nn.batch_moments import column_sums, maps, moments, positions, statistics
from nastk.nn.kernels import depthwise as convolution
from nastk.nn.kernels.batch_norm import batch_norm

# ------------------------------------------------------------------ depthwise convolutions


@pytest.mark.parametrize("size, stride, dilation", [*itertools.product((3, 5, 7), (1, 2), (1, 2))])
@pytest.mark.parametrize(
    "height, width", [(8, 8), (9, 6), (5, 7), (3, 2), (2, 4), (1, 1), (16, 16)]
)
@pytest.mark.parametrize("last", [True, False])
def test_gradients_of_a_depthwise_convolution(size, stride, dilation, height, width, last):
    x, kernel = drawn(2, 4, height, width, last=last), drawn(4, 1, size, size, seed=1)
    geometry = (stride, dilation * (size // 2), dilation)
    fast = convolution.depthwise(x, kernel, *geometry)
    plain = convolution.plain(x, kernel, *geometry)
    assert torch.equal(fast, plain)
    gradient = drawn(*plain.shape, seed=2).detach()
    found = torch.autograd.grad(fast, (x, kernel), gradient)
    expected = torch.autograd.grad(plain, (x, kernel), gradient)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, **EXACT)


def test_gradients_of_gradients_of_a_depthwise_convolution():
    x, kernel = drawn(2, 2, 6, 6), drawn(2, 1, 5, 5, seed=1)
    assert torch.autograd.gradgradcheck(
        lambda *inputs: convolution.depthwise(*inputs, 1, 4, 2), (x, kernel)
    )


@pytest.mark.parametrize("trained", [0, 1])
def test_only_what_is_asked_for_gets_a_gradient(trained):
    inputs = [drawn(2, 2, 6, 6), drawn(2, 1, 5, 5, seed=1)]
    inputs[1 - trained].requires_grad_(False)
    convolution.depthwise(*inputs, 1, 2, 1).sum().backward()
    assert inputs[trained].grad is not None and inputs[1 - trained].grad is None


@pytest.mark.parametrize("size", [1, 2, 3, 4, 6, 9])
@pytest.mark.parametrize(
    "kernel, stride, dilation", [(3, 1, 1), (5, 2, 1), (3, 1, 2), (5, 1, 2), (5, 2, 2), (3, 2, 2)]
)
def test_depthwise_leaves_out_only_what_is_zero(size, kernel, stride, dilation):
    torch.manual_seed(0)
    layer = convolution.DepthwiseConv2d(2, kernel, stride, dilation).double()
    x = torch.randn(2, 2, size, size, dtype=torch.float64)
    whole = convolution.plain(x, layer.weight, stride, dilation * (kernel // 2), dilation)
    gradients = [torch.autograd.grad(y.square().sum(), layer.weight)[0] for y in (layer(x), whole)]
    assert torch.allclose(layer(x), whole, rtol=0, atol=1e-12)
    assert torch.allclose(*gradients, rtol=0, atol=1e-12)


# ------------------------------------------------------------------ norms


def scale_and_shift(affine, channels, like):
    generator = torch.Generator().manual_seed(3)
    drawn = (torch.randn(channels, generator=generator, dtype=like) for _ in range(2))
    return [parameter.requires_grad_() for parameter in drawn] if affine else [None, None]


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (7, 2, 33, 32), (64, 4, 16, 16), (3, 1, 1, 1)])
@pytest.mark.parametrize("last", [True, False])
def test_a_norm_by_the_batch_and_its_gradients(affine, shape, last):
    x, parameters = drawn(*shape, last=last), scale_and_shift(affine, shape[1], torch.float64)
    ours = batch_norm(x, *parameters, 1e-5)
    plain = torch.nn.functional.batch_norm(x, None, None, *parameters, True, 0.0, 1e-5)
    torch.testing.assert_close(ours, plain, **EXACT)
    wanted = [x, *parameters] if affine else [x]
    gradient = drawn(*shape, seed=2, last=not last).detach()
    found, expected = (torch.autograd.grad(each, wanted, gradient) for each in (ours, plain))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


@pytest.mark.parametrize("affine", [False, True])
def test_gradients_of_gradients_of_a_norm(affine):
    x, parameters = drawn(2, 2, 3, 2), scale_and_shift(affine, 2, torch.float64)
    inputs = [each for each in (x, *parameters) if each is not None]
    pad = [] if affine else [None, None]
    assert torch.autograd.gradgradcheck(lambda *each: batch_norm(*each, *pad, 1e-5), inputs)


def test_a_norm_of_images_that_need_no_gradient():
    x, (scale, shift) = drawn(2, 2, 3, 3).detach(), scale_and_shift(True, 2, torch.float64)
    batch_norm(x, scale, shift, 1e-5).square().sum().backward()
    expected = torch.nn.functional.batch_norm(x, None, None, scale, shift, True, 0.0, 1e-5)
    of_scale, of_shift = torch.autograd.grad(expected.square().sum(), [scale, shift])
    torch.testing.assert_close(scale.grad, of_scale)
    torch.testing.assert_close(shift.grad, of_shift)


def test_gradients_of_norms_in_single_precision_keep_their_digits():
    exact = 3 + 2 * drawn(64, 4, 32, 32).detach()
    gradient = drawn(64, 4, 32, 32, seed=2).detach()
    results = []
    for kind in (torch.float64, torch.float32):
        x = exact.clone().to(kind).requires_grad_()
        parameters = scale_and_shift(True, 4, torch.float64)
        parameters = [each.detach().to(kind).requires_grad_() for each in parameters]
        y = batch_norm(x, *parameters, 1e-5)
        y.backward(gradient.to(kind))
        results.append([y.detach(), *(each.grad for each in (x, *parameters))])
    for single, double in zip(results[1], results[0], strict=True):
        assert (single - double).abs().max() < 1e-5 * double.abs().max()


# ------------------------------------------------------------------ positions and sums over them


@pytest.mark.parametrize("last", [True, False])
def test_positions_and_maps_are_inverse(last):
    x = drawn(2, 3, 4, 5, last=last)
    assert torch.equal(maps(positions(x), x.shape), x)
    torch.testing.assert_close(column_sums(positions(x)), x.sum((0, 2, 3)))


@pytest.mark.parametrize("batch, side", [(3, 5), (2, 32), (5, 32), (12, 32), (1, 64)])
def test_sums_over_positions(batch, side):
    x = 2 * drawn(batch, 4, side, side).detach() + 1
    rows = positions(x)
    torch.testing.assert_close(column_sums(rows), rows.sum(0))
    mean, covariance = moments(rows)
    torch.testing.assert_close(mean, rows.mean(0))
    torch.testing.assert_close(covariance, rows.T.cov(correction=0))
    found = statistics(x)
    torch.testing.assert_close(found.mean, rows.mean(0))
    torch.testing.assert_close(found.variance, rows.var(0, correction=0))


def test_sums_in_single_precision_keep_their_digits():
    """Summed one after the other, these would be wrong in the fifth digit."""
    exact = drawn(32, 4, 32, 32).detach() + 0.5
    found = moments(positions(exact.float()))
    for ours, theirs in zip(found, moments(positions(exact)), strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-6, atol=1e-6)
    spread = statistics(exact.float()).variance.double()
    torch.testing.assert_close(spread, statistics(exact).variance, rtol=4e-6, atol=0)
