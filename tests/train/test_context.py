"""What all parts of a run share, where nobody says anything else."""

from nastk.base.events import StepDone
from nastk.train.context import RunContext


def test_by_default_costs_are_summed_events_dropped_and_nothing_stops():
    first, second = RunContext(), RunContext()
    first.ledger.charge(forward=3)
    spent = [context.ledger.cost().total.images_forward for context in (first, second)]
    assert spent == [3, 0]
    assert first.emit(StepDone("0", 0, 1, 0.5, 0.5, 3)) is None
    assert first.stopping() is False
