"""The DARTS supernet: against a naive one, and what it promises."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nastk import Mixture, Task
from nastk.nn.kernels import terms
from nastk_spaces_darts.operations import Halve
from nastk_spaces_darts.space import DartsSpace
from nastk_spaces_darts.supernet import shuffled

TASK = Task(classes=3, channels=1, size=8)
SMALL = {"nodes": 2, "channels": 4, "cells": 3}


def make(**options):
    return DartsSpace(DartsSpace.parse_options(options))


def small(**options):
    return make(**{**SMALL, **options})


def build(space, task=TASK, seed=0):
    torch.manual_seed(seed)
    return space.supernet(task).double()


def some_images(task=TASK, batch=3, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(
        batch, task.channels, task.size, task.size, generator=generator, dtype=torch.float64
    )


def some_mixture(space, seed=2, inactive=0.3, empty_edges=(1,)):
    """Random weights that do not sum to one, a random part switched off, some edges altogether."""
    generator = torch.Generator().manual_seed(seed)
    full = space.full().mask
    active = full & (torch.rand(full.shape, generator=generator) >= inactive)
    active[list(empty_edges)] = False
    return Mixture(torch.rand(full.shape, generator=generator, dtype=torch.float64), active)


def naive_norm(x):
    return F.batch_norm(x, None, None, training=True)


def naive_separable(x, layers, stride, dilation):
    depthwise, pointwise = layers.depthwise.weight, layers.pointwise.weight
    padding = dilation * (depthwise.shape[-1] // 2)
    x = F.conv2d(F.relu(x), depthwise, None, stride, padding, dilation, groups=x.shape[1])
    return naive_norm(F.conv2d(x, pointwise))


def naive_operation(name, module, x, stride, pool_norm):
    if name == "none":
        return 0 * x[:, :, ::stride, ::stride]
    if name == "max_pool_3x3":
        x = F.max_pool2d(x, 3, stride, 1)
        return naive_norm(x) if pool_norm else x
    if name == "avg_pool_3x3":
        x = F.avg_pool2d(x, 3, stride, 1, count_include_pad=False)
        return naive_norm(x) if pool_norm else x
    if name == "skip_connect" and stride == 1:
        return x
    if name == "skip_connect":
        x = F.relu(x)
        moved = F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2))[:, :, 1:, 1:]
        halves = [
            F.conv2d(x, module.stages[0].first.weight, None, 2),
            F.conv2d(moved, module.stages[0].second.weight, None, 2),
        ]
        return naive_norm(torch.cat(halves, 1))
    if name.startswith("dil"):
        return naive_separable(x, module.stages[0], stride, 2)
    return naive_separable(naive_separable(x, module.stages[0], stride, 1), module.stages[1], 1, 1)


def naive_edge(space, modules, edge, x, stride, weights, active):
    """One edge as PC-DARTS computes it: operate, bypass, concatenate, shuffle; nothing shared."""
    options = space.options
    parts = options.partial_channels
    part = x.shape[1] // parts
    mixed = 0 * x[:, :part, ::stride, ::stride]
    total = 0.0
    for column, name in enumerate(edge.operations):
        if active[column]:
            output = naive_operation(name, modules[column], x[:, :part], stride, options.pool_norm)
            mixed = mixed + weights[column] * output
            total = total + weights[column]
    if parts == 1:
        return mixed
    rest = x[:, part:] if stride == 1 else F.max_pool2d(x[:, part:], 2, 2, ceil_mode=True)
    both = torch.cat([mixed, rest * total if options.edge_weights else rest], 1)
    batch, channels, height, width = both.shape
    return (
        both.view(batch, parts, part, height, width)
        .transpose(1, 2)
        .reshape(batch, channels, height, width)
    )


def naive_forward(space, net, images, mixture):
    modules = {}
    for edge, column, module in net.operations():
        modules.setdefault((edge, column), []).append(module)
    seen = {"normal": 0, "reduce": 0}
    before, previous = net.stem(images)
    for position, cell in enumerate(net.cells):
        group = (
            "reduce"
            if position in (space.options.cells // 3, 2 * space.options.cells // 3)
            else "normal"
        )
        states = [cell.preprocess0(before), cell.preprocess1(previous)]
        for node in range(2, 2 + space.options.nodes):
            total = 0.0
            for row, edge in enumerate(space.edges):
                if edge.group == group and edge.head == node:
                    own = [
                        modules[row, column][seen[group]] for column in range(len(edge.operations))
                    ]
                    stride = 2 if group == "reduce" and edge.tail < 2 else 1
                    total = total + naive_edge(
                        space,
                        own,
                        edge,
                        states[edge.tail],
                        stride,
                        mixture.weights[row],
                        mixture.active[row],
                    )
            states.append(total)
        seen[group] += 1
        before, previous = previous, torch.cat(states[2:], 1)
    return net.classifier(previous.mean((2, 3)))


@pytest.mark.quick_cases(6)
@pytest.mark.parametrize(
    "options, size",
    [
        ({}, 8),
        ({"pool_norm": False, "include_none": True}, 8),
        ({"partial_channels": 2}, 8),
        ({"partial_channels": 4, "pool_norm": False}, 7),
        ({"partial_channels": 2, "edge_weights": True}, 9),
        ({"nodes": 3, "cells": 5, "include_none": True}, 5),
        ({"stem": "imagenet"}, 30),
    ],
)
@pytest.mark.parametrize("fewest", [1, terms.FEWEST_POSITIONS], ids=["folded", "plain"])
def test_sharing_changes_no_logit_and_no_gradient(options, size, fewest, monkeypatch):
    monkeypatch.setattr(terms, "FEWEST_POSITIONS", fewest)
    space, task = small(**options), Task(3, 1, size)
    net, images, mixture = build(space, task), some_images(task), some_mixture(space)
    weights = mixture.weights.requires_grad_()
    inputs = [*net.parameters(), weights]
    answers = []
    for logits in (net(images, mixture), naive_forward(space, net, images, mixture)):
        loss = F.cross_entropy(logits, torch.tensor([0, 1, 2]))
        answers.append((logits, torch.autograd.grad(loss, inputs, allow_unused=True)))
    (fast, fast_gradients), (plain, plain_gradients) = answers
    assert torch.allclose(fast, plain, rtol=0, atol=1e-10)
    for parameter, ours, theirs in zip(inputs, fast_gradients, plain_gradients, strict=True):
        ours, theirs = (torch.zeros_like(parameter) if g is None else g for g in (ours, theirs))
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-10)


# ------------------------------------------------------------------ what a supernet promises


@pytest.mark.parametrize(
    "options", [{}, {"partial_channels": 2}, {"partial_channels": 2, "edge_weights": True}]
)
def test_skipping_an_operation_equals_a_weight_of_zero(options):
    space = small(include_none=True, **options)
    net, images, mixture = build(space), some_images(), some_mixture(space)
    zeroed = Mixture(mixture.weights * mixture.active, space.full().mask)
    assert torch.allclose(net(images, mixture), net(images, zeroed), rtol=0, atol=1e-12)


def test_an_edge_without_an_active_operation_ignores_its_weights():
    space = small()
    net, images, mixture = build(space), some_images(), some_mixture(space, empty_edges=(0, 1))
    louder = mixture.weights.clone()
    louder[0] = 1e6
    assert torch.equal(net(images, mixture), net(images, Mixture(louder, mixture.active)))


def test_none_adds_nothing_and_gets_no_gradient():
    space = small(include_none=True)
    net, images = build(space), some_images()
    full = Mixture.uniform(space.full())
    weights = full.weights.double().requires_grad_()
    logits = net(images, Mixture(weights, full.active))
    without = net(images, full.without_all([(edge, 0) for edge in range(len(space.edges))]))
    assert torch.equal(logits, without)
    logits.square().sum().backward()
    assert torch.equal(weights.grad[:, 0], torch.zeros(len(space.edges), dtype=torch.float64))
    assert (weights.grad[:, 1:] != 0).all()


def test_the_gradient_of_a_mixing_weight_is_the_slope():
    space = small()
    net, images = build(space), some_images()
    mixture = some_mixture(space)
    weights = mixture.weights.requires_grad_()
    net(images, mixture).square().sum().backward()
    step = 1e-6
    edge, column = next(
        (e, o) for e, row in enumerate(mixture.active) for o, on in enumerate(row) if on
    )
    ends = []
    for sign in (1, -1):
        moved = weights.detach().clone()
        moved[edge, column] += sign * step
        ends.append(net(images, Mixture(moved, mixture.active)).square().sum())
    slope = (ends[0] - ends[1]) / (2 * step)
    assert weights.grad[edge, column] == pytest.approx(slope.item(), rel=1e-5)


def test_a_path_trains_the_parameters_of_its_operations_only():
    space = small()
    net = build(space)
    architecture = space.sample(space.full(), torch.Generator().manual_seed(3))
    net(some_images(), Mixture.of(architecture)).square().sum().backward()
    chosen = architecture.table()
    for edge, column, module in net.operations():
        for parameter in module.parameters():
            assert (parameter.grad is not None) == chosen[edge][column]


def test_operations_are_listed_once_for_every_cell_and_hold_their_own_parameters():
    space = small(cells=4)
    net = build(space)
    listed = list(net.operations())
    normal, reduce = 5 * 7, 5 * 7
    assert len(listed) == 2 * normal + 2 * reduce and len(
        {id(module) for *_, module in listed}
    ) == len(listed)
    owned = sum(p.numel() for *_, module in listed for p in module.parameters())
    rest = [
        net.stem,
        net.classifier,
        *(c.preprocess0 for c in net.cells),
        *(c.preprocess1 for c in net.cells),
    ]
    others = sum(p.numel() for module in rest for p in module.parameters())
    assert owned + others == sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("parts", [1, 2])
def test_hooks_hear_every_active_operation_in_every_cell(parts):
    space = small(include_none=True, partial_channels=parts)
    net, mixture = build(space), some_mixture(space)
    heard = []

    def listen(edge, column):
        return lambda module, inputs, output: heard.append((edge, column, tuple(output.shape)))

    for edge, column, module in net.operations():
        module.register_forward_hook(listen(edge, column))
    net(some_images(), mixture)
    # Three cells: normal on 8 pixels, then two reductions to 4 and 2 with twice the channels each.
    expected = []
    for group, channels, side in [("normal", 4, 8), ("reduce", 8, 4), ("reduce", 16, 2)]:
        for row, edge in enumerate(space.edges):
            shapes = [
                (row, o, (3, channels // parts, side, side))
                for o, on in enumerate(mixture.active[row])
                if on
            ]
            expected += shapes if edge.group == group else []
    assert sorted(heard) == sorted(expected)


def test_poolings_of_one_state_give_the_same_on_every_edge():
    space = small()
    net, outputs = build(space), {}
    for edge, column, module in net.operations():
        if space.edges[edge].name in ("normal:0->2", "normal:0->3") and column in (0, 1, 2):
            module.register_forward_hook(
                lambda m, i, out, key=(edge, column): outputs.setdefault(key, out)
            )
    net(some_images(), Mixture.uniform(space.full()))
    for column in (0, 1, 2):
        assert torch.equal(outputs[0, column], outputs[2, column])


def test_a_forward_pass_leaves_nothing_behind():
    space = small(partial_channels=2)
    net, mixture = build(space), Mixture.uniform(space.full())
    before = {name: value.clone() for name, value in net.state_dict().items()}
    training = net.train()(some_images(), mixture)
    assert torch.equal(training, net.eval()(some_images(), mixture))
    assert not list(net.buffers())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_weights_depend_on_the_seed_alone():
    space = small()
    nets = [build(space, seed=seed).state_dict() for seed in (5, 5, 6)]
    assert all(torch.equal(nets[0][name], nets[1][name]) for name in nets[0])
    assert any(not torch.equal(nets[0][name], nets[2][name]) for name in nets[0])


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8, 13])
@pytest.mark.parametrize("parts", [1, 2])
def test_images_of_any_size_and_a_batch_of_one_are_fine(size, parts):
    space, task = small(partial_channels=parts), Task(3, 3, size)
    logits = build(space, task)(some_images(task, batch=1), Mixture.uniform(space.full()))
    assert logits.shape == (1, 3) and logits.isfinite().all()
    logits.sum().backward()


def test_a_supernet_runs_in_bf16_and_channels_last():
    space = small(partial_channels=2, include_none=True)
    net = build(space).float().to(memory_format=torch.channels_last)
    images = some_images().float()
    mixture = Mixture.softmax(torch.zeros(10, 8, requires_grad=True), space.full())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = net(images.contiguous(memory_format=torch.channels_last), mixture)
    logits.float().sum().backward()
    assert torch.allclose(logits.float(), net(images, mixture), atol=0.1)


@pytest.mark.parametrize(
    "options, size, sides",
    [
        ({}, 32, (32, 32)),
        ({}, 128, (32, 16)),
        ({"stem": "small"}, 128, (128, 128)),
        ({"stem": "imagenet"}, 32, (8, 4)),
    ],
)
def test_the_stem_fits_the_images(options, size, sides):
    with torch.device("meta"):
        net = small(**options).supernet(Task(10, 3, size))
        older, newer = net.stem(torch.empty(2, 3, size, size))
    assert (older.shape[-1], newer.shape[-1]) == sides and older.shape[1] == newer.shape[1] == 12


# ------------------------------------------------------------------ partial channels


@pytest.mark.parametrize("parts, constant", [(1, True), (4, False)])
def test_without_any_operation_only_bypassing_channels_see_the_image(parts, constant):
    space = small(partial_channels=parts)
    nothing = Mixture(torch.zeros(10, 7), torch.zeros(10, 7, dtype=torch.bool))
    logits = build(space)(some_images(), nothing)
    assert torch.equal(logits[0], logits[1]) is constant


def test_edge_weights_scale_the_bypass_by_the_sum_of_a_row():
    plain, weighted = small(partial_channels=2), small(partial_channels=2, edge_weights=True)
    images, uniform = some_images(), Mixture.uniform(plain.full())
    nets = [build(space) for space in (plain, weighted)]
    assert torch.allclose(nets[0](images, uniform), nets[1](images, uniform), rtol=0, atol=1e-6)
    nothing = Mixture(uniform.weights, torch.zeros_like(uniform.active))
    logits = nets[1](images, nothing)
    assert torch.equal(logits[0], logits[1])  # no weight left, nothing goes around


def test_the_shuffle_deals_out_the_channels_of_the_parts():
    mixed = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1)
    bypass = torch.tensor([10.0, 11.0, 20.0, 21.0]).view(1, 4, 1, 1)
    assert shuffled(mixed, bypass).flatten().tolist() == [0.0, 10.0, 20.0, 1.0, 11.0, 21.0]


def test_halving_an_odd_side_rounds_up():
    halve = Halve(3, 5, nn.Identity)
    assert halve(torch.randn(2, 3, 7, 4)).shape == (2, 5, 4, 2)


def test_a_network_of_one_path_equals_the_path_through_the_supernet():
    """With the same weights, batch statistics and no scale, the network is the supernet's path."""
    space = make(channels=4, cells=3, pool_norm=False, network_channels=4, network_cells=3)
    net = build(space)
    architecture = space.from_text("DARTS_V2")
    network = space.network(architecture, TASK).double().train()
    table = architecture.table()
    path = [module for edge, column, module in net.operations() if table[edge][column]]
    own = list(itertools.chain.from_iterable(cell.operations for cell in network.cells))
    pairs = [
        (net.stem, network.stem),
        (net.classifier, network.classifier),
        *zip(path, own, strict=True),
    ]
    for cell, twin in zip(net.cells, network.cells, strict=True):
        pairs += [(cell.preprocess0, twin.preprocess0), (cell.preprocess1, twin.preprocess1)]
    for source, target in pairs:
        target.load_state_dict(source.state_dict(), strict=False)
    images = some_images()
    assert torch.allclose(
        net(images, Mixture.of(architecture)), network(images), rtol=0, atol=1e-10
    )
