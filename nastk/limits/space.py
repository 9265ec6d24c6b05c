"""A space that decides and draws within limits, `ConstrainedSpace`, and the check that it does.

`LimitWatch` asks after every epoch; `LimitReport` says in a run's result what was limited.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from nastk.base.errors import ConfigurationError, PluginError
from nastk.data.task import Task
from nastk.limits.decision import ConstrainedDecision, best, kept
from nastk.limits.limit import CachedEvaluator, Limit, LimitOptions
from nastk.limits.model import Structure
from nastk.spaces.architecture import Architecture
from nastk.spaces.space import SearchSpace
from nastk.spaces.subspace import Subspace
from nastk.spaces.supernet import Supernet
from nastk.train.evaluator import Evaluation, EvaluationContext, Evaluator
from nastk.train.probe import Probe
from nastk.train.watching import FinishedEpoch

ATTEMPTS = 100
"""Architectures drawn before one within the limits is decided on random scores instead."""

REMEMBERED = 4096
"""Decisions that are kept, since updaters often ask again for the same scores."""


class ConstrainedSpace(SearchSpace):
    """`space` with limits: its decisions and its random architectures keep them.

    Where the space's own decision keeps the limits it stands, bit for bit; so does a random draw.
    Everything else is that of `space`, whose name it bears.

    Args:
        space: the space without limits.
        limits: each with the evaluator that knows its metric, made for `space`.

    Raises:
        ConfigurationError: no architecture keeps the limits, or an evaluator lacks the metric.

    Example: `ConstrainedSpace(space, [(LimitOptions(**read("params=4M")), Size(context))])`
    """

    def __init__(
        self, space: SearchSpace, limits: Sequence[tuple[LimitOptions, Evaluator]]
    ) -> None:
        super().__init__(space.options)
        # Class variables of every other space; this one takes those of the space it wraps.
        vars(self).update(name=space.name, summary=space.summary)
        self.inner, self.edges = space, space.edges
        self.structure = Structure.of(space)
        known: dict[int, CachedEvaluator] = {}
        self.meters = [
            Limit(
                space,
                limit,
                known.setdefault(id(evaluator), CachedEvaluator(evaluator)),
                self.structure,
            )
            for limit, evaluator in limits
        ]
        self.costs = torch.stack([meter.shares for meter in self.meters]).sum(0)
        self._decided: dict[tuple[Subspace, tuple[float, ...]], Architecture] = {}
        self._complaints: dict[Subspace, str | None] = {}
        self._refuse_impossible()

    def __getattr__(self, name: str) -> Any:
        """What only the wrapped space has."""
        if name.startswith("_") or name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    def supernet(self, task: Task) -> Supernet:
        """Called once for every fresh branch: the wrapped space's."""
        return self.inner.supernet(task)

    def network(self, architecture: Architecture, task: Task) -> nn.Module:
        """Called to train, count or export an architecture, within the limits or not."""
        return self.inner.network(architecture, task)

    def decide(self, scores: Float[Tensor, "edges ops"], subspace: Subspace) -> Architecture:
        """Called by updaters: the space's decision, or the best-scoring one within the limits.

        Raises:
            PluginError: no architecture within the limits lies in `subspace`.
        """
        first = self.inner.decide(scores, subspace)
        if self.keeps(first):
            return first
        table = finite(self.inner.readable(scores, subspace), subspace)
        key = subspace, tuple(table.flatten().tolist())
        if key not in self._decided:
            if len(self._decided) >= REMEMBERED:
                self._decided.clear()
            self._decided[key] = self._best(table, subspace)
        return self._decided[key]

    def sample(self, subspace: Subspace, rng: torch.Generator) -> Architecture:
        """Called by updaters that draw: the space's draws, until one keeps the limits.

        After 100 that do not, a decision on random scores.

        Raises:
            PluginError: no architecture within the limits lies in `subspace`.
        """
        for _ in range(ATTEMPTS):
            architecture = self.inner.sample(subspace, rng)
            if self.keeps(architecture):
                return architecture
        return self.decide(torch.rand(subspace.mask.shape, generator=rng), subspace)

    def why_empty(self, subspace: Subspace) -> str | None:
        """Called on each subspace an updater returns: nothing is left, or nothing small enough."""
        if subspace not in self._complaints:
            self._complaints[subspace] = self._complaint(subspace)
        return self._complaints[subspace]

    def with_options(self, changes: Mapping[str, Any]) -> SearchSpace:
        """Called by evaluators: the wrapped space, changed; it keeps no limits."""
        return self.inner.with_options(changes)

    def check(self, architecture: Architecture) -> Architecture:
        """`architecture` itself if it is one of the space, within the limits or not."""
        return self.inner.check(architecture)

    def to_text(self, architecture: Architecture) -> str:
        """The wrapped space's text form."""
        return self.inner.to_text(architecture)

    def from_text(self, text: str) -> Architecture:
        """The inverse of `to_text`, for architectures within the limits or not."""
        return self.inner.from_text(text)

    def keeps(self, architecture: Architecture) -> bool:
        """Whether all limits are kept, from exact sums where there are."""
        return all(meter.keeps(architecture) for meter in self.meters)

    def _best(self, scores: Float64[Tensor, "edges ops"], subspace: Subspace) -> Architecture:
        found = best(self._decision(scores, subspace))
        if found is None:
            raise PluginError(
                "No architecture within the limits lies in this subspace: "
                f"{self._smallest(subspace)}."
            )
        return found

    def _complaint(self, subspace: Subspace) -> str | None:
        if why := self.inner.why_empty(subspace):
            return why
        zeros = torch.zeros(subspace.mask.shape, dtype=torch.float64)
        if next(kept(self._decision(zeros, subspace)), None) is not None:
            return None
        return f"none within the limits is left, {self._smallest(subspace)}"

    def _decision(
        self, scores: Float64[Tensor, "edges ops"], subspace: Subspace
    ) -> ConstrainedDecision:
        return ConstrainedDecision(self.inner, self.structure, self.meters, subspace, scores)

    def _smallest(self, subspace: Subspace) -> str:
        """The smallest value of every metric, and its limit, in words."""
        found = []
        for meter in self.meters:
            value = meter.value(self.inner.decide(-meter.shares, subspace))
            limit = meter.limit
            found.append(
                f"the smallest {limit.metric} is {number(value)}, the limit {number(limit.at_most)}"
            )
        return "; ".join(found)

    def _refuse_impossible(self) -> None:
        full = self.full()
        if self.inner.why_empty(full) is None and self.why_empty(full) is not None:
            together = " together" if len(self.meters) > 1 else ""
            raise ConfigurationError(
                f"No architecture of space {self.name!r} that was found keeps the "
                f"limit{'s' * bool(together)}{together}: {self._smallest(full)}. "
                "Raise the limit, or make the networks smaller by the space's options."
            )


def finite(table: Float64[Tensor, "edges ops"], subspace: Subspace) -> Float64[Tensor, "edges ops"]:
    """Scores that can be added: infinite ones a little beyond the finite, dead ones zero."""
    alive = subspace.mask
    known = table[alive & table.isfinite()]
    low, high = (float(known.min()), float(known.max())) if known.numel() else (0.0, 0.0)
    beyond = 1 + len(subspace.alive) * (1 + high - low)
    return table.clamp(low - beyond, high + beyond).masked_fill(~alive, 0.0)


def number(value: float) -> str:
    """A count in full, or a measured value.

    >>> number(4102345.0), number(0.0205)
    ('4,102,345', '0.0205')
    """
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.6g}"


class LimitReport(Evaluator):
    """Each limited metric of what was found, beside its limit; the evaluators know the metrics.

    Metrics: the limited ones, each followed by its largest value as `most_<metric>`.

    Example: `LimitReport(context, space).evaluate(architecture, None).metrics["most_parameters"]`
    """

    name = "limits"
    summary = "limited metrics of the architecture, beside their limits"

    def __init__(self, context: EvaluationContext, space: ConstrainedSpace) -> None:
        super().__init__(context)
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
                f"{limit.metric} is that of evaluator {limit.evaluator!r}, {kind} a sum over the "
                f"operations, found from {meter.sum.asked} architectures."
            )
        return Evaluation(self.name, metrics, tuple(notes))


class LimitWatch:
    """Asks after every epoch whether the decision of now keeps the limits, by the evaluators.

    Example: `Harness(updater, watchers=[LimitWatch(space)]).run()`
    """

    def __init__(self, space: ConstrainedSpace) -> None:
        self.space = space

    def __call__(self, epoch: FinishedEpoch) -> None:
        """Called after every epoch of a branch.

        Raises:
            PluginError: the updater's decision exceeds a limit.
        """
        refuse_larger(self.space, epoch.architecture, f"Updater {epoch.branch.updater.name!r}")


def refuse_larger(space: ConstrainedSpace, architecture: Architecture, who: str) -> None:
    """Raise a `PluginError` where an architecture exceeds a limit, as its evaluator says."""
    for meter in space.meters:
        if not meter.holds(architecture):
            raise PluginError(
                f"{who} answered an architecture with {meter.limit.metric} = "
                f"{number(meter.value(architecture))}, over the limit of "
                f"{number(meter.limit.at_most)}. Limits hold for updaters that decide by "
                "`space.decide` and draw by `space.sample`."
            )
