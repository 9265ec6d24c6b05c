"""A run that goes on from any moment equals the run that was never stopped, bit for bit."""

from dataclasses import replace

import pytest
from core_kit import (
    UPDATERS,
    answering,
    events,
    harness_of,
    installed,
    small,
    started,
    without_time,
)

from nastk import Continuation, CosineRestart, StopRequested
from nastk.base.events import BranchContinued, EpochDone
from nastk.runs.checkpoint import Checkpoint, read, write
from nastk.testing import ToySpace, fingerprint
from nastk.testing.split import ToySplit
from nastk.train.branch import copied


class Recorded:
    """A run taken moment by moment, with all that a checkpoint would hold kept at each."""

    def __init__(self, updater, kept=None, stop_after=None, **options):
        self.harness = (
            harness_of(updater, seed=2)
            if isinstance(updater, str)
            else small(updater, seed=2, trainer_options={"epochs": 4, **options})
        )
        self.kept = []
        asked = [0]

        def stopping():
            asked[0] += 1
            return stop_after is not None and asked[0] > stop_after

        context = replace(self.harness.trainer.context, stopping=stopping)
        trainer = self.harness.trainer = replace(self.harness.trainer, context=context)
        if kept:
            states, cost, self.harness.events[:] = kept[0], kept[1], kept[2]
            trainer.ledger.restore(cost)
            self.branches = [trainer.restore(state) for state in states]
        else:
            self.branches = [trainer.root()]
        self.measurements = asked

    def run(self):
        trainer = self.harness.trainer
        for _ in trainer.run(self.branches):
            states = copied([branch.state_dict() for branch in self.branches])
            self.kept.append((states, trainer.ledger.cost(), list(self.harness.events)))
        return self

    def outcome(self):
        lasting = [event.to_json() for event in self.harness.events if not event.transient]
        return fingerprint([branch.state_dict() for branch in self.branches]), [
            without_time(event) for event in lasting
        ]


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("name", UPDATERS)
def test_going_on_from_every_moment_equals_the_straight_run(name, tmp_path):
    straight = Recorded(name).run()
    assert len(straight.kept) == (21 if name == "toy-split" else 13)
    for number, (states, cost, heard) in enumerate(straight.kept):
        write(tmp_path, Checkpoint(states, cost), f"{number:03d}")
        stored = read(tmp_path / f"{number:03d}.safetensors")
        resumed = Recorded(name, (stored.branches, stored.cost, heard)).run()
        assert resumed.outcome() == straight.outcome(), f"moment {number}"


@pytest.mark.slow
def test_weights_that_do_not_rest_go_on_moving_after_a_resume(tmp_path):
    updater, options = installed("random"), {"resting": False, "weight_decay": 0.1}
    straight = Recorded(updater, **options).run()
    assert straight.outcome() != Recorded(updater, weight_decay=0.1).run().outcome()
    for number, (states, cost, heard) in enumerate(straight.kept[::5]):
        write(tmp_path, Checkpoint(states, cost), f"{number:03d}")
        stored = read(tmp_path / f"{number:03d}.safetensors")
        resumed = Recorded(updater, (stored.branches, stored.cost, heard), **options).run()
        assert resumed.outcome() == straight.outcome(), f"moment {number}"


@pytest.mark.slow
def test_a_learning_rate_that_began_anew_goes_on_as_it_was(tmp_path):
    left, right = ToySpace().full().split(0, [(0, 1), (2, 3)])

    def after_epoch(probe):
        if probe.epoch == 1:
            return [
                Continuation(left, fresh=True, schedule=CosineRestart(7)),
                Continuation(right, schedule=CosineRestart(2, 0.01, 0.002)),
            ]
        again = CosineRestart(9, 0.03) if probe.epoch == 3 else None
        return [Continuation(probe.subspace, schedule=again)]

    updater = answering(after_epoch=after_epoch)
    straight = Recorded(updater).run()
    rates = [one.learning_rate for one in events(straight.harness, EpochDone)]
    assert rates[-2:] == [0.03, 0.03] and len(set(rates)) == 5
    for number, (states, cost, heard) in enumerate(straight.kept):
        write(tmp_path, Checkpoint(states, cost), f"{number:03d}")
        stored = read(tmp_path / f"{number:03d}.safetensors")
        resumed = Recorded(updater, (stored.branches, stored.cost, heard)).run()
        assert resumed.outcome() == straight.outcome(), f"moment {number}"


def test_a_stop_inside_after_epoch_leaves_the_moment_before_to_go_on_from():
    straight = Recorded("shapley").run()
    assert straight.measurements[0] > 10
    for stop_after in range(0, straight.measurements[0], straight.measurements[0] // 4):
        stopped = Recorded("shapley", stop_after=stop_after)
        with pytest.raises(StopRequested):
            stopped.run()
        resumed = Recorded("shapley", stopped.kept[-1]).run()
        assert resumed.outcome() == straight.outcome(), f"measurement {stop_after}"


def test_the_splitting_toy_goes_through_every_way_to_continue():
    harness = harness_of("toy-split")
    harness.run()
    continued_as = events(harness, BranchContinued)
    assert len(continued_as[0].children) == 2
    assert any(len(event.children) == 1 for event in continued_as)
    assert any(True in event.fresh for event in continued_as)
    assert ToySplit is installed("toy-split")
    _, branch, _ = started(ToySplit)
    assert branch.subspace == ToySpace().full()
