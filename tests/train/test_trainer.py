import pytest
import torch
import torch.nn.functional as F
from core_kit import (
    UPDATERS,
    NoisySpace,
    Still,
    answering,
    events,
    harness_of,
    small,
    started,
    weights,
)

from nastk import (
    Continuation,
    CosineRestart,
    DivergenceError,
    Mixture,
    PluginError,
    Schedule,
    Subspace,
)
from nastk.base.events import BranchContinued, EpochDone, StepDone
from nastk.testing import ToySpace, fingerprint
from nastk.train.branch import copied

FULL = ToySpace().full()


def continued(*continuations, at=1):
    """An updater class that goes on with these after epoch `at`, and as it is after the others."""
    return answering(
        after_epoch=lambda probe: (
            list(continuations) if probe.epoch == at else [Continuation(probe.subspace)]
        )
    )


def closed(updater, epochs=3, **changes):
    """(harness, parent, branches, moments) one weight step after the first epoch was closed."""
    harness = small(updater, trainer_options={"epochs": epochs}, **changes)
    branches = [harness.trainer.root()]
    parent = branches[0]
    moments = harness.trainer.run(branches)
    for moment in moments:
        if moment == "epoch":
            break
    state = copied(parent.state_dict())
    next(moments)
    return harness, parent, state, branches


# ---------------------------------------------------------------------- the weight step


@pytest.mark.parametrize("clip", [None, 0.01])
def test_a_weight_step_is_autograd_clip_and_sgd(clip):
    harness = small(trainer_options={"gradient_clip": clip, "weight_decay": 0.01})
    (branch,) = harness.run(steps=2)
    twin = harness.trainer.root()
    for step in range(2):
        batch = harness.trainer.train.at(step)
        twin.optimizer.zero_grad()
        loss = F.cross_entropy(twin.supernet(batch.images, Mixture.uniform(FULL)), batch.labels)
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(twin.supernet.parameters(), clip)
        twin.optimizer.step()
    torch.testing.assert_close(
        branch.supernet.state_dict(), twin.supernet.state_dict(), rtol=1e-6, atol=1e-7
    )


# ---------------------------------------------------------------------- what a step leaves out

CONV = ToySpace().edges[0].operations.index("conv")


def without_conv_from(step):
    """An updater class whose first steps train everything, and the others not edge 0's conv."""
    alive = Mixture.uniform(FULL)
    return answering(
        mixtures=lambda probe: [alive if probe.step < step else alive.without(0, CONV)]
    )


def left_out(branch):
    """The weights of edge 0's conv in the first cell, by name."""
    place = f"cells.0.operations.0.{CONV}."
    found = {name: each for name, each in branch.supernet.named_parameters() if place in name}
    assert found
    return found


@pytest.mark.parametrize("changes", [{}, {"nesterov": True}, {"micro_batch": 5}])
def test_weights_that_do_not_rest_follow_momentum_and_decay(changes):
    """Closed form of k steps without gradient: a matrix for each step of (weight, velocity)."""
    decay, momentum, k = 0.3, 0.8, 5
    options = {"weight_decay": decay, "momentum": momentum, "epochs": 3, **changes}
    harness = small(without_conv_from(2), trainer_options={**options, "resting": False})
    (branch,) = harness.run(steps=2)
    before = {
        name: torch.stack([each, branch.optimizer.state[each]["momentum_buffer"]]).detach().double()
        for name, each in left_out(branch).items()
    }
    harness.run([branch], steps=k)
    per_epoch = len(harness.trainer.train)
    moved = torch.eye(2, dtype=torch.float64)
    for step in range(2, 2 + k):
        rate = branch.schedule.rate(step // per_epoch)
        ahead = momentum if "nesterov" in changes else 1.0
        own = decay if "nesterov" in changes else 0.0
        velocity = torch.tensor([decay, momentum], dtype=torch.float64)
        weight = torch.tensor([1 - rate * own, 0.0], dtype=torch.float64) - rate * ahead * velocity
        moved = torch.stack([weight, velocity]) @ moved
    for name, each in left_out(branch).items():
        expected = torch.einsum("ab,b...->a...", moved, before[name])
        torch.testing.assert_close(each.detach().double(), expected[0], rtol=1e-5, atol=1e-6)
        assert (expected[0] - before[name][0]).norm() > 0.1 * before[name][0].norm()


@pytest.mark.parametrize("trained_steps, resting", [(2, True), (0, False)])
def test_weights_rest_by_default_and_until_they_were_trained(trained_steps, resting):
    harness = small(
        without_conv_from(trained_steps),
        trainer_options={"weight_decay": 0.3, "epochs": 2, "resting": resting},
    )
    branches = [harness.trainer.root()]
    if trained_steps:
        harness.run(branches, steps=trained_steps)
    before = copied(left_out(branches[0]))
    harness.run(branches, steps=4)
    assert all(torch.equal(each, before[name]) for name, each in left_out(branches[0]).items())


def test_weights_that_do_not_rest_train_as_in_a_loop_that_leaves_zeros():
    """Torch's own SGD under random paths, with gradients set to zero; ahead of a step, too."""
    options = {"epochs": 3, "weight_decay": 0.05, "gradient_clip": None, "nesterov": True}
    drawn = [ToySpace().sample(FULL, torch.Generator().manual_seed(number)) for number in range(7)]
    paths = [Mixture.of(each) for each in drawn]
    updater = answering(mixtures=lambda probe: [paths[probe.step]])
    harness = small(updater, trainer_options={**options, "resting": False})
    twin = harness.trainer.root()
    steps = len(paths)
    for step in range(steps):
        for group in twin.optimizer.param_groups:
            group["lr"] = twin.schedule.rate(step // len(harness.trainer.train))
        twin.optimizer.zero_grad(set_to_none=False)
        batch = harness.trainer.train.at(step)
        F.cross_entropy(twin.supernet(batch.images, paths[step]), batch.labels).backward()
        if step == steps - 1:
            (branch,) = harness.run(steps=steps - 1)
            branch.optimizer.param_groups[0]["lr"] = group["lr"]
            ahead = harness.trainer.probe(branch).lookahead(paths[step], batch)
        twin.optimizer.step()
    (branch,) = harness.run([branch], steps=1)
    expected = dict(twin.supernet.named_parameters())
    torch.testing.assert_close(dict(branch.supernet.named_parameters()), expected)
    torch.testing.assert_close(ahead, {name: each.detach() for name, each in expected.items()})


def test_several_mixtures_train_the_mean_of_their_losses_through_one_alpha():
    """Closed form: gradients of weights and of alpha equal those of the mean loss at once."""

    class Shared(Still):
        def setup(self, rng):
            self.alpha = torch.randn(5, 4, generator=rng, requires_grad=True)

        def mixtures(self, probe):
            shared = self.alpha.exp()  # one graph behind both
            return [
                Mixture.softmax(shared, probe.subspace),
                Mixture.softmax(2 * shared, probe.subspace),
            ]

        def after_step(self, probe):
            self.seen = self.alpha.grad.clone()

    harness = small(
        Shared, trainer_options={"gradient_clip": None, "momentum": 0.0, "weight_decay": 0.0}
    )
    twin = harness.trainer.root()
    (branch,) = harness.run(steps=1)
    batch = harness.trainer.train.at(0)
    losses = [
        F.cross_entropy(twin.supernet(batch.images, each), batch.labels)
        for each in twin.updater.mixtures(harness.trainer.probe(twin))
    ]
    parameters = dict(twin.supernet.named_parameters())
    found = torch.autograd.grad(sum(losses) / 2, [twin.updater.alpha, *parameters.values()])
    torch.testing.assert_close(branch.updater.seen, found[0])
    for (name, weight), gradient in zip(parameters.items(), found[1:], strict=True):
        expected = weight - 0.05 * gradient
        torch.testing.assert_close(
            dict(branch.supernet.named_parameters())[name], expected, rtol=1e-5, atol=1e-7
        )
    spent = harness.trainer.ledger.cost().phases["train"]
    assert (spent.images_forward, spent.images_backward) == (32, 32)
    probe = harness.trainer.probe(twin)
    accuracies = probe.scores(twin.updater.mixtures(probe), [batch])
    expected = sum(each.item() for each in losses) / 2, sum(accuracies) / 2
    assert branch.tally.means() == pytest.approx(expected, rel=1e-5)


def test_questions_come_in_their_order():
    asked = []

    def noting(name, answer=None):
        def method(self, probe, *rest):
            asked.append((name, probe.epoch, probe.step))
            return answer(self, probe) if answer else None

        return method

    noted = answering(
        before_step=noting("before"),
        after_step=noting("after"),
    )
    noted.mixtures = noting("mixtures", Still.mixtures)
    noted.after_epoch = noting("epoch", Still.after_epoch)
    small(noted).run()
    step = [("before", 0), ("mixtures", 0), ("after", 1)]
    assert asked == [(name, 0, taken + more) for taken in range(3) for name, more in step] + [
        ("epoch", 1, 3)
    ]


def test_before_step_sees_the_batch_that_the_step_uses():
    seen = []
    harness = small(answering(before_step=lambda self, probe, batch: seen.append(batch)))
    harness.run()
    for step, batch in enumerate(seen):
        assert torch.equal(batch.images, harness.trainer.train.at(step).images)


def test_two_updaters_with_one_seed_see_the_same_batches_and_start_from_the_same_weights():
    prints = set()
    for name in UPDATERS:
        harness = harness_of(name, seed=5)
        branch = harness.trainer.root()
        batches = [harness.trainer.train.at(step) for step in range(4)]
        prints.add(
            (weights(branch), fingerprint(batches), fingerprint(harness.trainer.valid.at(2)))
        )
    assert len(prints) == 1
    assert weights(harness_of("darts", seed=6).trainer.root()) not in {
        first for first, *_ in prints
    }


def test_making_branches_leaves_the_global_random_state_alone():
    harness = small()
    before = torch.manual_seed(987654).get_state()
    harness.trainer.restore(harness.trainer.root().state_dict())
    assert torch.equal(torch.get_rng_state(), before)


def test_the_learning_rate_follows_torch_s_cosine():
    rates = []
    updater = answering(before_step=lambda self, probe, batch: rates.append(probe.learning_rate))
    harness = small(updater, trainer_options={"epochs": 5, "minimum_learning_rate": 0.01})
    harness.run()
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.05)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5, 0.01)
    expected = []
    for _ in range(5):
        expected += cosine.get_last_lr() * 3
        optimizer.step()
        cosine.step()
    assert rates == pytest.approx(expected, rel=1e-9)
    assert [event.learning_rate for event in events(harness, EpochDone)] == pytest.approx(
        expected[::3], rel=1e-9
    )


def test_readings_come_as_often_as_asked_and_at_the_end_of_an_epoch():
    harness = small(trainer_options={"epochs": 2, "batch_size": 8, "log_every": 4})
    harness.run()
    assert [(event.epoch, event.step) for event in events(harness, StepDone)] == [
        (0, 4),
        (0, 6),
        (1, 10),
        (1, 12),
    ]
    first, last = events(harness, StepDone)[1], events(harness, EpochDone)[0]
    assert (first.loss, first.accuracy) == (last.loss, last.accuracy)
    assert 0 <= last.accuracy <= 1
    assert (last.epoch, last.step, last.images_forward, last.images_backward) == (1, 6, 48, 48)


def test_an_epoch_s_readings_are_means_over_its_own_images():
    losses = []

    def measure(self, probe, batch):
        loss = probe.loss(Mixture.uniform(probe.subspace), batch).item()
        losses.append((probe.epoch, len(batch.labels), loss * len(batch.labels)))

    harness = small(answering(before_step=measure), trainer_options={"epochs": 3, "batch_size": 20})
    harness.run()
    for event in events(harness, EpochDone):
        own = [(images, total) for epoch, images, total in losses if epoch == event.epoch - 1]
        assert [images for images, _ in own] == [20, 20, 8]
        assert event.loss == pytest.approx(sum(total for _, total in own) / 48, rel=1e-5)


def test_operations_that_draw_draw_from_the_step_s_own_stream():
    prints = []
    for seed in (1, 2):
        harness = small(space=NoisySpace())
        torch.manual_seed(seed)
        branches = harness.run(steps=1)
        torch.manual_seed(seed)  # somebody else draws between two steps
        prints.append(weights(harness.run(harness.resumed(branches))[0]))
    assert prints[0] == prints[1]
    again = small(
        space=NoisySpace(),
        trainer_options={"learning_rate": 1e-30, "minimum_learning_rate": 0.0, "epochs": 2},
    )
    first = again.trainer.train.at(0)
    again.trainer.train.at = lambda step: first
    again.run()
    assert (
        len({event.loss for event in events(again, EpochDone)}) == 2
    )  # the same images, other noise


# ---------------------------------------------------------------------- going on in other subspaces


def test_the_same_subspace_just_goes_on():
    harness, parent, _, branches = closed(Still)
    assert branches == [parent] and parent.step == 4
    assert events(harness, BranchContinued) == []


def test_a_smaller_subspace_shrinks_the_branch_in_its_place():
    smaller = FULL.drop(0, 1)
    harness, parent, _, branches = closed(continued(Continuation(smaller)))
    assert branches == [parent]
    assert (parent.name, parent.subspace, parent.step) == ("0", smaller, 4)
    (event,) = events(harness, BranchContinued)
    assert event == BranchContinued("0", 1, 3, ["0"], [smaller.to_json()], [False])


def test_several_subspaces_split_the_branch_and_heirs_inherit_its_state():
    left, right = FULL.split(0, [(0, 1), (2, 3)])
    harness, _, state, branches = closed(continued(Continuation(left), Continuation(right)))
    assert [branch.name for branch in branches] == ["0.0", "0.1"]
    assert [branch.subspace for branch in branches] == [left, right]
    assert [branch.step for branch in branches] == [4, 3]
    untouched = branches[1].state_dict()
    assert (untouched["epoch"], untouched["step"]) == (1, 3)
    for part in ("supernet", "optimizer", "updater", "schedule"):
        assert fingerprint(untouched[part]) == fingerprint(state[part]), part
    (event,) = events(harness, BranchContinued)
    assert event == BranchContinued(
        "0", 1, 3, ["0.0", "0.1"], [left.to_json(), right.to_json()], [False, False]
    )


def test_siblings_draw_from_streams_of_their_own():
    splits = continued(*(Continuation(each) for each in FULL.split(0, [(0, 1), (2, 3)])))
    _, parent, _, branches = closed(splits)
    streams = {fingerprint(branch.rng.get_state()) for branch in [parent, *branches]}
    assert len(streams) == 3
    _, _, _, again = closed(splits)
    assert [fingerprint(branch.rng.get_state()) for branch in again] == [
        fingerprint(branch.rng.get_state()) for branch in branches
    ]


def test_a_fresh_heir_starts_anew_with_a_schedule_over_what_is_left():
    left, right = FULL.split(0, [(0, 1), (2, 3)])
    updater = continued(Continuation(left), Continuation(right, fresh=True))
    harness, _, state, branches = closed(updater, epochs=5)
    fresh = branches[1]
    assert (fresh.name, fresh.epoch, fresh.step, fresh.subspace) == ("0.1", 1, 3, right)
    assert weights(fresh) not in (fingerprint(state["supernet"]), weights(harness.trainer.root()))
    assert fresh.optimizer.state_dict()["state"] == {}
    assert (fresh.schedule.start, fresh.schedule.end) == (1, 5)
    assert fresh.schedule.rate(1) == 0.05
    assert fingerprint(fresh.updater.state_dict()) == fingerprint(state["updater"])
    assert weights(closed(updater, epochs=5)[3][1]) == weights(fresh)
    (event,) = events(harness, BranchContinued)
    assert event.fresh == [False, True]


def test_fresh_weights_in_the_same_subspace_keep_the_name():
    harness, parent, state, branches = closed(continued(Continuation(FULL, fresh=True)))
    assert branches == [parent]
    assert parent.name == "0" and parent.schedule.start == 1
    assert len(events(harness, BranchContinued)) == 1
    assert weights(parent) != fingerprint(state["supernet"])


@pytest.mark.parametrize(
    ("cosine", "expected"),
    [
        (CosineRestart(8), Schedule(0.05, 0.001, 1, 9)),
        (CosineRestart(2, 0.01), Schedule(0.01, 0.001, 1, 3)),
        (CosineRestart(2, 0.01, 0.01), Schedule(0.01, 0.01, 1, 3)),
        (CosineRestart(2, minimum=0.0), Schedule(0.05, 0.0, 1, 3)),
        # Below the trainer's minimum it is constant.
        (CosineRestart(2, 0.0005), Schedule(0.0005, 0.0005, 1, 3)),
    ],
)
@pytest.mark.parametrize("fresh", [False, True])
def test_a_schedule_begins_rate_and_momentum_anew_and_leaves_the_weights(cosine, expected, fresh):
    updater = continued(Continuation(FULL, fresh, cosine))
    harness = small(updater, trainer_options={"epochs": 5})
    (branch,) = harness.until("epoch")
    before = copied(branch.state_dict())
    assert before["optimizer"]["state"]
    assert harness.trainer.close_epoch(branch) == [branch]
    state = branch.state_dict()
    assert branch.schedule == expected and state["optimizer"]["state"] == {}
    assert (fingerprint(state["supernet"]) == fingerprint(before["supernet"])) != fresh
    (event,) = events(harness, BranchContinued)
    assert (event.children, event.fresh) == (["0"], [fresh])
    assert event.schedules == [expected.to_json()]
    harness.run([branch])
    rates = [one.learning_rate for one in events(harness, EpochDone)]
    assert rates[1:] == [expected.rate(epoch) for epoch in range(1, 5)]


@pytest.mark.parametrize(
    ("fresh", "epochs", "warmup"),
    # The last epoch of a schedule that is too short for the warm-up is not one of the warm-up.
    [(True, 6, 2), (True, 3, 2), (True, 2, 1), (True, 1, 0), (False, 6, 0)],
)
def test_the_trainers_warmup_comes_before_the_schedule_of_fresh_weights_alone(
    fresh, epochs, warmup
):
    updater = continued(Continuation(FULL, fresh, CosineRestart(epochs)))
    harness = small(updater, trainer_options={"epochs": 4, "warmup_epochs": 2})
    (branch,) = harness.until("epoch")
    harness.trainer.close_epoch(branch)
    assert branch.schedule == Schedule(0.05, 0.001, 1, 1 + epochs, warmup)


def test_where_the_cosine_begins_beside_the_warmup_is_the_trainers_option():
    options = {"epochs": 4, "warmup_epochs": 2, "warmup_cosine": "scaled", "cosine_ahead": True}
    harness = small(Still, trainer_options=options)
    (branch,) = harness.run()
    assert branch.schedule == Schedule(0.05, 0.001, 0, 4, 2, "scaled", 1)
    rates = [one.learning_rate for one in events(harness, EpochDone)]
    assert rates == [branch.schedule.rate(epoch) for epoch in range(4)]
    assert rates[:2] == [0.025, 0.05] and rates[3] == pytest.approx(0.001)


def test_a_branch_that_ends_stays_in_the_list_and_is_trained_no_further():
    left, right = FULL.split(0, [(0, 1), (2, 3)])

    def after_epoch(probe):
        if probe.epoch == 1:
            return [Continuation(left), Continuation(right)]
        return [] if probe.epoch == 2 and probe.subspace == left else [Continuation(probe.subspace)]

    harness = small(answering(after_epoch=after_epoch), trainer_options={"epochs": 4})
    ended, other = harness.run()
    assert (ended.name, ended.ended, ended.epoch, ended.step) == ("0.0", True, 2, 6)
    assert (other.name, other.ended, other.epoch, other.step) == ("0.1", False, 4, 12)
    assert ended.updater.architecture(harness.trainer.probe(ended))
    assert events(harness, BranchContinued)[-1] == BranchContinued("0.0", 2, 6, [], [], [])
    assert harness.trainer.restore(ended.state_dict()).ended


def test_when_every_branch_has_ended_the_run_ends():
    harness = small(continued(), trainer_options={"epochs": 4})
    (branch,) = harness.run()
    assert (branch.ended, branch.epoch) == (True, 1)


def test_a_split_of_a_split_and_epochs_taken_in_turn():
    def after_epoch(probe):
        groups = [
            probe.subspace.operations(probe.epoch)[:1],
            probe.subspace.operations(probe.epoch)[1:],
        ]
        return [Continuation(each) for each in probe.subspace.split(probe.epoch, groups)]

    harness = small(
        answering(after_epoch=after_epoch), trainer_options={"epochs": 3, "batch_size": 48}
    )
    branches = harness.run()
    assert [event.branch for event in events(harness, EpochDone)] == [
        "0",
        "0.0",
        "0.1",
        "0.0.0",
        "0.0.1",
        "0.1.0",
        "0.1.1",
    ]
    assert [branch.name for branch in branches][:3] == ["0.0.0.0", "0.0.0.1", "0.0.1.0"]
    assert len({branch.subspace for branch in branches}) == len(branches) == 8


# ---------------------------------------------------------------------- answers that are refused

NARROW = Subspace(tuple(row[:3] for row in FULL.alive))


@pytest.mark.parametrize(
    ("continuations", "message"),
    [
        (
            [Continuation(Subspace(((True,) * 4,) * 5))],
            r"answering gave branch 0 a subspace with operations that were dead before\. An "
            "updater",
        ),
        (
            [Continuation(FULL), Continuation(FULL.only(2, []))],
            "left branch 0 a subspace without an architecture: edge first:1->2 has no operation "
            "left",
        ),
        (
            [Continuation(NARROW)],
            r"a subspace of 5 edges with \[3, 3, 3, 3, 3\] columns; this space has 5 with \[4, ",
        ),
        ([Continuation(Subspace(FULL.alive[:4]))], "a subspace of 4 edges"),
        (
            [Continuation(FULL, schedule=CosineRestart(0))],
            r"gave branch 0 a learning rate from 0\.05 to 0\.001 over 0 epochs\. It needs an epoch",
        ),
        (
            [Continuation(FULL, schedule=CosineRestart(3, 0.0))],
            "a base above 0, and a minimum from 0",
        ),
        ([Continuation(FULL, schedule=CosineRestart(3, float("nan")))], "from nan to"),
        (
            [Continuation(FULL, True, CosineRestart(3, 0.1, 0.2))],
            r"from 0\.1 to 0\.2 over 3 epochs",
        ),
    ],
)
def test_a_continuation_that_cannot_be_is_refused(continuations, message):
    with pytest.raises(PluginError, match=message):
        small(continued(*continuations)).run()


def table(*shape):
    return torch.ones(*shape), torch.ones(*shape, dtype=torch.bool)


@pytest.mark.parametrize(
    ("mixtures", "message"),
    [
        (lambda probe: [], "answering answered no mixture to train; it needs at least one"),
        (lambda probe: iter([]), "answering answered its mixtures as <list_iterator"),
        (
            lambda probe: [Mixture(*table(4, 4))],
            r"answering answered a mixture of shape \(4, 4\) \(active: \(4, 4\)\); this space has "
            r"\(5, 4\)",
        ),
        (
            lambda probe: [Mixture.uniform(probe.subspace), Mixture(*table(5, 3))],
            r"of shape \(5, 3\)",
        ),
        (
            lambda probe: [Mixture(*table(5, 4))],
            "answering answered a mixture with operations that are not alive",
        ),
    ],
)
def test_a_mixture_that_does_not_fit_is_refused(mixtures, message):
    with pytest.raises(PluginError, match=message):
        small(answering(mixtures)).run()


def test_a_loss_that_is_not_finite_says_where():
    harness = small(trainer_options={"epochs": 3, "learning_rate": 1e38, "gradient_clip": None})
    with pytest.raises(
        DivergenceError,
        match=r"training loss is (nan|inf) in branch 0, epoch 0, at or before step [23]: training",
    ):
        harness.run()


def test_a_loss_that_is_not_finite_in_a_later_branch_and_epoch_says_so():
    splits = continued(*(Continuation(each) for each in FULL.split(0, [(0, 1), (2, 3)])))
    harness, _, _, branches = closed(splits)
    with torch.no_grad():
        branches[1].supernet.head.bias.fill_(torch.nan)
    with pytest.raises(
        DivergenceError, match=r"is nan in branch 0\.1, epoch 1, at or before step 4"
    ):
        harness.run(branches)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_weights_of_a_mixture_that_are_not_finite_are_the_updater_s(bad):
    def mixtures(probe):
        mixture = Mixture.uniform(probe.subspace)
        return [mixture, Mixture(mixture.weights.masked_fill(mixture.active, bad), mixture.active)]

    with pytest.raises(PluginError, match=r"^answering answered .* not finite, in the first step"):
        small(answering(mixtures)).run()


def test_later_the_learning_rate_is_to_blame_before_the_method():
    """Weights that explode take the mixture with them, where it is learned by their gradients."""

    def mixtures(probe):
        mixture = Mixture.uniform(probe.subspace)
        weights = mixture.weights.masked_fill(mixture.active, torch.nan)
        return [Mixture(weights, mixture.active) if probe.step else mixture]

    message = r"step 2: training diverges\. Lower the learning rate .* rates of 'answering' itself"
    with pytest.raises(DivergenceError, match=message):
        small(answering(mixtures)).run()


@pytest.mark.parametrize(
    ("spoil", "diverges"),
    [
        (lambda branch: None, False),
        (lambda branch: branch.supernet.head.bias.fill_(torch.inf), True),
        (lambda branch: branch.tally.add(torch.tensor(1e9), torch.tensor(0), 2), True),
    ],
)
def test_weights_without_bounds_are_known_before_the_loss_says_so(spoil, diverges):
    harness, branch, _ = started(steps=1)
    with torch.no_grad():
        spoil(branch)
    assert (harness.trainer.divergence(branch) is not None) == diverges
