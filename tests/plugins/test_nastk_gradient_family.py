"""The samples and gradients of the gradient family, against closed forms and enumeration."""

import math
from itertools import permutations
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Dirichlet, kl_divergence

from nastk import ArchitectureUpdater, Mixture, Plan, Probe, Subspace, catalogue
from nastk.testing import Harness, ToyData, fingerprint
from nastk.testing.toy import EDGES
from nastk_gradient import dirichlet
from nastk_gradient.darts import Darts
from nastk_gradient.drnas import DrNas
from nastk_gradient.gates import path, rescaled, slope_of_alpha, two_paths
from nastk_gradient.gdas import Gdas
from nastk_gradient.gumbel import annealed, gumbel, relaxed, straight_through
from nastk_gradient.pcdarts import PcDarts, edge_weights
from nastk_gradient.proxyless import Proxyless
from nastk_gradient.smooth import Smooth, shaken
from nastk_gradient.snas import Snas

MANY = 20_000


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def started(updater: type[ArchitectureUpdater], **options: Any) -> tuple[Any, Probe, Harness]:
    """An updater in a fresh branch on the toy, its probe, its harness."""
    harness = Harness(updater, options)
    branch = harness.trainer.root()
    return branch.updater, harness.trainer.probe(branch), harness


def repeated(row: list[float], alive: list[bool]) -> tuple[Tensor, Subspace]:
    """The same logits on very many edges, so that frequencies are probabilities."""
    return torch.tensor(row).repeat(MANY, 1), Subspace.of([alive] * MANY)


def at(epoch: int, epochs: int, updater: Any, **options: Any) -> tuple[Any, Probe]:
    """An updater and its probe in this epoch of so many."""
    harness = Harness(updater, options, trainer_options={"epochs": epochs})
    branch = harness.trainer.root()
    branch.epoch = epoch
    return branch.updater, harness.trainer.probe(branch)


# ---------------------------------------------------------------- Gumbel samples


def test_gumbel_noise_has_the_mean_and_variance_of_gumbels_distribution() -> None:
    noise = gumbel((MANY, 2), rng())
    assert float(noise.mean()) == pytest.approx(0.5772, abs=0.02)
    assert float(noise.var()) == pytest.approx(math.pi**2 / 6, abs=0.05)
    assert torch.equal(noise, gumbel((MANY, 2), rng()))


def test_the_largest_noisy_logit_is_drawn_with_the_probabilities_of_the_softmax() -> None:
    alpha, subspace = repeated([0.0, 1.0, 2.0, 9.0], [True, True, True, False])
    drawn = straight_through(relaxed(alpha, subspace, 0.5, gumbel(alpha.shape, rng())))
    expected = torch.tensor([0.0900, 0.2447, 0.6652, 0.0])
    torch.testing.assert_close(drawn.weights.mean(0), expected, atol=0.01, rtol=0)


def test_a_soft_sample_with_given_noise_is_the_closed_form() -> None:
    alpha = torch.tensor([[1.0, 2.0, 5.0], [0.0, 0.0, 0.0]])
    noise = torch.tensor([[0.5, -0.5, 3.0], [0.0, 1.0, 2.0]])
    subspace = Subspace.of([[True, True, False], [True, True, True]])
    found = relaxed(alpha, subspace, 2.0, noise).weights
    # (1 + 0.5) / 2 = (2 - 0.5) / 2; then 0, 1/2, 1.
    total = 1 + math.exp(0.5) + math.exp(1.0)
    expected = [[0.5, 0.5, 0.0], [1 / total, math.exp(0.5) / total, math.exp(1.0) / total]]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_a_cold_sample_is_one_hot_and_a_hot_one_is_even() -> None:
    alpha, subspace = torch.zeros(5, 4), Subspace.full(EDGES)
    noise = gumbel(alpha.shape, rng())
    cold, hot = (relaxed(alpha, subspace, heat, noise).weights for heat in (1e-3, 1e3))
    assert float(cold.max(-1).values.min()) > 0.999
    torch.testing.assert_close(hot, Mixture.uniform(subspace).weights, atol=2e-3, rtol=0)


def test_a_hard_sample_is_exactly_one_hot_and_has_the_slope_of_the_soft_one() -> None:
    alpha = torch.randn(5, 4, generator=rng(1), requires_grad=True)
    subspace, noise = Subspace.full(EDGES).only(1, ()), gumbel((5, 4), rng(2))
    soft = relaxed(alpha, subspace, 0.7, noise)
    hard = straight_through(soft)
    assert set(hard.weights.flatten().tolist()) == {0.0, 1.0}
    assert hard.active.sum(-1).tolist() == [1, 0, 1, 1, 1]
    assert torch.equal(hard.weights.detach().bool(), hard.active)
    direction = torch.randn(5, 4, generator=rng(3))
    found, expected = (
        torch.autograd.grad((each.weights * direction).sum(), alpha, retain_graph=True)[0]
        for each in (hard, soft)
    )
    torch.testing.assert_close(found, expected)


def test_gdas_learns_through_the_drawn_operations_alone() -> None:
    updater, probe, _ = started(Gdas, temperature_start=2.0, temperature_end=2.0)
    state = probe.rng.get_state()
    mixture = updater.mixture(probe)
    probe.rng.set_state(state)
    soft = relaxed(updater.alpha, probe.subspace, 2.0, gumbel((5, 4), probe.rng))
    gates = mixture.weights.detach().requires_grad_()
    batch = probe.valid.at(0)
    (slope,) = torch.autograd.grad(probe.loss(Mixture(gates, mixture.active), batch), gates)
    assert not slope[~mixture.active].any()
    # dL/dalpha_k = dL/dw_s * p_s * ((k = s) - p_k) / tau, with s the drawn operation.
    chosen = mixture.active.float()
    drawn = (slope * soft.weights * chosen).sum(-1, keepdim=True)
    expected = drawn * (chosen - soft.weights) / 2.0
    probe.rng.set_state(state)
    (found,) = torch.autograd.grad(probe.loss(updater.mixture(probe), batch), updater.alpha)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("updater", "options", "epoch", "epochs", "temperature"),
    [
        (Gdas, {}, 0, 250, 10.0),
        (Gdas, {}, 124, 249, 5.05),
        (Gdas, {}, 249, 250, 0.1),
        (Gdas, {}, 0, 1, 10.0),
        (Snas, {}, 0, 150, 1.0),
        (Snas, {"temperature_end": 0.1}, 15, 60, 0.775),
        (Snas, {"temperature_end": 0.1}, 30, 60, 0.55),
        (Snas, {"temperature_end": 0.1}, 29, 30, 0.13),
        (Snas, {}, 14, 15, 0.0947),
    ],
)
def test_temperatures_are_those_of_the_authors_code(
    updater: Any, options: dict[str, float], epoch: int, epochs: int, temperature: float
) -> None:
    made, probe = at(epoch, epochs, updater, **options)
    assert made.temperature(probe) == pytest.approx(temperature, abs=1e-4)


def test_annealing_ends_where_it_says() -> None:
    assert [annealed(1.0, 0.1, epoch, 2) for epoch in (0, 1, 2, 3)] == [1.0, 0.55, 0.1, 0.1]


def test_snas_starts_around_its_mean() -> None:
    alpha = started(Snas)[0].alpha.detach()
    assert float(alpha.mean()) == pytest.approx(1.0, abs=0.01)
    assert 0.003 < float(alpha.std()) < 0.03


def test_snas_descends_the_loss_of_the_weight_step_itself() -> None:
    updater, probe, harness = started(Snas, weight_decay=0.0, learning_rate=0.01)
    branch, before = probe._branch, updater.alpha.detach().clone()
    torch.manual_seed(0)
    state = probe.rng.get_state()
    loss = probe.loss(updater.mixture(probe), probe.train.at(0))
    (gradient,) = torch.autograd.grad(loss, updater.alpha)
    probe.rng.set_state(state)
    harness.run([branch], steps=1)
    # The first step of Adam is the learning rate along the sign of the gradient.
    alive = probe.subspace.mask & (gradient.abs() > 1e-6)
    moved = (updater.alpha.detach() - before)[alive]
    torch.testing.assert_close(moved, -0.01 * gradient[alive].sign(), rtol=1e-2, atol=0)
    assert updater.alpha.grad is None


def test_joint_snas_measures_nothing_and_waits_for_its_warm_up() -> None:
    harness = Harness(Snas, {"warmup": 2})
    (branch,) = harness.run(steps=6)
    fresh = Harness(Snas, {"warmup": 2}).trainer.root()
    assert torch.equal(branch.updater.alpha, fresh.updater.alpha)
    harness.run([branch])
    assert not torch.equal(branch.updater.alpha, fresh.updater.alpha)
    phases = harness.trainer.ledger.cost().phases
    assert phases["updater"].images_forward == 0


def test_alternating_snas_needs_validation_images() -> None:
    updater, _, _ = started(Snas, loss="alternating")
    plan = Plan(epochs=3, steps_per_epoch=3, batch_size=16, train_images=96, valid_images=0)
    incompatibility = updater.incompatibility(plan)
    assert (
        incompatibility is not None
        and "train_fraction=0.5" in incompatibility
        and "joint" in incompatibility
    )
    assert started(Snas)[0].incompatibility(plan) is None
    data = ToyData(ToyData.parse_options({"train_fraction": 1.0}))
    assert Harness(Snas, data=data).run(steps=2)


# ---------------------------------------------------------------- Dirichlet samples


def test_the_concentration_is_one_at_zero_and_always_positive() -> None:
    found = dirichlet.concentration(torch.tensor([[-20.0, -1.0, 0.0, 2.0]]))
    expected = torch.tensor([[math.exp(-20), math.exp(-1), 1.0, 3.0]], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-12)


def test_a_dirichlet_sample_and_its_gradient_are_those_of_torch() -> None:
    beta = torch.randn(3, 4, generator=rng(5), requires_grad=True)
    subspace, stream = Subspace.of([[True] * 4] * 3), rng(6)
    outside = torch.random.get_rng_state()
    found = dirichlet.sample(beta, subspace, stream).weights
    assert torch.equal(torch.random.get_rng_state(), outside)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=rng(6))))
        expected = Dirichlet(dirichlet.concentration(beta)).rsample().float()
    torch.testing.assert_close(found, expected)
    direction = torch.randn(3, 4, generator=rng(7))
    slopes = [torch.autograd.grad((w * direction).sum(), beta)[0] for w in (found, expected)]
    torch.testing.assert_close(slopes[0], slopes[1])


@pytest.mark.parametrize("alive", [[True, True, True], [True, True, False]])
def test_dirichlet_samples_and_their_gradients_have_the_right_expectation(
    alive: list[bool],
) -> None:
    beta, subspace = repeated([0.5, -0.5, 1.0], alive)
    beta.requires_grad_()
    direction = torch.tensor([1.0, -2.0, 4.0])
    drawn = dirichlet.sample(beta, subspace, rng(8)).weights
    one = Subspace.of([alive])
    row = torch.tensor([[0.5, -0.5, 1.0]], requires_grad=True)
    mean = dirichlet.mean(row, one).weights
    torch.testing.assert_close(drawn.mean(0), mean[0], atol=0.01, rtol=0)
    (found,) = torch.autograd.grad((drawn * direction).sum(), beta)
    (expected,) = torch.autograd.grad((mean * direction).sum(), row)
    torch.testing.assert_close(found.mean(0), expected[0], atol=0.03, rtol=0)
    assert not found[:, ~torch.tensor(alive)].any()


def test_a_single_living_operation_gets_everything() -> None:
    subspace = Subspace.of([[False, True], [False, False]])
    weights = dirichlet.sample(torch.zeros(2, 2), subspace, rng()).weights
    torch.testing.assert_close(weights, torch.tensor([[0.0, 1.0], [0.0, 0.0]]))


def test_the_divergence_is_torchs_over_what_is_alive() -> None:
    beta = torch.tensor([[0.3, -0.7, 2.0], [1.0, 0.0, -3.0], [1.0, 1.0, 1.0]], requires_grad=True)
    subspace = Subspace.of([[True] * 3, [True, False, True], [False] * 3])
    found = dirichlet.divergence(beta, subspace)
    parameters = dirichlet.concentration(beta)
    parts = [parameters[0], parameters[1][[0, 2]]]
    expected = sum(
        kl_divergence(Dirichlet(part), Dirichlet(torch.ones_like(part))) for part in parts
    )
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    slopes = [torch.autograd.grad(each, beta, retain_graph=True)[0] for each in (found, expected)]
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-4, atol=1e-6)
    assert not dirichlet.divergence(torch.zeros(3, 3), subspace)


def test_drnas_is_pulled_by_decay_or_by_divergence_never_by_both() -> None:
    for options, pulled in (({}, False), ({"regulariser": "kl"}, True)):
        updater, probe, _ = started(DrNas, alpha_init=1.0, **options)
        assert updater.decay == (0.0 if pulled else 1e-3)
        assert bool(updater.pull(probe).any()) == pulled


def test_drnas_decides_by_the_mean_or_by_the_softmax() -> None:
    beta = torch.randn(5, 4, generator=rng(9))
    for ranking, expected in (
        ("mean", dirichlet.mean(beta, Subspace.full(EDGES)).weights),
        ("softmax", Mixture.softmax(beta, Subspace.full(EDGES)).weights),
    ):
        updater, probe, _ = started(DrNas, ranking=ranking)
        with torch.no_grad():
            updater.alpha.copy_(beta)
        torch.testing.assert_close(updater.scores(probe), expected)


# ---------------------------------------------------------------- binary gates


def test_a_path_is_drawn_with_the_probabilities_of_the_softmax() -> None:
    alpha, subspace = repeated([0.0, 1.0, 2.0, 9.0], [True, True, True, False])
    drawn = path(alpha, subspace, rng(1))
    assert torch.equal(drawn.weights.bool(), drawn.active)
    assert (drawn.active.sum(-1) == 1).all()
    expected = torch.tensor([0.0900, 0.2447, 0.6652, 0.0])
    torch.testing.assert_close(drawn.weights.mean(0), expected, atol=0.01, rtol=0)


def test_the_gradient_of_two_gates_is_the_softmaxs_where_there_are_two_operations() -> None:
    alpha = torch.tensor([[0.3, -1.2]], requires_grad=True)
    gates = torch.tensor([[2.0, -0.5]])
    found = slope_of_alpha(gates, alpha.detach(), torch.ones(1, 2, dtype=torch.bool))
    (expected,) = torch.autograd.grad((alpha.softmax(-1) * gates).sum(), alpha)
    torch.testing.assert_close(found, expected)


def test_two_path_gradients_have_the_expectation_that_enumeration_gives() -> None:
    logits, gates = [0.2, -0.4, 1.1, 0.0], torch.tensor([1.0, -2.0, 0.5, 3.0])
    chances = torch.tensor(logits).softmax(0)
    expected, opened = torch.zeros(4), torch.zeros(4)
    for first, second in permutations(range(4), 2):
        # One after the other without putting back; then a gate by the two's own shares.
        chance = chances[first] * chances[second] / (1 - chances[first])
        shares = chances[[first, second]] / chances[[first, second]].sum()
        mean = (shares * gates[[first, second]]).sum()
        for place, operation in enumerate((first, second)):
            expected[operation] += chance * shares[place] * (gates[operation] - mean)
            opened[operation] += chance * shares[place]
    alpha, subspace = repeated(logits, [True] * 4)
    both, gate = two_paths(alpha, subspace, rng(2))
    assert (both.sum(-1) == 2).all() and (gate.sum(-1) == 1).all() and not (gate & ~both).any()
    found = slope_of_alpha(gates.expand(MANY, 4), alpha, both)
    assert not found[~both].any()
    torch.testing.assert_close(found.mean(0), expected, atol=0.01, rtol=0)
    torch.testing.assert_close(gate.float().mean(0), opened, atol=0.01, rtol=0)


def test_edges_with_one_operation_or_none_learn_nothing() -> None:
    subspace = Subspace.of([[True, False, False], [False] * 3, [True, True, True]])
    both, gate = two_paths(torch.zeros(3, 3), subspace, rng())
    assert both.sum(-1).tolist() == [1, 0, 2] and gate.sum(-1).tolist() == [1, 0, 1]
    found = slope_of_alpha(torch.ones(3, 3) * 7, torch.zeros(3, 3), both)
    assert torch.isfinite(found).all() and not found[:2].any()


def test_rescaling_keeps_what_the_two_have_together() -> None:
    old = torch.tensor([[0.2, -0.4, 1.1], [0.0, 0.0, 0.0]])
    both = torch.tensor([[True, False, True], [False, False, False]])
    new = old + torch.tensor([[0.5, 0.0, -0.1], [0.0, 0.0, 0.0]])
    found = rescaled(new, old, both)
    before, after = old.softmax(-1), found.softmax(-1)
    torch.testing.assert_close(after[0, 1], before[0, 1])
    torch.testing.assert_close(after[0, [0, 2]].sum(), before[0, [0, 2]].sum())
    torch.testing.assert_close(found[0, 0] - found[0, 2], new[0, 0] - new[0, 2])
    assert torch.equal(found[1], old[1])


def test_proxyless_moves_only_the_two_and_keeps_the_others_probabilities() -> None:
    updater, probe, _ = started(Proxyless, learning_rate=0.1, beta1=0.9, weight_decay=0.1)
    state = probe.rng.get_state()
    both, _ = two_paths(updater.alpha, probe.subspace, probe.rng)
    probe.rng.set_state(state)
    before = Mixture.softmax(updater.alpha.detach(), probe.subspace).weights
    updater.compare(probe)
    after = updater.scores(probe)
    rest = probe.subspace.mask & ~both
    assert rest.any()
    torch.testing.assert_close(after[rest], before[rest])
    assert (after[both] != before[both]).any()


def test_proxyless_learns_at_every_so_many_steps_after_its_warm_up() -> None:
    harness = Harness(Proxyless, {"warmup": 1, "every": 2})
    branch, moved = harness.trainer.root(), []
    before = fingerprint(branch.updater.state_dict())
    for moment in harness.trainer.run([branch]):
        if moment == "step":
            after = fingerprint(branch.updater.state_dict())
            moved.append(after != before)
            before = after
    assert moved == [False, False, False, True, False, True, False, True, False]


# ---------------------------------------------------------------- weighted edges


def test_edge_weights_are_a_softmax_over_the_inputs_of_a_node() -> None:
    beta = torch.tensor([3.0, 0.0, math.log(3), -1.0, 5.0], requires_grad=True)
    found = edge_weights(beta, EDGES, Subspace.full(EDGES))
    # first:0->1 alone; first:0->2 beside first:1->2; second's two edges each alone.
    torch.testing.assert_close(found, torch.tensor([1.0, 0.25, 0.75, 1.0, 1.0]))
    (slope,) = torch.autograd.grad(found[1], beta)
    torch.testing.assert_close(slope, torch.tensor([0.0, 0.1875, -0.1875, 0.0, 0.0]))


def test_an_edge_without_operations_leaves_its_nodes_sum() -> None:
    smaller = Subspace.full(EDGES).only(1, ())
    found = edge_weights(torch.tensor([3.0, 9.0, 1.0, -1.0, 5.0]), EDGES, smaller)
    torch.testing.assert_close(found, torch.tensor([1.0, 0.0, 1.0, 1.0, 1.0]))


def test_the_mixture_is_the_product_and_carries_gradient_to_both() -> None:
    updater, probe, _ = started(PcDarts, alpha_init=1.0)
    mixture = updater.mixture(probe)
    inner = Mixture.softmax(updater.alpha, probe.subspace).weights
    outer = edge_weights(updater.beta, EDGES, probe.subspace)
    torch.testing.assert_close(mixture.weights, inner * outer[:, None])
    torch.testing.assert_close(mixture.weights.sum(-1), outer)
    torch.testing.assert_close(updater.scores(probe), mixture.weights.detach())


def test_alpha_and_beta_take_adams_first_step_and_wait_for_the_warm_up() -> None:
    harness = Harness(PcDarts, {"warmup": 1, "learning_rate": 0.02, "weight_decay": 0.0})
    branch = harness.trainer.root()
    updater = branch.updater
    before = updater.alpha.detach().clone(), updater.beta.detach().clone()
    harness.run([branch], steps=3)
    assert torch.equal(updater.alpha, before[0]) and torch.equal(updater.beta, before[1])
    harness.run([branch], steps=1)
    moved = (updater.beta.detach() - before[1]).abs()
    # Only the node with two inputs has anything to weigh.
    torch.testing.assert_close(moved[[1, 2]], torch.full((2,), 0.02), rtol=1e-2, atol=0)
    assert not torch.equal(updater.alpha, before[0])


def test_the_decision_in_the_darts_space_is_the_published_one() -> None:
    found = catalogue().load("space", "darts")
    space = found(found.parse_options({"include_none": True, "edge_weights": True}))
    harness = Harness(PcDarts, {"alpha_init": 1.0}, space)
    branch = harness.trainer.root()
    updater, probe = branch.updater, harness.trainer.probe(branch)
    alpha, beta = updater.alpha.detach().softmax(-1), updater.beta.detach()
    expected: list[list[str]] = [[] for _ in space.edges]
    for group in ("normal", "reduce"):
        for node in range(2, 6):
            rows = [
                row
                for row, edge in enumerate(space.edges)
                if (edge.group, edge.head) == (group, node)
            ]
            shares = beta[rows].softmax(0)
            best = {
                row: float(alpha[row, 1:].max() * share)
                for row, share in zip(rows, shares, strict=True)
            }
            for row in sorted(rows, key=lambda row: -best[row])[:2]:
                expected[row] = [space.edges[row].operations[1 + int(alpha[row, 1:].argmax())]]
    assert updater.architecture(probe) == space.architecture(expected)


# ---------------------------------------------------------------- random smoothing


def test_a_shaken_mixture_is_the_cut_and_rescaled_sum() -> None:
    weights = torch.tensor([[0.5, 0.3, 0.2], [0.9, 0.1, 0.0]])
    alive = torch.tensor([[True, True, True], [True, True, False]])
    noise = torch.tensor([[1.0, 0.0, -1.0], [1.0, 0.5, 1.0]])
    found = shaken(Mixture(weights, alive), 0.25, noise).weights
    # 0.75, 0.3 and (0.2 - 0.25 cut to) 0; then 1.15 cut to 1, 0.225, and padding.
    expected = [[0.75 / 1.05, 0.3 / 1.05, 0.0], [1 / 1.225, 0.225 / 1.225, 0.0]]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_an_edge_that_is_cut_to_nothing_keeps_its_largest() -> None:
    mixture = Mixture(torch.tensor([[0.5, 0.5]]), torch.ones(1, 2, dtype=torch.bool))
    found = shaken(mixture, 1.0, torch.tensor([[-0.9, -0.8]]))
    assert found.weights.tolist() == [[0.0, 1.0]]


def test_shaking_stays_inside_its_radius_before_it_is_rescaled() -> None:
    updater, probe, _ = started(Smooth, epsilon_start=0.05, epsilon_end=0.05)
    plain = updater.mixture(probe).detach().weights
    (found,) = updater.mixtures(probe)
    alive = probe.subspace.mask
    assert torch.equal(found.weights[~alive], torch.zeros(int((~alive).sum())))
    torch.testing.assert_close(found.weights.sum(-1), torch.ones(5))
    # A row's sum moves by at most 4 * 0.05, and each weight by at most 0.05.
    low, high = (plain - 0.05) / 1.2, (plain + 0.05) / 0.8
    assert ((found.weights >= low) & (found.weights <= high))[alive].all()
    assert not torch.equal(found.weights, plain) and not found.weights.requires_grad


def test_a_radius_of_zero_is_darts() -> None:
    still = Harness(Smooth, {"epsilon_start": 0.0, "epsilon_end": 0.0})
    plain = Harness(Darts)
    (one,), (two,) = still.run(), plain.run()
    torch.testing.assert_close(one.updater.alpha, two.updater.alpha, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("epoch", "radius"), [(0, 0.03), (25, 0.165), (49, 0.2946)])
def test_epsilon_grows_as_in_the_authors_code(epoch: int, radius: float) -> None:
    updater, probe = at(epoch, 50, Smooth)
    assert updater.radius(probe) == pytest.approx(radius, abs=1e-6)


# ---------------------------------------------------------------- cost


@pytest.mark.quick_cases(4)
@pytest.mark.parametrize(
    ("updater", "options", "steps"),
    [
        (Snas, {}, 0),
        (Snas, {"loss": "alternating"}, 9),
        (Gdas, {"warmup": 1}, 6),
        (DrNas, {}, 9),
        (PcDarts, {"warmup": 2}, 3),
        (Proxyless, {"every": 2}, 3),
        (Proxyless, {"every": 1, "warmup": 0}, 9),
        (Smooth, {}, 9),
    ],
)
def test_the_forecast_is_what_the_ledger_measures(
    updater: Any, options: dict[str, Any], steps: int
) -> None:
    harness = Harness(updater, options)
    (branch,) = harness.run()
    forecast = branch.updater.max_cost(harness.plan)
    spent = harness.trainer.ledger.cost().phases["updater"]
    assert (forecast.images_forward, forecast.images_backward) == (16 * steps, 16 * steps)
    assert (spent.images_forward, spent.images_backward) == (16 * steps, 16 * steps)
