"""The metrics of a run by name: `metrics_of` its evaluations, and which of them counts.

`usual_metric` is what updaters are compared by, `telling_accuracy` what says most of one run.

Two evaluators may use one name. `test_accuracy` is that of `supernet` with shared weights, and that
of `retrain` of a network trained from scratch.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

SHARED_WEIGHTS = tuple(
    f"{evaluator}{name}"
    for evaluator in ("", "supernet.")
    for name in ("test_accuracy", "valid_accuracy")
)
"""Accuracies by the supernet's weights, which say less of an architecture than any others."""

Number = float | int


def metrics_of(evaluations: Iterable[tuple[str, Mapping[str, Number]]]) -> dict[str, Number]:
    """Returns the metrics of all evaluations together; of two with one name the later one's.

    Metrics of a name that several evaluators use are there once more under names that do not
    collide, such as `supernet.test_accuracy` beside `retrain.test_accuracy`.

    Args:
        evaluations: the evaluator and its metrics.

    >>> metrics_of([("supernet", {"test_accuracy": 0.5}), ("retrain", {"test_accuracy": 0.9})])
    {'test_accuracy': 0.9, 'supernet.test_accuracy': 0.5, 'retrain.test_accuracy': 0.9}
    """
    found = list(evaluations)
    used = Counter(name for _, metrics in found for name in metrics)
    together = {name: value for _, metrics in found for name, value in metrics.items()}
    apart = {
        f"{evaluator}.{name}": value
        for evaluator, metrics in found
        for name, value in metrics.items()
        if used[name] > 1
    }
    return {**together, **apart}


def result_metrics(result: Mapping[str, Any]) -> dict[str, Number]:
    """Returns the metrics of a result as `result.json` has it; none of an empty one."""
    evaluations = result.get("evaluations") or ()
    return metrics_of((each["evaluator"], each["metrics"]) for each in evaluations)


def telling_accuracy(metrics: Mapping[str, Number]) -> tuple[str | None, Number | None]:
    """Returns the name and the value of the accuracy that says most of a run; None without one.

    It is the test accuracy of a trained network. By shared weights it is the valid accuracy, as
    someone may choose among runs by it.

    >>> telling_accuracy({"valid_accuracy": 0.5, "test_accuracy": 0.4, "table_test_accuracy": 0.9})
    ('table_test_accuracy', 0.9)
    >>> telling_accuracy({"valid_accuracy": 0.5, "test_accuracy": 0.4})
    ('valid_accuracy', 0.5)
    """
    networks = [name for name in metrics if name not in SHARED_WEIGHTS and "accuracy" in name]
    name = usual_metric(networks) if networks else "valid_accuracy"
    return (name, metrics[name]) if name in metrics else (None, None)


def usual_metric(names: Sequence[str]) -> str:
    """Returns the metric that decides: a test accuracy of trained networks, if there is one.

    >>> usual_metric(["valid_accuracy", "test_accuracy", "table_test_accuracy", "rank"])
    'table_test_accuracy'
    """
    accuracies = [name for name in names if "accuracy" in name and "baseline" not in name]
    trained = [name for name in accuracies if name not in SHARED_WEIGHTS]
    for candidates in (trained, accuracies):
        of_test = [name for name in candidates if "test" in name]
        if of_test or candidates:
            return (of_test or candidates)[0]
    return names[0]
