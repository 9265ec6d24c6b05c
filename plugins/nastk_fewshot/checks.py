"""What is asked before the first second of training: whether a plan can work, what it measures."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nastk import ArchitectureUpdater, PhaseCost, Plan, SearchSpace
from nastk.base import near_miss
from nastk_fewshot.cut import splittable
from nastk_fewshot.options import GmOptions
from nastk_fewshot.partition import ENUMERATED, Partitioner, networkx
from nastk_fewshot.split_schedule import SplitSchedule


def incompatibility(
    name: str, options: GmOptions, space: SearchSpace, inner: ArchitectureUpdater, plan: Plan
) -> str | None:
    """Why updater `name` with these options cannot work in `plan`; None if it can.

    Raises:
        MissingExtraError: the smallest cut of many operations needs networkx.
    """
    schedule = options.schedule(plan.epochs)
    return (
        _no_images(name, schedule, inner, plan)
        or _no_time(name, options, schedule)
        or _miscounted(name, options, schedule)
        or _no_edges(name, options, space, schedule)
        or _no_cut(name, options, space, schedule)
        or _inner(name, schedule, inner, plan)
    )


def max_cost(
    options: GmOptions, space: SearchSpace, inner: ArchitectureUpdater, plan: Plan
) -> PhaseCost | None:
    """The most images beyond one branch's weight steps.

    Those measured at the splits and by the inner updaters of all branches, and those that the
    weights of the other branches train on.
    """
    schedule = options.schedule(plan.epochs)
    edges = _edges(options, space, schedule.last)
    branches = _branches(options, edges)
    images = _matched(options, plan, edges, branches)
    others = sum((branches[level] - 1) * epochs for level, epochs in enumerate(schedule.spans()))
    images += others * plan.train_images
    total = PhaseCost(images_forward=images, images_backward=images)
    for begin, level in schedule.learning_periods().items():
        each = inner.max_cost(replace(plan, epochs=schedule.end - begin))
        if each is None:
            return None
        many = branches[level]
        total += PhaseCost(each.images_forward * many, each.images_backward * many)
    return total


def leaves(options: GmOptions, space: SearchSpace) -> int:
    """How many branches there are at the end, at most; unset splits are as many as ever."""
    splits = len(options.shares) if options.splits is None else len(options.splits)
    return _branches(options, _edges(options, space, splits))[-1]


def _edges(options: GmOptions, space: SearchSpace, splits: int) -> list[dict[int, int]]:
    """For each split the edges that it may divide, each with how many operations it has."""
    full = space.full()
    return [
        {
            edge: len(full.operations(edge))
            for edge in splittable(space, full, options.partitioner(split), options.cells)
        }
        for split in range(1, splits + 1)
    ]


def _branches(options: GmOptions, edges: Sequence[Mapping[int, int]]) -> list[int]:
    """How many branches each level has at most, from the root to the leaves."""
    found = [1]
    for split, each in enumerate(edges, start=1):
        parts = options.partitioner(split).most(max(each.values(), default=1))
        found.append(found[-1] * parts)
    return found


def _matched(
    options: GmOptions, plan: Plan, edges: Sequence[Mapping[int, int]], branches: Sequence[int]
) -> int:
    """Images forward (and backward) in all measurements of distances, at most."""
    size = min(options.batch_size or plan.batch_size, plan.train_images)
    passes = 0
    before: set[int] = set()
    for level, each in enumerate(edges):
        widths = sorted(each.values(), reverse=True)
        if options.compares:
            # An edge is split once in a branch: fewer are left, if those split were of this kind.
            gone = max(level - len(before - set(each)), 0)
            measured = widths[: max(len(widths) - gone, 0)]
        else:
            measured = [] if options.partitioner(level + 1).blind else widths[:1]
        passes += branches[level] * sum(measured)
        before |= set(each)
    return options.batches * size * passes


def _no_images(
    name: str, schedule: SplitSchedule, inner: ArchitectureUpdater, plan: Plan
) -> str | None:
    if plan.valid_images:
        return None
    if "valid" in inner.needs:
        why = f"its inner updater {inner.name!r} learns on the validation split"
    elif schedule.splits:
        why = "the best of its leaves is chosen on the validation split"
    else:
        return None
    return f"{name}: {why}, which is empty. Set -d train_fraction=0.5."


def _no_time(name: str, options: GmOptions, schedule: SplitSchedule) -> str | None:
    if schedule.splits and schedule.splits[-1] < schedule.epochs:
        return None
    if options.splits == ():
        return None
    last = schedule.splits[-1] if schedule.splits else 1
    return (
        f"{name}: the last split, after epoch {last}, leaves no epoch of {schedule.epochs} to "
        f"search in. Use `--epochs {last + 1}` or more, or earlier `-u splits`."
    )


def _miscounted(name: str, options: GmOptions, schedule: SplitSchedule) -> str | None:
    if not schedule.splits or (why := options.miscounted(schedule.last)) is None:
        return None
    return f"{name}: {why}. Its splits are after epochs {', '.join(map(str, schedule.splits))}."


def _no_edges(
    name: str, options: GmOptions, space: SearchSpace, schedule: SplitSchedule
) -> str | None:
    for what, wanted, known in (
        ("cell type", options.cells, sorted({edge.group for edge in space.edges})),
        ("edge", options.edges, [edge.name for edge in space.edges]),
    ):
        for each in wanted:
            if each not in known:
                return (
                    f"{name}: space {space.name!r} has no {what} {each!r}."
                    f"{near_miss(each, known)} It has: {', '.join(known)}."
                )
    if options.edges and len(set(options.edges)) != schedule.last:
        return (
            f"{name}: edges names {len(set(options.edges))} different edges for {schedule.last} "
            "splits; each split needs one of its own."
        )
    return None


def _no_cut(
    name: str, options: GmOptions, space: SearchSpace, schedule: SplitSchedule
) -> str | None:
    for split, edges in enumerate(_edges(options, space, schedule.last), start=1):
        partitioner = options.partitioner(split)
        # An edge is split once: where all are made alike, their number is all that matters.
        needed = schedule.last if options.uniform else split
        if len(edges) < needed:
            who = f"{needed} splits need" if options.uniform else f"the {split} splits so far need"
            return (
                f"{name}: {who} as many edges that can be divided into groups="
                f"{partitioner.groups} by partition={partitioner.rule}; space {space.name!r} has "
                f"{len(edges)}. Use fewer `-u splits`, fewer groups, or more cells."
            )
        if why := _too_wide(partitioner, max(edges.values())):
            return f"{name}: {why}"
    return None


def _too_wide(partitioner: Partitioner, widest: int) -> str | None:
    if partitioner.rule != "min-cut" or partitioner.blind or widest <= ENUMERATED:
        return None
    networkx()
    if partitioner.groups == 2:
        return None
    return (
        f"partition=min-cut divides edges of more than {ENUMERATED} operations into 2 groups, got "
        f"groups={partitioner.groups}. Use partition=balanced or groups=2."
    )


def _inner(
    name: str, schedule: SplitSchedule, inner: ArchitectureUpdater, plan: Plan
) -> str | None:
    for begin in schedule.learning_periods():
        length = schedule.end - begin
        if why := inner.incompatibility(replace(plan, epochs=length)):
            if not begin and length == plan.epochs:
                return why
            return (
                f"{why} (Inside {name}, which splits after epoch {begin} for the last time, it has "
                f"{length} of the run's {plan.epochs} epochs to learn in; its options are "
                "`-u inner_options`.)"
            )
    return None
