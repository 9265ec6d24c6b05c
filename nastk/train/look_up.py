"""`LookUp`: after every epoch, what a table says of the decision that the search has made so far.

The curves of a study's true accuracy over its cost are drawn from these events. Nothing of it
reaches the updater.
"""

from nastk.base.errors import DataError
from nastk.base.events import LookedUp
from nastk.base.failures import blamed
from nastk.train.evaluator import Evaluator, evaluated
from nastk.train.watching import FinishedEpoch


class LookUp:
    """A watcher of the trainer that looks the decision of a branch up after every epoch.

    Args:
        evaluator: one whose `looks_up` is True.

    Example: `Harness(updater, watchers=[LookUp(evaluator)]).run()`
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator

    def __call__(self, epoch: FinishedEpoch) -> LookedUp | None:
        """Called after every epoch of a branch: returns the metrics; None if they are not known."""
        name = self.evaluator.name
        try:
            with blamed(f"Evaluator {name!r}", "looking the decision up"):
                evaluation = evaluated(self.evaluator, epoch.architecture, None)
        except DataError:
            return None  # the table does not hold this architecture
        if not evaluation.metrics:
            return None  # nor does a table of a sample
        probe = epoch.probe
        return LookedUp(epoch.branch.name, probe.epoch, probe.step, name, evaluation.metrics)
