import inspect
import json
from dataclasses import FrozenInstanceError, is_dataclass

import pytest

from nastk import Event
from nastk.base import events
from nastk.base.events import BranchContinued

KINDS = [
    value
    for value in vars(events).values()
    if inspect.isclass(value) and issubclass(value, Event) and value is not Event
]


def test_every_kind_has_a_name_of_its_own():
    assert len({kind.kind for kind in KINDS}) == len(KINDS) == 13


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_an_event_is_a_frozen_value_that_writes_itself(kind):
    event = kind("0.1", 2, 30)
    assert is_dataclass(kind)
    with pytest.raises(FrozenInstanceError):
        event.branch = "1"
    written = json.loads(json.dumps(event.to_json()))
    assert written["kind"] == kind.kind
    assert (written["branch"], written["epoch"], written["step"]) == ("0.1", 2, 30)


def test_what_only_shows_progress_is_transient():
    transient = {kind.kind for kind in KINDS if kind.transient}
    assert transient == {"step-done", "updater-working", "evaluator-working", "checkpoint-saved"}


def test_nested_values_are_written_as_they_are():
    event = BranchContinued("0", 1, 3, ["0.0", "0.1"], [["10"], ["01"]], [False, True])
    assert event.to_json()["subspaces"] == [["10"], ["01"]]
