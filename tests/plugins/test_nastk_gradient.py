"""`nastk_gradient`: gradients of alpha against exact ones, Adam, warm-up, cost, the contract."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from core_kit import ShortContract
from torch import Tensor, nn

from nastk import Batch, Branch, Continuation, DivergenceError, Mixture, Plan, Probe
from nastk.testing import Harness, fingerprint
from nastk_gradient.darts import Darts
from nastk_gradient.hypergradient import first_order, mixed_derivative, second_order


class TestFirstOrder(ShortContract):
    updater, options = Darts, {"learning_rate": 0.05}


class TestSecondOrder(ShortContract):
    updater, options = Darts, {"order": 2, "learning_rate": 0.05}


@pytest.mark.slow
class TestWarmup(ShortContract):
    updater, options = Darts, {"warmup": 1, "alpha_init": 0.1}


class InDouble(ShortContract):
    """The second order in another precision: nothing else is different."""

    updater = Darts
    options: ClassVar = {"order": 2, "double_precision": True, "learning_rate": 0.05}


def test_in_double_precision_a_stopped_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    InDouble().test_stop_store_load_continue_equals_the_straight_run(tmp_path)


# ---------------------------------------------------------------- the gradients, against exact ones


class Bench:
    """A toy supernet in float64 with momentum buffers, a probe on it, two batches, some alpha."""

    def __init__(self, momentum: bool = True) -> None:
        harness = Harness(Darts, trainer_options={"learning_rate": 1.0, "batch_size": 24})
        self.branch: Branch = harness.trainer.root()
        self.branch.supernet.double()
        # A finite difference measures a derivative only where there is one: bends instead of kinks.
        for module in list(self.branch.supernet.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.ReLU):
                    setattr(module, name, nn.Softplus())
        rng = torch.Generator().manual_seed(1)
        if momentum:
            for weight in self.branch.supernet.parameters():
                buffer = 0.01 * torch.randn(weight.shape, generator=rng, dtype=torch.float64)
                self.branch.optimizer.state[weight]["momentum_buffer"] = buffer
        self.probe: Probe = harness.trainer.probe(self.branch)
        self.train, self.valid = (
            self.double(stream.at(0)) for stream in (self.probe.train, self.probe.valid)
        )
        shape = self.probe.subspace.mask.shape
        self.alpha = torch.randn(shape, generator=rng, dtype=torch.float64).requires_grad_()

    @staticmethod
    def double(batch: Batch) -> Batch:
        return Batch(batch.images.double(), batch.labels)

    def loss(self, batch: Batch, alpha: Tensor, weights: dict[str, Tensor]) -> Tensor:
        """The loss by plain torch, without the probe."""
        mixture = Mixture.softmax(alpha, self.probe.subspace)
        logits = torch.func.functional_call(self.branch.supernet, weights, (batch.images, mixture))
        return F.cross_entropy(logits, batch.labels)

    def stepped(self, alpha: Tensor) -> dict[str, Tensor]:
        """SGD's step with momentum and weight decay, written out and differentiable in alpha."""
        weights = dict(self.branch.supernet.named_parameters())
        loss = self.loss(self.train, alpha, weights)
        gradients = torch.autograd.grad(
            loss, list(weights.values()), create_graph=True, materialize_grads=True
        )
        group, state = self.branch.optimizer.param_groups[0], self.branch.optimizer.state
        return {
            name: weight
            - group["lr"]
            * (
                gradient
                + group["weight_decay"] * weight
                + group["momentum"] * state[weight].get("momentum_buffer", torch.zeros_like(weight))
            )
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
        }

    def exact(self) -> Tensor:
        """The hypergradient with all second derivatives, by autograd through the step."""
        loss = self.loss(self.valid, self.alpha, self.stepped(self.alpha))
        return torch.autograd.grad(loss, self.alpha)[0]

    def truncated(self) -> Tensor:
        """The same with constant look-ahead weights: what is left without the second order."""
        ahead = {name: weight.detach() for name, weight in self.stepped(self.alpha).items()}
        return torch.autograd.grad(self.loss(self.valid, self.alpha, ahead), self.alpha)[0]


def error(found: Tensor, exact: Tensor) -> float:
    """Relative L2 error."""
    return float((found - exact).norm() / exact.norm())


@pytest.mark.parametrize("momentum", [False, True])
def test_second_order_is_the_derivative_through_the_weight_step(momentum: bool) -> None:
    bench = Bench(momentum)
    exact = bench.exact()
    found = second_order(bench.probe, bench.alpha, bench.train, bench.valid)
    assert error(found, exact) < 1e-3
    # The tolerance tells: without the second-order term the error is far larger.
    assert error(bench.truncated(), exact) > 5e-2
    assert error(first_order(bench.probe, bench.alpha, bench.valid), exact) > 5e-2


def test_a_smaller_finite_difference_is_closer() -> None:
    bench = Bench()
    errors = [
        error(
            second_order(bench.probe, bench.alpha, bench.train, bench.valid, epsilon), bench.exact()
        )
        for epsilon in (0.3, 0.03, 0.003)
    ]
    assert errors[0] > errors[1] > errors[2]


def test_first_order_is_the_slope_of_the_validation_loss() -> None:
    bench = Bench()
    gradient = first_order(bench.probe, bench.alpha, bench.valid)
    weights, step = bench.probe.weights, 1e-5
    for edge, operation in bench.probe.subspace.alive_operations():
        bump = torch.zeros_like(bench.alpha)
        bump[edge, operation] = step
        up, down = (
            bench.loss(bench.valid, bench.alpha.detach() + sign * bump, weights) for sign in (1, -1)
        )
        assert float(gradient[edge, operation]) == pytest.approx(
            float(up - down) / (2 * step), abs=1e-6
        )


def test_an_operation_that_is_not_alive_has_no_gradient() -> None:
    bench = Bench()
    bench.branch.subspace = bench.branch.subspace.drop(0, 2)
    for gradient in (
        first_order(bench.probe, bench.alpha, bench.valid),
        second_order(bench.probe, bench.alpha, bench.train, bench.valid),
    ):
        assert gradient[0, 2] == 0
        assert gradient[3, 3] == 0  # padding
        assert gradient[1, 2] != 0


def test_a_vector_of_zeros_has_no_mixed_derivative() -> None:
    bench = Bench()
    zeros = {name: torch.zeros_like(weight) for name, weight in bench.probe.weights.items()}
    found = mixed_derivative(bench.probe, bench.alpha, bench.train, zeros)
    assert torch.equal(found, torch.zeros_like(found))


def test_the_look_ahead_is_the_step_that_sgd_takes() -> None:
    bench = Bench()
    mixture = Mixture.softmax(bench.alpha.detach(), bench.probe.subspace)
    ahead = bench.probe.lookahead(mixture, bench.train)
    bench.branch.optimizer.zero_grad()
    bench.probe.loss(mixture, bench.train).backward()
    bench.branch.optimizer.step()
    for name, weight in bench.branch.supernet.named_parameters():
        torch.testing.assert_close(ahead[name], weight.detach(), rtol=1e-9, atol=1e-12)


def test_double_precision_finds_in_a_float32_run_what_a_float64_run_finds() -> None:
    harness = Harness(Darts, trainer_options={"learning_rate": 1.0, "batch_size": 24})
    (branch,) = harness.run(steps=2)
    probe = harness.trainer.probe(branch)
    train, valid = probe.train.at(2), probe.valid.at(2)
    rng = torch.Generator().manual_seed(1)
    alpha = torch.randn(probe.subspace.mask.shape, generator=rng).requires_grad_()
    # So short a step has float32 lose its digits on every processor, kinks or not.
    epsilon = 1e-5
    single, found = (
        second_order(probe, alpha, train, valid, epsilon, double) for double in (False, True)
    )
    assert any(isinstance(module, nn.ReLU) for module in branch.supernet.modules())
    assert found.dtype == torch.float32
    branch.supernet.double()
    for state in branch.optimizer.state.values():
        state["momentum_buffer"] = state["momentum_buffer"].double()
    wide = alpha.detach().double().requires_grad_()
    exact = second_order(probe, wide, Bench.double(train), Bench.double(valid), epsilon)
    assert error(found, exact) < 1e-5
    assert error(single, exact) > 1e-4


@pytest.mark.parametrize("double", [False, True])
def test_the_option_says_in_which_precision_the_gradient_is(
    double: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    updater, probe = darts(order=2, double_precision=double)
    seen: list[torch.dtype] = []
    monkeypatch.setattr(
        probe._branch.supernet.head,
        "forward",
        lambda x: (seen.append(x.dtype), nn.Linear.forward(probe._branch.supernet.head, x))[1],
    )
    updater.before_step(probe, probe.train.at(0))
    assert seen == 4 * [torch.float64 if double else torch.float32]
    assert updater.alpha.dtype == torch.float32


# ---------------------------------------------------------------- alpha and its optimiser


def darts(**options: Any) -> tuple[Darts, Probe]:
    """An updater in a fresh branch, and its probe."""
    harness = Harness(Darts, options)
    branch = harness.trainer.root()
    assert isinstance(branch.updater, Darts)
    return branch.updater, harness.trainer.probe(branch)


def test_alpha_starts_as_small_noise_of_the_branch() -> None:
    alphas = [
        darts(alpha_init=0.01)[0].alpha,
        darts(alpha_init=0.01)[0].alpha,
        darts(alpha_init=0)[0].alpha,
    ]
    assert torch.equal(alphas[0], alphas[1])
    assert 0.003 < float(alphas[0].detach().std()) < 0.03
    assert not alphas[2].any()


def test_the_first_adam_step_has_the_length_of_the_learning_rate() -> None:
    updater, probe = darts(learning_rate=0.02, weight_decay=0)
    before, gradient = updater.alpha.detach().clone(), torch.full((5, 4), -3.0)
    updater.learn(gradient, probe.subspace)
    alive = probe.subspace.mask
    torch.testing.assert_close(updater.alpha.detach()[alive], before[alive] + 0.02)


def test_weight_decay_and_moments_leave_dead_operations_alone() -> None:
    updater, probe = darts(learning_rate=0.1, weight_decay=0.5, alpha_init=1.0)
    smaller = probe.subspace.drop(1, 2)
    before = updater.alpha.detach().clone()
    updater.learn(torch.ones(5, 4), probe.subspace)
    middle = updater.alpha.detach().clone()
    updater.learn(torch.zeros(5, 4), smaller)
    moved = updater.alpha.detach() != middle
    assert torch.equal(moved, smaller.mask)
    assert torch.equal(updater.alpha.detach()[3:, 3], before[3:, 3])  # padding never moves


def test_mixtures_are_the_softmax_without_gradient() -> None:
    updater, probe = darts(alpha_init=1.0)
    (mixture,) = updater.mixtures(probe)
    assert not mixture.weights.requires_grad
    torch.testing.assert_close(mixture.weights.sum(1), torch.ones(5))
    assert mixture.weights[3, 3] == 0
    torch.testing.assert_close(mixture.weights[0], updater.alpha.detach()[0].softmax(0))


def test_the_decision_follows_alpha() -> None:
    updater, probe = darts(alpha_init=0)
    with torch.no_grad():
        updater.alpha[torch.arange(5), torch.tensor([1, 2, 3, 2, 1])] = 1.0
    assert updater.architecture(probe).choices == (
        ("skip",),
        ("conv",),
        ("pool",),
        ("conv",),
        ("skip",),
    )


@pytest.mark.parametrize("order", [1, 2])
def test_a_step_of_alpha_lowers_the_loss_and_touches_no_weight(order: int) -> None:
    updater, probe = darts(order=order, learning_rate=1e-3, weight_decay=0)
    valid, train = probe.valid.at(0), probe.train.at(0)
    supernet, rng = probe._branch.supernet, probe.rng.get_state()
    weights, (loss,) = (
        fingerprint(supernet.state_dict()),
        probe.scores(updater.mixtures(probe), [valid], of="loss"),
    )
    updater.before_step(probe, train)
    assert next(probe.scores(updater.mixtures(probe), [valid], of="loss")) < loss
    assert fingerprint(supernet.state_dict()) == weights
    assert all(weight.grad is None for weight in supernet.parameters())
    assert updater.alpha.grad is None
    assert torch.equal(probe.rng.get_state(), rng)


def test_alpha_waits_for_the_warm_up_and_then_learns_at_every_step() -> None:
    harness = Harness(Darts, {"warmup": 2})
    branch = harness.trainer.root()
    alphas = [branch.updater.alpha.detach().clone()]
    for moment in harness.trainer.run([branch]):
        if moment == "step":
            alphas.append(branch.updater.alpha.detach().clone())
    changed = [not torch.equal(one, two) for one, two in pairwise(alphas)]
    assert changed == [False] * 6 + [True] * 3


def test_each_step_learns_from_the_next_validation_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    harness, asked = Harness(Darts), []
    valid = harness.trainer.valid
    original = type(valid).at
    monkeypatch.setattr(
        type(valid),
        "at",
        lambda self, step: (asked.append(step) if self is valid else None, original(self, step))[1],
    )
    harness.run(steps=5)
    assert asked == [0, 1, 2, 3, 4]


# ---------------------------------------------------------------- state


def test_state_round_trip_goes_on_to_the_same_bits_and_shares_nothing() -> None:
    gradients = torch.randn(6, 5, 4, generator=torch.Generator().manual_seed(3))
    straight, probe = darts(learning_rate=0.1)
    for gradient in gradients[:3]:
        straight.learn(gradient, probe.subspace)
    state = straight.state_dict()
    before = fingerprint(state)
    children = [darts(learning_rate=0.1)[0] for _ in range(2)]
    for child in children:
        child.load_state_dict(state)
    for gradient in gradients[3:]:
        straight.learn(gradient, probe.subspace)
        children[0].learn(gradient, probe.subspace)
    assert fingerprint(children[0].state_dict()) == fingerprint(straight.state_dict()) != before
    assert fingerprint(state) == fingerprint(children[1].state_dict()) == before


def test_state_before_the_first_step_loads() -> None:
    updater, _ = darts()
    other, _ = darts(alpha_init=1.0)
    other.load_state_dict(updater.state_dict())
    assert fingerprint(other.state_dict()) == fingerprint(updater.state_dict())


# ---------------------------------------------------------------- plan, cost, record

PLAN = Plan(epochs=3, steps_per_epoch=3, batch_size=16, train_images=48, valid_images=48)


@pytest.mark.parametrize(
    ("warmup", "epochs", "why"),
    [
        (0, 1, None),
        (2, 3, None),
        (
            3,
            3,
            r"warmup=3 leaves alpha no epoch of 3 .* `-u warmup=2` or less, "
            "or `--epochs 4` or more",
        ),
        (9, 3, r"warmup=9 .* `--epochs 10`"),
    ],
)
def test_complains_of_a_warm_up_that_never_ends(warmup: int, epochs: int, why: str | None) -> None:
    updater, _ = darts(warmup=warmup)
    incompatibility = updater.incompatibility(replace(PLAN, epochs=epochs))
    if why is None:
        assert incompatibility is None
    else:
        with pytest.raises(ValueError, match=why):
            raise ValueError(incompatibility)


@pytest.mark.parametrize(
    ("options", "images"),
    [
        ({}, 9 * 16),
        ({"warmup": 1}, 6 * 16),
        ({"order": 2}, 9 * 4 * 16),
        ({"order": 2, "warmup": 2}, 3 * 4 * 16),
    ],
)
def test_the_forecast_is_what_the_ledger_measures(options: dict[str, int], images: int) -> None:
    harness = Harness(Darts, options)
    (branch,) = harness.run()
    forecast = branch.updater.max_cost(harness.plan)
    spent = harness.trainer.ledger.cost().phases["updater"]
    assert (forecast.images_forward, forecast.images_backward) == (images, images)
    assert (spent.images_forward, spent.images_backward) == (images, images)


def test_the_scores_are_alpha_after_its_softmax() -> None:
    updater, probe = darts()
    expected = Mixture.softmax(updater.alpha, probe.subspace).weights
    assert torch.equal(updater.scores(probe), expected.detach())


def test_goes_on_in_the_same_subspace_while_alpha_is_finite() -> None:
    updater, probe = darts()
    assert updater.after_epoch(probe) == [Continuation(probe.subspace)]
    with torch.no_grad():
        updater.alpha[0, 0] = torch.nan
    with pytest.raises(
        DivergenceError,
        match=r"darts: alpha is not finite after epoch 0 .* Lower the learning rate",
    ):
        updater.after_epoch(probe)


# ---------------------------------------------------------------- what is offered


@pytest.mark.parametrize(
    ("name", "order", "fits"),
    [("paper", 2, False), ("paper-first-order", 1, False), ("quick", 1, True)],
)
def test_presets_are_valid_options(name: str, order: int, fits: bool) -> None:
    (preset,) = (one for one in Darts.presets if one.name == name and one.fits("darts", "cifar10"))
    assert Darts.parse_options(preset.updater_options).order == order
    assert preset.fits("darts", "cifar10")
    assert preset.fits("toy", "toy") == fits
