"""Genotype texts of the DARTS space, and the stand-alone networks of what they say."""

import ast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from nastk import Architecture, ConfigurationError, DataError, Task
from nastk_spaces_darts.network import DartsNetwork, dropped
from nastk_spaces_darts.published import PUBLISHED
from nastk_spaces_darts.space import DartsSpace

TASK = Task(classes=3, channels=1, size=8)


def make(**options):
    return DartsSpace(DartsSpace.parse_options(options))


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6), nodes=st.integers(1, 6), distinct=st.booleans(), none=st.booleans()
)
def test_every_architecture_survives_its_text(seed, nodes, distinct, none):
    space = make(nodes=nodes, distinct_inputs=distinct, include_none=none)
    architecture = space.sample(space.full(), torch.Generator().manual_seed(seed))
    text = space.to_text(architecture)
    assert space.from_text(text) == architecture
    assert space.to_text(space.from_text(text)) == text
    call = ast.parse(text).body[0].value
    assert [len(keyword.value.elts) for keyword in call.keywords] == [
        2 * nodes,
        nodes,
        2 * nodes,
        nodes,
    ]


GOOD = (
    "Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ('max_pool_3x3', 2), "
    "('dil_conv_5x5', 0)], normal_concat=range(2, 4), "
    "reduce=[('avg_pool_3x3', 0), ('max_pool_3x3', 1), ('sep_conv_5x5', 2), ('dil_conv_3x3', 1)], "
    "reduce_concat=(2, 3))"
)


def test_the_text_is_that_of_darts():
    space = make(nodes=2)
    assert space.to_text(space.from_text(GOOD)) == (
        "Genotype(normal=[('skip_connect', 0), ('sep_conv_3x3', 1), ('dil_conv_5x5', 0), "
        "('max_pool_3x3', 2)], normal_concat=[2, 3], "
        "reduce=[('avg_pool_3x3', 0), ('max_pool_3x3', 1), ('dil_conv_3x3', 1), "
        "('sep_conv_5x5', 2)], reduce_concat=[2, 3])"
    )


NESTED = (
    "CELL = Genotype(normal=[(('dua_sepc_3x3', 1), ('skip_connect', 0)), "
    "(('max_pool_3x3', 2), ('dil_sepc_5x5', 0))], normal_concat=[2, 3], "
    "reduce=[(('avg_pool_3x3', 0), ('max_pool_3x3', 1)), (('dua_sepc_5x5', 2), "
    "('dil_sepc_3x3', 1))], reduce_concat=[2, 3], connectN=None, connects=None)"
)


def test_the_nested_form_and_names_of_xautodl_read_alike():
    space = make(nodes=2)
    assert space.from_text(NESTED) == space.from_text(GOOD)


@pytest.mark.parametrize(
    "old, new, message",
    [
        (
            "'sep_conv_3x3', 1",
            "'sep_conv_7x7', 1",
            r"normal\[0\]: no operation is named 'sep_conv_7x7'. Did you mean",
        ),
        ("'sep_conv_3x3', 1", "'none', 1", r"normal\[0\] is 'none'"),
        (
            "('max_pool_3x3', 2)",
            "('max_pool_3x3', 3)",
            r"normal\[2\]: node 3 can read inputs 0 to 2, got 3",
        ),
        ("('max_pool_3x3', 2)", "('max_pool_3x3', -1)", "inputs 0 to 2, got -1"),
        ("('max_pool_3x3', 2)", "('max_pool_3x3', True)", "inputs 0 to 2, got True"),
        ("('max_pool_3x3', 2)", "('max_pool_3x3',)", r"normal\[2\] must be \(operation, input\)"),
        (
            "('max_pool_3x3', 2), ",
            "",
            r"normal needs 2 entries for each of 2 nodes \(4 in all\), got 3",
        ),
        (
            "('max_pool_3x3', 2)",
            "('dil_conv_5x5', 0)",
            "node 3 of normal has 'dil_conv_5x5' of input 0 twice",
        ),
        (
            "range(2, 4)",
            "[3]",
            r"normal_concat must be the nodes \[2, 3\] of this space, got \[3\]",
        ),
        ("range(2, 4)", "range(10**30)", "normal_concat of the genotype is no plain value"),
        ("range(2, 4)", "range(0, 9999999999999999999999)", "normal_concat of the genotype is no"),
        (
            "reduce_concat=(2, 3)",
            "other=1",
            "'other' is no field of a genotype. It has: normal, normal_concat, reduce",
        ),
        ("range(2, 4)", "print(2)", "normal_concat of the genotype is no plain value"),
        ("reduce=[", "reduce=[[", "stops being a genotype at line 1, character"),
        ("Genotype(", "Cell(", r"holds no genotype. Expected Genotype\(normal="),
        ("reduce=", "reduced=", "'reduced' is no field of a genotype"),
    ],
)
def test_a_bad_text_says_where_it_stops_being_a_genotype(old, new, message):
    assert GOOD.count(old) == 1
    with pytest.raises(DataError, match=message):
        make(nodes=2).from_text(GOOD.replace(old, new))


@pytest.mark.parametrize(
    "text", ["", "(" * 5000, "\0", "1 + 1", "Genotype", "a; b", "Genotype(**{})"]
)
def test_no_text_is_run_or_breaks_the_reader(text):
    with pytest.raises(DataError):
        make().from_text(text)


def test_published_cells_are_read_by_name():
    space = make()
    assert list(PUBLISHED) == [
        "DARTS_V1",
        "DARTS_V2",
        "SHAPLEY_CIFAR10",
        "SHAPLEY_IMAGENET",
        "ISDARTS",
        "EVNAS_A",
        "EVNAS_B",
        "EVNAS_C",
    ]
    assert space.from_text("darts_v2") == space.from_text(PUBLISHED["DARTS_V2"])
    for name, text in PUBLISHED.items():
        assert space.to_text(space.from_text(name)) == text
    with pytest.raises(
        DataError, match=r"No published cell is named 'DARTS_V3'\. Did you mean 'DARTS_V"
    ):
        space.from_text("DARTS_V3")


def test_isdarts_takes_two_operations_of_one_input():
    space = make()
    architecture = space.from_text("ISDARTS")
    doubles = [
        (edge.name, names)
        for edge, names in zip(space.edges, architecture.choices, strict=True)
        if len(names) > 1
    ]
    assert doubles == [("reduce:2->3", ("sep_conv_5x5", "dil_conv_5x5"))]


def test_an_architecture_of_another_space_is_refused():
    space, other = make(), make(nodes=2)
    with pytest.raises(DataError, match="Expected an architecture of space 'darts' with 28 edges"):
        space.to_text(other.from_text(GOOD))
    empty = Architecture("darts", other.edges, ((),) * 10)
    with pytest.raises(DataError, match="Node 2 of the normal cell must keep 2 operations"):
        other.network(empty, TASK)


@pytest.mark.quick_cases(4)
@pytest.mark.parametrize(
    "name, size, millions, mega_multiply_adds",
    [
        # Printed: DARTS 3.3 M and 4.7 M; EvNAS 3.6, 3.8, 3.4 M and 5.1, 5.3, 4.9 M; the rest as
        # printed or measured with the authors' networks, the auxiliary head left out.
        ("DARTS_V2", 32, 3.349, None),
        ("DARTS_V2", 224, 4.719, None),
        ("SHAPLEY_CIFAR10", 32, 3.6034, 558.2),
        ("SHAPLEY_CIFAR10", 224, 5.1388, 565.5),
        ("SHAPLEY_IMAGENET", 32, 3.8148, None),
        ("SHAPLEY_IMAGENET", 224, 5.4239, 598.0),
        ("ISDARTS", 32, 4.7162, 746.1),
        ("ISDARTS", 224, 6.4348, 724.3),
        ("EVNAS_A", 32, 3.626, None),
        ("EVNAS_B", 32, 3.828, None),
        ("EVNAS_C", 32, 3.448, None),
    ],
)
def test_published_networks_have_the_published_size(name, size, millions, mega_multiply_adds):
    space = make()
    with torch.device("meta"):
        task = Task(10 if size == 32 else 1000, 3, size)
        network = space.network(space.from_text(name), task).eval()
        images = torch.empty(1, 3, size, size)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert parameters / 1e6 == pytest.approx(
        millions, abs=6e-4 if millions == round(millions, 3) else 6e-5
    )
    if mega_multiply_adds:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(images)
        # Two operations a multiply-add; convolutions and the classifier count.
        assert counter.get_total_flops() / 2e6 == pytest.approx(mega_multiply_adds, abs=0.051)


NETWORK = {"network_channels": 4, "network_cells": 3}


@pytest.mark.parametrize("name", ["DARTS_V2", "ISDARTS"])
@pytest.mark.parametrize("size, channels", [(8, 1), (5, 3)])
def test_a_network_trains_and_answers(name, size, channels):
    space, task = make(**NETWORK), Task(3, channels, size)
    torch.manual_seed(0)
    network = space.network(space.from_text(name), task)
    images = torch.randn(4, channels, size, size)
    network.train()(images).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    first = network.eval()(images)
    assert first.shape == (4, 3)
    assert torch.allclose(
        first[:2], network(images[:2]), atol=1e-5
    )  # running statistics: no image sees another


@pytest.mark.parametrize(
    "options, size",
    [({}, 32), ({}, 40), ({}, (32, 40)), ({"stem": "imagenet"}, 224), ({}, (250, 224))],
)
def test_the_auxiliary_head_answers_in_training_only(options, size):
    space, task = make(**NETWORK, auxiliary=True, **options), Task(3, 1, size)
    network = space.network(space.from_text("DARTS_V1"), task)
    images = torch.randn(2, *task.shape)
    logits, auxiliary = network.train()(images)
    assert logits.shape == auxiliary.shape == (2, 3)
    assert network.eval()(images).shape == (2, 3)


@pytest.mark.parametrize(
    "options, size, left",
    [
        ({}, 8, 2),
        ({}, 28, 7),
        ({}, 64, 16),
        ({}, (32, 64), "8 x 16"),
        ({}, (28, 32), "7 x 8"),
        ({"stem": "imagenet"}, 128, 4),
    ],
)
def test_an_auxiliary_head_that_does_not_fit_is_refused(options, size, left):
    space = make(**NETWORK, auxiliary=True, **options)
    with pytest.raises(ConfigurationError, match=f"these images leave {left} "):
        space.network(space.from_text("DARTS_V1"), Task(3, 1, size))


def test_a_dropped_path_keeps_the_mean():
    torch.manual_seed(0)
    y = dropped(torch.ones(4000, 1, 1, 1), 0.25)
    assert y.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert float(y.mean()) == pytest.approx(1.0, abs=0.03)


def test_drop_path_spares_identities_and_evaluation():
    space = make(**NETWORK, drop_path=0.5)
    torch.manual_seed(0)
    network = space.network(space.from_text("DARTS_V2"), TASK)
    assert isinstance(network, DartsNetwork) and network.drop_path == 0.5
    images = torch.randn(4, 1, 8, 8)
    torch.manual_seed(1)
    first, second = network.train()(images), network(images)
    assert not torch.equal(first, second)
    network.drop_path = 0.0
    assert torch.equal(network(images), network(images))
    assert torch.equal(network.eval()(images), network(images))
    identities = [
        name for name, module in network.named_modules() if getattr(module, "is_identity", False)
    ]
    # Node inputs of the one normal cell: two skips from cell inputs; each reduction: skips from
    # node 2 only.
    assert len(identities) == 2 + 2 * 3
