"""The MobileNet supernet and stand-alone networks: published sizes, and against plain forms."""

from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import mobilenet_v2

from nastk import Mixture, Task
from nastk.nn.norms import BatchNorm
from nastk_spaces_mobilenet.operations import InvertedResidual, SqueezeExcitation
from nastk_spaces_mobilenet.space import MobileNetSpace

TASK = Task(classes=3, channels=1, size=8)
SMALL = {
    "widths": [8, 12],
    "depths": [2, 2],
    "strides": [1, 2],
    "stem_channels": 8,
    "first_channels": 8,
    "head_channels": 16,
    "kernels": [3, 5],
    "expansions": [1, 3],
}
V3 = {**SMALL, "style": "v3", "squeeze": [1], "hard_swish": [2]}


def make(**options):
    return MobileNetSpace(MobileNetSpace.parse_options(options))


def build(space, task=TASK):
    torch.manual_seed(0)
    supernet = space.supernet(task).double()
    for weight in supernet.parameters():
        if weight.ndim == 1:
            nn.init.normal_(weight)  # scales, shifts and biases that show
    return supernet


def images_of(task=TASK, batch=3):
    shape = batch, task.channels, task.size, task.size
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def mixture_of(space, empty=()):
    """Random weights that do not sum to one; some operations and some layers are off."""
    generator, mask = torch.Generator().manual_seed(2), space.full().mask
    active = mask & (torch.rand(mask.shape, generator=generator) < 0.7)
    active[list(empty)] = False
    return Mixture(torch.rand(mask.shape, generator=generator, dtype=torch.float64), active)


# ---------------------------------------------------------------- published sizes


@cache
def size_of(layout, multiplier, name, pixels):
    """Parameters and multiply-adds in millions, for a thousand classes."""
    space = make(layout=layout, width_multiplier=multiplier)
    with torch.device("meta"):
        network = space.network(space.from_text(name), Task(1000, 3, pixels)).eval()
        image = torch.empty(1, 3, pixels, pixels)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    parameters = sum(weight.numel() for weight in network.parameters())
    return parameters / 1e6, counter.get_total_flops() / 2e6


@pytest.mark.quick_cases(5)
@pytest.mark.parametrize(
    ("layout", "multiplier", "name", "pixels", "millions", "multiply_adds", "digits"),
    [
        # Printed in the training logs of ProxylessNAS.
        ("proxyless-gpu", 1.0, "PROXYLESS_GPU", 224, 7.12, 465.3, 1),
        ("proxyless-cpu", 1.0, "PROXYLESS_CPU", 224, 4.36, 439.2, 1),
        ("proxyless-mobile", 1.0, "PROXYLESS_MOBILE", 224, 4.08, 320.4, 1),
        # Reference values of MobileNetV2 in the search code of ProxylessNAS.
        ("mobilenetv2", 0.35, "MOBILENET_V2", 224, None, 59.0, 0),
        ("mobilenetv2", 0.5, "MOBILENET_V2", 224, None, 97.0, 0),
        ("mobilenetv2", 0.75, "MOBILENET_V2", 224, None, 209.0, 0),
        ("mobilenetv2", 1.3, "MOBILENET_V2", 224, None, 509.0, 0),
        ("mobilenetv2", 1.4, "MOBILENET_V2", 224, None, 582.0, 0),
        # Table of Once-for-all's page, with the image size of its configuration files.
        ("mobilenetv3", 1.2, "OFA_595M", 236, 9.1, 595.0, 0),
        ("mobilenetv3", 1.2, "OFA_482M", 224, 9.1, 482.0, 0),
        ("mobilenetv3", 1.2, "OFA_389M", 224, 8.4, 389.0, 0),
        ("mobilenetv3", 1.0, "OFA_PIXEL1_58MS", 220, 5.8, 230.0, 0),
        # In the names of the configuration files of GM-NAS.
        ("mobilenetv3", 1.2, "GM_OFA_584M", 224, None, 584.0, 0),
        ("mobilenetv3", 1.2, "GM_OFA_587M", 224, None, 587.0, 0),
    ],
)
def test_published_networks_have_the_published_size(
    layout, multiplier, name, pixels, millions, multiply_adds, digits
):
    found = size_of(layout, multiplier, name, pixels)
    if millions is not None:
        assert round(found[0], 2 if digits else 1) == millions
    assert round(found[1], digits) == multiply_adds


@pytest.mark.parametrize(
    ("layout", "name", "parameters"),
    [
        ("proxyless-gpu", "PROXYLESS_GPU", 7_119_848),
        ("proxyless-cpu", "PROXYLESS_CPU", 4_361_648),
        ("proxyless-mobile", "PROXYLESS_MOBILE", 4_080_512),
        ("proxyless-mobile-14", "PROXYLESS_MOBILE_14", 6_857_568),
        ("mobilenetv2", "MOBILENET_V2", 3_504_872),
        ("proxyless", "GM_PROXYLESS", 4_895_208),
    ],
)
def test_the_parameters_of_networks_are_counted_to_the_last(layout, name, parameters):
    assert size_of(layout, 1.0, name, 224)[0] * 1e6 == pytest.approx(parameters, abs=0.1)


def test_mobilenetv2_of_1_is_not_rounded_as_printed():
    """300 million are printed, and other widths' figures are equal: 300.77 counts as 301."""
    assert size_of("mobilenetv2", 1.0, "MOBILENET_V2", 224)[1] == pytest.approx(300.77, abs=0.005)


@pytest.mark.parametrize("multiplier", [1.0, 0.5])
def test_mobilenetv2_computes_what_torchvisions_does(multiplier):
    space = make(layout="mobilenetv2", width_multiplier=multiplier, norm_epsilon=1e-5)
    torch.manual_seed(0)
    theirs = mobilenet_v2(num_classes=7, width_mult=multiplier, dropout=0.0).double()
    ours = space.network(space.from_text("MOBILENET_V2"), Task(7, 3, 160)).double()
    names = ours.state_dict().keys()
    values = theirs.state_dict().values()
    ours.load_state_dict(dict(zip(names, values, strict=True)))
    images = images_of(Task(7, 3, 160), 2)
    for mode in (True, False):
        with torch.no_grad():
            answers = [network.train(mode)(images) for network in (ours, theirs)]
        torch.testing.assert_close(*answers, rtol=1e-9, atol=1e-9)


# ---------------------------------------------------------------- the supernet


def plain_norm(x, norm):
    return F.batch_norm(x, None, None, norm.weight, norm.bias, True, 0.0, norm.eps)


def plain_activation(x, name):
    known = {"relu": F.relu, "relu6": F.relu6}
    return known[name](x) if name in known else x * F.relu6(x + 3) / 6


def plain_block(x, block, kernel, expansion, stride, residual, squeeze, activation):
    y = x
    if expansion > 1:
        convolution, norm, _ = block.widen
        y = plain_activation(plain_norm(F.conv2d(y, convolution.weight), norm), activation)
    convolution, norm, _ = block.depthwise
    y = F.conv2d(y, convolution.weight, None, stride, kernel // 2, groups=y.shape[1])
    y = plain_activation(plain_norm(y, norm), activation)
    if squeeze:
        first, _, second, _ = block.squeeze.scale
        scale = F.conv2d(y.mean((2, 3), keepdim=True), first.weight, first.bias)
        scale = F.conv2d(F.relu(scale), second.weight, second.bias)
        y = y * F.relu6(scale + 3) / 6
    convolution, norm = block.narrow
    y = plain_norm(F.conv2d(y, convolution.weight), norm)
    return x + y if residual else y


def plain_supernet(space, supernet, images, mixture, v3):
    """The space SMALL by hand: two layers of 8 channels, two of 12 at half the side."""
    outer, plain = ("hard_swish", "relu") if v3 else ("relu6", "relu6")
    convolution, norm, _ = supernet.stem.convolution
    state = F.conv2d(images, convolution.weight, None, 1, 1)
    state = plain_activation(plain_norm(state, norm), outer)
    state = plain_block(state, supernet.stem.block, 3, 1, 1, True, False, plain)
    modules = {(edge, column): module for edge, column, module in supernet.operations()}
    for row, (stride, residual) in enumerate([(1, True), (1, True), (2, False), (1, True)]):
        squeeze, activation = v3 and row < 2, "hard_swish" if v3 and row > 1 else plain
        side = state.shape[2] // stride
        total = torch.zeros(len(state), 8 if row < 2 else 12, side, side).double()
        for column, name in enumerate(space.edges[row].operations):
            if not mixture.active[row, column]:
                continue
            output = state
            if name != "skip":
                expansion, kernel = int(name[2]), int(name[4])
                block = modules[row, column]
                output = plain_block(
                    state, block, kernel, expansion, stride, residual, squeeze, activation
                )
            total = total + mixture.weights[row, column] * output
        state = total
    convolution, norm, _ = supernet.head.features
    state = plain_activation(plain_norm(F.conv2d(state, convolution.weight), norm), outer)
    mean = state.mean((2, 3))
    if v3:
        mean = plain_activation(mean @ supernet.head.mix[0].weight.T, "hard_swish")
    return supernet.head.classifier(mean)


@pytest.mark.parametrize("options", [SMALL, V3], ids=["v2", "v3"])
@pytest.mark.parametrize("empty", [(), (1,), (2,)])
def test_the_supernet_is_the_plain_form(options, empty):
    space = make(**options)
    supernet, mixture = build(space), mixture_of(space, empty)
    mixture.weights.requires_grad_()
    wanted = [mixture.weights, *supernet.parameters()]
    answers = [
        supernet(images_of(), mixture),
        plain_supernet(space, supernet, images_of(), mixture, options is V3),
    ]
    torch.testing.assert_close(*answers, rtol=1e-10, atol=1e-10)
    labels = torch.tensor([0, 1, 2])
    gradients = [
        torch.autograd.grad(F.cross_entropy(answer, labels), wanted, allow_unused=True)
        for answer in answers
    ]
    for ours, plain in zip(*gradients, strict=True):
        if ours is None or plain is None:
            assert ours is plain
        else:
            torch.testing.assert_close(ours, plain, rtol=1e-7, atol=1e-9)


def test_only_what_is_active_is_computed():
    space, called = make(**SMALL), []
    supernet = build(space)
    for edge, column, module in supernet.operations():
        module.register_forward_hook(
            lambda module, given, output, key=(edge, column): called.append(key)
        )
    supernet(images_of(), Mixture.uniform(space.full()))
    assert called == space.full().alive_operations()
    called.clear()
    mixture = mixture_of(space, empty=(1,))
    supernet(images_of(), mixture)
    assert called == [tuple(each) for each in mixture.active.nonzero().tolist()]


def test_skip_hands_the_state_on_and_an_empty_layer_gives_zeros():
    space = make(**SMALL)
    supernet, heard = build(space), {}
    for row, layer in enumerate(supernet.layers):
        layer.register_forward_hook(
            lambda module, given, output, row=row: heard.__setitem__(row, (given[0], output))
        )
    path = Mixture.of(space.from_text("skip mb3_3x3 mb1_3x3 skip"))
    supernet(images_of(), path)
    for row in (0, 3):
        assert torch.equal(*heard[row])
    supernet(images_of(), path.without(2, 0))
    state, output = heard[2]
    assert output.shape == (3, 12, 4, 4) and not output.any() and state.any()


def test_with_nothing_active_the_logits_do_not_depend_on_the_images():
    space = make(**SMALL)
    mixture = Mixture(torch.rand(4, 5).double(), torch.zeros(4, 5, dtype=torch.bool))
    logits = build(space)(images_of(), mixture)
    torch.testing.assert_close(logits[0], logits[2])


def test_the_supernet_keeps_no_statistics():
    supernet = make(**SMALL).supernet(TASK)
    norms = [each for each in supernet.modules() if isinstance(each, nn.BatchNorm2d)]
    assert norms and all(type(each) is BatchNorm and each.affine for each in norms)
    assert not list(supernet.buffers())
    plain = make(**SMALL, affine=False).supernet(TASK)
    assert not any(each.affine for each in plain.modules() if isinstance(each, BatchNorm))


@pytest.mark.parametrize("affine", [False, True])
def test_a_single_value_a_channel_normalises_to_the_shift(affine):
    layer = BatchNorm(3, affine=affine, epsilon=1e-3)
    shift = torch.tensor([1.0, 2.0, 3.0]) if affine else torch.zeros(3)
    if affine:
        with torch.no_grad():
            layer.bias.copy_(shift)
    assert torch.equal(layer(torch.randn(1, 3, 1, 1)).flatten(), shift)


@pytest.mark.parametrize(
    ("options", "size", "batch"),
    [(SMALL, 5, 2), (SMALL, 1, 1), (V3, 28, 2), ({**SMALL, "stem": "imagenet"}, 7, 2), ({}, 8, 2)],
)
def test_images_of_any_size_go_through(options, size, batch):
    space, task = make(**options, supernet_multiplier=0.25), Task(3, 1, size)
    images = images_of(task, batch).float()
    logits = space.supernet(task)(images, Mixture.uniform(space.full()))
    assert logits.shape == (batch, 3) and torch.isfinite(logits).all()
    smaller = make(**options, width_multiplier=0.25)
    architecture = smaller.sample(smaller.full(), torch.Generator().manual_seed(0))
    assert smaller.network(architecture, task).eval()(images).shape == (batch, 3)


@pytest.mark.parametrize(
    ("stem", "size", "sides"),
    [("auto", 32, [32, 16, 8, 8, 4, 4]), ("auto", 224, [56, 28, 14, 14, 7, 7])],
)
def test_the_sides_of_the_stages(stem, size, sides):
    space, heard = make(stem=stem), []
    with torch.device("meta"):
        network = space.network(space.from_text(" ".join(["mb3_3x3"] * 21)), Task(10, 3, size))
        for number in (0, 4, 8, 12, 16, 20):
            network.layers[number].register_forward_hook(
                lambda module, given, output: heard.append(output.shape[-1])
            )
        network.eval()(torch.empty(1, 3, size, size))
    assert heard == sides


def test_the_supernet_may_be_narrower_than_the_network():
    space = make(supernet_multiplier=0.25)
    with torch.device("meta"):
        supernet, network = (
            space.supernet(Task(10, 3, 32)),
            space.network(space.from_text(" ".join(["mb3_3x3"] * 21)), Task(10, 3, 32)),
        )
    assert [layer.channels for layer in supernet.layers][::4] == [8, 16, 24, 24, 48, 80]
    assert network.head.features[0].in_channels == 320


def test_reduced_precision_stays_near():
    space = make(**V3)
    torch.manual_seed(0)
    supernet, images = space.supernet(TASK), images_of().float()
    mixture = Mixture.uniform(space.full())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = supernet(images, mixture)
    torch.testing.assert_close(logits.float(), supernet(images, mixture), rtol=0.1, atol=0.1)


# ---------------------------------------------------------------- the stand-alone network


@pytest.mark.parametrize("options", [SMALL, V3], ids=["v2", "v3"])
@pytest.mark.parametrize("seed", range(3))
def test_a_path_of_the_supernet_is_the_network_with_its_weights(options, seed):
    space = make(**options)
    supernet = build(space)
    architecture = space.sample(space.full(), torch.Generator().manual_seed(seed))
    network = space.network(architecture, TASK).double().train()
    pairs = [(supernet.stem, network.stem), (supernet.head, network.head)]
    for edge, column, module in supernet.operations():
        if space.edges[edge].operations[column] in architecture.choices[edge]:
            pairs.append((module, network.layers[edge]))
    for theirs, ours in pairs:
        ours.load_state_dict(theirs.state_dict(), strict=False)
    torch.testing.assert_close(
        network(images_of()),
        supernet(images_of(), Mixture.of(architecture)),
        rtol=1e-10,
        atol=1e-10,
    )


def test_the_networks_norms_are_ordinary_ones_and_every_weight_learns():
    space = make(**V3, dropout=0.5)
    network = space.network(space.from_text("mb3_5x5 skip mb1_3x3 mb3_3x3"), TASK)
    norms = [each for each in network.modules() if isinstance(each, nn.BatchNorm2d)]
    assert all(type(each) is nn.BatchNorm2d and each.eps == 1e-3 for each in norms)
    assert sum(isinstance(each, InvertedResidual) for each in network.modules()) == 4
    assert sum(isinstance(each, SqueezeExcitation) for each in network.modules()) == 1
    images = images_of().float()
    network.train()(images).square().sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())
    assert not torch.equal(network(images), network(images))  # dropout
    first = network.eval()(images)
    assert torch.allclose(first[:2], network(images[:2]), atol=1e-5)
