"""That limits are kept: the check after every epoch, and what a run's result says of them."""

from nastk.base.errors import PluginError
from nastk.limits.space import Limited, number
from nastk.spaces.architecture import Architecture
from nastk.train.branch import Branch
from nastk.train.evaluator import Evaluation, Evaluator, Setting
from nastk.train.probe import Probe


class Kept(Evaluator):
    """Each limited metric of what was found, beside its limit; the evaluators know the metrics.

    Metrics: the limited ones, each followed by its largest value as `most_<metric>`.

    Example: `Kept(setting, space).evaluate(architecture, None).metrics["most_parameters"]`
    """

    name = "limits"
    summary = "limited metrics of the architecture, beside their limits"

    def __init__(self, setting: Setting, space: Limited) -> None:
        super().__init__(setting)
        self.space = space

    def evaluate(self, architecture: Architecture, probe: Probe | None) -> Evaluation:
        """Called once at the end of a search: asks each limit's evaluator.

        Raises:
            PluginError: a limit is exceeded.
        """
        refuse_larger(self.space, architecture, "The updater")
        metrics, notes = {}, []
        for meter in self.space.meters:
            limit = meter.limit
            metrics[limit.metric] = meter.value(architecture)
            metrics[f"most_{limit.metric}"] = limit.at_most
            kind = "exactly" if meter.sum.exact else "about"
            notes.append(
                f"{limit.metric} is that of evaluator {limit.judge!r}, {kind} a sum over the "
                f"operations, found from {meter.sum.asked} architectures."
            )
        return Evaluation(self.name, metrics, tuple(notes))


class LimitWatch:
    """Asks after every epoch whether the decision of now keeps the limits, by the evaluators.

    Example: `trainer.watchers.append(LimitWatch(space))`
    """

    def __init__(self, space: Limited) -> None:
        self.space = space

    def __call__(self, branch: Branch, probe: Probe, last: bool) -> None:
        """Called after every epoch of a branch.

        Raises:
            PluginError: the updater's decision exceeds a limit.
        """
        refuse_larger(
            self.space, branch.updater.architecture(probe), f"Updater {branch.updater.name!r}"
        )


def refuse_larger(space: Limited, architecture: Architecture, who: str) -> None:
    """Raise a `PluginError` where an architecture exceeds a limit, as its evaluator says."""
    for meter in space.meters:
        if not meter.holds(architecture):
            raise PluginError(
                f"{who} answered an architecture with {meter.limit.metric} = "
                f"{number(meter.value(architecture))}, over the limit of "
                f"{number(meter.limit.at_most)}. Limits hold for updaters that decide by "
                "`space.decide` and draw by `space.sample`."
            )
