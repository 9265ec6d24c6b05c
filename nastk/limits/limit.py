"""`Limit`: the largest allowed value of a metric, and the evaluator that measures the metric.

`LimitOptions` and `read` parse limits from the command line and files (`params=4M`); a `Limit`
measures architectures of a space.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from pydantic import Field

from nastk.base import defaults
from nastk.base.component import Options, name_and_options
from nastk.base.errors import ConfigurationError
from nastk.base.failures import blamed
from nastk.limits.model import Additive, Structure, Table, measured
from nastk.spaces.architecture import Architecture
from nastk.spaces.space import SearchSpace
from nastk.train.evaluator import Evaluator, evaluated

ALIASES = {"params": "parameters", "madds": "multiply_adds"}
"""Short names of metrics."""

COUNTS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
TIMES = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
NUMBER = re.compile(r"\s*([0-9.]+(?:e[+-]?\d+)?)\s*([A-Za-z]*)\s*")
FORM = (
    "A limit is written as METRIC=VALUE[:EVALUATOR[,OPTION=VALUE...]], such as params=4M, "
    f"madds=600M or {defaults.LATENCY_LIMIT_EXAMPLE}"
)


class LimitOptions(Options):
    """The largest allowed value of a metric, and the evaluator that measures the metric.

    Example: `nastk.search("darts", "shapley", limits=["params=4M"])`
    """

    metric: str = Field(description="the metric, as its evaluator calls it, e.g. parameters")
    at_most: float = Field(gt=0, description="its largest value: a count, or seconds")
    evaluator: str = Field(description="the evaluator that knows the metric, without a supernet")
    evaluator_options: dict[str, object] = Field(
        default_factory=dict, description="options of that evaluator"
    )


def read(given: Any) -> dict[str, Any]:
    """Returns the fields of a `LimitOptions` from a text such as `params=4M`, or from a mapping.

    Raises:
        ConfigurationError: `given` is neither, its value is no number, or no evaluator is known
            for the metric.

    >>> read("params=4M")
    {'metric': 'parameters', 'at_most': 4000000.0, 'evaluator': 'size', 'evaluator_options': {}}
    """
    if isinstance(given, LimitOptions):
        return given.model_dump()
    fields = _parsed(given) if isinstance(given, str) else given
    if not isinstance(fields, Mapping) or not {"metric", "at_most"} <= set(fields):
        raise ConfigurationError(f"{FORM}, or as {{metric: ..., at_most: ...}}; got {given!r}.")
    metric = ALIASES.get(str(fields["metric"]), str(fields["metric"]))
    evaluator = fields.get("evaluator") or defaults.LIMIT_EVALUATORS.get(metric)
    if evaluator is None:
        raise ConfigurationError(
            f"Who knows the metric {metric!r}? Name the evaluator: --limit "
            f"{metric}={fields['at_most']}:EVALUATOR. Without one nastk knows "
            f"{', '.join([*ALIASES, *defaults.LIMIT_EVALUATORS])}."
        )
    return {
        **fields,
        "metric": metric,
        "at_most": amount(fields["at_most"], metric),
        "evaluator": evaluator,
        "evaluator_options": fields.get("evaluator_options") or {},
    }


def amount(value: Any, metric: str) -> float:
    """Returns a limit as a number: `4M` is 4e6; for times, `20ms` is 0.02 (seconds).

    Raises:
        ConfigurationError: `value` is no number with a known unit.

    >>> amount("600M", "multiply_adds"), amount("20ms", "latency"), amount(3, "rank")
    (600000000.0, 0.02, 3.0)
    """
    units = TIMES if "latency" in metric or "seconds" in metric else COUNTS
    match = NUMBER.fullmatch(str(value))
    try:
        if match is None or isinstance(value, bool):
            raise ValueError
        return float(match[1]) * units[match[2]]
    except (ValueError, KeyError):
        raise ConfigurationError(
            f"The limit of {metric} is a number, with one of {', '.join(filter(None, units))} or "
            f"without; got {value!r}."
        ) from None


def _parsed(text: str) -> dict[str, Any]:
    """Returns the fields in a text of the form `FORM`; the value is still text."""
    metric, equals, rest = text.partition("=")
    value, colon, evaluator_text = rest.partition(":")
    if not equals or not metric.strip() or (colon and not evaluator_text):
        raise ConfigurationError(f"{FORM}; got {text!r}.")
    evaluator, options = name_and_options(evaluator_text, FORM) if evaluator_text else ("", {})
    return {
        "metric": metric.strip(),
        "at_most": value,
        "evaluator": evaluator,
        "evaluator_options": options,
    }


NEAR = 1e-6
"""Distance to a limit, as a share of it, within which rounding may make an exact sum wrong."""


@dataclass(eq=False)
class CachedEvaluator:
    """An evaluator with a cache of its metrics, so that it evaluates an architecture only once."""

    evaluator: Evaluator
    _metrics: dict[str, dict[str, float | int]] = field(default_factory=dict)

    def metrics(self, architecture: Architecture) -> dict[str, float | int]:
        """Returns all metrics of an architecture, from the cache if it was evaluated before."""
        if architecture.id not in self._metrics:
            who = f"Evaluator {self.evaluator.name!r}"
            with torch.random.fork_rng(devices=[]), blamed(who, "evaluating for a limit"):
                metrics = evaluated(self.evaluator, architecture, None).metrics
            self._metrics[architecture.id] = dict(metrics)
        return self._metrics[architecture.id]


class Limit:
    """A limit on architectures of `space`, with the additive model of its metric (`sum`).

    Args:
        space: the space without limits.
        limit: the metric and its largest value.
        known: the limit's evaluator with its cache, which several limits may share.
        structure: the structure of `space`.

    Raises:
        ConfigurationError: the evaluator lacks the metric or needs a supernet, or the metric
            belongs to the test split.

    Example: `Limit(space, LimitOptions(**read("params=4M")), CachedEvaluator(size)).keeps(path)`
    """

    def __init__(
        self, space: SearchSpace, limit: LimitOptions, known: CachedEvaluator, structure: Structure
    ) -> None:
        if known.evaluator.needs_supernet:
            raise ConfigurationError(
                f"A limit is checked before anything is trained, and evaluator "
                f"{known.evaluator.name!r} needs a trained supernet. Use one that does not, as "
                f"{defaults.NETWORK_EVALUATORS[0]}."
            )
        if known.evaluator.of_test(limit.metric):
            raise ConfigurationError(
                f"The metric {limit.metric!r} of evaluator {known.evaluator.name!r} is of the test "
                "split, and what is limited steers the decision: the accuracy on test would mean "
                "nothing any more. Limit what needs no test images, such as params=4M."
            )
        self.bound, self._known = limit, known
        self.sum: Additive = measured(space, self.value, structure)

    def value(self, architecture: Architecture) -> float:
        """Returns the metric of an architecture, measured by the evaluator."""
        metrics = self._known.metrics(architecture)
        if self.bound.metric not in metrics:
            raise ConfigurationError(
                f"Evaluator {self.bound.evaluator!r} has no metric {self.bound.metric!r} to limit. "
                f"It has: {', '.join(metrics)}."
            )
        return float(metrics[self.bound.metric])

    def holds(self, architecture: Architecture) -> bool:
        """True if the metric, measured by the evaluator, is within the limit."""
        return self.value(architecture) <= self.bound.at_most

    def keeps(self, architecture: Architecture, trust: bool = True) -> bool:
        """Like `holds`, but uses the additive model if that is exact, trusted and off the limit."""
        if trust and self.sum.exact:
            predicted, most = self.sum.of(architecture), self.bound.at_most
            if abs(predicted - most) > NEAR * most:
                return predicted < most
        return self.holds(architecture)

    @property
    def shares(self) -> Table:
        """Cost of each operation as a share of the limit, edges x operations."""
        return self.sum.costs / self.bound.at_most

    def share(self, architecture: Architecture) -> float:
        """Returns the share of the limit that an architecture uses, by the additive model."""
        return self.sum.of(architecture) / self.bound.at_most
