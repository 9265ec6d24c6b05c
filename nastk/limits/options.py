"""What is limited and how it is written: `LimitOptions`, and `read`, which reads `params=4M`."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from nastk.base import defaults
from nastk.base.component import Options, name_and_options
from nastk.base.errors import ConfigurationError

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
    judge: str = Field(description="the evaluator that knows the metric, without a supernet")
    judge_options: dict[str, object] = Field(
        default_factory=dict, description="options of that evaluator"
    )


def read(given: Any) -> dict[str, Any]:
    """The fields of a `LimitOptions` from what people write: a text, or a mapping of its fields.

    Raises:
        ConfigurationError: it is neither, its value is no number, or nobody knows the metric.

    >>> read("params=4M")
    {'metric': 'parameters', 'at_most': 4000000.0, 'judge': 'size', 'judge_options': {}}
    """
    if isinstance(given, LimitOptions):
        return given.model_dump()
    fields = _of_text(given) if isinstance(given, str) else given
    if not isinstance(fields, Mapping) or not {"metric", "at_most"} <= set(fields):
        raise ConfigurationError(f"{FORM}, or as {{metric: ..., at_most: ...}}; got {given!r}.")
    metric = ALIASES.get(str(fields["metric"]), str(fields["metric"]))
    judge = fields.get("judge") or defaults.LIMIT_EVALUATORS.get(metric)
    if judge is None:
        raise ConfigurationError(
            f"Who knows the metric {metric!r}? Name the evaluator: --limit "
            f"{metric}={fields['at_most']}:EVALUATOR. Without one nastk knows "
            f"{', '.join([*ALIASES, *defaults.LIMIT_EVALUATORS])}."
        )
    return {
        **fields,
        "metric": metric,
        "at_most": amount(fields["at_most"], metric),
        "judge": judge,
        "judge_options": fields.get("judge_options") or {},
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
    value, colon, judged = rest.partition(":")
    if not equals or not metric.strip() or (colon and not judged):
        raise ConfigurationError(f"{FORM}; got {text!r}.")
    judge, options = name_and_options(judged, FORM) if judged else ("", {})
    return {"metric": metric.strip(), "at_most": value, "judge": judge, "judge_options": options}
