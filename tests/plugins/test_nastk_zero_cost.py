"""`nastk_zero_cost`: every score by hand on a small network, directions, seeds, bad input."""

import math
from dataclasses import replace

import pytest
import torch
from evaluators_kit import Even
from torch import nn

import nastk_zero_cost
from nastk import (
    Batch,
    ConfigurationError,
    DataError,
    EvaluationContext,
    Objective,
    PhaseCost,
    Split,
    Splits,
    Task,
    catalogue,
)
from nastk.base import seed_of, seeded
from nastk.data import stream
from nastk.testing import EvaluatorContract, ToyData, ToySpace
from nastk.train.evaluator import RunHandle
from nastk_zero_cost.evaluator import layer_weights
from nastk_zero_cost.gradients import GradientNorm, Snip, loss_gradients
from nastk_zero_cost.jacobian import SMALL, JacobianCovariance, independence
from nastk_zero_cost.naswot import LEAST, Naswot, agreements, log_determinant
from nastk_zero_cost.relus import recorded_relus
from nastk_zero_cost.synflow import Synflow, synaptic_flow
from nastk_zero_cost.zico import Zico, layer_term

CPU = torch.device("cpu")
WITH_IMAGES = [GradientNorm, Snip, Zico, JacobianCovariance, Naswot]
EVERY = [Synflow, *WITH_IMAGES]
SMALL_BATCH = {"batch_size": 8}
DISCONNECTED = "none,none,none,none,none"
CONVOLUTIONS, SKIPS = "conv,conv,conv,conv,conv", "skip,skip,skip,skip,skip"


class TestSynflow(EvaluatorContract):
    evaluator, updater = Synflow, Even


class TestGradientNorm(EvaluatorContract):
    evaluator, options, updater = GradientNorm, SMALL_BATCH, Even


class TestSnip(EvaluatorContract):
    evaluator, options, updater = Snip, SMALL_BATCH, Even


class TestZico(EvaluatorContract):
    evaluator, options, updater = Zico, SMALL_BATCH, Even


class TestJacobianCovariance(EvaluatorContract):
    evaluator, options, updater = JacobianCovariance, SMALL_BATCH, Even


class TestNaswot(EvaluatorContract):
    evaluator, options, updater = Naswot, SMALL_BATCH, Even


def setting(**changes):
    data = ToyData()
    return replace(EvaluationContext(ToySpace(), data.task, data.splits(0)), **changes)


def made(evaluator, context=None, **options):
    given = {} if evaluator is Synflow else {**SMALL_BATCH, **options}
    return evaluator(context or setting(), evaluator.parse_options(given))


def judged(evaluator, text, context=None, **options):
    found = made(evaluator, context, **options)
    return found.evaluate(ToySpace().from_text(text), None)


def linear(*matrices):
    """A linear network with these weights and no biases, for images of one pixel a channel."""
    layers = [nn.Flatten()]
    for matrix in matrices:
        weight = torch.tensor(matrix)
        layers.append(nn.Linear(weight.shape[1], weight.shape[0], bias=False))
        layers[-1].weight.data = weight
    return nn.Sequential(*layers)


# ---------------------------------------------------------------- synflow


def test_the_flow_of_a_linear_network_is_the_sum_over_paths_once_for_each_layer():
    network = linear([[1.0, -2.0], [0.5, 3.0], [-1.0, 0.0]], [[2.0, -1.0, 4.0]])
    paths = 2 * (1 + 2) + 1 * (0.5 + 3) + 4 * (1 + 0)
    assert synaptic_flow(network, (2, 1, 1)) == pytest.approx(2 * paths, rel=1e-12)


def test_the_flow_sees_no_norm_and_counts_no_bias():
    plain = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.Flatten(), nn.Linear(8, 1))
    normed = nn.Sequential(plain[0], nn.Sequential(nn.BatchNorm2d(2)), *plain[1:])
    plain[2].bias.data.zero_()
    expected = synaptic_flow(plain, (1, 2, 2))
    assert synaptic_flow(normed, (1, 2, 2)) == pytest.approx(expected, rel=1e-12)
    with_bias = linear([[1.0]], [[3.0]])
    with_bias[2].bias = nn.Parameter(torch.tensor([-5.0]))
    assert synaptic_flow(with_bias, (1, 1, 1)) == pytest.approx(6.0)


# ---------------------------------------------------------------- gradients


def batch_of(images, labels):
    return Batch(torch.tensor(images).reshape(len(labels), -1, 1, 1), torch.tensor(labels))


def test_the_gradient_of_one_linear_layer_is_that_by_hand():
    # Equal logits: dL/dlogits = (1/2 - [label]) for every image, and dL/dW their mean with x.
    network = linear([[1.0, 2.0], [1.0, 2.0]])
    batch = batch_of([[2.0, 4.0], [6.0, 0.0]], [0, 0])
    ((weight, gradient),) = loss_gradients(network, batch, Objective())
    assert gradient.tolist() == [[-2.0, -1.0], [2.0, 1.0]]
    context = setting(task=Task(2, 2, 1))
    norm = GradientNorm(context, GradientNorm.Options(batch_size=2)).score(network, [batch])
    assert norm.value == pytest.approx(math.sqrt(10))
    snip = Snip(context, Snip.Options(batch_size=2)).score(network, [batch])
    assert snip.value == pytest.approx(1 * 2 + 2 * 1 + 1 * 2 + 2 * 1)
    assert weight.grad is None


def test_the_loss_is_the_reported_one():
    network, batch = linear([[1.0, 2.0], [1.0, 2.0]]), batch_of([[2.0, 4.0]], [0])
    smoothed = setting(task=Task(2, 2, 1, objective=Objective(label_smoothing=0.5)))
    scores = [
        Snip(context, Snip.Options(batch_size=2)).score(network, [batch]).value
        for context in (smoothed, setting(task=Task(2, 2, 1)))
    ]
    assert scores[0] == scores[1]


def test_weights_of_norms_are_no_weights_of_layers():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.LayerNorm((2, 4, 4)), nn.Linear(4, 3))
    network[2].weight.requires_grad_(False)
    assert [weight.shape for weight in layer_weights(network)] == [(2, 1, 3, 3)]


# ---------------------------------------------------------------- zico


def test_zico_of_a_layer_is_the_log_of_the_summed_inverse_variations():
    # mean / deviation: 2 / 1, 5 / 3, and a weight that is the same on both batches.
    sizes = torch.tensor([[1.0, 8.0, 4.0], [3.0, 2.0, 4.0]], dtype=torch.float64)
    assert layer_term(sizes) == pytest.approx(math.log(2 + 5 / 3))
    assert layer_term(sizes[:, 2:]) is None


def test_zico_adds_its_layers_and_compares_the_sizes_of_gradients():
    network = linear([[1.0, 2.0], [1.0, 2.0]])
    first, second = batch_of([[2.0, 4.0]], [0]), batch_of([[6.0, -2.0]], [1])
    context = setting(task=Task(2, 2, 1))
    score = Zico(context, Zico.Options(batch_size=2)).score(network, [first, second])
    # |gradient| is 1, 2 on the first batch and 3, 1 on the second, in both rows.
    assert score.value == pytest.approx(math.log(2 * (2 / 1 + 1.5 / 0.5)))


def test_zico_refuses_gradients_that_do_not_differ():
    splits, task = ToyData().splits(0), ToyData().task
    alike = splits.train.select([0] * 16)
    context = setting(splits=Splits(alike, splits.valid, splits.test), task=task)
    with pytest.raises(DataError, match=r"none differs between these 2 batches of 8.*such as snip"):
        judged(Zico, CONVOLUTIONS, context)


# ---------------------------------------------------------------- jacobian covariance


def test_images_that_act_independently_score_best_and_alike_ones_worst():
    orthogonal = torch.tensor([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, -1.0]], dtype=torch.float64)
    best = -2 * (math.log(1 + SMALL) + 1 / (1 + SMALL))
    assert independence(orthogonal) == pytest.approx(best, rel=1e-12)
    worst = -(math.log(2 + SMALL) + 1 / (2 + SMALL) + math.log(SMALL) + 1 / SMALL)
    assert independence(orthogonal[:1].repeat(2, 1)) == pytest.approx(worst, rel=1e-12)
    assert independence(torch.zeros(2, 4, dtype=torch.float64)) == pytest.approx(worst, rel=1e-12)
    half = torch.stack([orthogonal[0], torch.zeros(4, dtype=torch.float64)])
    assert independence(half) == pytest.approx(worst, rel=1e-12)


# ---------------------------------------------------------------- naswot


def test_the_kernel_of_given_codes():
    codes = torch.tensor([[True, True, False], [True, False, False], [False, False, True]])
    kernel = torch.tensor([[3, 2, 0], [2, 3, 1], [0, 1, 3]], dtype=torch.float64)
    assert torch.equal(agreements(codes), kernel)
    assert log_determinant(kernel) == pytest.approx(math.log(27 - 3 - 12), rel=1e-12)
    twins = torch.full((2, 2), 3.0, dtype=torch.float64)
    assert log_determinant(twins) == pytest.approx(math.log(6) + math.log(LEAST))


class Shared(nn.Module):
    """One ReLU that two layers read, one of them through an identity, and a bounded one."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Sequential(nn.Identity(), nn.Linear(4, 4))
        self.same, self.last = nn.Identity(), nn.ReLU6(inplace=True)

    def forward(self, images):
        state = self.same(torch.relu(images.flatten(1)))
        return self.last(self.one(state) + self.two(state)).sum(1, keepdim=True)


def test_a_relu_counts_once_for_every_module_that_reads_it():
    network, images = Shared(), torch.randn(3, 1, 2, 2)
    with torch.no_grad(), recorded_relus(network) as relus:
        network(images)
    assert [relu.times for relu in relus] == [2, 1]
    assert torch.equal(relus[0].output, images.flatten(1).relu())
    assert not network.one._forward_hooks and not network.one._forward_pre_hooks
    score = Naswot(setting(), Naswot.Options(batch_size=3)).score(
        network, [Batch(images, torch.zeros(3, dtype=torch.long))]
    )
    kernel = sum(relu.times * agreements(relu.output > 0) for relu in relus)
    assert score.value == pytest.approx(log_determinant(kernel))


def test_naswot_refuses_a_space_without_relus():
    class Smooth(ToySpace):
        def network(self, architecture, task):
            return nn.Sequential(nn.Flatten(), nn.Linear(192, 3), nn.GELU())

    with pytest.raises(ConfigurationError, match=r"of space 'toy' have none.*synflow or zico"):
        made(Naswot, setting(space=Smooth()))


# ---------------------------------------------------------------- all of them


@pytest.mark.parametrize("evaluator", EVERY)
def test_a_cell_of_convolutions_scores_above_one_that_nothing_passes(evaluator):
    best, worst = judged(evaluator, CONVOLUTIONS), judged(evaluator, DISCONNECTED)
    (metric,) = made(evaluator).criteria
    assert set(best.metrics) == {metric} == {evaluator.name.replace("-", "_")}
    assert best.metrics[metric] > worst.metrics[metric]
    assert len(worst.notes) == 2 and len(best.notes) == 1


@pytest.mark.parametrize("evaluator", EVERY)
def test_the_seed_alone_decides(evaluator):
    first = judged(evaluator, CONVOLUTIONS)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(123)
        assert judged(evaluator, CONVOLUTIONS) == first
        state = torch.get_rng_state()
        judged(evaluator, CONVOLUTIONS)
        assert torch.equal(torch.get_rng_state(), state)
    other = evaluator.parse_options(
        {"seed": 1} if evaluator is Synflow else {**SMALL_BATCH, "seed": 1}
    )
    architecture = ToySpace().from_text(CONVOLUTIONS)
    assert evaluator(setting(), other).evaluate(architecture, None) != first
    equal = evaluator(setting(), other).evaluate(architecture, None)
    assert judged(evaluator, CONVOLUTIONS, setting(seed=1)).metrics == equal.metrics


def test_the_weights_are_those_of_the_seed_and_the_images_are_not_augmented():
    seen = {}

    class Watching(Snip):
        def score(self, network, batches):
            seen["weights"] = [weight.detach().clone() for weight in network.parameters()]
            seen["batches"] = batches
            return super().score(network, batches)

    context = setting()
    judged(Watching, CONVOLUTIONS, context)
    with seeded(seed_of(0, "zero-cost", "weights"), CPU):
        network = ToySpace().network(ToySpace().from_text(CONVOLUTIONS), context.task)
    assert all(map(torch.equal, seen["weights"], network.parameters()))
    (batch,) = seen["batches"]
    plain = stream(context.splits.train, 8, 0, "zero-cost", CPU, augment=False).at(0)
    assert all(map(torch.equal, batch, plain))


@pytest.mark.parametrize(("evaluator", "batches"), [*((one, 1) for one in EVERY), (Zico, 3)])
def test_the_cost_is_what_was_forecast(evaluator, batches):
    charged = []
    run = RunHandle(lambda forward, backward: charged.append((forward, backward)))
    options = {"batches": batches} if batches > 1 else {}
    found = made(evaluator, setting(run=run), **options)
    found.evaluate(ToySpace().from_text(CONVOLUTIONS), None)
    total = PhaseCost(*(sum(column) for column in zip(*charged, strict=True)))
    assert total == found.max_cost()
    expected = {Synflow: (1, 1), Naswot: (8, 0), Zico: (8 * max(2, batches),) * 2}
    assert total == PhaseCost(*expected.get(evaluator, (8, 8)))


@pytest.mark.parametrize("evaluator", WITH_IMAGES)
def test_a_batch_of_one_image_and_too_few_images_are_refused(evaluator):
    with pytest.raises(ConfigurationError, match="batch_size must be at least 2, got 1"):
        evaluator.parse_options({"batch_size": 1})
    with pytest.raises(ConfigurationError, match=f"{evaluator.name},batch_size=(48|24)"):
        made(evaluator, batch_size=64)


@pytest.mark.parametrize("evaluator", [GradientNorm, Snip, Zico])
def test_a_loss_needs_two_classes(evaluator):
    with pytest.raises(ConfigurationError, match=r"zero with 1 class.*such as synflow"):
        made(evaluator, setting(task=Task(1, 3, 8)))


def test_a_score_that_is_no_number_is_refused():
    class Broken(Synflow):
        def score(self, network, batches):
            return replace(super().score(network, batches), value=math.inf)

    with pytest.raises(DataError, match=f"'synflow' found inf for {SKIPS}.*finite number"):
        Broken(setting()).evaluate(ToySpace().from_text(SKIPS), None)


def test_synflow_needs_no_images():
    augmentation = ToyData().splits(0).train.augmentation
    empty = Split(torch.zeros(0, 3, 8, 8).byte(), torch.zeros(0).long(), augmentation)
    context = setting(splits=Splits(empty, empty, empty))
    assert judged(Synflow, CONVOLUTIONS, context) == judged(Synflow, CONVOLUTIONS)
    assert not Synflow.needs_images


def test_the_offers_load_without_torch_in_the_package():
    names = [offer.name for offer in nastk_zero_cost.evaluators()]
    assert set(names) == {one.name for one in EVERY}
    assert all(catalogue().load("evaluator", one.name) is one for one in EVERY)
