"""One limit: how it is written (`params=4M`), and the evaluator that knows its metric.

`LimitOptions` and `read` are what people write; a `Limit` measures architectures of a space.
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
    """The largest value of one metric, and the evaluator that knows it.

    Example: `nastk.search("darts", "shapley", limits=["params=4M"])`
    """

    metric: str = Field(description="the metric, as its evaluator calls it, e.g. parameters")
    at_most: float = Field(gt=0, description="its largest value: a count, or seconds")
    evaluator: str = Field(description="the evaluator that knows the metric, without a supernet")
    evaluator_options: dict[str, object] = Field(
        default_factory=dict, description="options of that evaluator"
    )


def read(given: Any) -> dict[str, Any]:
    """The fields of a `LimitOptions` from what people write: a text, or a mapping of its fields.

    Raises:
        ConfigurationError: it is neither, its value is no number, or nobody knows the metric.

    >>> read("params=4M")
    {'metric': 'parameters', 'at_most': 4000000.0, 'evaluator': 'size', 'evaluator_options': {}}
    """
    if isinstance(given, LimitOptions):
        return given.model_dump()
    fields = _of_text(given) if isinstance(given, str) else given
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
    """A largest value as a number: `4M` is 4e6; of a time, `20ms` is 0.02 (seconds).

    Raises:
        ConfigurationError: it is no such number.

    >>> amount("600M", "multiply_adds"), amount("20ms", "latency"), amount(3, "rank")
    (600000000.0, 0.02, 3.0)
    """
    units = TIMES if "latency" in metric or "seconds" in metric else COUNTS
    found = NUMBER.fullmatch(str(value))
    try:
        if found is None or isinstance(value, bool):
            raise ValueError
        return float(found[1]) * units[found[2]]
    except (ValueError, KeyError):
        raise ConfigurationError(
            f"The limit of {metric} is a number, with one of {', '.join(filter(None, units))} or "
            f"without; got {value!r}."
        ) from None


def _of_text(text: str) -> dict[str, Any]:
    metric, equals, rest = text.partition("=")
    value, colon, evaluated = rest.partition(":")
    if not equals or not metric.strip() or (colon and not evaluated):
        raise ConfigurationError(f"{FORM}; got {text!r}.")
    evaluator, options = name_and_options(evaluated, FORM) if evaluated else ("", {})
    return {
        "metric": metric.strip(),
        "at_most": value,
        "evaluator": evaluator,
        "evaluator_options": options,
    }


NEAR = 1e-6
"""So near to a limit (as a share of it) an exact sum is not trusted, for its rounding."""


@dataclass(eq=False)
class CachedEvaluator:
    """What an evaluator says of architectures, each asked about once; for all its metrics."""

    evaluator: Evaluator
    _metrics: dict[str, dict[str, float | int]] = field(default_factory=dict)

    def metrics(self, architecture: Architecture) -> dict[str, float | int]:
        """All metrics of an architecture."""
        if architecture.id not in self._metrics:
            who = f"Evaluator {self.evaluator.name!r}"
            with torch.random.fork_rng(devices=[]), blamed(who, "judging for a limit"):
                found = evaluated(self.evaluator, architecture, None).metrics
            self._metrics[architecture.id] = dict(found)
        return self._metrics[architecture.id]


class Limit:
    """A limit on architectures of `space`, and what each operation adds to its metric.

    Args:
        space: the space without limits.
        limit: what is limited.
        known: asks the limit's evaluator; several limits may share it.
        structure: that of `space`.

    Raises:
        ConfigurationError: the evaluator has no such metric, it is of the test split, or the
            evaluator needs a supernet.

    Example: `Limit(space, LimitOptions(**read("params=4M")), CachedEvaluator(size)).keeps(found)`
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
        self.limit, self._known = limit, known
        self.sum: Additive = measured(space, self.value, structure)

    def value(self, architecture: Architecture) -> float:
        """The metric as the evaluator has it."""
        metrics = self._known.metrics(architecture)
        if self.limit.metric not in metrics:
            raise ConfigurationError(
                f"Evaluator {self.limit.evaluator!r} has no metric {self.limit.metric!r} to limit. "
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
