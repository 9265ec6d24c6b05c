"""Recorded passes, with a recorder that needs no GPU: it repeats the work into the same places."""

import itertools

import pytest
import torch
from core_kit import NoisySpace, Still, answering, small, started

from nastk import Batch, Mixture
from nastk.base.events import UpdaterReported
from nastk.testing import ToySpace, fingerprint
from nastk.train.graphs import CAPTURES, TRIALS, AutotunedPass, CapturedStep
from nastk.train.passes import eager, mean_gradient

FULL = ToySpace().full()


class Fake:
    """A recorder that launches by doing the work again, into the same places as a graph would."""

    def __init__(self):
        self.recorded = self.launched = 0

    def __call__(self, work):
        self.recorded += 1
        places = work()

        def launch():
            self.launched += 1
            with torch.enable_grad():
                fresh = work()
            flat = [[*each[:2], *each[2]] for each in (places, fresh)]
            for place, value in zip(*flat, strict=True):
                if place is not None:
                    place.copy_(value)

        return launch, places


class Clock:
    """A clock on which eager passes and replays take what they are told to."""

    def __init__(self, fake, eager_seconds, replay_seconds):
        self.fake, self.seconds, self.now, self.before = fake, (eager_seconds, replay_seconds), 0, 0
        self.asked = itertools.count()

    def __call__(self):
        if next(self.asked) % 2:  # the end of a pass
            self.now += self.seconds[self.fake.launched > self.before]
        self.before = self.fake.launched
        return self.now


def soft(scale, edges=5):
    """A mixture whose weights ask for a gradient."""
    weights = Mixture.softmax(torch.arange(20.0).reshape(5, 4) * scale, FULL).weights
    return Mixture(weights.requires_grad_(), FULL.mask)


def piece(trainer, step, count=16):
    batch = trainer.train.at(step)
    return Batch(batch.images[:count], batch.labels[:count])


def cleared(branch):
    branch.optimizer.zero_grad(set_to_none=True)


def grads(branch, mixture):
    return {
        **{name: weight.grad for name, weight in branch.supernet.named_parameters()},
        "mixture": mixture.weights.grad,
    }


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("nastk.train.graphs.PATIENCE", 20)


@pytest.mark.parametrize("parts", [1.0, 3.0])
def test_a_record_does_what_an_eager_pass_does_on_other_numbers(parts):
    harness, branch, _ = started()
    record = CapturedStep(branch, soft(0.1), piece(harness.trainer, 0), Fake())
    for step in (1, 2):
        found = []
        for run in (record.play, lambda *given: eager(branch, *given)):
            cleared(branch)
            mixture = soft(0.3 * step)
            loss, hits = run(mixture, piece(harness.trainer, step), parts)
            copies = {
                name: None if gradient is None else gradient.clone()
                for name, gradient in grads(branch, mixture).items()
            }
            found.append((loss.clone(), hits.clone(), copies))
        torch.testing.assert_close(*found)
        with torch.no_grad():  # a record reads the weights where they lie
            for weight in branch.supernet.parameters():
                weight.mul_(0.9)


def test_recording_leaves_gradients_alone_and_replays_add_up():
    harness, branch, _ = started()
    eager(branch, soft(0.1), piece(harness.trainer, 0), 1.0)
    before = fingerprint([weight.grad for weight in branch.supernet.parameters()])
    record = CapturedStep(branch, soft(0.1), piece(harness.trainer, 0), Fake())
    assert fingerprint([weight.grad for weight in branch.supernet.parameters()]) == before
    record.play(soft(0.2), piece(harness.trainer, 1), 2.0)
    record.play(soft(0.3), piece(harness.trainer, 2), 2.0)
    added = [weight.grad.clone() for weight in branch.supernet.parameters()]
    cleared(branch)
    eager(branch, soft(0.1), piece(harness.trainer, 0), 1.0)
    eager(branch, soft(0.2), piece(harness.trainer, 1), 2.0)
    eager(branch, soft(0.3), piece(harness.trainer, 2), 2.0)
    torch.testing.assert_close(added, [weight.grad for weight in branch.supernet.parameters()])


def test_a_weight_without_gradient_stays_without():
    harness, branch, _ = started()
    active = FULL.mask.clone()
    active[:, 2] = False
    mixture = Mixture(torch.ones(5, 4) * active, active)
    record = CapturedStep(branch, mixture, piece(harness.trainer, 0), Fake())
    cleared(branch)
    record.play(mixture, piece(harness.trainer, 1), 1.0)
    assert {weight.grad is None for weight in branch.supernet.cells.parameters()} == {True}
    assert branch.supernet.stem.weight.grad is not None


def trained(plain, replayed, steps, updater=Still, space=None, forced=None, change=None):
    """(passes, fake, told) after weight steps on the toy."""
    harness, branch, _ = started(updater, space=space or ToySpace())
    fake, told = Fake(), []
    passes = AutotunedPass(fake, Clock(fake, plain, replayed), told.append, forced)
    for step in range(steps):
        cleared(branch)
        mixture = change(step) if change else Mixture.uniform(FULL)
        mean_gradient(
            branch,
            [mixture],
            harness.trainer.train.at(step % 3),
            harness.trainer.ledger,
            run=passes,
        )
    return passes, fake, told


@pytest.mark.parametrize(("plain", "replayed", "kept"), [(2, 1, True), (1, 2, False)])
def test_the_faster_way_is_kept_and_told_once(plain, replayed, kept):
    passes, fake, told = trained(plain, replayed, 2 * TRIALS + 4)
    assert passes.replays is kept and fake.recorded == 1
    assert fake.launched == TRIALS + 4 * kept
    assert [type(event) for event in told] == [UpdaterReported]
    assert told[0].topic == "passes"
    assert told[0].values == {
        "cuda_graphs": kept,
        "eager_seconds": plain,
        "replay_seconds": replayed,
    }


def test_forced_graphs_are_neither_timed_nor_told():
    passes, fake, told = trained(1, 2, TRIALS + 3, forced=True)
    assert (fake.recorded, fake.launched, told) == (1, 3, [])
    assert next(passes.clock.asked) == 0


def test_operations_that_draw_are_never_recorded(impatient):
    _, fake, told = trained(2, 1, 22, space=NoisySpace())
    assert fake.recorded == 0
    assert told[0].values["cuda_graphs"] is False


def test_mixtures_that_change_what_is_computed_stay_eager(impatient):
    def path(step):
        active = torch.zeros(5, 4, dtype=torch.bool)
        columns = [(step // 3**edge) % 3 for edge in range(5)]
        active[range(5), columns] = True
        return Mixture(active.float(), active)

    _, fake, told = trained(2, 1, 25, change=path)
    assert fake.recorded == 0
    assert [event.values for event in told] == [
        {"cuda_graphs": False, "eager_seconds": None, "replay_seconds": None}
    ]


def test_only_the_latest_records_are_kept():
    def shrinking(step):
        active = FULL.mask.clone()
        active[0, : step // (TRIALS + 1)] = False
        return Mixture(active.float(), active)

    passes, fake, _ = trained(2, 1, 4 * (TRIALS + 1), forced=True, change=shrinking)
    assert fake.recorded == 4
    (known,) = passes._kinds.values()
    assert sum(kind.captured is not None for kind in known.values()) == CAPTURES


def test_a_run_with_replays_ends_where_an_eager_one_does():
    ends = []
    for replaying in (False, True):
        harness = small(trainer_options={"epochs": 5})
        branches = [harness.trainer.root()]
        if replaying:
            fake = Fake()
            harness.trainer._pass = AutotunedPass(fake, Clock(fake, 2, 1), harness.events.append)
        harness.run(branches)
        ends.append(branches[0].supernet.state_dict())
    assert fake.launched == 15 - TRIALS
    torch.testing.assert_close(*ends, rtol=1e-5, atol=1e-6)


def test_weights_that_do_not_rest_move_on_between_replays_too():
    alive = Mixture.uniform(FULL)
    turns = [alive, alive.without_all([(0, 1), (0, 2), (0, 3)])]
    updater = answering(mixtures=lambda probe: [turns[probe.step % 2]])
    ends = []
    for replaying in (False, True):
        harness = small(updater, trainer_options={"epochs": 5, "resting": False})
        branches = [harness.trainer.root()]
        if replaying:
            fake = Fake()
            harness.trainer._pass = AutotunedPass(fake, Clock(fake, 2, 1), harness.events.append)
        harness.run(branches)
        ends.append(branches[0].supernet.state_dict())
    assert fake.launched == 15 - 2 * TRIALS
    torch.testing.assert_close(*ends, rtol=1e-5, atol=1e-6)
