import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from nastk import Cost, PhaseCost
from nastk.base import cost as module
from nastk.base.cost import Ledger

counts = some.integers(0, 2**40)
phases = some.builds(PhaseCost, counts, counts, some.floats(0, 1e9), counts)


@given(some.dictionaries(some.text(max_size=5), phases, max_size=4))
def test_json_round_trip(parts):
    cost = Cost(parts)
    assert Cost.from_json(json.loads(json.dumps(cost.to_json()))) == cost


def test_phases_add_up_but_for_memory_which_is_the_largest():
    total = Cost({"train": PhaseCost(1, 2, 3.0, 40), "updater": PhaseCost(10, 20, 30.0, 4)}).total
    assert total == PhaseCost(11, 22, 33.0, 40)
    assert Cost({}).total == PhaseCost()


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only when it is told to."""
    now = [100.0]
    monkeypatch.setattr(module, "perf_counter", lambda: now[0])
    monkeypatch.setattr(module, "process_time", lambda: now[0] / 2)

    def wait(seconds):
        now[0] += seconds

    return wait


def seconds(ledger):
    return {name: phase.seconds for name, phase in ledger.cost().phases.items()}


def test_images_are_charged_to_the_phase_they_are_seen_in():
    ledger = Ledger()
    ledger.charge(forward=4, backward=4)
    with ledger.phase("updater"):
        ledger.charge(forward=2)
        with ledger.phase("evaluate"):
            ledger.charge(backward=1)
            ledger.memory(77)
        ledger.charge(forward=2)
    ledger.charge(forward=1)
    found = ledger.cost().phases
    assert (found["train"].images_forward, found["train"].images_backward) == (5, 4)
    assert (found["updater"].images_forward, found["updater"].images_backward) == (4, 0)
    assert (found["evaluate"].images_backward, found["evaluate"].peak_memory) == (1, 77)


def test_an_outer_phase_stands_still_inside_an_inner_one(clock):
    ledger = Ledger()
    with ledger.phase("train"):
        clock(1.0)
        with ledger.phase("updater"):
            clock(10.0)
            with ledger.phase("updater"):
                clock(100.0)
        clock(2.0)
    clock(1000.0)  # outside every phase: nobody's
    assert seconds(ledger) == {"train": 3.0, "updater": 110.0}


def test_a_phase_that_still_runs_is_counted(clock):
    """A checkpoint is written inside the phase `train`: it must not lack the time so far."""
    ledger = Ledger()
    with ledger.phase("train"):
        clock(5.0)
        with ledger.phase("updater"):
            clock(1.0)
        clock(2.0)
        assert seconds(ledger) == {"train": 7.0, "updater": 1.0}
        clock(1.0)
    assert seconds(ledger) == {"train": 8.0, "updater": 1.0}


def test_a_failure_inside_a_phase_ends_it(clock):
    ledger = Ledger()
    with pytest.raises(KeyError), ledger.phase("train"), ledger.phase("updater"):
        clock(1.0)
        raise KeyError
    clock(5.0)
    ledger.charge(forward=1)
    assert seconds(ledger) == {"train": 0.0, "updater": 1.0}
    assert ledger.cost().phases["train"].images_forward == 1


def test_a_ledger_goes_on_from_a_stored_cost(clock):
    ledger = Ledger(Cost({"train": PhaseCost(64, 64, 10.0, 5)}))
    with ledger.phase("train"):
        clock(1.0)
        ledger.charge(forward=1)
    assert ledger.cost().phases["train"] == PhaseCost(65, 64, 11.0, 5, {}, 0.5)
