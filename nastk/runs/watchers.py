"""`watchers_of`: who looks at each branch of a run after an epoch, for `assembly.py`."""

from nastk.limits.space import ConstrainedSpace, LimitWatch
from nastk.runs.criterion import Make
from nastk.runs.evaluating import evaluator_use
from nastk.runs.search_config import SearchConfig
from nastk.train.diagnostics import Diagnostics
from nastk.train.evaluator import EvaluationContext
from nastk.train.ranking import Ranking
from nastk.train.updater import ArchitectureUpdater
from nastk.train.watching import Watcher


def watchers_of(
    config: SearchConfig,
    context: EvaluationContext,
    limited: ConstrainedSpace | None,
    updater: ArchitectureUpdater,
    make: Make,
) -> list[Watcher]:
    """Returns the watchers of each branch: diagnostics, limits, ranking quality.

    Without a supernet there are only limits to watch.

    Raises:
        ConfigurationError: an evaluator of the ranking cannot be made, or knows too little.
    """
    watchers: list[Watcher] = [LimitWatch(limited)] if limited else []
    if not updater.trains_supernet:
        return watchers
    watchers.insert(0, Diagnostics())
    if config.ranking is not None:
        evaluator = make(config.ranking.evaluator, dict(config.ranking.evaluator_options), context)
        named = [evaluator_use(each) for each in config.ranking.counters]
        counters = [make(spec.name, dict(spec.options), context) for spec in named]
        watchers.append(Ranking(config.ranking, context.space, evaluator, *counters))
    return watchers
