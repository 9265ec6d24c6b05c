"""The report of a study of several problems: ranks over all, then a section for each problem."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from nastk import NastkError
from nastk.cli import overall
from nastk.report import alike, counted
from nastk_drawing.charts.ranks import ranks
from nastk_drawing.report.embedding import Embedder
from nastk_drawing.report.parts import Heading, Part, Section, Table, Text, Tile
from nastk_drawing.study_runs import Group

Problems = Mapping[str, Sequence[Group]]
"""The updaters of a study with their runs, by problem."""
MOST_TILES = 8


def parts(
    problems: Problems,
    embedder: Embedder,
    sections: Callable[[Sequence[Group], Embedder], list[Section]],
) -> tuple[list[str], list[Tile], list[Section]]:
    """Returns lead, tiles and first sections; `sections` makes those of a single problem."""
    runs = {name: {group.name: group.runs for group in found} for name, found in problems.items()}
    try:
        said, notes, found = overall(runs)
    except NastkError as error:
        said, notes, found = f"Updaters are not compared over the problems: {error}", [], {}
    every = [Section("Over all problems", list(_ranked(found, notes, embedder)))] if found else []
    for name, groups in problems.items():
        inner: list[Part] = []
        for section in sections(groups, embedder):
            inner += [Heading(section.heading), *section.parts]
        every.append(Section(name, inner))
    return [said], list(_tiles(found)), every


def _tiles(found: Mapping[str, Any]) -> Iterator[Tile]:
    """Yields the mean rank of each updater, the best first."""
    if not found or found["ranks"] is None:
        return
    places = found["ranks"]["ranks"]
    for label in sorted(places, key=lambda label: places[label])[:MOST_TILES]:
        note = f"over {counted(len(found['means']), 'problem')}; 1 is the best"
        yield Tile(label, f"{places[label]:.2f}", f"mean rank {note}")


def _ranked(found: Mapping[str, Any], notes: Sequence[str], embedder: Embedder) -> Iterator[Part]:
    """Yields the table of ranks with the mean of each problem, and the diagram of ranks."""
    test, columns = found["ranks"], []
    for name, means in found["means"].items():
        words = alike(found["comparisons"][name]["metric"], list(means.values()))
        columns.append({label: words(value) for label, value in means.items()})
    labels = list(columns[0])
    if test is not None:
        labels.sort(key=lambda label: test["ranks"][label])
    places = {label: "–" if test is None else f"{test['ranks'][label]:.2f}" for label in labels}
    rows = [[label, places[label], *(column[label] for column in columns)] for label in labels]
    heads = ["updater", "mean rank", *found["means"]]
    metrics = {each["metric"].replace("_", " ") for each in found["comparisons"].values()}
    yield Table(f"Means over seeds: {', '.join(sorted(metrics))}", heads, rows,
                range(1, len(heads)))  # fmt: skip
    if test is not None:
        yield embedder.panel(ranks(test, "problem"))
    yield from (Text(note) for note in notes)
