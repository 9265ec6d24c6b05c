"""Studies: `compare` runs several updaters with several seeds and tabulates the results.

A study is a folder of run folders, one for each problem (a space on a data set), updater and seed,
and its table follows from these alone. A killed study therefore continues where it stopped, and
calling `compare` again with another updater, seed or problem adds runs. Runs of one seed share
initial weights and batches, and these weights may come from a warm-up that is carried out once.
Random search is always among the updaters.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from nastk.base.component import ComponentSpec
from nastk.runs.executing import Manner, execute
from nastk.runs.executor import made
from nastk.runs.folder import RunFolder
from nastk.runs.images import shared_images
from nastk.runs.job import Around, JobReport
from nastk.runs.protocol import registered
from nastk.runs.relay import Observer
from nastk.runs.study_plan import plan
from nastk.runs.study_result import Study
from nastk.runs.tracking import Tracking
from nastk.runs.warm_up_plan import warm_ups

Use = str | ComponentSpec | Mapping[str, Any]
"""A component as a user names it."""


def compare(
    space: Use | Sequence[Use],
    updaters: Sequence[Use],
    data: Use | Sequence[Use] | None = None,
    *,
    seeds: Iterable[int] = range(2),
    budget: str | None = None,
    out: str | Path = "runs/study",
    observers: Iterable[Observer] = (),
    trackers: Iterable[Use] = (),
    around: Around = lambda cell, run: nullcontext(),
    problems: Mapping[str, Mapping[str, Any]] | None = None,
    executor: Use | None = None,
    retry_failed: bool = False,
    max_failures: int | None = None,
    metric: str | None = None,
    hear: Callable[[JobReport], None] = lambda report: None,
    wait: Callable[[int], None] = lambda number: None,
    **request: Any,
) -> Study:
    """Search with every updater and every seed, and tabulate the results.

    Processes that are given the same study, here or on other machines, share its runs: each takes
    the next that nobody works on. A run that fails is kept with its reason, and the others go on.

    Args:
        space: the search space, as for `nastk.search`; or a list of spaces.
        updaters: the methods; `random` is added where it is missing.
        data: the images, or a list of data sets; `digits` where None. Every space with every data
            set is a problem of the study.
        seeds: every updater is run once with each.
        budget: what each run may spend, such as `images=400k` or `cpu_seconds=15m`: every
            updater gets the most epochs that stay within it. None: the epochs of `request` or of
            the preset.
        out: the study's folder. Finished runs in it are kept, unfinished ones are resumed.
        observers: functions that are called with the events of every run.
        trackers: tools that draw the numbers of every run, as for `nastk.search`.
        around: makes a context for each run from its cell and the run, e.g. to show progress; not
            called where an executor carries out the runs.
        problems: keys of `SearchConfig` for some of the problems, by the name of a space or a data
            set: `{"darts": {"trainer": {"epochs": 8}}}`. Evaluators and limits are added to those
            of all problems.
        executor: who carries out the runs, such as `"processes"` or `nastk.use("processes",
            workers=4)`; None: this process, one after the other. Observers then hear events in
            this process, those that only show progress excepted.
        retry_failed: go on with runs that failed before; else they stay as they are.
        max_failures: end the study once so many of its runs have failed.
        metric: the metric that the study is to be decided by, which is registered before its first
            run; None: the usual one.
        hear: called with every report of a run: that it began, its events, how it ended.
        wait: called about every second with the number of runs that other processes work on, while
            there is nothing else to do.
        **request: other keys of `SearchConfig`, the same for all: preset, trainer, evaluators ...
            With `warm_up="random,epochs=20"` the runs of a problem and a seed begin with weights
            that this updater has trained once for all of them.

    Raises:
        ConfigurationError: a run cannot be assembled, or `out` holds one with other settings;
            nothing has run.
        NastkError: `max_failures` runs have failed.

    Example: `nastk.compare("nasbench201", ["darts", "shapley"], seeds=range(4), out="runs/study")`
    """
    shared = {**request, "space": space, "data": data, "problems": problems}
    manner = Manner(
        None if executor is None else made(executor),
        retry_failed,
        max_failures,
        list(observers),
        list(trackers),
        around,
        hear,
        wait,
    )
    with shared_images():
        cells = plan(shared, updaters, list(seeds), Path(out), budget)
        Tracking.of(RunFolder(Path(out)), manner.trackers)  # refuses what no run could have
        first = warm_ups(cells, Path(out))
        cells = registered(cells, Path(out), metric)
        # A warm-up that fails is the failure of the runs that begin with it.
        execute(first, manner)
        execute(cells, manner)
    study = Study.of(Path(out), cells)
    study.store()
    return study
