"""What stands below a study's tables: `failures_table`, `protocol_notes` and their sentences."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nastk.report.numbers import counted

MOST_LISTED = 8
"""Most updaters without a run that are listed; of more only the number of their runs is said."""


def failures_table(failures: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Returns a table with a row for each failed run: its updater, its seed and the reason.

    Example: `rich.print(failures_table([vars(failure) for failure in study.failures]))`
    """
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    several = len({failure["problem"] for failure in failures}) > 1
    table.add_column("failed", overflow="fold")
    table.add_column("seed", justify="right")
    table.add_column("why", overflow="fold")
    for failure in failures:
        name = f"{failure['label']}, {failure['problem']}" if several else failure["label"]
        table.add_row(name, str(failure["seed"]), str(failure["reason"]))
    return table


def protocol_notes(standing: Mapping[str, Any], metric: str | None = None) -> RenderableType:
    """Returns when a study was registered, what was added to it later, and what has no run.

    `standing` is that of `Protocol.standing`, `metric` the one that is shown, if it was named.

    Example: `rich.print(protocol_notes(study_standing(study)))`
    """
    return Group(*(Text(line, "dim") for line in protocol_sentences(standing, metric)))


def protocol_sentences(standing: Mapping[str, Any], metric: str | None = None) -> Iterator[str]:
    """Yields what `protocol_notes` shows, as sentences.

    Example: `list(protocol_sentences(study_standing(study)))`
    """
    late = ", when runs had begun" if standing["began_before"] else ""
    chosen = f" for {standing['metric']}" if standing["metric"] else ""
    yield (
        f"Registered on {standing['registered']}{late}{chosen}: protocol {standing['hash'][:12]}."
    )
    if standing["added"]:
        added = "; ".join(f"{_row(each, standing)} ({each['day']})" for each in standing["added"])
        yield f"Added later: {added}."
    for key, words in (("left", "without a run"), ("unshown", "not in this table")):
        if standing[key]:
            yield f"Registered, {words}: {_listed(standing[key], standing)}."
    if metric is not None and metric != standing["metric"]:
        yield f"The metric {metric} was chosen after the study was registered."


def _listed(rows: Sequence[Mapping[str, Any]], standing: Mapping[str, Any]) -> str:
    """Returns the updaters or seeds in words; of many only the number of their runs."""
    if len(rows) > MOST_LISTED:
        return counted(sum(len(each["seeds"]) for each in rows), "run")
    return "; ".join(_row(each, standing) for each in rows)


def _row(each: Mapping[str, Any], standing: Mapping[str, Any]) -> str:
    """Returns an updater, or some of its seeds, in words."""
    every = [*standing["added"], *standing["left"], *standing["unshown"]]
    problems = {one["problem"] for one in every}
    name = f"{each['updater']} on {each['problem']}" if len(problems) > 1 else str(each["updater"])
    if each["all"]:
        return name
    return f"seed {', '.join(map(str, each['seeds']))} of {name}"
