"""The networks of NAS-Bench-201: supernet and stand-alone against a plain form."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nastk import Mixture, Task
from nastk.nn.norms import BatchNorm
from nastk_spaces_nasbench201.space import NasBench201Space

TASK = Task(classes=3, channels=1, size=8)
CIFAR = Task(classes=10, channels=3, size=32)
SMALL = {"channels": 4, "cells": 2, "network_channels": 4, "network_cells": 2}
SKIP, POOL = 1, 4


def make(**options):
    return NasBench201Space(NasBench201Space.parse_options(options))


def build(space, task=TASK, seed=0):
    torch.manual_seed(seed)
    supernet = space.supernet(task).double()
    for parameter in supernet.parameters():
        nn.init.normal_(parameter, std=0.5)
    return supernet


def images_of(task=TASK, batch=3, seed=1):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(batch, task.channels, task.size, task.size, generator=rng).double()


def mixture_of(space, seed=2, empty=(1,)):
    """Random weights that do not sum to one; a third of them is off, some edges altogether."""
    rng = torch.Generator().manual_seed(seed)
    shape = space.full().mask.shape
    active = torch.rand(shape, generator=rng) > 0.3
    active[list(empty)] = False
    return Mixture(torch.rand(shape, generator=rng).double(), active)


# ---------------------------------------------------------------- a plain form, nothing shared


def norm(x, module):
    """Batch statistics where the norm keeps none, its running ones where it does."""
    if module.running_mean is None:
        return F.batch_norm(x, None, None, module.weight, module.bias, training=True)
    mean, var = (each.view(1, -1, 1, 1) for each in (module.running_mean, module.running_var))
    weight, bias = (each.view(1, -1, 1, 1) for each in (module.weight, module.bias))
    return (x - mean) / (var + 1e-5).sqrt() * weight + bias


def plain_operation(name, module, x):
    if name == "none":
        return 0 * x
    if name == "skip_connect":
        return x
    if name == "avg_pool_3x3":
        inside = F.avg_pool2d(torch.ones_like(x), 3, 1, 1)
        return F.avg_pool2d(x, 3, 1, 1) / inside
    convolution, normalise = module.body
    padding = {"nor_conv_1x1": 0, "nor_conv_3x3": 1}[name]
    return norm(F.conv2d(F.relu(x), convolution.weight, None, 1, padding), normalise)


def plain_reduction(x, block):
    _, first, first_norm, _, second, second_norm = block.convolutions
    y = norm(F.conv2d(F.relu(x), first.weight, None, 2, 1), first_norm)
    y = norm(F.conv2d(F.relu(y), second.weight, None, 1, 1), second_norm)
    odd = x.shape[2] % 2
    small = F.avg_pool2d(F.pad(x, (0, odd, 0, odd), mode="replicate"), 2)
    return y + F.conv2d(small, block.beside[1].weight)


def plain_forward(network, images, cells, weighted):
    """`weighted(cell)` yields (source, node, weight, name, module) for all that a cell computes."""
    x = norm(F.conv2d(images, network.stem[0].weight, None, 1, 1), network.stem[1])
    for position, block in enumerate(network.blocks):
        if position in (cells, 2 * cells + 1):
            x = plain_reduction(x, block)
            continue
        nodes = [x, 0 * x, 0 * x, 0 * x]
        for source, node, weight, name, module in weighted(block):
            nodes[node] = nodes[node] + weight * plain_operation(name, module, nodes[source])
        x = nodes[3]
    x = F.relu(norm(x, network.head.norm)).mean((2, 3))
    return F.linear(x, network.head.classifier.weight, network.head.classifier.bias)


def plain_supernet(space, supernet, images, mixture):
    def weighted(cell):
        for row, edge in enumerate(space.edges):
            for column, name in enumerate(edge.operations):
                if mixture.active[row, column]:
                    weight = mixture.weights[row, column]
                    yield edge.tail, edge.head, weight, name, cell.edges[row][column]

    return plain_forward(supernet, images, space.options.cells, weighted)


def plain_network(space, architecture, network, images):
    def weighted(cell):
        for (edge, name), module in zip(architecture.links(), cell.operations, strict=True):
            yield edge.tail, edge.head, 1.0, name, module

    return plain_forward(network, images, space.options.network_cells, weighted)


# ---------------------------------------------------------------- the supernet


@pytest.mark.parametrize(
    "options, size, empty",
    [
        ({}, 8, (1,)),
        ({"affine": True}, 8, ()),
        ({"exclude_none": True}, 12, (0, 2)),  # nothing reaches node 1, little node 2
        ({"channels": 6, "cells": 1}, 7, (3, 4, 5)),  # nothing reaches the output
    ],
)
def test_the_supernet_is_the_plain_form_in_logits_and_gradients(options, size, empty):
    space, task = make(**SMALL | options), Task(3, 1, size)
    supernet, images = build(space, task), images_of(task)
    mixture = mixture_of(space, empty=empty)
    mixture.weights.requires_grad_()
    wanted = [mixture.weights, *supernet.parameters()]
    answers = [
        supernet(images, mixture),
        plain_supernet(space, supernet, images, mixture),
    ]
    torch.testing.assert_close(*answers, rtol=1e-10, atol=1e-10)
    targets = torch.tensor([0, 1, 2])
    gradients = [
        torch.autograd.grad(F.cross_entropy(answer, targets), wanted, allow_unused=True)
        for answer in answers
    ]
    for ours, plain in zip(*gradients, strict=True):
        if ours is None or plain is None:
            assert ours is plain or not (plain if ours is None else ours).any()
        else:
            torch.testing.assert_close(ours, plain, rtol=1e-8, atol=1e-10)


def test_every_operation_of_every_cell_is_its_own_module_and_is_called():
    space = make(**SMALL)
    supernet, called = build(space), []
    modules = list(supernet.operations())
    assert [(edge, column) for edge, column, _ in modules] == [
        (edge, column) for _ in range(6) for edge in range(6) for column in range(5)
    ]
    assert len({id(module) for _, _, module in modules}) == 180
    for index, (_, _, module) in enumerate(modules):
        module.register_forward_hook(lambda m, i, output, index=index: called.append(index))
    supernet(images_of(), Mixture.uniform(space.full()))
    assert sorted(called) == list(range(180))
    called.clear()
    path = Mixture.of(next(space.architectures()))
    supernet(images_of(), path)
    assert len(called) == 36 and {index % 5 for index in called} == {0}


def outputs_of(space, supernet, mixture):
    """{(cell, edge, column): output} of a forward pass."""
    found, handles = {}, []
    for index, (edge, column, module) in enumerate(supernet.operations()):
        key = (index // 30, edge, column)
        handles.append(
            module.register_forward_hook(
                lambda m, i, output, key=key: found.__setitem__(key, output.detach().clone())
            )
        )
    logits = supernet(images_of(), mixture)
    for handle in handles:
        handle.remove()
    return found, logits


def test_outputs_are_seen_before_their_weight_and_none_is_zero():
    space = make(**SMALL)
    supernet = build(space)
    found, _ = outputs_of(space, supernet, Mixture.uniform(space.full()))
    assert all(not found[cell, edge, 0].any() for cell in range(6) for edge in range(6))
    stem = supernet.stem(images_of())
    torch.testing.assert_close(found[0, 0, SKIP], stem, rtol=0, atol=0)
    convolved = found[0, 0, 3]
    torch.testing.assert_close(convolved.mean((0, 2, 3)), torch.zeros(4).double())
    variance = convolved.var((0, 2, 3), correction=0)
    torch.testing.assert_close(variance, torch.ones(4).double(), rtol=1e-3, atol=0)


@pytest.mark.parametrize("column", [SKIP, POOL])
def test_an_operation_without_weights_gives_the_same_on_all_edges_leaving_a_node(column):
    space = make(**SMALL)
    found, _ = outputs_of(space, build(space), Mixture.uniform(space.full()))
    for cell in range(6):
        assert torch.equal(found[cell, 0, column], found[cell, 1, column])
        assert torch.equal(found[cell, 0, column], found[cell, 3, column])
        assert torch.equal(found[cell, 2, column], found[cell, 4, column])
        assert not torch.equal(found[cell, 0, column], found[cell, 2, column])


def test_without_none_nothing_else_changes():
    space = make(**SMALL)
    supernet, full = build(space), Mixture.uniform(space.full())
    before, logits = outputs_of(space, supernet, full)
    rest = full.without_all((edge, 0) for edge in range(6))
    after, same = outputs_of(space, supernet, rest)
    assert torch.equal(logits, same)
    assert after.keys() == {key for key in before if key[2] != 0}
    assert all(torch.equal(before[key], output) for key, output in after.items())


def test_with_nothing_active_the_logits_do_not_depend_on_the_images():
    space = make(**SMALL)
    mixture = Mixture(torch.rand(6, 5).double(), torch.zeros(6, 5, dtype=torch.bool))
    logits = build(space)(images_of(), mixture)
    torch.testing.assert_close(logits[0], logits[2])


def test_the_supernet_keeps_no_statistics_and_its_operations_no_scale():
    supernet = make(**SMALL).supernet(TASK)
    assert not list(supernet.buffers())
    norms = [m for _, _, each in supernet.operations() for m in each.modules() if is_norm(m)]
    assert len(norms) == 6 * 6 * 2 and not any(each.affine for each in norms)
    assert sum(is_norm(m) for m in supernet.modules()) == 72 + 1 + 4 + 1
    affine = make(**SMALL, affine=True).supernet(TASK)
    assert all(m.affine for m in affine.modules() if is_norm(m)) and not list(affine.buffers())


def is_norm(module):
    return isinstance(module, nn.BatchNorm2d)


def test_the_supernets_parameters_are_those_of_the_one_shot_codes():
    space = make()
    with torch.device("meta"):
        supernet = space.supernet(CIFAR)
    inside = sum(p.numel() for _, _, m in supernet.operations() for p in m.parameters())
    reductions = [b for b in supernet.blocks if hasattr(b, "beside")]
    between = sum(p.numel() for block in reductions for p in block.parameters())
    assert sum(p.numel() for p in supernet.parameters()) == 1_686_106
    # What few-shot NAS compares when one edge is switched: five edges of six, and the reductions.
    assert inside * 5 // 6 + between == 1_416_064


@pytest.mark.parametrize("affine", [False, True])
def test_a_single_value_a_channel_normalises_to_the_shift(affine):
    layer = BatchNorm(3, affine=affine)
    value = torch.randn(1, 3, 1, 1)
    shift = torch.tensor([1.0, 2.0, 3.0]) if affine else torch.zeros(3)
    if affine:
        with torch.no_grad():
            layer.bias.copy_(shift)
    assert torch.equal(layer(value).flatten(), shift)


@pytest.mark.parametrize("size, batch", [(4, 1), (5, 2), (28, 2)])
def test_images_of_any_size_go_through(size, batch):
    space, task = make(**SMALL), Task(3, 1, size)
    images = images_of(task, batch).float()
    logits = space.supernet(task)(images, Mixture.uniform(space.full()))
    assert logits.shape == (batch, 3) and torch.isfinite(logits).all()
    architecture = space.sample(space.full(), torch.Generator().manual_seed(0))
    assert space.network(architecture, task).eval()(images).shape == (batch, 3)


def test_reduced_precision_stays_near():
    space = make(**SMALL)
    torch.manual_seed(0)
    supernet, images = space.supernet(TASK), images_of().float()
    mixture = Mixture.uniform(space.full())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = supernet(images, mixture)
    torch.testing.assert_close(logits.float(), supernet(images, mixture), rtol=0.1, atol=0.1)


# ---------------------------------------------------------------- the stand-alone network


def trained(space, architecture, task=TASK):
    """A network whose weights, scales, shifts and running statistics are all random."""
    torch.manual_seed(3)
    network = space.network(architecture, task).double()
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.2, 1.5)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=0.3)
    return network.eval()


@pytest.mark.parametrize("seed", range(6))
def test_the_network_is_the_plain_form(seed):
    space = make(**SMALL)
    architecture = space.sample(space.full(), torch.Generator().manual_seed(seed))
    network = trained(space, architecture)
    with torch.no_grad():
        answer = network(images_of())
        torch.testing.assert_close(
            answer,
            plain_network(space, architecture, network, images_of()),
            rtol=1e-10,
            atol=1e-10,
        )


def names(architecture):
    return [name for (name,) in architecture.choices]


def test_the_networks_norms_are_ordinary_ones():
    space = make(**SMALL)
    architecture = space.architecture([["nor_conv_3x3"]] * 6)
    norms = [m for m in space.network(architecture, TASK).modules() if is_norm(m)]
    assert len(norms) == 6 * 6 + 1 + 4 + 1
    assert all(type(each) is nn.BatchNorm2d and each.affine for each in norms)
    assert all(each.track_running_stats and each.momentum == 0.1 for each in norms)


@pytest.mark.parametrize("seed", range(4))
def test_a_path_of_the_supernet_is_the_network_with_its_weights(seed):
    space = make(**SMALL)
    supernet = build(space)
    architecture = space.sample(space.full(), torch.Generator().manual_seed(seed))
    network = space.network(architecture, TASK).double().train()
    copy_path(space, architecture, supernet, network)
    torch.testing.assert_close(
        network(images_of()),
        supernet(images_of(), Mixture.of(architecture)),
        rtol=1e-10,
        atol=1e-10,
    )


def copy_path(space, architecture, supernet, network):
    columns = [space.edges[0].operations.index(name) for name in names(architecture)]
    with torch.no_grad():
        for part in ("stem", "head"):
            copy(getattr(supernet, part), getattr(network, part))
        for theirs, ours in zip(supernet.blocks, network.blocks, strict=True):
            if hasattr(ours, "beside"):
                copy(theirs, ours)
                continue
            for row, column in enumerate(columns):
                for here, there in zip(
                    ours.operations[row].modules(), theirs.edges[row][column].modules(), strict=True
                ):
                    if isinstance(here, nn.Conv2d):
                        here.weight.copy_(there.weight)


def copy(theirs, ours):
    ours.load_state_dict(theirs.state_dict(), strict=False)
