"""The registry is the test matrix: what everything installed must hold, whoever made it."""

import copy
import io
import pickle
import re

import pytest
import torch

from nastk import (
    ArchitectureUpdater,
    DataSource,
    EvaluationContext,
    Evaluator,
    Executor,
    Mixture,
    SearchSpace,
    Subspace,
    Task,
    Tracker,
    catalogue,
)
from nastk.testing import Harness, ToySpace, check_component, fingerprint

BASES = {
    "space": SearchSpace,
    "updater": ArchitectureUpdater,
    "evaluator": Evaluator,
    "data": DataSource,
    "tracker": Tracker,
    "executor": Executor,
}
SMALL = {
    "darts": {"channels": 4, "cells": 3, "nodes": 2, "network_channels": 4, "network_cells": 3},
    "nasbench201": {"channels": 4, "cells": 1, "network_channels": 4, "network_cells": 1},
    "mobilenet": {
        "widths": [8, 12],
        "depths": [2, 2],
        "strides": [1, 2],
        "stem_channels": 8,
        "first_channels": 8,
        "head_channels": 16,
        "kernels": [3, 5],
    },
    "nasbench-macro": {"channels": 4, "head_channels": 16, "network_channels": 4},
}
SMALL |= dict.fromkeys(("s1", "s2", "s3", "s4"), SMALL["darts"])
# `table` is another space with answers from a file: tests/plugins/test_nastk_tables_space.py.
SPACES = [name for name in catalogue().names("space") if name != "table"]
JUDGES = {"retrain": {"epochs": 1, "batch_size": 16}}
ZERO_COST = ("gradient-norm", "snip", "zico", "jacobian-covariance", "naswot")
JUDGES |= {name: {"batch_size": 16} for name in ZERO_COST}
TASK = Task(classes=3, channels=3, size=8)


def installed(kind):
    return [pytest.param(kind, name, id=f"{kind}-{name}") for name in catalogue().names(kind)]


def load(name, kind):
    return catalogue().load(kind, name)


def quick(updater):
    """The options of an updater's preset `quick`, with which it learns within a few epochs."""
    return {
        name: value
        for preset in updater.presets
        if preset.name == "quick" and preset.fits("toy", "toy")
        for name, value in preset.updater_options.items()
    }


def test_something_of_every_kind_is_installed_and_nothing_is_broken():
    assert {kind: bool(catalogue().names(kind)) for kind in BASES} == dict.fromkeys(BASES, True)
    assert not catalogue().problems


@pytest.mark.parametrize(("kind", "name"), [each for kind in BASES for each in installed(kind)])
def test_a_component_is_what_its_offer_says_and_describes_itself(kind, name):
    one = catalogue().find(kind, name)
    component = load(name, kind)
    assert issubclass(component, BASES[kind])
    assert one.offer.summary == component.summary
    check_component(component)
    for preset in component.presets:
        assert preset.name and preset.citation


@pytest.mark.parametrize(("kind", "name"), installed("updater"))
def test_an_updater_trains_the_toy_and_decides(kind, name):
    updater = load(name, kind)
    harness = Harness(updater, quick(updater), trainer_options={"epochs": 3})
    for branch in harness.run():
        architecture = branch.updater.architecture(harness.trainer.probe(branch))
        assert harness.space.check(architecture) == architecture
        assert branch.subspace.contains(Subspace(architecture.table()))
    assert harness.trainer.ledger.cost().total.images_backward >= 3 * len(harness.splits.train)


@pytest.mark.quick_cases(45)
@pytest.mark.parametrize(("kind", "name"), installed("updater"))
@pytest.mark.parametrize("space", SPACES)
def test_an_updater_takes_a_step_on_every_space(kind, name, space):
    updater, found = load(name, kind), load(space, "space")
    harness = Harness(updater, quick(updater), found(found.parse_options(SMALL.get(space, {}))))
    (branch,) = harness.run(steps=1)
    assert found.check(harness.space, branch.updater.architecture(harness.trainer.probe(branch)))


@pytest.mark.parametrize("name", SPACES)
def test_a_space_speaks_of_the_same_edges_everywhere(name):
    space = load(name, "space")(load(name, "space").parse_options(SMALL.get(name, {})))
    architecture = space.sample(space.full(), torch.Generator().manual_seed(0))
    assert space.why_empty(space.full()) is None
    assert space.from_text(space.to_text(architecture)) == architecture
    images = torch.randn(
        2, TASK.channels, TASK.size, TASK.size, generator=torch.Generator().manual_seed(0)
    )
    supernet = space.supernet(TASK)
    assert supernet(images, Mixture.of(architecture)).shape == (2, TASK.classes)
    assert {(edge, column) for edge, column, _ in supernet.operations()} == set(
        space.full().alive_operations()
    )
    assert space.network(architecture, TASK).eval()(images).shape == (2, TASK.classes)


def stand_alone(name):
    """A network of one architecture of the space, and images for it."""
    found = load(name, "space")
    space = found(found.parse_options(SMALL.get(name, {})))
    rng = torch.Generator().manual_seed(0)
    network = space.network(space.sample(space.full(), rng), TASK)
    return network, torch.randn(2, TASK.channels, TASK.size, TASK.size, generator=rng)


def answer(network, images):
    """What a network says, its noise (S4) from one seed."""
    torch.manual_seed(0)
    return network(images)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))]
)
@pytest.mark.parametrize("space", SPACES)
def test_a_network_can_be_copied_before_and_after_a_step_of_training(space, copied):
    network, images = stand_alone(space)
    for _ in range(2):
        twin = copied(network)
        assert torch.equal(answer(twin.eval(), images), answer(network.eval(), images))
        answer(network.train(), images).sum().backward()


def traced(network, images):
    """What `torch.jit.trace` makes; it may call nothing of Python, so that it can be stored.

    Its own check traces twice and compares the graphs. Here shapes are checked on the way, of a
    random item of a list, so that no two graphs are alike.
    """
    made = torch.jit.trace(network, images, check_trace=False)
    assert not re.findall(r"\^\w+", str(made.inlined_graph))
    torch.jit.save(made, io.BytesIO())
    return made


TRACER = pytest.mark.filterwarnings(
    "ignore::torch.jit.TracerWarning",
    "ignore:.*is deprecated:FutureWarning",  # by its own parts
    "ignore:.*is deprecated:DeprecationWarning",  # in torch 2.11
)


@TRACER
def test_a_darts_network_with_drop_path_can_be_traced_for_use(pytestconfig):
    if pytestconfig.getoption("jaxtyping_packages"):
        pytest.skip("tracing makes tensors of numbers, which is no type that a call may have")
    options = {"channels": 4, "cells": 3, "nodes": 1, "network_channels": 4, "network_cells": 3}
    found = load("darts", "space")
    space = found(found.parse_options({**options, "drop_path": 0.2}))
    cell = [("sep_conv_3x3", 0), ("dil_conv_3x3", 1)]
    text = f"Genotype(normal={cell}, normal_concat=[2], reduce={cell}, reduce_concat=[2])"
    network = space.network(space.from_text(text), TASK).eval()
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    # A traced program may be fused, and then rounds otherwise.
    torch.testing.assert_close(traced(network, images)(images), network(images))


@TRACER
@pytest.mark.slow
@pytest.mark.parametrize("space", SPACES)
def test_a_network_can_be_traced_and_the_trace_takes_other_batches(space):
    network, images = stand_alone(space)
    more = torch.cat([images, images, images])
    made = traced(network.eval(), images)
    torch.testing.assert_close(answer(made, more), answer(network, more))


@pytest.mark.slow
@pytest.mark.parametrize("space", SPACES)
def test_a_network_can_be_exported(space):
    network, images = stand_alone(space)
    exported = torch.export.export(network.eval(), (images,)).module()
    torch.testing.assert_close(answer(exported, images), answer(network, images))


@pytest.mark.parametrize(("kind", "name"), installed("evaluator"))
def test_an_evaluator_repeats_itself_and_changes_nothing(kind, name):
    if name in ("table", "latency"):
        pytest.skip(f"needs a table: the tests of {name} make one")
    harness = Harness(load("random", "updater"))
    (branch,) = harness.run(steps=2)
    probe = harness.trainer.probe(branch)
    found = load(name, kind)
    setting = EvaluationContext(harness.space, harness.data.task, harness.splits)
    evaluator = found(setting, found.parse_options(JUDGES.get(name, {})))
    architecture = ToySpace().from_text("conv,skip,pool,conv,skip")
    before = fingerprint(branch.state_dict())
    first = evaluator.evaluate(architecture, probe)
    assert first == evaluator.evaluate(architecture, probe)
    assert first.metrics
    assert fingerprint(branch.state_dict()) == before
