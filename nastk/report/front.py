"""A Pareto front in the terminal: who found what is on it, and how much each updater dominates."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nastk.report.numbers import alike, counted, percent


def front_table(front: Mapping[str, Any]) -> RenderableType:
    """Returns the architectures on a front, and the hypervolume of each updater.

    `front` is that of `Front.to_json`.

    Example: `rich.print(front_table(study.front("parameters").to_json()))`
    """
    value, cost = (str(front[key]).replace("_", " ") for key in ("metric", "cost"))
    best = sorted((one for one in front["found"] if one["best"]), key=lambda one: one["cost"])
    values = alike(front["metric"], [one["value"] for one in front["found"]])
    costs = alike(front["cost"], [one["cost"] for one in front["found"]])
    on_it = _table("updater", "seed", value, cost)
    for one in best:
        on_it.add_row(one["label"], str(one["seed"]), values(one["value"]), costs(one["cost"]))
    volumes = _table("updater", "hypervolume", "on the front")
    for label, volume in sorted(front["volumes"].items(), key=lambda pair: -pair[1]):
        count = sum(one["label"] == label for one in best)
        volumes.add_row(label, percent(volume), str(count))
    head = (
        f"{len(best)} of {counted(len(front['found']), 'architecture')} are on the front of "
        f"{value} and {cost}."
    )
    note = (
        f"Hypervolume: the share that an updater's architectures dominate, over "
        f"{counted(len(front['seeds']), 'seed')}; all together {percent(front['volume'])}. Axes "
        "are scaled to the best and worst of all runs, the reference point lies a tenth beyond."
    )
    return Group(Text(head, "bold"), Text(), on_it, Text(), volumes, Text(note, "dim"))


def _table(*heads: str) -> Table:
    """Returns an empty table with these heads, all but the first for numbers."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number else "left", overflow="fold")
    return table
