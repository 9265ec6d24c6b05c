"""The lineage of an evolving population: who came from whom, and how fit each was.

Read from an updater's reports that hold `individuals`, a list for each generation: `number`,
`parents` (numbers of earlier individuals), `fresh` (edges that were drawn anew) and `fitness`.
An individual with the same number in a later generation lived on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nastk.report import RunRecord, percent
from nastk_drawing.canvas import LINE, SOFT
from nastk_drawing.charts.curves import last_branch
from nastk_drawing.charts.panel import Panel, by_epoch

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 560.0, 280.0
KEY = (
    "A line leads from each parent to each child. A hollow dot had genes drawn anew. Green: the "
    "fittest at the end and those that it came from."
)
"""How to read the chart."""
BEST = "#2F7D4F"
"""The colour of the fittest and its ancestors, that of the chosen leaf in a tree of branches."""


@dataclass(frozen=True)
class Individual:
    """An individual in one generation; `fresh` says that some of its genes were drawn anew."""

    number: int
    epoch: int
    fitness: float
    parents: tuple[int, ...]
    fresh: bool
    architecture: str


@dataclass(frozen=True)
class Population:
    """The generations of a run, each with its epoch's individuals, the fittest first.

    Example: `population(record).generations[-1][0].architecture`
    """

    generations: tuple[tuple[Individual, ...], ...]

    @property
    def fittest(self) -> Individual:
        """The fittest individual of the last generation."""
        return self.generations[-1][0]

    def steps(self) -> list[tuple[Individual, Individual]]:
        """Returns (before, after) for each parent and child, and for each individual lived on."""
        pairs = []
        before: dict[int, Individual] = {}
        for generation in self.generations:
            for one in generation:
                sources = [one.number] if one.number in before else dict.fromkeys(one.parents)
                pairs += [(before[number], one) for number in sources if number in before]
            # Not the last generation alone: an evolution that evaluates one architecture at a time
            # reports only that one and the best, and the parent may be older.
            before |= {one.number: one for one in generation}
        return pairs

    def ancestors(self) -> set[tuple[int, int]]:
        """Returns (epoch, number) of the last generation's fittest and of all its ancestors."""
        found = {(self.fittest.epoch, self.fittest.number)}
        for before, after in reversed(self.steps()):
            if (after.epoch, after.number) in found:
                found.add((before.epoch, before.number))
        return found


def population(record: RunRecord) -> Population | None:
    """Returns the population of a run; None if its updater reported none."""
    branch = last_branch(record)
    reports = [
        event for event in record.history
        if event["kind"] == "updater-reported" and event["branch"] == branch
        and isinstance(event["values"].get("individuals"), list)
    ]  # fmt: skip
    generations = [_generation(event["epoch"], event["values"]["individuals"]) for event in reports]
    generations = [generation for generation in generations if generation]
    return Population(tuple(generations)) if generations else None


def _generation(epoch: int, rows: Sequence[Mapping[str, Any]]) -> tuple[Individual, ...]:
    """Returns the individuals of a report that have a fitness, the fittest first."""
    found = [
        Individual(
            int(row["number"]), int(epoch), float(row["fitness"]),
            tuple(map(int, row.get("parents", ()))), bool(row.get("fresh")),
            str(row.get("architecture", "")),
        )
        for row in rows if row.get("fitness") is not None
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda one: -one.fitness))


def panel(found: Population) -> Panel:
    """Returns the chart: a dot for each individual, a line from each parent to each child."""
    best = found.ancestors()

    def is_best(one: Individual) -> bool:
        return (one.epoch, one.number) in best

    def draw(axes: "Axes") -> None:
        for before, after in sorted(found.steps(), key=lambda pair: all(map(is_best, pair))):
            way = is_best(before) and is_best(after)
            axes.plot(
                [before.epoch, after.epoch], [before.fitness, after.fitness],
                color=BEST if way else LINE, lw=2.0 if way else 0.7, zorder=3 if way else 2,
                alpha=1.0 if way else 0.7, solid_capstyle="round",
            )  # fmt: skip
        for fresh in (False, True):
            for way in (False, True):
                _dots(axes, found, fresh, way, is_best)
        by_epoch(axes, found.generations[-1][0].epoch)
        axes.margins(y=0.06)
        axes.yaxis.set_major_formatter(lambda value, place: f"{100 * value:.3g} %")

    first, last = found.generations[0], found.generations[-1]
    words = (
        f"{len(found.generations)} generations of up to {max(map(len, found.generations))}: the "
        f"best fitness goes from {percent(first[0].fitness)} in epoch {first[0].epoch} to "
        f"{percent(last[0].fitness)} in epoch {last[0].epoch}; "
        f"{len({number for _, number in best})} individuals are on the way to the fittest."
    )
    heading = "Fitness of the population"
    return Panel(heading, words, draw, WIDTH, HEIGHT, left=48.0, right=14.0)


def _dots(axes: "Axes", found: Population, fresh: bool, way: bool, is_best: Any) -> None:
    """Draw the individuals of one kind; those with genes drawn anew are hollow."""
    chosen = [
        one for generation in found.generations for one in generation
        if one.fresh == fresh and is_best(one) == way
    ]  # fmt: skip
    colour = BEST if way else SOFT
    axes.scatter(
        [one.epoch for one in chosen], [one.fitness for one in chosen], s=26 if way else 14,
        facecolor="#FFFFFF" if fresh else colour, edgecolor=colour, linewidth=1.2, zorder=5,
    )  # fmt: skip
