from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from core_kit import NoisySpace, Still, answering, started

from nastk import ConfigurationError, Mixture, StopRequested
from nastk.base.events import UpdaterReported, UpdaterWorking
from nastk.testing import ToyData, fingerprint

BATCH = 16


def uniform(probe):
    return Mixture.uniform(probe.subspace)


def path(probe):
    """One operation an edge: most weights of the supernet are left out."""
    mixture = uniform(probe)
    for edge, operation in enumerate((2, 1, 3, 2, 1)):
        mixture = mixture.only(edge, operation)
    return mixture


def doubles(probe):
    return {name: weight.double() for name, weight in probe.weights.items()}


def loss_and_gradient(probe):
    logits = torch.zeros(5, 4, requires_grad=True)
    loss = probe.loss(Mixture.softmax(logits, probe.subspace), probe.valid.at(0))
    torch.autograd.grad(loss, logits)


MEASUREMENTS = {
    "logits": lambda probe: probe.logits(uniform(probe), probe.train.at(0).images),
    "loss": loss_and_gradient,
    "gradients": lambda probe: probe.gradients(path(probe), probe.train.at(0)),
    "gradients elsewhere": lambda probe: probe.gradients(
        uniform(probe),
        probe.train.at(0),
        weights={name: 2 * weight for name, weight in probe.weights.items()},
    ),
    "lookahead": lambda probe: probe.lookahead(uniform(probe), probe.train.at(0)),
    "lookahead elsewhere": lambda probe: probe.lookahead(
        path(probe), probe.train.at(0), doubles(probe)
    ),
    "accuracy": lambda probe: list(
        probe.scores([uniform(probe), path(probe)], [probe.valid.at(0)])
    ),
    "accuracies": lambda probe: probe.accuracies([path(probe)], probe.valid.once()),
    "loss scores": lambda probe: list(
        probe.scores([uniform(probe)], list(probe.valid.once()), of="loss")
    ),
    "operations": lambda probe: list(probe.operations()),
    "weights": lambda probe: probe.weights,
}


@pytest.mark.parametrize("space", [None, NoisySpace()], ids=["quiet", "noisy"])
@pytest.mark.parametrize("name", MEASUREMENTS)
def test_measuring_changes_nothing(name, space):
    _, branch, probe = started(steps=2, **({"space": space} if space else {}))

    def everything():
        return (
            fingerprint(branch.state_dict()),
            [
                (key, weight.requires_grad, fingerprint(weight.grad))
                for key, weight in branch.supernet.named_parameters()
            ],
            [module.training for module in branch.supernet.modules()],
            torch.get_rng_state().tolist(),
            probe.rng.get_state().tolist(),
        )

    before = everything()
    MEASUREMENTS[name](probe)
    assert everything() == before


@pytest.mark.parametrize(
    ("name", "forward", "backward"),
    [
        ("logits", BATCH, 0),
        ("loss", BATCH, BATCH),
        ("gradients", BATCH, BATCH),
        ("gradients elsewhere", BATCH, BATCH),
        ("lookahead", BATCH, BATCH),
        ("lookahead elsewhere", BATCH, BATCH),
        ("accuracy", 2 * BATCH, 0),
        ("loss scores", 48, 0),
        ("operations", 0, 0),
        ("weights", 0, 0),
    ],
)
def test_every_image_is_charged_to_the_running_phase(name, forward, backward):
    harness, _, probe = started()
    with harness.trainer.ledger.phase("updater"):
        MEASUREMENTS[name](probe)
    phases = harness.trainer.ledger.cost().phases
    assert (phases["updater"].images_forward, phases["updater"].images_backward) == (
        forward,
        backward,
    )
    assert "train" not in phases


def test_a_loss_whose_gradient_nobody_wants_costs_no_backward_images():
    harness, _, probe = started()
    probe.loss(uniform(probe), probe.train.at(0))
    assert harness.trainer.ledger.cost().total.images_backward == 0


def test_noise_is_the_same_for_every_mixture_of_a_step():
    _, _, probe = started(space=NoisySpace())
    first, second = (probe.loss(uniform(probe), probe.train.at(0)).item() for _ in range(2))
    assert first == second


def test_measuring_does_not_shift_the_noise_of_the_weight_step():
    def measure(self, probe, batch):
        list(probe.scores([uniform(probe)] * 3, [batch]))

    prints = []
    for updater in (Still, answering(before_step=measure)):
        _, branch, _ = started(updater, steps=2, space=NoisySpace())
        prints.append(fingerprint(branch.supernet.state_dict()))
    assert prints[0] == prints[1]


@pytest.mark.parametrize("mixture", [uniform, path])
@pytest.mark.parametrize("steps", [0, 2], ids=["first step", "with momentum"])
@pytest.mark.parametrize(
    "options",
    [
        {"momentum": 0.0, "weight_decay": 0.0},
        {"momentum": 0.0, "weight_decay": 0.1},
        {"momentum": 0.9, "weight_decay": 0.01},
        {"momentum": 0.9, "weight_decay": 0.01, "nesterov": True},
        {"momentum": 0.9, "gradient_clip": 1e-6},  # never clipped
    ],
    ids=str,
)
def test_lookahead_is_a_real_step_of_sgd(options, steps, mixture):
    harness, branch, probe = started(steps=steps, trainer_options=options)
    batch = probe.train.at(5)
    found = probe.lookahead(mixture(probe), batch)
    twin = harness.trainer.restore(branch.state_dict())
    group = twin.optimizer.param_groups[0]
    assert (
        isinstance(twin.optimizer, torch.optim.SGD) and group["lr"] == probe.learning_rate == 0.05
    )
    twin.optimizer.zero_grad(set_to_none=True)
    F.cross_entropy(twin.supernet(batch.images, mixture(probe)), batch.labels).backward()
    twin.optimizer.step()
    assert not any(weight.requires_grad for weight in found.values())
    for name, weight in twin.supernet.named_parameters():
        torch.testing.assert_close(found[name], weight.detach(), rtol=1e-6, atol=1e-8, msg=name)


OFF = {"momentum": 0.9, "weight_decay": 0.01, "resting": False}


@pytest.mark.parametrize("options", [{}, OFF], ids=["resting", "not resting"])
def test_weights_in_double_precision_are_measured_and_stepped_in_it(options):
    """As the same supernet computes that is in double precision itself."""
    _, branch, probe = started(steps=2, trainer_options=options)
    batch, weights = probe.train.at(5), doubles(probe)
    branch.execution = replace(branch.execution, bf16=True)  # no matter to weights that have more
    logits = probe.logits(path(probe), batch.images, weights)
    found = probe.lookahead(path(probe), batch, weights)
    branch.supernet.double()
    for state in branch.optimizer.state.values():
        state["momentum_buffer"] = state["momentum_buffer"].double()
    branch.execution = replace(branch.execution, bf16=False)
    wide = batch._replace(images=batch.images.double())
    torch.testing.assert_close(
        logits, probe.logits(path(probe), wide.images), rtol=1e-12, atol=1e-14
    )
    for name, weight in probe.lookahead(path(probe), wide).items():
        torch.testing.assert_close(found[name], weight, rtol=1e-12, atol=1e-14, msg=name)


def test_what_is_no_weight_follows_weights_in_double_precision():
    _, branch, probe = started()
    branch.supernet.head.register_buffer("scale", torch.full((3,), 2.0))
    branch.supernet.head.register_forward_hook(
        lambda head, given, answer: answer @ torch.diag(head.scale)
    )
    images = probe.train.at(0).images
    found = probe.logits(uniform(probe), images, doubles(probe))
    torch.testing.assert_close(found.float(), probe.logits(uniform(probe), images))
    assert found.dtype == torch.float64 and branch.supernet.head.scale.dtype == torch.float32


@pytest.mark.parametrize("mixture", [uniform, path])
def test_gradients_are_autograd_s_with_zeros_for_what_is_left_out(mixture):
    _, branch, probe = started()
    batch = probe.train.at(1)
    found = probe.gradients(mixture(probe), batch)
    F.cross_entropy(branch.supernet(batch.images, mixture(probe)), batch.labels).backward()
    expected = dict(branch.supernet.named_parameters())
    left_out = [name for name, weight in expected.items() if weight.grad is None]
    assert found.keys() == expected.keys()
    assert bool(left_out) is (mixture is path)
    for name, weight in expected.items():
        want = torch.zeros_like(weight) if weight.grad is None else weight.grad
        torch.testing.assert_close(found[name], want, rtol=0, atol=0, msg=name)


def test_gradients_of_some_weights_at_other_weights():
    _, branch, probe = started()
    batch, other = probe.train.at(1), {name: 1.5 * weight for name, weight in probe.weights.items()}
    found = probe.gradients(uniform(probe), batch, of=["head.bias", "stem.weight"], weights=other)
    assert list(found) == ["head.bias", "stem.weight"]
    branch.supernet.load_state_dict(other)
    expected = probe.gradients(uniform(probe), batch)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name])


def test_the_loss_is_differentiable_in_the_mixture_and_in_the_weights():
    """Against central differences in double precision."""
    _, branch, probe = started()
    branch.supernet.double()
    batch = probe.valid.at(0)
    batch = batch._replace(images=batch.images.double())
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 4, generator=rng, dtype=torch.float64, requires_grad=True)
    weights = {name: weight.clone().requires_grad_() for name, weight in probe.weights.items()}
    places = [logits, *weights.values()]
    direction = [torch.randn(place.shape, generator=rng, dtype=torch.float64) for place in places]

    def loss(length):
        moved = [place + length * way for place, way in zip(places, direction, strict=True)]
        return probe.loss(
            Mixture.softmax(moved[0], probe.subspace),
            batch,
            dict(zip(weights, moved[1:], strict=True)),
        )

    found = torch.autograd.grad(loss(0.0), places)
    slope = sum((gradient * way).sum() for gradient, way in zip(found, direction, strict=True))
    assert all((gradient != 0).any() for gradient in (found[0], found[1], found[-1]))
    difference = (loss(1e-6) - loss(-1e-6)).item() / 2e-6
    assert difference == pytest.approx(slope.item(), rel=1e-5)


def test_the_loss_has_a_second_derivative():
    _, _, probe = started()
    logits = torch.zeros(5, 4, requires_grad=True)
    loss = probe.loss(Mixture.softmax(logits, probe.subspace), probe.valid.at(0))
    (gradient,) = torch.autograd.grad(loss, logits, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), logits)
    assert torch.isfinite(second).all() and (second != 0).any()


def test_scores_are_those_of_a_plain_loop():
    _, branch, probe = started(steps=1)
    batches = [probe.valid.at(0), probe.valid.at(1)]
    mixtures = [uniform(probe), path(probe)]
    with torch.no_grad():
        logits = [
            torch.cat([branch.supernet(batch.images, each) for batch in batches])
            for each in mixtures
        ]
    labels = torch.cat([batch.labels for batch in batches])
    accuracies = [float((each.argmax(1) == labels).double().mean()) for each in logits]
    losses = [float(F.cross_entropy(each, labels)) for each in logits]
    assert list(probe.scores(mixtures, batches)) == pytest.approx(accuracies)
    assert list(probe.scores(mixtures, batches, of="loss")) == pytest.approx(losses, rel=1e-5)


def test_scores_at_other_weights():
    _, _, probe = started()
    zeros = {name: torch.zeros_like(weight) for name, weight in probe.weights.items()}
    (loss,) = probe.scores([uniform(probe)], [probe.valid.at(0)], of="loss", weights=zeros)
    assert loss == pytest.approx(torch.log(torch.tensor(3.0)).item())


def test_scores_measure_nothing_that_is_not_asked_for():
    harness, _, probe = started()
    asked = []

    def mixtures():
        for number in range(10):
            asked.append(number)
            yield uniform(probe)

    scores = probe.scores(mixtures(), [probe.valid.at(0)])
    assert asked == [] and harness.trainer.ledger.cost().total.images_forward == 0
    next(scores), next(scores)
    assert asked == [0, 1]
    assert harness.trainer.ledger.cost().total.images_forward == 2 * BATCH
    assert torch.is_grad_enabled()


def test_a_stop_is_obeyed_before_the_next_measurement():
    harness, branch, _ = started()
    answers = iter([False, True])
    probe = harness.trainer.probe(branch, lambda: next(answers))
    scores = probe.scores([uniform(probe)] * 2, [probe.valid.at(0)])
    next(scores)
    with pytest.raises(StopRequested, match="asked to stop while its updater was measuring"):
        next(scores)
    assert harness.trainer.ledger.cost().total.images_forward == BATCH


def test_it_says_where_the_branch_is():
    _, branch, probe = started(steps=2, trainer_options={"epochs": 2})
    assert (probe.epoch, probe.epochs, probe.step, probe.progress) == (0, 2, 2, 2 / 6)
    assert probe.subspace is branch.subspace and probe.rng is branch.rng
    assert not any(weight.requires_grad for weight in probe.weights.values())
    assert len(list(probe.operations())) == 2 * 12 + 6


def test_without_a_valid_split_it_says_what_to_do():
    data = ToyData(ToyData.parse_options({"train_fraction": 1.0}))
    _, _, probe = started(data=data)
    with pytest.raises(
        ConfigurationError, match=r"no valid split .* Use -d train_fraction=0\.5, or a single-level"
    ):
        _ = probe.valid


def test_the_test_split_is_out_of_reach():
    harness, _, probe = started()
    assert not any("test" in name for name in [*dir(probe), *vars(harness.trainer)])
    test = harness.splits.test
    held = [vars(stream).values() for stream in (probe.train, probe.valid)]
    assert not any(value is test or value is test.images for values in held for value in values)


def test_what_an_updater_says_becomes_an_event():
    harness, _, probe = started(steps=1)
    harness.events.clear()
    probe.working("orders", 3, 10)
    probe.report("scores", best=0.5)
    assert harness.events == [
        UpdaterWorking("0", 0, 1, "orders", 3, 10),
        UpdaterReported("0", 0, 1, "scores", {"best": 0.5}),
    ]


def test_reduced_precision_is_left_aside_where_it_must_be_exact():
    _, branch, probe = started()
    images = probe.train.at(0).images
    exact = probe.logits(uniform(probe), images)
    branch.execution = replace(branch.execution, bf16=True)
    rough = probe.logits(uniform(probe), images)
    assert rough.dtype == torch.float32
    assert not torch.equal(rough, exact)
    assert torch.equal(probe.logits(uniform(probe), images, exact=True), exact)


@pytest.mark.parametrize("norms", ["batch", "frozen"])
def test_no_mixtures_have_no_scores(norms):
    harness, _, probe = started()
    assert list(probe.scores([], [harness.trainer.valid.at(0)], norms=norms)) == []


# ---------------------------------------------------------------- accuracies, progress, clocks


@pytest.mark.parametrize("batch_size", [7, BATCH, 1000], ids=["a rest", "whole", "one batch"])
def test_accuracies_count_every_image_of_every_batch(batch_size):
    harness, branch, _ = started()
    probe = harness.trainer.probe(branch)
    mixtures, stream = [uniform(probe), path(probe)], probe.valid.view("some", batch_size)
    batches = list(stream.epoch(0))
    expected = []
    for mixture in mixtures:
        hits = [
            int((probe.logits(mixture, batch.images).argmax(1) == batch.labels).sum())
            for batch in batches
        ]
        expected.append(sum(hits) / sum(len(batch.labels) for batch in batches))
    before = harness.trainer.ledger.cost().total.images_forward
    assert probe.accuracies(mixtures, iter(batches)) == expected
    images = sum(len(batch.labels) for batch in batches)
    assert harness.trainer.ledger.cost().total.images_forward - before == 2 * images
    assert probe.accuracies(mixtures, []) == [0.0, 0.0]
    assert probe.accuracies([], batches) == []


def test_progress_is_told_after_each_item():
    harness, branch, _ = started()
    probe = harness.trainer.probe(branch)

    def told():
        return [
            (event.message, event.done, event.total)
            for event in harness.events
            if isinstance(event, UpdaterWorking)
        ]

    seen = [(item, len(told())) for item in probe.announced("ab", "reading")]
    assert seen == [("a", 0), ("b", 1)]
    assert list(probe.announced(iter("c"), "reading", 5, done=3)) == ["c"]
    assert told() == [("reading", 1, 2), ("reading", 2, 2), ("reading", 4, 5)]
    probe.accuracies([uniform(probe)], probe.valid.once(), "counting", 9)
    assert told()[3] == ("counting", 1, 9)
