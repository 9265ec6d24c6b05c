"""One limit with the evaluator that knows its metric: `Meter`."""

from dataclasses import dataclass, field

import torch

from nastk.base import defaults
from nastk.base.errors import ConfigurationError
from nastk.base.failures import blamed
from nastk.limits.additive import Additive, Table, measured
from nastk.limits.options import LimitOptions
from nastk.limits.structure import Structure
from nastk.spaces.architecture import Architecture
from nastk.spaces.space import SearchSpace
from nastk.train.evaluator import Evaluator, judged

NEAR = 1e-6
"""So near to a limit (as a share of it) an exact sum is not trusted, for its rounding."""


@dataclass(eq=False)
class Known:
    """What an evaluator says of architectures, each asked about once; for all its metrics."""

    judge: Evaluator
    _metrics: dict[str, dict[str, float | int]] = field(default_factory=dict)

    def metrics(self, architecture: Architecture) -> dict[str, float | int]:
        """All metrics of an architecture."""
        if architecture.id not in self._metrics:
            who = f"Evaluator {self.judge.name!r}"
            with torch.random.fork_rng(devices=[]), blamed(who, "judging for a limit"):
                found = judged(self.judge, architecture, None).metrics
            self._metrics[architecture.id] = dict(found)
        return self._metrics[architecture.id]


class Meter:
    """A limit on architectures of `space`, and what each operation adds to its metric.

    Args:
        space: the space without limits.
        limit: what is limited.
        known: asks the limit's evaluator; several limits may share it.
        structure: that of `space`.

    Raises:
        ConfigurationError: the evaluator has no such metric, it is of the test split, or the
            evaluator needs a supernet.

    Example: `Meter(space, LimitOptions(**read("params=4M")), Known(size)).keeps(architecture)`
    """

    def __init__(
        self, space: SearchSpace, limit: LimitOptions, known: Known, structure: Structure
    ) -> None:
        if known.judge.needs_supernet:
            raise ConfigurationError(
                f"A limit is checked before anything is trained, and evaluator "
                f"{known.judge.name!r} needs a trained supernet. Use one that does not, as "
                f"{defaults.NETWORK_EVALUATORS[0]}."
            )
        if known.judge.of_test(limit.metric):
            raise ConfigurationError(
                f"The metric {limit.metric!r} of evaluator {known.judge.name!r} is of the test "
                "split, and what is limited steers the decision: the accuracy on test would mean "
                "nothing any more. Limit what needs no test images, such as params=4M."
            )
        self.limit, self._known = limit, known
        self.sum: Additive = measured(space, self.value, structure)

    def value(self, architecture: Architecture) -> float:
        """The metric as the evaluator has it."""
        metrics = self._known.metrics(architecture)
        if self.limit.metric not in metrics:
            raise ConfigurationError(
                f"Evaluator {self.limit.judge!r} has no metric {self.limit.metric!r} to limit. "
                f"It has: {', '.join(metrics)}."
            )
        return float(metrics[self.limit.metric])

    def holds(self, architecture: Architecture) -> bool:
        """Whether the limit is kept, as the evaluator says."""
        return self.value(architecture) <= self.limit.at_most

    def keeps(self, architecture: Architecture, trust: bool = True) -> bool:
        """The same, from the sum alone where that is exact, trusted, and not near the limit."""
        if trust and self.sum.exact:
            foretold, most = self.sum.of(architecture), self.limit.at_most
            if abs(foretold - most) > NEAR * most:
                return foretold < most
        return self.holds(architecture)

    @property
    def shares(self) -> Table:
        """The costs of operations as shares of the limit."""
        return self.sum.costs / self.limit.at_most

    def share(self, architecture: Architecture) -> float:
        """How much of the limit an architecture takes, by the sum: 1 is all of it."""
        return self.sum.of(architecture) / self.limit.at_most
