"""What a study of several problems says, in the terminal: ranks over all, then each problem."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nastk.base.significance import LEVEL, fewest_blocks
from nastk.report.comparison import comparison_table
from nastk.report.numbers import alike, counted

Values = Mapping[str, Any]
"""An `Overall` as JSON."""


def overall_table(overall: Values, every: bool = False) -> RenderableType:
    """Returns the headline of a study of several problems, the ranks, and a table for each problem.

    `overall` is that of `Overall.to_json`. With `every` the size of each effect is shown.

    Example: `rich.print(overall_table(study.overall().to_json()))`
    """
    parts: list[RenderableType] = [Text(overall_headline(overall), "bold"), Text(), _ranks(overall)]
    parts += [Text(note, "dim") for note in overall_notes(overall)]
    for name, comparison in overall["comparisons"].items():
        parts += [Text(), Text(name, "bold underline"), comparison_table(comparison, every)]
    return Group(*parts)


def overall_headline(overall: Values) -> str:
    """Returns the result over all problems in a sentence, which says where nothing is shown."""
    ranks, problems = overall["ranks"], counted(len(overall["means"]), "problem")
    if ranks is None:
        return f"{problems}: fewer than three updaters are on all of them, so none are ranked."
    order = by_rank(overall)
    best, worst = order[0], order[-1]
    first = [label for label in order if ranks["ranks"][label] == ranks["ranks"][best]]
    who = f"{best} has" if len(first) == 1 else f"{' and '.join(first)} have"
    said = f"{who} the best mean rank over {problems}, {ranks['ranks'][best]:.2f}"
    shown = [[one, other] for one, other, p in ranks["pairs"] if p <= LEVEL]
    beaten = [label for label in order if [best, label] in shown or [label, best] in shown]
    if beaten:
        return f"{said}; by Nemenyi's test {best} differs from {', '.join(beaten)}."
    if shown:
        return f"{said}; {best} is not shown to differ from any other, though others differ."
    span = f"the last is {worst} with {ranks['ranks'][worst]:.2f}"
    return f"{said}; {span}. No difference is shown (Friedman's p = {ranks['p']:.2g})."


def overall_notes(overall: Values) -> Iterator[str]:
    """Yields what the ranks mean, and what so few problems cannot show."""
    ranks = overall["ranks"]
    if ranks is None:
        return
    count, blocks = len(ranks["ranks"]), ranks["blocks"]
    yield (
        f"Ranks of the means over seeds, 1 is the largest, averaged over {blocks} problems. "
        f"Friedman's test of no difference at all: p = {ranks['p']:.2g}; by Nemenyi's, mean ranks "
        f"that are {ranks['critical']:.2f} apart differ."
    )
    fewest = fewest_blocks(count)
    if blocks < fewest:
        yield (
            f"{counted(blocks, 'problem')} cannot tell two of {count} updaters apart by their "
            f"ranks: they are at most {count - 1} apart. {fewest} problems can; what one problem "
            "shows by its seeds stands below."
        )


def by_rank(overall: Values) -> list[str]:
    """Returns the updaters that are on all problems, the best mean rank first."""
    ranks = overall["ranks"]
    labels = list(next(iter(overall["means"].values())))
    return labels if ranks is None else sorted(labels, key=lambda label: ranks["ranks"][label])


def _ranks(overall: Values) -> Table:
    """Returns the table of mean ranks, with the mean of each problem."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("updater", overflow="fold")
    table.add_column("rank", justify="right")
    columns = []
    for name, means in overall["means"].items():
        metric = overall["comparisons"][name]["metric"]
        table.add_column(f"{name}\n{metric.replace('_', ' ')}", justify="right")
        words = alike(metric, list(means.values()))
        columns.append({label: words(value) for label, value in means.items()})
    for label in by_rank(overall):
        rank = "-" if overall["ranks"] is None else f"{overall['ranks']['ranks'][label]:.2f}"
        table.add_row(label, rank, *(column[label] for column in columns))
    return table
