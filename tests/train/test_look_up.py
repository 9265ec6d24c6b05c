"""What is looked up of every epoch's decision: at no image, and nothing where it is not known."""

import pytest
from core_kit import answering

from nastk import DataError, Evaluation, Evaluator
from nastk.base.events import LookedUp
from nastk.testing import Harness, ToySpace
from nastk.train.look_up import LookUp

SPACE = ToySpace()
CHOSEN = SPACE.architecture([["conv"], ["skip"], ["skip"], ["conv"], ["skip"]])


class Known(Evaluator):
    """Knows the architectures that it is told of."""

    name, summary, looks_up = "known", "for a test", True

    def __init__(self, known):
        self.known = known

    def evaluate(self, architecture, probe):
        if architecture.id not in self.known:
            raise DataError("not in the table")
        return Evaluation(self.name, {"accuracy": self.known[architecture.id]})


@pytest.mark.parametrize(("known", "epochs"), [({CHOSEN.id: 0.75}, [1, 2]), ({}, [])])
def test_every_epoch_has_what_is_known_of_its_decision(known, epochs):
    updater = answering(architecture=lambda self, probe: CHOSEN)
    options, plain = {"epochs": 2}, Harness(updater, trainer_options={"epochs": 2})
    harness = Harness(updater, trainer_options=options, watchers=[LookUp(Known(known))])
    plain.run(), harness.run()
    events = [each for each in harness.events if isinstance(each, LookedUp)]
    assert [each.epoch for each in events] == epochs
    assert all(each.metrics == {"accuracy": 0.75} for each in events)
    costs = [each.trainer.ledger.cost().total.images_forward for each in (plain, harness)]
    assert costs[0] == costs[1]
