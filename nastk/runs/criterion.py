"""What a run's updater searches by, and what a run without a supernet leaves out.

`criterion_of` makes the evaluator that `Probe.evaluate` asks, and checks its metric before anything
runs. `left_out` says what needs a supernet that an updater does not train.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from nastk.base.errors import ConfigurationError, DataError
from nastk.base.failures import blamed
from nastk.base.seeds import generator
from nastk.runs.search_config import SearchConfig
from nastk.train.evaluator import EvaluationContext, Evaluator, evaluated
from nastk.train.evaluator_metric import EvaluatorMetric
from nastk.train.updater import ArchitectureUpdater

Make = Callable[[str, dict[str, Any], EvaluationContext], Evaluator]
"""Makes an evaluator of its name, its options and a context."""


def criterion_of(
    updater: ArchitectureUpdater, context: EvaluationContext, make: Make
) -> EvaluatorMetric | None:
    """Returns what `updater` searches by, None if it evaluates nothing.

    Its evaluator gets no test images, as the updater learns from what it says.

    Raises:
        ConfigurationError: the evaluator needs a supernet that the updater does not train, or has
            no such metric, or its metric is of the test split.
    """
    spec = updater.criterion()
    if spec is None:
        return None
    context = replace(context, splits=context.splits.without_test())
    evaluator = make(spec.evaluator.name, dict(spec.evaluator.options), context)
    if evaluator.needs_supernet and not updater.trains_supernet:
        raise ConfigurationError(
            f"Updater {updater.name!r} trains no supernet, and evaluator {evaluator.name!r} needs "
            "one. Name an evaluator that needs none; `nastk plugins` lists them."
        )
    criterion = EvaluatorMetric(evaluator, spec.metric, "to search by", "-u metric")
    if evaluator.criteria is not None:
        criterion.named(evaluator.criteria)
    elif not evaluator.needs_images and not evaluator.needs_supernet:
        architecture = context.space.sample(context.space.full(), generator(context.seed, "check"))
        # The table of a tabular evaluator may lack this architecture.
        with suppress(DataError), blamed(f"Evaluator {evaluator.name!r}", "naming its metrics"):
            criterion.named(evaluated(evaluator, architecture, None).metrics)
    return criterion


def check_without_supernet(updater: ArchitectureUpdater, config: SearchConfig) -> None:
    """Raises `ConfigurationError` where a request gives weights to a supernet that is not there."""
    if not updater.trains_supernet and config.weights is not None:
        raise ConfigurationError(
            f"Updater {updater.name!r} trains no supernet that could begin with the weights "
            f"{config.weights}. Leave them out, or use an updater that trains one."
        )


def left_out(
    updater: ArchitectureUpdater, evaluators: Sequence[Evaluator], config: SearchConfig
) -> list[str]:
    """Returns a sentence for each part of a request that needs a supernet where there is none."""
    if updater.trains_supernet:
        return []
    names = [f"Evaluator {one.name!r}" for one in evaluators if one.needs_supernet]
    names += ["Ranking quality"] * (config.ranking is not None)
    return [
        f"{name} is left out: updater {updater.name!r} trains no supernet to measure."
        for name in names
    ]
