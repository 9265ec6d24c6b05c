"""Measurements from a graph; the recorder needs no GPU, it repeats the work in its place."""

import gc

import pytest
import torch
from core_kit import NoisySpace, started

from nastk import Execution, Mixture, Probe
from nastk.base.events import UpdaterReported
from nastk.testing import ToySpace
from nastk.train.graphs import TRIALS, GraphedMeasurer, measuring

WHOLE = Mixture.uniform(ToySpace().full())
ORDER = [WHOLE.without_all(ToySpace().full().alive_operations()[:count]) for count in range(12)]


class Fake:
    """Launches by doing the work again, into the same place as a graph would."""

    def __init__(self):
        self.recorded = self.launched = 0

    def __call__(self, work):
        self.recorded += 1
        with torch.no_grad():
            place = work()

        def launch():
            self.launched += 1
            place.copy_(work())

        return launch, place


class Clock:
    """A clock on which a replay takes `seconds`, and an eager pass one second an operation."""

    def __init__(self, fake, seconds):
        self.fake, self.seconds, self.now, self.before, self.asked = fake, seconds, 0.0, 0, 0
        self.operations = 0

    def __call__(self):
        self.asked += 1
        if self.asked % 2 == 0:
            replayed = self.fake.launched > self.before
            self.now += self.seconds if replayed else self.operations
        self.before = self.fake.launched
        return self.now


def asked(harness, branch, replays, mixtures, clock=None, norms="batch"):
    """The losses, asked for one by one, and how many of them came from a graph."""
    trainer = harness.trainer
    probe = Probe(
        branch,
        trainer.train,
        trainer.valid,
        1,
        trainer.context,
        measuring=lambda images: replays(branch, images),
    )

    def told():
        for mixture in mixtures:
            if clock is not None:
                clock.operations = int(mixture.active.sum())
            yield mixture

    batch = trainer.valid.at(0)
    before = trainer.ledger.cost().total.strategies.get("graph", 0)
    losses = list(probe.scores(told(), [batch], of="loss", norms=norms))
    graph = trainer.ledger.cost().total.strategies.get("graph", 0) - before
    return losses, graph / len(batch.labels)


def plain(harness, branch, mixtures):
    """The losses by a plain forward pass each."""
    probe, batch = harness.trainer.probe(branch), harness.trainer.valid.at(0)
    return [probe.loss(mixture, batch).item() for mixture in mixtures]


@pytest.mark.parametrize(
    ("seconds", "replayed"),
    [(0.1, len(ORDER) - TRIALS), (14.5, TRIALS), (100.0, TRIALS)],
    ids=["always faster", "slower than few operations", "never faster"],
)
def test_what_takes_less_time_answers_with_the_same_numbers(seconds, replayed):
    harness, branch, _ = started()
    fake, said = Fake(), []
    clock = Clock(fake, seconds)
    replays = GraphedMeasurer(fake, clock, said.append)
    losses, graph = asked(harness, branch, replays, ORDER, clock)
    assert losses == pytest.approx(plain(harness, branch, ORDER), rel=1e-5)
    assert (graph, fake.recorded, fake.launched) == (replayed, 1, replayed)
    (report,) = said
    assert isinstance(report, UpdaterReported) and report.topic == "measuring"
    assert report.values["replay_seconds"] == pytest.approx(seconds)
    assert report.values["eager_seconds_an_operation"] == pytest.approx(1.0)


def test_full_mixtures_are_replayed_again_where_that_is_faster_for_them():
    harness, branch, _ = started()
    fake = Fake()
    clock = Clock(fake, 14.5)
    replays = GraphedMeasurer(fake, clock, lambda event: None)
    asked(harness, branch, replays, ORDER, clock)
    _, graph = asked(harness, branch, replays, [WHOLE, ORDER[-1], WHOLE], clock)
    assert graph == 2 and fake.recorded == 1


def test_a_graph_follows_the_weights_and_the_images():
    harness, branch, probe = started()
    replays = GraphedMeasurer(Fake(), lambda: 0.0, lambda event: None, always=True)
    asked(harness, branch, replays, ORDER)
    with torch.no_grad():
        for weight in branch.supernet.parameters():
            weight.mul_(1.5)
    losses, graph = asked(harness, branch, replays, ORDER)
    assert graph == len(ORDER)
    assert losses == pytest.approx(plain(harness, branch, ORDER), rel=1e-5)
    other = harness.trainer.valid.at(1).images
    (logits,) = replays(branch, other)([WHOLE])
    torch.testing.assert_close(logits, probe.logits(WHOLE, other), rtol=1e-5, atol=1e-6)


def test_asked_always_nothing_is_timed():
    harness, branch, _ = started()
    clock = Clock(Fake(), 1.0)
    _, graph = asked(harness, branch, GraphedMeasurer(clock.fake, clock, print, always=True), ORDER)
    assert graph == len(ORDER) - TRIALS and clock.asked == 0


def paths(space):
    rng = torch.Generator().manual_seed(0)
    return [Mixture.of(space.sample(space.full(), rng)) for _ in range(12)]


@pytest.mark.parametrize(
    ("space", "mixtures", "norms", "listening"),
    [
        (ToySpace(), paths(ToySpace()), "batch", False),
        (ToySpace(), ORDER, "frozen", False),
        (ToySpace(), ORDER, "batch", True),
        (NoisySpace(), ORDER, "batch", False),
    ],
    ids=["other operations each time", "frozen norms", "somebody listens", "operations draw"],
)
def test_what_a_graph_cannot_answer_is_measured_eagerly(space, mixtures, norms, listening):
    harness, branch, _ = started(space=space)
    fake = Fake()
    if listening:
        next(branch.supernet.children()).register_forward_hook(lambda *_: None)
    replays = GraphedMeasurer(fake, lambda: 0.0, lambda event: None, always=True)
    _, graph = asked(harness, branch, replays, mixtures, norms=norms)
    assert graph == fake.recorded == 0


@pytest.mark.parametrize(
    ("graphs", "device", "kind"),
    [("auto", "cpu", None), ("auto", "cuda", False), ("on", "cuda", True), ("off", "cuda", None)],
)
def test_only_cuda_replays_and_only_if_it_may(graphs, device, kind):
    found = measuring(graphs, Execution(torch.device(device)))
    assert (found.always if isinstance(found, GraphedMeasurer) else None) == kind


def test_a_graph_of_a_supernet_goes_with_it():
    harness, branch, _ = started()
    replays = GraphedMeasurer(lambda work: (lambda: None, work()), lambda: 0.0, print, always=True)
    asked(harness, branch, replays, ORDER)
    assert len(replays._kinds) == 1
    del harness, branch, _
    gc.collect()
    assert len(replays._kinds) == 0
