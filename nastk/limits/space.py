"""`ConstrainedSpace`, a space that decides and draws within limits, and checks of the limits.

`LimitWatch` checks the decision after every epoch; `LimitReport` adds the limited metrics to the
result of a run.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from nastk.base.errors import ConfigurationError, PluginError
from nastk.limits.decision import ConstrainedDecision, best, feasible
from nastk.limits.limit import CachedEvaluator, Limit, LimitOptions
from nastk.limits.model import Structure
from nastk.spaces.architecture import Architecture
from nastk.spaces.space import SearchSpace
from nastk.spaces.subspace import Subspace
from nastk.spaces.wrapped import WrappedSpace
from nastk.train.evaluator import Evaluation, EvaluationContext, Evaluator
from nastk.train.probe import Probe
from nastk.train.watching import FinishedEpoch

ATTEMPTS = 100
"""Most random draws; if none keeps the limits, random scores are decided within them."""

REMEMBERED = 4096
"""Most cached decisions; updaters often decide repeatedly on the same scores."""


class ConstrainedSpace(WrappedSpace):
    """`space` with limits: its decisions and its random architectures keep the limits.

    A decision or random draw of `space` that keeps the limits is returned unchanged. Everything
    else, the name included, is that of `space`.

    Args:
        space: the space without limits.
        limits: the limits, each with the evaluator of its metric, made for `space`.

    Raises:
        ConfigurationError: no architecture keeps the limits, or an evaluator lacks its metric.

    Example: `ConstrainedSpace(space, [(LimitOptions(**read("params=4M")), Size(context))])`
    """

    def __init__(
        self, space: SearchSpace, limits: Sequence[tuple[LimitOptions, Evaluator]]
    ) -> None:
        super().__init__(space.options)
        # These are class variables of other spaces; here they are those of the wrapped space.
        vars(self).update(name=space.name, summary=space.summary)
        self.inner, self.edges = space, space.edges
        self.structure = Structure.of(space)
        cached: dict[int, CachedEvaluator] = {}
        self.limits = [
            Limit(
                space,
                limit,
                cached.setdefault(id(evaluator), CachedEvaluator(evaluator)),
                self.structure,
            )
            for limit, evaluator in limits
        ]
        self.costs = torch.stack([limit.shares for limit in self.limits]).sum(0)
        self._decided: dict[tuple[Subspace, tuple[float, ...]], Architecture] = {}
        self._reasons: dict[Subspace, str | None] = {}
        self._refuse_impossible()

    def decide(self, scores: Float[Tensor, "edges ops"], subspace: Subspace) -> Architecture:
        """Called by updaters: the space's decision if it keeps the limits, else the best that does.

        Raises:
            PluginError: no architecture within the limits lies in `subspace`.
        """
        unconstrained = self.inner.decide(scores, subspace)
        if self.keeps(unconstrained):
            return unconstrained
        table = finite(self.inner.readable(scores, subspace), subspace)
        key = subspace, tuple(table.flatten().tolist())
        if key not in self._decided:
            if len(self._decided) >= REMEMBERED:
                self._decided.clear()
            self._decided[key] = self._best(table, subspace)
        return self._decided[key]

    def sample(self, subspace: Subspace, rng: torch.Generator) -> Architecture:
        """Called by updaters that draw: draws from the space until a draw keeps the limits.

        After 100 draws outside of the limits, returns a decision on random scores.

        Raises:
            PluginError: no architecture within the limits lies in `subspace`.
        """
        for _ in range(ATTEMPTS):
            architecture = self.inner.sample(subspace, rng)
            if self.keeps(architecture):
                return architecture
        return self.decide(torch.rand(subspace.mask.shape, generator=rng), subspace)

    def why_empty(self, subspace: Subspace) -> str | None:
        """Called for every subspace of an updater: says why no architecture keeps the limits."""
        if subspace not in self._reasons:
            self._reasons[subspace] = self._why_empty(subspace)
        return self._reasons[subspace]

    def architectures(self) -> Iterator[Architecture]:
        """Called to enumerate: yields the architectures of the wrapped space within the limits."""
        return filter(self.keeps, self.inner.architectures())

    def keeps(self, architecture: Architecture) -> bool:
        """True if the architecture keeps all limits; exact additive models are trusted."""
        return all(limit.keeps(architecture) for limit in self.limits)

    def _best(self, scores: Float64[Tensor, "edges ops"], subspace: Subspace) -> Architecture:
        """Returns the best decision within the limits, or raises a `PluginError`."""
        architecture = best(self._decision(scores, subspace))
        if architecture is None:
            raise PluginError(
                "No architecture within the limits lies in this subspace: "
                f"{self._smallest(subspace)}."
            )
        return architecture

    def _why_empty(self, subspace: Subspace) -> str | None:
        """Returns the reason why `subspace` has no architecture within the limits, or None."""
        if why := self.inner.why_empty(subspace):
            return why
        zeros = torch.zeros(subspace.mask.shape, dtype=torch.float64)
        if next(feasible(self._decision(zeros, subspace)), None) is not None:
            return None
        return f"none within the limits is left, {self._smallest(subspace)}"

    def _decision(
        self, scores: Float64[Tensor, "edges ops"], subspace: Subspace
    ) -> ConstrainedDecision:
        return ConstrainedDecision(self.inner, self.structure, self.limits, subspace, scores)

    def _smallest(self, subspace: Subspace) -> str:
        """Returns a text with the smallest value of every metric and its limit."""
        descriptions = []
        for limit in self.limits:
            value = limit.value(self.inner.decide(-limit.shares, subspace))
            bound = limit.bound
            descriptions.append(
                f"the smallest {bound.metric} is {number(value)}, the limit {number(bound.at_most)}"
            )
        return "; ".join(descriptions)

    def _refuse_impossible(self) -> None:
        """Raise a `ConfigurationError` if no architecture of the space keeps the limits."""
        full = self.full()
        if self.inner.why_empty(full) is None and self.why_empty(full) is not None:
            together = " together" if len(self.limits) > 1 else ""
            raise ConfigurationError(
                f"No architecture of space {self.name!r} that was found keeps the "
                f"limit{'s' * bool(together)}{together}: {self._smallest(full)}. "
                "Raise the limit, or make the networks smaller by the space's options."
            )


def finite(table: Float64[Tensor, "edges ops"], subspace: Subspace) -> Float64[Tensor, "edges ops"]:
    """Returns scores that can be summed: infinite ones are made finite, dead ones zero.

    An infinite score becomes so large that it outweighs any sum of finite scores.
    """
    alive = subspace.mask
    values = table[alive & table.isfinite()]
    low, high = (float(values.min()), float(values.max())) if values.numel() else (0.0, 0.0)
    beyond = 1 + len(subspace.alive) * (1 + high - low)
    return table.clamp(low - beyond, high + beyond).masked_fill(~alive, 0.0)


def number(value: float) -> str:
    """Returns a count with all digits, or a measured value with six.

    >>> number(4102345.0), number(0.0205)
    ('4,102,345', '0.0205')
    """
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.6g}"


class LimitReport(Evaluator):
    """Reports each limited metric of the final architecture beside its limit.

    Metrics: the limited ones, each followed by its limit as `most_<metric>`.

    Example: `LimitReport(context, space).evaluate(architecture, None).metrics["most_parameters"]`
    """

    name = "limits"
    summary = "limited metrics of the architecture, beside their limits"

    def __init__(self, context: EvaluationContext, space: ConstrainedSpace) -> None:
        super().__init__(context)
        self.space = space

    def evaluate(self, architecture: Architecture, probe: Probe | None) -> Evaluation:
        """Called once at the end of a search: measures with the evaluator of each limit.

        Raises:
            PluginError: a limit is exceeded.
        """
        refuse_larger(self.space, architecture, "The updater")
        metrics, notes = {}, []
        for limit in self.space.limits:
            bound = limit.bound
            metrics[bound.metric] = limit.value(architecture)
            metrics[f"most_{bound.metric}"] = bound.at_most
            kind = "exactly" if limit.sum.exact else "about"
            notes.append(
                f"{bound.metric} is that of evaluator {bound.evaluator!r}, {kind} a sum over the "
                f"operations, found from {limit.sum.measurements} architectures."
            )
        return Evaluation(self.name, metrics, tuple(notes))


class LimitWatch:
    """Checks after every epoch, with the evaluators, that the current decision keeps the limits.

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
    """Raise a `PluginError` if an architecture exceeds a limit according to its evaluator."""
    for limit in space.limits:
        if not limit.holds(architecture):
            raise PluginError(
                f"{who} answered an architecture with {limit.bound.metric} = "
                f"{number(limit.value(architecture))}, over the limit of "
                f"{number(limit.bound.at_most)}. Limits hold for updaters that decide by "
                "`space.decide` and draw by `space.sample`."
            )
