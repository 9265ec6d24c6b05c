"""Sections on what the search found and how: architecture, curves, scores, branches, lineage."""

from collections.abc import Iterator, Mapping
from math import floor, isfinite, isnan, log10
from typing import Any

from nastk import Architecture
from nastk.report import Lineage, RunRecord, counted, family, lineage, percent, readable
from nastk_drawing import cell, tree_picture
from nastk_drawing.charts import curves, population, rating_panels, ratings
from nastk_drawing.charts.population import KEY, Population
from nastk_drawing.charts.ratings import Ratings
from nastk_drawing.report.embedding import Embedder
from nastk_drawing.report.parts import Code, Details, Grid, Part, Section, Table, Text

MOST_PANELS = 16
"""Panels of edges that are shown at once; those of further edges are folded away."""


def sections(record: RunRecord, embedder: Embedder) -> Iterator[Section]:
    """Yields the sections that a run has something for."""
    decision = record.result.get("architecture")
    if decision:
        yield Section("Architecture", list(_architecture(decision, record.result, embedder)))
    panels = curves.panels(record)
    if panels:
        yield Section("Training", [Grid([embedder.panel(panel) for panel in panels], 256)])
    rated = ratings.ratings(record)
    if rated is not None:
        yield Section("Scores", list(_scores(rated, embedder)))
    tree = lineage(record.history, decision)
    if tree is not None:
        yield Section("Branches", [_tree(tree, embedder)])
    people = population.population(record)
    if people is not None:
        yield Section("Population", list(_population(people, embedder)))


# ---------------------------------------------------------------------- the architecture


def _architecture(
    decision: Mapping[str, Any], result: Mapping[str, Any], embedder: Embedder
) -> Iterator[Part]:
    """Yields the picture of the cells, what is in them, and the text to copy."""
    found = Architecture.from_json(decision)
    yield embedder.wide(cell.picture(found), _cell_words(found))
    yield Text(f"Identity {found.id}. As text, which every command of nastk takes:")
    yield Code(str(result["text"]))


def _cell_words(found: Architecture) -> str:
    """Returns the architecture in words: every chosen operation with its edge."""
    links = [f"{edge.name} {readable(operation)}" for edge, operation in found.links()]
    return f"The architecture as a graph, from inputs to output: {', '.join(links)}."


# ---------------------------------------------------------------------- scores


def _scores(found: Ratings, embedder: Embedder) -> Iterator[Part]:
    """Yields the last scores as a table, and their course as a chart for each edge."""
    yield _score_table(found)
    figures = [embedder.panel(panel) for panel in rating_panels.panels(found)]
    if len(found.epochs) < 2 and all(table is None for table in found.errors):
        return
    chosen = [number for number, edge in enumerate(found.edges) if edge.chosen]
    first = chosen if len(figures) > MOST_PANELS and chosen else list(range(len(figures)))
    first = first[:MOST_PANELS]
    rest = [number for number in range(len(figures)) if number not in first]
    marks = ["bold lines and ▸ mark what the run chose"] if chosen else []
    marks += ["shaded: one standard error"] if any(found.errors) else []
    yield Text(f"Scores by epoch{': ' if marks else ''}{'; '.join(marks)}.")
    yield Grid([figures[number] for number in first], 256)
    if rest:
        summary = f"{counted(len(rest), 'further edge')}"
        yield Details(summary, [Grid([figures[number] for number in rest], 256)])


def _score_table(found: Ratings) -> Table:
    """Returns the last scores, with standard errors: a row for each edge."""
    operations = list(dict.fromkeys(name for edge in found.edges for name in edge.operations))
    operations.sort(key=lambda name: family(name).name == "none")
    rows = []
    for number, edge in enumerate(found.edges):
        row = [edge.name.replace("->", "→")]
        for name in operations:
            column = edge.operations.index(name) if name in edge.operations else None
            words = "" if column is None else _score(found, number, column)
            row.append(f"*{words}" if name in edge.chosen else words)
        rows.append(row)
    errors = " ± standard error" if found.errors[-1] is not None else ""
    chosen = "; what was chosen is marked" if any(edge.chosen for edge in found.edges) else ""
    caption = f"Scores{errors} after epoch {found.epochs[-1]}{chosen}"
    return Table(caption, ["edge", *map(readable, operations)], rows,
                 numbers=range(1, len(operations) + 1))  # fmt: skip


def _score(found: Ratings, edge: int, column: int) -> str:
    """Returns a score with its error; a dash for what is not rated."""
    value, errors = found.scores[-1][edge][column], found.errors[-1]
    if isnan(value):
        return "–"
    error = errors[edge][column] if errors is not None else float("nan")
    known = [abs(one) for row in found.scores[-1] for one in row if isfinite(one)]
    places = max(3 - floor(log10(max(known) or 1.0)), 0)
    words = f"{value:.{places}f}"
    return f"{words} ± {error:.{places}f}" if isfinite(error) else words


# ---------------------------------------------------------------------- branches, population


def _tree(tree: Lineage, embedder: Embedder) -> Part:
    """Returns the tree of branches as a picture."""
    leaves = ", ".join(
        f"{leaf.name}{'' if leaf.valid is None else f' {percent(leaf.valid)}'}"
        f"{' (chosen)' if leaf.chosen else ''}"
        for leaf in tree.leaves
    )
    words = (
        f"The tree of {counted(len(tree.branches), 'branch', 'branches')}; its leaves: {leaves}."
    )
    caption = "From left to right: the run's first branch, its splits, and its leaves"
    return embedder.wide(tree_picture.picture(tree), words, caption)


def _population(found: Population, embedder: Embedder) -> Iterator[Part]:
    """Yields the lineage of the population, and its last generation."""
    panel = population.panel(found)
    figure = embedder.panel(panel)
    yield Text(KEY)
    yield figure
    best = found.generations[-1]
    rows = [
        [
            str(one.number), percent(one.fitness), one.architecture,
            " and ".join(map(str, dict.fromkeys(one.parents))) or "–", "yes" if one.fresh else "no",
        ]
        for one in best
    ]  # fmt: skip
    columns = ["individual", "fitness", "architecture", "parents", "genes drawn anew"]
    caption = f"The generation of epoch {best[0].epoch}, the fittest first"
    yield Details("The last generation", [Table(caption, columns, rows, numbers=(1,))])
