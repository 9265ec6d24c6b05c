"""What is asked before the first second of training: whether a plan can work, what it measures."""

from dataclasses import replace

from nastk.cost import PhaseCost
from nastk.errors import near_miss
from nastk.space import SearchSpace
from nastk.updater import ArchitectureUpdater, Plan
from nastk_fewshot.course import Course
from nastk_fewshot.cut import splittable
from nastk_fewshot.options import GmOptions
from nastk_fewshot.partition import ENUMERATED, networkx


def complaint(
    name: str, options: GmOptions, space: SearchSpace, inner: ArchitectureUpdater, plan: Plan
) -> str | None:
    """Why updater `name` with these options cannot work in `plan`; None if it can.

    Raises:
        MissingExtraError: the smallest cut of many operations needs networkx.
    """
    course = options.course(plan.epochs)
    return (
        _no_images(name, course, inner, plan)
        or _no_time(name, options, course)
        or _no_edges(name, options, space, course)
        or _no_cut(name, options, space, course)
        or _inner(name, course, inner, plan)
    )


def forecast(
    options: GmOptions, space: SearchSpace, inner: ArchitectureUpdater, plan: Plan
) -> PhaseCost | None:
    """The most images beyond one branch's weight steps.

    Those measured at the splits and by the inner updaters of all branches, and those that the
    weights of the other branches train on.
    """
    course = options.course(plan.epochs)
    widths = _widths(options, space)
    parts = options.parts(max(widths, default=1))
    images = _matched(options, plan, widths, parts, course.last)
    others = sum(int(parts) ** course.level(epoch) - 1 for epoch in range(course.end))
    images += others * plan.train_images
    total = PhaseCost(images_forward=images, images_backward=images)
    for begin, level in course.lives().items():
        each = inner.forecast(replace(plan, epochs=course.end - begin))
        if each is None:
            return None
        total += PhaseCost(each.images_forward * parts**level, each.images_backward * parts**level)
    return total


def _matched(options: GmOptions, plan: Plan, widths: list[int], parts: int, splits: int) -> int:
    """Images forward (and backward) in all measurements of distances, at most."""
    if not options.compares:
        widths = [] if options.partitioner.blind else widths[:1]
    size = min(options.batch_size or plan.batch_size, plan.train_images)
    # An edge is split once in a branch: level by level one edge fewer is compared.
    passes = 0
    for level in range(splits):
        measured = widths[: max(len(widths) - level, 0)] if options.compares else widths
        passes += int(parts**level) * sum(measured)
    return options.batches * size * passes


def _widths(options: GmOptions, space: SearchSpace) -> list[int]:
    """How many operations the edges have that may be split, the widest first."""
    full = space.full()
    edges = splittable(space, full, options.partitioner, options.cells)
    return sorted((len(full.operations(edge)) for edge in edges), reverse=True)


def _no_images(name: str, course: Course, inner: ArchitectureUpdater, plan: Plan) -> str | None:
    if plan.valid_images:
        return None
    if "valid" in inner.needs:
        why = f"its inner updater {inner.name!r} learns on the validation split"
    elif course.splits:
        why = "the best of its leaves is chosen on the validation split"
    else:
        return None
    return f"{name}: {why}, which is empty. Set -d train_fraction=0.5."


def _no_time(name: str, options: GmOptions, course: Course) -> str | None:
    if course.splits and course.splits[-1] < course.epochs:
        return None
    if options.splits == ():
        return None
    last = course.splits[-1] if course.splits else 1
    return (
        f"{name}: the last split, after epoch {last}, leaves no epoch of {course.epochs} to search "
        f"in. Use `--epochs {last + 1}` or more, or earlier `-u splits`."
    )


def _no_edges(name: str, options: GmOptions, space: SearchSpace, course: Course) -> str | None:
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
    if options.edges and len(set(options.edges)) != course.last:
        return (
            f"{name}: edges names {len(set(options.edges))} different edges for {course.last} "
            "splits; each split needs one of its own."
        )
    return None


def _no_cut(name: str, options: GmOptions, space: SearchSpace, course: Course) -> str | None:
    widths = _widths(options, space)
    if len(widths) < course.last:
        return (
            f"{name}: {course.last} splits need as many edges that can be divided into "
            f"groups={options.groups} by partition={options.partition}; space {space.name!r} has "
            f"{len(widths)}. Use fewer `-u splits`, fewer groups, or more cells."
        )
    if options.partition != "min-cut" or options.partitioner.blind:
        return None
    if course.splits and max(widths, default=0) > ENUMERATED:
        networkx()
        if options.groups != 2:
            return (
                f"{name}: partition=min-cut divides edges of more than {ENUMERATED} operations "
                f"into 2 groups, got groups={options.groups}. Use partition=balanced or groups=2."
            )
    return None


def _inner(name: str, course: Course, inner: ArchitectureUpdater, plan: Plan) -> str | None:
    for begin in course.lives():
        length = course.end - begin
        if why := inner.complaint(replace(plan, epochs=length)):
            if not begin and length == plan.epochs:
                return why
            return (
                f"{why} (Inside {name}, which splits after epoch {begin} for the last time, it has "
                f"{length} of the run's {plan.epochs} epochs to learn in; its options are "
                "`-u inner_options`.)"
            )
    return None
