"""The report of a study: every updater's results over its seeds, and the runs that failed."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from nastk import NastkError
from nastk.cli import comparison, fronts
from nastk.report import RunRecord, alike, counted, metric, percent
from nastk_drawing.charts import anytime
from nastk_drawing.charts import study as charts
from nastk_drawing.charts.fronts import COSTS
from nastk_drawing.charts.fronts import panel as front_panel
from nastk_drawing.charts.ranks import ranks
from nastk_drawing.report import study_problems, study_settings
from nastk_drawing.report.embedding import Embedder
from nastk_drawing.report.parts import Details, Grid, Page, Part, Section, Table, Text, Tile
from nastk_drawing.report.run import footer
from nastk_drawing.study_runs import Group, by_problem, groups, metrics, shown

FEW = 5
"""From so many seeds on, a deviation is shown without a caution."""


def page(folder: Path, records: Sequence[RunRecord]) -> Page:
    """Returns the report of a study, with those of its runs that failed or are unfinished."""
    records = shown(folder, records)
    problems, embedder = by_problem(folder, records), Embedder()
    if len(problems) > 1:
        found = {name: groups(runs) for name, runs in problems.items()}
        lead, tiles, sections = study_problems.parts(found, embedder, _sections)
    else:
        lead, tiles, sections = _single(groups(records), embedder)
    done = sum(bool(run.result) for run in records)
    unfinished = [run for run in records if not run.result]
    if unfinished:
        sections.append(Section("Runs without a result", [_unfinished(unfinished)]))
    sections.append(Section("Architectures", [_architectures(records)]))
    sections += study_settings.sections(folder, records)
    labels = dict.fromkeys(group.name for group in groups(records))
    seeds = {run.config["seed"] for run in records}
    names = list(problems)
    on = names[0] if len(names) == 1 else counted(len(names), "problem")
    return Page(
        title=f"{counted(len(labels), 'updater')}, {counted(len(seeds), 'seed')}",
        subtitle=f"study {folder.resolve().name}: {on}",
        state="finished" if done == len(records) else f"unfinished: {done} of {len(records)} runs",
        lead=lead,
        tiles=tiles,
        warnings=[],
        sections=sections,
        footer=footer(str(folder)),
    )


def _single(
    found: Sequence[Group], embedder: Embedder
) -> tuple[list[str], list[Tile], list[Section]]:
    """Returns lead, tiles and first sections of a study of one problem."""
    said, compared = _compared(found)
    names = sorted(_names(found), key=lambda name: name != compared.get("metric"))
    lead = [said] if compared else [*_lead(found, names), *_caution(found), said]
    return lead, list(_tiles(found, names)), _sections(found, embedder)


def _sections(found: Sequence[Group], embedder: Embedder) -> list[Section]:
    """Returns results, differences and training of the updaters on one problem."""
    _, compared = _compared(found)
    names = sorted(_names(found), key=lambda name: name != compared.get("metric"))
    sections = [Section("Results", list(_results(found, names, embedder)))]
    if compared.get("differences"):
        sections.append(Section("Differences", list(_differences(compared, embedder))))
    runs = {group.name: group.runs for group in found}
    if compared and (found_fronts := fronts(runs, COSTS)):
        sections.append(Section("Size and accuracy", list(_fronts(found_fronts, embedder))))
    if panels := anytime.panels(runs):
        words = "The present decision after each epoch, mean of an updater's runs between extremes."
        grid = Grid([embedder.panel(one) for one in panels])
        sections.append(Section("At every cost", [Text(words), grid]))
    panels = charts.curves(runs)
    if panels:
        sections.append(Section("Training", [Grid([embedder.panel(one) for one in panels])]))
    return sections


def _compared(found: Sequence[Group]) -> tuple[str, Mapping[str, Any]]:
    """Returns what the study shows in a sentence, and its comparison; why there is none, and {}."""
    try:
        return comparison({group.name: group.runs for group in found})
    except NastkError as error:
        return f"Differences are not tested: {error}", {}


def _differences(compared: Mapping[str, Any], embedder: Embedder) -> Iterator[Part]:
    """Yields the differences to one updater, paired by seed: as a chart and as a table."""
    name, to = str(compared["metric"]), compared["to"]
    share = "accuracy" in name
    scale = 100 if share else 1
    unit = " points" if share else ""
    rows = []
    for label, found in compared["differences"].items():
        ends = [found["low"], found["high"]]
        between = "–" if None in ends else " to ".join(f"{scale * end:+.2f}" for end in ends)
        p = "–" if found["corrected"] is None else f"{found['corrected']:.2g}"
        difference = f"{scale * found['mean']:+.2f}{unit}"
        rows.append([label, difference, between, f"{found['wins']}:{found['losses']}", p])
    yield Grid([embedder.panel(charts.differences(compared))])
    if compared["ranks"] is not None:
        yield embedder.panel(ranks(compared["ranks"], "seed"))
    heads = ["updater", f"difference to {to}", "95 % interval", "seeds won and lost", "p"]
    caption = (
        f"{name.replace('_', ' ').capitalize()}, over {counted(len(compared['seeds']), 'seed')}"
    )
    yield Table(caption, heads, rows, range(1, len(heads)))
    yield Text(
        "Paired by seed: runs of one seed share initial weights and batches. Intervals by "
        "bootstrap, p corrected for the number of comparisons (Holm)."
    )


def _fronts(found: Sequence[Mapping[str, Any]], embedder: Embedder) -> Iterator[Part]:
    """Yields the Pareto front over each cost, and how much of the plane each updater dominates."""
    yield Grid([embedder.panel(front_panel(each)) for each in found])
    labels = sorted(found[0]["volumes"], key=lambda label: -found[0]["volumes"][label])
    rows = [[label, *(percent(each["volumes"][label]) for each in found)] for label in labels]
    heads = ["updater", *(f"over {each['cost'].replace('_', ' ')}" for each in found)]
    yield Table("Hypervolume of its architectures", heads, rows, range(1, len(heads)))
    yield Text(
        f"The share of the plane that they dominate, over {counted(len(found[0]['seeds']), 'seed')}"
        f"; all together {percent(found[0]['volume'])} over {heads[1].removeprefix('over ')}. Axes "
        "are scaled to the best and worst of all runs; the reference point lies a tenth beyond."
    )


def _names(found: Sequence[Group]) -> list[str]:
    """Returns the metrics of all runs, accuracies first: those of the last evaluator, on test."""
    names = list(dict.fromkeys(name for group in found for run in group.finished
                               for name in metrics(run)))  # fmt: skip
    accuracies = [name for name in names if name.endswith("accuracy")]
    order = {
        name: -number
        for run in [run for group in found for run in group.finished][:1]
        for number, evaluation in enumerate(run.result["evaluations"])
        for name in evaluation["metrics"]
    }
    accuracies.sort(key=lambda name: (order.get(name, 0), "test" not in name))
    return [*accuracies, *(name for name in names if name not in accuracies)]


def _best(found: Sequence[Group], name: str) -> Group:
    """Returns the group with the greatest mean of a metric."""
    return max((group for group in found if group.values(name)),
               key=lambda group: fmean(group.values(name)))  # fmt: skip


def _lead(found: Sequence[Group], names: Sequence[str]) -> Iterator[str]:
    """Yields who is best by each accuracy on test, else on valid, and who is next."""
    accuracies = [name for name in names if name.endswith("accuracy")]
    on_test = [name for name in accuracies if "test" in name] or accuracies
    if not on_test:
        yield "No run of this study has an accuracy yet."
    for name in on_test[:2]:
        best = _best(found, name)
        rest = [group for group in found if group is not best and group.values(name)]
        words = name.replace("_", " ")
        said = f"{best.name} has the highest {words}: {spread_words(name, best.values(name))}"
        if rest:
            second = _best(rest, name)
            said += f"; next is {second.name} with {spread_words(name, second.values(name))}"
        yield f"{said}."


def _caution(found: Sequence[Group]) -> Iterator[str]:
    """Yields a caution where there are few seeds."""
    seeds = min((len(group.finished) for group in found), default=0)
    if seeds < FEW:
        spread = "no deviation is known" if seeds < 2 else "a deviation of so few is a guess"
        yield f"With {counted(seeds, 'seed')} {spread}: a difference may be chance."


def _tiles(found: Sequence[Group], names: Sequence[str]) -> Iterator[Tile]:
    """Yields the first accuracy of each updater, the best first."""
    accuracies = [name for name in names if name.endswith("accuracy")]
    if not accuracies:
        return
    name = accuracies[0]
    measured = [group for group in found if group.values(name)]
    for group in sorted(measured, key=lambda group: -fmean(group.values(name)))[:8]:
        values = group.values(name)
        yield Tile(group.name, spread_words(name, values), f"{name.replace('_', ' ')}, "
                   f"{counted(len(values), 'seed')}")  # fmt: skip


def spread_words(name: str, values: Sequence[float], like: Sequence[float] = ()) -> str:
    """Returns mean ± deviation of a metric, or its only value; in the form of the `like` values."""
    words = alike(name, [*like, *values])
    if len(values) < 2 or not stdev(values):
        return words(fmean(values))
    mean, deviation = words(fmean(values)), words(stdev(values))
    unit = mean.rpartition(" ")[2]
    return (
        f"{mean.removesuffix(f' {unit}')} ± {deviation}"
        if unit in deviation
        else (f"{mean} ± {deviation}")
    )


def _results(found: Sequence[Group], names: Sequence[str], embedder: Embedder) -> Iterator[Part]:
    """Yields the table of the study, and a chart of every accuracy."""
    plain = [name for name in names if not _is_detail(name)]
    same = {name: found[0].values(name)[0] for name in plain if _is_constant(found, name)}
    shown = [name for name in plain if name not in same]
    yield _table(found, shown)
    if same:
        words = ", ".join(f"{name.replace('_', ' ')} {metric(name, value)}"
                          for name, value in same.items())  # fmt: skip
        yield Text(f"The same in every run: {words}.")
    panels = [
        charts.dots(name, {group.name: group.values(name) for group in found})
        for name in names if name.endswith("accuracy")
    ]  # fmt: skip
    if panels:
        yield Text("A dot is a run, a line the mean of an updater:")
        yield Grid([embedder.panel(panel) for panel in panels])
    details = [name for name in names if _is_detail(name)]
    if details:
        yield Details("Ranking quality", [_table(found, details)])


def _table(found: Sequence[Group], names: Sequence[str]) -> Table:
    """Returns the means of metrics: a row for each updater, a column for each metric."""
    columns = []
    for name in names:
        every = [value for group in found for value in group.values(name)]
        columns.append([
            spread_words(name, group.values(name), every) if group.values(name) else "–"
            for group in found
        ])  # fmt: skip
    runs = [f"{len(group.finished)}/{len(group.runs)}" for group in found]
    rows = [[group.name, *cells] for group, *cells in zip(found, runs, *columns, strict=True)]
    heads = ["updater", "runs", *(name.replace("_", " ") for name in names)]
    return Table("Mean ± standard deviation over seeds", heads, rows, range(1, len(heads)))


def _is_constant(found: Sequence[Group], name: str) -> bool:
    """True for a metric, no accuracy, that is the same in every run of several updaters."""
    values = [group.values(name) for group in found]
    every = {value for group in values for value in group}
    return len(found) > 1 and len(every) == 1 and all(values) and not name.endswith("accuracy")


def _is_detail(name: str) -> bool:
    """True for metrics of ranking quality, of which there are many."""
    return "_by_" in name


def _unfinished(runs: Sequence[RunRecord]) -> Table:
    """Returns the runs that failed or are unfinished, with what is known of why."""
    rows = []
    for run in runs:
        done = max((event["epoch"] for event in run.history if event["kind"] == "epoch-done"),
                   default=0)  # fmt: skip
        epochs = f"{done} of {run.config['trainer']['epochs']}"
        rows.append([run.path.name, run.state, epochs, run.error or "–"])
    return Table("They are not in the means", ["run", "state", "epochs", "why"], rows)


def _architectures(records: Sequence[RunRecord]) -> Table:
    """Returns the architecture of every finished run."""
    rows = [
        [run.path.name, run.result["architecture"]["id"], str(run.result["text"])]
        for run in records if run.result
    ]  # fmt: skip
    return Table("What each run found", ["run", "identity", "text"], rows)
