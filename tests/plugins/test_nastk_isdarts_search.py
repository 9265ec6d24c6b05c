"""IS-DARTS on supernets: what the measure hears, that it leaves no trace, and whole searches."""

import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from nastk import (
    Batch,
    ConfigurationError,
    DivergenceError,
    Mixture,
    PluginError,
    StopRequested,
    Subspace,
)
from nastk.base.events import EpochDone, UpdaterReported, UpdaterWorking
from nastk.runs import checkpoint
from nastk.testing import Harness, ToySpace, UpdaterContract, fingerprint
from nastk.testing.toy import EDGES, ToyCell, ToyData, ToySupernet
from nastk_isdarts.mixing import constant_mixture
from nastk_isdarts.output_hooks import Measures, measure
from nastk_isdarts.shrinking import contests, prune, rate
from nastk_isdarts.updater import IsDarts
from nastk_spaces_darts.space import DartsSpace

IS_DARTS = {"stem_multiplier": 1, "include_none": True, "distinct_inputs": False}


def darts(**options):
    small = {"channels": 4, "cells": 3, "nodes": 2, "pool_norm": False}
    return DartsSpace(DartsSpace.Options(**{**small, **IS_DARTS, **options}))


SPACES = {"toy": ToySpace, "darts": darts}


def started(space=None, options=None, epochs=8, images=48, **changes):
    """(harness, branch, probe) of a search that has not begun, on all images for training."""
    harness = Harness(
        IsDarts,
        options or {},
        space or ToySpace(),
        ToyData(ToyData.Options(images=images, train_fraction=1.0)),
        {"epochs": epochs, **changes},
    )
    branch = harness.trainer.root()
    return harness, branch, harness.trainer.probe(branch)


def outputs(probe, space, mixture=None, batches=None, name="official"):
    if mixture is None:
        mixture = constant_mixture(space.edges, probe.subspace)
    return measure(probe, space.edges, mixture, batches or [probe.train.at(0)], name)


def by_column(row):
    """The finite values of a reported row, by column."""
    return {column: value for column, value in enumerate(row) if value is not None}


def reports(harness):
    return [event for event in harness.events if isinstance(event, UpdaterReported)]


# ---------------------------------------------------------------- what is heard


def by_the_book(branch, mixture, batches):
    """The authors' measure written out: hooks, means of elementwise terms, means over cells."""
    sums, images, handles = {}, 0, []

    def hook(key):
        def told(module, inputs, output):
            features = output.double()
            terms = (
                3 * (features - features.mean(1, True)) ** 2 / features.std(1, keepdim=True) ** 6
            )
            terms = torch.where(terms.isnan(), torch.inf, terms)
            sums[key] = sums.get(key, 0.0) + float(terms.mean((1, 2, 3)).sum())

        return told

    numbers = Counter()
    for edge, column, module in branch.supernet.operations():
        cell = numbers[edge, column]
        numbers[edge, column] += 1
        handles.append(module.register_forward_hook(hook((edge, column, cell))))
    with torch.no_grad():
        for batch in batches:
            branch.supernet(batch.images, mixture)
            images += len(batch.images)
    for handle in handles:
        handle.remove()
    table = torch.full(mixture.active.shape, torch.nan, dtype=torch.float64)
    for (edge, column), cells in numbers.items():
        table[edge, column] = sum(sums[edge, column, c] / images for c in range(cells)) / cells
    return table


@pytest.mark.parametrize("kind", SPACES)
def test_it_is_the_authors_measure_of_outputs_before_their_weight(kind):
    space = SPACES[kind]()
    _, branch, probe = started(space)
    batches = [probe.train.at(step) for step in range(3)]
    mixture = constant_mixture(space.edges, space.full())
    found = outputs(probe, space, mixture, batches)
    torch.testing.assert_close(
        found.values, by_the_book(branch, mixture, batches), rtol=1e-9, atol=0, equal_nan=True
    )
    assert found.images == sum(len(batch.images) for batch in batches)


@pytest.mark.parametrize("name", ["official", "inv_var", "log", "median"])
def test_any_division_into_batches_gives_the_same_ragged_ones_too(name):
    """On features that do not depend on the batch: the toy without convolutions has no norms.

    In float64, since the sums of other divisions round in another order on every processor.
    """
    space = ToySpace()
    _, branch, probe = started(space, images=24, batch_size=24)
    branch.supernet.double()
    for row in range(len(EDGES)):
        probe._branch.subspace = probe.subspace.drop(row, EDGES[row].operations.index("conv"))
    images, labels = probe.train.at(0)
    images = images.double()
    whole = outputs(probe, space, batches=[Batch(images, labels)], name=name)
    for sizes in ([8, 8, 8], [1, 23], [10, 10, 4], [1] * 24):
        parts = [
            Batch(*pair)
            for pair in zip(torch.split(images, sizes), torch.split(labels, sizes), strict=True)
        ]
        split = outputs(probe, space, batches=parts, name=name)
        for field in ("values", "standard_errors", "deviations"):
            torch.testing.assert_close(
                getattr(split, field), getattr(whole, field), rtol=1e-6, atol=1e-9, equal_nan=True
            )
        assert split.images == whole.images == 24


def test_standard_errors_are_those_of_the_mean_over_images():
    space = ToySpace()
    _, _, probe = started(space)
    full = outputs(probe, space, batches=[probe.train.at(0)])
    assert bool((full.standard_errors[:, 2] > 0).all())
    assert bool(full.standard_errors[:, 0].isnan().all())
    one = Batch(*(part[:1] for part in probe.train.at(0)))
    assert bool(outputs(probe, space, batches=[one]).standard_errors.isnan().all())
    # The same image twice: norms see the same statistics, and every image has the same value.
    twice = outputs(probe, space, batches=[Batch(*(part[[0, 0]] for part in probe.train.at(0)))])
    assert float(twice.standard_errors[:, 1:3].max()) < 1e-4 * float(twice.values[:, 1:3].max())


@pytest.mark.parametrize("kind", SPACES)
def test_operations_without_weights_are_equally_flat_on_all_edges_of_one_source(kind):
    space = SPACES[kind]()
    _, _, probe = started(space)
    found = outputs(probe, space)
    names = {"skip", "pool"} if kind == "toy" else {"max_pool_3x3", "avg_pool_3x3", "skip_connect"}
    groups = {}
    for row, edge in enumerate(space.edges):
        # A skip of stride 2 has weights.
        if edge.group != "reduce":
            for operation in names & set(edge.operations):
                value = found.values[row, edge.operations.index(operation)]
                groups.setdefault((edge.group, edge.tail, operation), []).append(float(value))
    several = [values for values in groups.values() if len(values) > 1]
    assert len(several) >= 2
    assert all(len(set(values)) == 1 for values in several)


@pytest.mark.parametrize("kind", SPACES)
def test_none_is_infinitely_flat_and_changes_nothing_for_the_others(kind):
    space = SPACES[kind]()
    _, _, probe = started(space)
    mixture = constant_mixture(space.edges, space.full())
    without = mixture.without_all([(row, 0) for row in range(len(space.edges))])
    batch = probe.train.at(0)
    assert torch.equal(probe.logits(mixture, batch.images), probe.logits(without, batch.images))
    found, others = outputs(probe, space, mixture), outputs(probe, space, without)
    assert found.values[:, 0].tolist() == [torch.inf] * len(space.edges)
    assert found.deviations[:, 0].tolist() == [0.0] * len(space.edges)
    assert bool(others.values[:, 0].isnan().all())
    assert torch.equal(found.values[:, 1:].nan_to_num(-1), others.values[:, 1:].nan_to_num(-1))
    assert bool(found.values[space.full().mask][:].isnan().logical_not().all())


class ThriftyCell(ToyCell):
    """Calls neither `none` nor what leaves a node that nothing reached."""

    def forward(self, features, mixture):
        nodes = [features, None, None]
        for index, modules in zip(self.edges, self.operations, strict=True):
            edge = EDGES[index]
            for column, module in enumerate(modules):
                source = nodes[edge.tail]
                if mixture.active[index, column] and column and source is not None:
                    came = mixture.weights[index, column] * module(source)
                    nodes[edge.head] = came if nodes[edge.head] is None else nodes[edge.head] + came
        return torch.zeros_like(features) if nodes[-1] is None else nodes[-1]


class SkippingSpace(ToySpace):
    """The toy with cells of another class."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def supernet(self, task):
        supernet = ToySupernet(self.options.channels, task)
        for cell in supernet.cells:
            cell.__class__ = self.cell
        return supernet


def test_what_the_supernet_need_not_compute_is_scored_all_the_same():
    space = SkippingSpace(ThriftyCell)
    _, _, probe = started(space)
    _, _, called = started(ToySpace())
    thrifty, plain = outputs(probe, space).values, outputs(called, space).values
    torch.testing.assert_close(thrifty, plain, equal_nan=True)
    dead = constant_mixture(space.edges, space.full().only(0, [0]))
    silent = outputs(probe, space, dead).values
    assert silent[2].tolist() == [torch.inf] * 4 and bool(silent[1, 1:].isfinite().all())


class DeafCell(ToyCell):
    """Calls the inside of a convolution, not the module that `operations` names."""

    def forward(self, features, mixture):
        nodes = [features, *(torch.zeros_like(features) for _ in range(2))]
        for index, modules in zip(self.edges, self.operations, strict=True):
            edge = EDGES[index]
            for column, module in enumerate(modules):
                compute = module.forward if column == 2 else module
                came = mixture.weights[index, column] * compute(nodes[edge.tail])
                nodes[edge.head] = nodes[edge.head] + came
        return nodes[-1]


def test_a_supernet_that_hides_its_operations_is_refused_before_the_first_step():
    harness, branch, _ = started(SkippingSpace(DeafCell))
    with pytest.raises(PluginError, match="That of conv on edge first:0->1 was not called"):
        harness.run([branch], steps=1)
    assert branch.step == 0


def test_a_supernet_of_one_channel_is_refused_before_the_first_step():
    harness, branch, _ = started(ToySpace(ToySpace.Options(channels=1)))
    with pytest.raises(ConfigurationError, match="features of 1 channel"):
        harness.run([branch], steps=1)
    assert branch.step == 0


def test_features_that_are_not_finite_stop_the_search():
    space = ToySpace()
    _, branch, probe = started(space)
    with torch.no_grad():
        branch.supernet.stem.weight.fill_(torch.nan)
    with pytest.raises(DivergenceError, match="output of skip on edge first:0->1 is not finite"):
        outputs(probe, space)


# ---------------------------------------------------------------- no trace


def state_of(branch):
    """Everything that a measurement might disturb."""
    return fingerprint(
        [
            branch.state_dict(),
            [weight.grad for weight in branch.supernet.parameters()],
            [module.training for module in branch.supernet.modules()],
            [len(module._forward_hooks) for module in branch.supernet.modules()],
            torch.random.get_rng_state(),
        ]
    )


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("kind", SPACES)
@pytest.mark.parametrize("training", [True, False])
def test_a_measurement_leaves_no_trace(kind, training):
    space = SPACES[kind]()
    harness, branch, probe = started(space, {"batches": 2}, images=24)
    harness.run([branch], steps=2)
    branch.supernet.train(training)
    before = state_of(branch)
    first, second = branch.updater.measure(probe), branch.updater.measure(probe)
    assert state_of(branch) == before
    assert fingerprint(first.values) == fingerprint(second.values)
    assert sum(len(module._forward_hooks) for module in branch.supernet.modules()) == 0


def test_a_measurement_that_is_interrupted_leaves_no_trace():
    harness, branch, _ = started()
    harness.run([branch], steps=2)
    asked = iter([False, False, True])
    probe = harness.trainer.probe(branch, lambda: next(asked))
    before = state_of(branch)
    with pytest.raises(StopRequested):
        branch.updater.measure(probe)
    assert state_of(branch) == before


def test_measuring_asks_for_full_precision_without_gradients():
    _, branch, probe = started()
    asked = []
    answer = branch.logits

    def logits(mixture, images, weights=None, exact=False):
        asked.append((exact, torch.is_grad_enabled()))
        return answer(mixture, images, weights, exact)

    branch.logits = logits
    branch.updater.measure(probe)
    assert set(asked) == {(True, False)} and len(asked) == len(probe.train)


# ---------------------------------------------------------------- skipping is exact


@pytest.mark.parametrize("kind", SPACES)
def test_skipping_the_dead_changes_no_logit_and_no_gradient_at_any_shrink(kind):
    space = ToySpace() if kind == "toy" else darts(nodes=1)
    _, branch, probe = started(space, images=8)
    shrinks = branch.updater.options.shrinks_on(space.edges)
    states, measures = [space.full()], outputs(probe, space).values
    for number in range(shrinks):
        states.append(prune(space, states[-1], contests(space), measures, shrinks - number)[0])
    assert len(set(states)) == shrinks + 1
    supernet = branch.supernet.double()
    batch = probe.train.at(0)
    for state in states:
        skipped = constant_mixture(space.edges, state)
        answers = []
        for active in (state.mask, space.full().mask):
            mixture = replace(skipped, weights=skipped.weights.double(), active=active)
            supernet.zero_grad(set_to_none=True)
            logits = supernet(batch.images.double(), mixture)
            F.cross_entropy(logits, batch.labels).backward()
            gradients = {
                name: torch.zeros_like(weight) if weight.grad is None else weight.grad
                for name, weight in supernet.named_parameters()
            }
            answers.append((logits.detach(), gradients))
        (logits, gradients), (computed, all_gradients) = answers
        torch.testing.assert_close(logits, computed, rtol=1e-10, atol=1e-12)
        for name, gradient in gradients.items():
            torch.testing.assert_close(gradient, all_gradients[name], rtol=1e-9, atol=1e-12)


def test_the_dead_are_not_called():
    space = ToySpace()
    harness, branch, _ = started(space, epochs=4)
    calls = Counter()
    for edge, column, module in branch.supernet.operations():
        module.register_forward_hook(lambda *_, key=(edge, column): calls.update([key]))
    harness.run([branch], steps=3 * len(harness.trainer.train))
    alive = branch.subspace
    assert alive != space.full()
    calls.clear()
    harness.run([branch], steps=1)
    assert set(calls) == set(alive.alive_operations())


# ---------------------------------------------------------------- whole searches


class TestOnTheToy(UpdaterContract):
    updater, options = IsDarts, {"batches": 2}
    trainer_options = {"epochs": 4, "batch_size": 24}  # noqa: RUF012


@pytest.mark.slow
class TestByNode(UpdaterContract):
    updater = IsDarts
    options = {"keep": "node", "shrinks": 2, "batches": 2, "batch_size": 12}  # noqa: RUF012


@pytest.mark.slow
class TestOnCells(UpdaterContract):
    updater, space = IsDarts, DartsSpace
    options = {"shrinks": 2, "batches": 2, "batch_size": 12}  # noqa: RUF012
    space_options = {"channels": 4, "cells": 3, "nodes": 1, **IS_DARTS}  # noqa: RUF012


@pytest.mark.parametrize(("kind", "keep"), [("toy", 1), ("darts", 2)])
def test_a_search_shrinks_by_its_schedule_to_an_architecture(kind, keep):
    space = SPACES[kind]()
    harness, branch, _ = started(space, epochs=9, images=16)
    before = [branch.subspace]
    for moment in harness.trainer.run([branch]):
        if moment == "epoch":
            before.append(branch.subspace)
    before.append(branch.subspace)
    schedule = list(branch.updater.options.epochs_of(9, space.edges))
    # before[e] is what epoch e (1-based) trained: the shrink after epoch e shows in epoch e + 1.
    changed = [epoch for epoch in range(1, 10) if before[epoch] != before[epoch + 1]]
    assert changed == schedule == [event.epoch for event in reports(harness)]
    assert all(a.contains(b) for a, b in pairwise(before))
    field = contests(space)
    assert [len(c.alive_operations(branch.subspace)) for c in field] == [keep] * len(field)
    found = branch.updater.architecture(harness.trainer.probe(branch))
    assert Subspace(found.table()) == branch.subspace
    assert "none" not in [name for chosen in found.choices for name in chosen]


def test_images_are_counted_as_planned():
    space = ToySpace()
    harness, branch, _ = started(space, epochs=4, images=96, batch_size=25)
    harness.run([branch])
    assert len(harness.trainer.train) == 4
    phases = harness.trainer.ledger.cost().phases
    assert (phases["train"].images_forward, phases["train"].images_backward) == (4 * 96, 4 * 96)
    assert (phases["updater"].images_forward, phases["updater"].images_backward) == (2 + 3 * 96, 0)
    assert branch.updater.max_cost(harness.plan).images_forward == 2 + 3 * 96


def test_part_of_a_pass_in_batches_of_its_own():
    harness, branch, _ = started(options={"batches": 2, "batch_size": 10}, epochs=4)
    harness.run([branch])
    spent = harness.trainer.ledger.cost().phases["updater"].images_forward
    assert spent == 2 + 3 * 20 == branch.updater.max_cost(harness.plan).images_forward
    working = [
        (event.done, event.total) for event in harness.events if isinstance(event, UpdaterWorking)
    ]
    assert working == [(1, 2), (2, 2)] * 3


def test_each_shrink_measures_anew_on_other_crops():
    harness, branch, _ = started(epochs=4)
    seen = []
    logits = branch.logits

    def watched(mixture, images, weights=None, exact=False):
        if exact and len(images) > 2:
            seen.append(fingerprint(images))
        return logits(mixture, images, weights, exact)

    branch.logits = watched
    harness.run([branch])
    assert len(seen) == len(set(seen)) == 3 * len(harness.trainer.train)


def test_a_shrink_is_reported():
    space = ToySpace()
    harness, branch, _ = started(space, epochs=5)
    harness.run([branch])
    first, second, third = (event.values for event in reports(harness))
    assert [event.topic for event in reports(harness)] == ["isdarts"] * 3
    assert [each["shrink"] for each in (first, second, third)] == [1, 2, 3]
    assert first["removed"] == first["infinite"] == [[edge.name, "none"] for edge in space.edges]
    assert first["measures"][3][3] is None and first["measures"][0][0] is None
    assert all(value > 0 for row in first["measures"] for value in row if value is not None)
    assert second["infinite"] == [] and second["measures"][0][0] is None
    assert [len(each["removed"]) for each in (first, second, third)] == [5, 5, 3]
    assert first["images"] == 48
    json.dumps([event.to_json() for event in reports(harness)], allow_nan=False)


@pytest.mark.parametrize(
    ("order", "stays", "goes"), [("largest", min, max), ("smallest", max, min)]
)
def test_it_says_something_before_it_knows_and_then_what_would_stay(order, stays, goes):
    space = ToySpace()
    harness, branch, _ = started(space, {"order": order}, epochs=5)
    harness.run([branch], steps=2)
    probe = harness.trainer.probe(branch)
    assert space.to_text(branch.updater.architecture(probe)) == "skip,skip,skip,skip,skip"
    harness.run([branch])
    first, second = (
        [by_column(row) for row in each.values["measures"]] for each in reports(harness)[:2]
    )
    best = [stays(row, key=row.get) for row in first]
    worst = [goes(row, key=row.get) for row in second]
    assert reports(harness)[1].values["removed"] == [
        [edge.name, edge.operations[column]] for edge, column in zip(EDGES, worst, strict=True)
    ]
    after_first = next(
        event for event in harness.events if isinstance(event, EpochDone) and event.epoch == 2
    )
    wanted = [edge.operations[column] for edge, column in zip(space.edges, best, strict=True)]
    assert after_first.architecture == ",".join(wanted)


def test_no_validation_image_is_needed_or_seen():
    harness, branch, probe = started(epochs=4)
    assert IsDarts.needs == frozenset() and harness.trainer.valid is None
    harness.run([branch])
    with pytest.raises(ConfigurationError, match="no valid split"):
        _ = probe.valid


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize(("kind", "distinct"), [("toy", False), ("darts", False), ("darts", True)])
def test_measures_by_hand_decide(kind, distinct, monkeypatch):
    """The oracle: in `darts` both survivors of a node come from one input, if they may."""
    space = SPACES[kind]()
    mask = space.full().mask
    wanted = torch.zeros_like(mask)
    if kind == "toy":
        for row, column in enumerate([2, 1, 3, 2, 1]):
            wanted[row, column] = True
    else:
        for row, column in [(0, 4), (1, 7), (3, 5), (3, 6), (5, 1), (6, 2), (7, 3), (9, 4)]:
            wanted[row, column] = True
    values = torch.where(wanted, 1.0, 2.0).double()
    values[:, 0] = torch.inf
    nothing = torch.zeros_like(values)
    monkeypatch.setattr(IsDarts, "measure", lambda *_: Measures(values, nothing, nothing, 1))
    harness, branch, _ = started(space, {"distinct_inputs": distinct}, epochs=9, images=16)
    harness.run([branch])
    found = branch.updater.architecture(harness.trainer.probe(branch))
    assert torch.equal(torch.tensor(found.table()), wanted) is not distinct
    if distinct:
        assert {len(chosen) for chosen in found.choices} == {0, 1}
    elif kind == "darts":
        assert found.choices[3] == ("sep_conv_5x5", "dil_conv_3x3")
    assert space.from_text(space.to_text(found)) == found


def test_ratings_tell_how_long_an_operation_stayed_and_how_well_it_stood():
    full = Subspace(((True, True, True, True), (True, True, False, False)))
    measures = torch.tensor([[torch.inf, 3.0, 2.0, 4.0], [5.0, 6.0, torch.nan, torch.nan]])
    first = rate(None, full, measures.double(), 1, "largest")
    assert first[0].tolist() == [1.0, 1.5, 1.75, 1.25]
    assert first[1, :2].tolist() == [1.5, 1.0] and bool(first[1, 2:].isnan().all())
    second = rate(first, full.drop(0, 0).drop(1, 1), measures.double(), 2, "largest")
    torch.testing.assert_close(second[0], torch.tensor([1.0, 2 + 1 / 3, 2 + 2 / 3, 2.0]).double())
    assert second[1, :2].tolist() == [2.0, 1.0]


@pytest.mark.parametrize("kind", SPACES)
def test_stored_after_a_shrink_and_loaded_it_goes_on_to_the_same_bits(kind, tmp_path):
    space = ToySpace() if kind == "toy" else darts(nodes=1)
    options = {"shrinks": 3}
    straight, whole, _ = started(space, options, epochs=4, images=16, batch_size=8)
    straight.run([whole])
    stopped, branch, _ = started(space, options, epochs=4, images=16, batch_size=8)
    stopped.run([branch], steps=2 * len(stopped.trainer.train) + 1)
    assert branch.subspace != space.full() and branch.updater.measured is not None
    checkpoint.write(
        tmp_path,
        checkpoint.Checkpoint([branch.state_dict()], stopped.trainer.ledger.cost()),
        "one",
    )
    again, _, _ = started(space, options, epochs=4, images=16, batch_size=8)
    (state,) = checkpoint.read(tmp_path / "one.safetensors").branches
    restored = again.trainer.restore(state)
    assert restored.subspace == branch.subspace
    probe = again.trainer.probe(restored)
    decided = branch.updater.architecture(stopped.trainer.probe(branch))
    assert restored.updater.architecture(probe) == decided
    again.run([restored])
    assert fingerprint(restored.state_dict()) == fingerprint(whole.state_dict())


@pytest.mark.quick_cases(4)
@pytest.mark.parametrize(
    "options",
    [
        {"measure": "inv_var"},
        {"measure": "log"},
        {"measure": "median"},
        {"order": "smallest"},
        {"mix": "remaining"},
        {"augment": False},
        {"keep": "edge"},
        {"distinct_inputs": True},
    ],
    ids=lambda options: "-".join(options),
)
@pytest.mark.parametrize("kind", ["toy", pytest.param("darts", marks=pytest.mark.slow)])
def test_every_option_ends_in_an_architecture(kind, options):
    space = SPACES[kind]()
    shrinks = 2 if kind == "darts" and "keep" not in options else None
    options = {"batches": 1, "shrinks": shrinks, **options}
    harness, branch, _ = started(space, options, epochs=8 if shrinks is None else 3, images=16)
    assert branch.updater.incompatibility(harness.plan) is None
    harness.run([branch])
    found = branch.updater.architecture(harness.trainer.probe(branch))
    assert branch.subspace.contains(Subspace(found.table()))
    assert (Subspace(found.table()) == branch.subspace) is (shrinks is not None or kind == "toy")
    assert "none" not in [name for chosen in found.choices for name in chosen]


def test_the_mixture_keeps_the_original_number_or_not():
    for mix, expected in (("original", 0.25), ("remaining", 1.0)):
        harness, branch, _ = started(options={"mix": mix, "batches": 1}, epochs=4, images=16)
        harness.run([branch])
        (mixture,) = branch.updater.mixtures(harness.trainer.probe(branch))
        assert isinstance(mixture, Mixture) and not mixture.weights.requires_grad
        assert float(mixture.weights[0].sum()) == pytest.approx(expected)


def test_nothing_is_measured_where_nothing_is_left_to_remove():
    space = ToySpace()
    harness, branch, _ = started(space, epochs=4)
    branch.subspace = Subspace(space.from_text("conv,skip,pool,conv,skip").table())
    harness.run([branch])
    assert reports(harness) == []
    assert harness.trainer.ledger.cost().phases["updater"].images_forward == 2
    found = branch.updater.architecture(harness.trainer.probe(branch))
    assert space.to_text(found) == "conv,skip,pool,conv,skip"
