"""Checks before training starts: whether the options suit a plan, and what they cost at most."""

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
    """Returns why updater `name` with these options cannot work in `plan`; None if it can.

    Raises:
        MissingExtraError: finding the smallest cut of many operations needs networkx.
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
    """Returns the most images beyond the weight steps of one branch; None if inner has no bound.

    These are the images measured at the splits, those of the inner updaters of all branches, and
    those that train the weights of the other branches.
    """
    schedule = options.schedule(plan.epochs)
    edges = _edges(options, space, schedule.last)
    branches = _branches(options, edges)
    images = _matched(options, plan, edges, branches)
    # Epochs of weight training beyond those of a single branch.
    further = sum((branches[level] - 1) * epochs for level, epochs in enumerate(schedule.spans()))
    images += further * plan.train_images
    total = PhaseCost(images_forward=images, images_backward=images)
    for begin, level in schedule.learning_periods().items():
        cost = inner.max_cost(replace(plan, epochs=schedule.end - begin))
        if cost is None:
            return None
        count = branches[level]
        total += PhaseCost(cost.images_forward * count, cost.images_backward * count)
    return total


def leaves(options: GmOptions, space: SearchSpace) -> int:
    """Returns the most branches at the end; unset splits count as the default `shares`."""
    splits = len(options.shares) if options.splits is None else len(options.splits)
    return _branches(options, _edges(options, space, splits))[-1]


def _edges(options: GmOptions, space: SearchSpace, splits: int) -> list[dict[int, int]]:
    """Returns for each split the edges that it may divide, with their numbers of operations."""
    full = space.full()
    return [
        {
            edge: len(full.operations(edge))
            for edge in splittable(space, full, options.partitioner(split), options.cells)
        }
        for split in range(1, splits + 1)
    ]


def _branches(options: GmOptions, edges: Sequence[Mapping[int, int]]) -> list[int]:
    """Returns the most branches of each level, from the root to the leaves."""
    counts = [1]
    for split, widths in enumerate(edges, start=1):
        parts = options.partitioner(split).most(max(widths.values(), default=1))
        counts.append(counts[-1] * parts)
    return counts


def _matched(
    options: GmOptions, plan: Plan, edges: Sequence[Mapping[int, int]], branches: Sequence[int]
) -> int:
    """Returns the most images forward (and backward) in all measurements of distances."""
    size = min(options.batch_size or plan.batch_size, plan.train_images)
    passes = 0
    before: set[int] = set()
    for level, splittable_edges in enumerate(edges):
        widths = sorted(splittable_edges.values(), reverse=True)
        if options.compares:
            # A branch splits an edge at most once. At least `gone` of its `level` earlier splits
            # were of edges that this level could split too, so that these are no longer measured.
            gone = max(level - len(before - set(splittable_edges)), 0)
            measured = widths[: max(len(widths) - gone, 0)]
        else:
            measured = [] if options.partitioner(level + 1).blind else widths[:1]
        passes += branches[level] * sum(measured)
        before |= set(splittable_edges)
    return options.batches * size * passes


def _no_images(
    name: str, schedule: SplitSchedule, inner: ArchitectureUpdater, plan: Plan
) -> str | None:
    """Returns why the run needs validation images; None if it has some or needs none."""
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
    """Returns why the run is too short for its splits; None if it is not."""
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
    """Returns which list does not fit the number of splits; None if all do."""
    if not schedule.splits or (why := options.miscounted(schedule.last)) is None:
        return None
    return f"{name}: {why}. Its splits are after epochs {', '.join(map(str, schedule.splits))}."


def _no_edges(
    name: str, options: GmOptions, space: SearchSpace, schedule: SplitSchedule
) -> str | None:
    """Returns which named cell types or edges the space lacks; None if it has them all."""
    for what, wanted, known in (
        ("cell type", options.cells, sorted({edge.group for edge in space.edges})),
        ("edge", options.edges, [edge.name for edge in space.edges]),
    ):
        for item in wanted:
            if item not in known:
                return (
                    f"{name}: space {space.name!r} has no {what} {item!r}."
                    f"{near_miss(item, known)} It has: {', '.join(known)}."
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
    """Returns why the space has too few edges to split, or too wide ones; None if it suits."""
    for split, edges in enumerate(_edges(options, space, schedule.last), start=1):
        partitioner = options.partitioner(split)
        # A branch splits an edge at most once. With the same rule for all splits every split has
        # the same edges to choose from, so that the first check counts them for all.
        needed = schedule.last if options.uniform else split
        if len(edges) < needed:
            subject = (
                f"{needed} splits need" if options.uniform else f"the {split} splits so far need"
            )
            return (
                f"{name}: {subject} as many edges that can be divided into groups="
                f"{partitioner.groups} by partition={partitioner.rule}; space {space.name!r} has "
                f"{len(edges)}. Use fewer `-u splits`, fewer groups, or more cells."
            )
        if why := _too_wide(partitioner, max(edges.values())):
            return f"{name}: {why}"
    return None


def _too_wide(partitioner: Partitioner, widest: int) -> str | None:
    """Returns why edges of `widest` operations cannot be cut; None if they can."""
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
    """Returns why the inner updater refuses its part of the run; None if it does not."""
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
