"""A run at a glance, after a search and in `nastk show`: what was run, found, measured and spent.

`summary` takes plain dicts, as a run folder holds them, and leaves out what is not there: it shows
an interrupted run as well as a finished one.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nastk.base.cost import Cost, PhaseCost
from nastk.report.ascii import Plain
from nastk.report.branches import lineage
from nastk.report.curves import Curves
from nastk.report.numbers import count, counted, metric, percent, seconds, size
from nastk.report.quality import decisions, rankings
from nastk.report.terminal import cell
from nastk.report.tree import Tree
from nastk.spaces.architecture import Architecture

CHANCE = 1.25
"""How many times the accuracy of guessing is not better than guessing."""

STATES = {
    "finished": "green",
    "running": "cyan",
    "interrupted": "yellow",
    "stale": "yellow",
    "failed": "red",
    "damaged": "red",
}
"""The states of a run with their colours."""


def summary(result: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> RenderableType:
    """What a run did, as something that rich prints.

    Args:
        result: any of `run` (its folder), `state`, `config`, `architecture` (its JSON object),
            `text`, `evaluations` (each with evaluator, metrics, notes), `cost` (by phase) and
            `error`.
        history: the run's events; those of kind `epoch-done` make the curves, splits a tree,
            `watched` and `ranked` sections of their own.

    Example: `rich.print(summary({**folder.result(), "config": folder.config()}, folder.events()))`
    """
    parts: list[RenderableType] = [_head(result)]
    curves = Curves(history)
    if curves.branches:
        parts += _section("Training", curves)
    branches = lineage(history, result.get("architecture"))
    if branches is not None:
        parts += _section("Branches", Tree(branches))
    if result.get("architecture"):
        parts += _section("Architecture", *_architecture(result))
    if (seen := decisions(history)) is not None:
        parts += _section("Decision", seen)
    if (seen := rankings(history)) is not None:
        parts += _section("Ranking quality", seen)
    # What has a section of its own is not said twice.
    judged = [one for one in result.get("evaluations") or () if one["evaluator"] != "ranking"]
    if judged:
        classes = (result.get("task") or {}).get("classes")
        parts += _section("Evaluation", _evaluations(judged), *_chance(judged, classes))
    if result.get("cost"):
        parts += _section("Cost", _cost(result["cost"]))
    return Plain(Group(*parts))


def _section(title: str, *parts: RenderableType) -> list[RenderableType]:
    return [Text(), Text(title, "bold"), *(Padding(part, (0, 0, 0, 2)) for part in parts)]


def _head(result: Mapping[str, Any]) -> RenderableType:
    """What was run: the folder and its state, then the configuration."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    if result.get("run"):
        state = str(result.get("state") or "finished")
        early = early_words(result)
        table.add_row(
            "run",
            Text.assemble(
                str(result["run"]),
                "  ",
                (state, STATES.get(state, "")),
                (f", {early}" if early else "", STATES["interrupted"]),
            ),
        )
    for name, value in _settings(result.get("config") or {}):
        table.add_row(name, Text(value))
    if result.get("error"):
        table.add_row("error", Text(str(result["error"]), "red"))
    return table


def early_words(result: Mapping[str, Any]) -> str:
    """How far a run had come that was finished early, in words; empty for any other."""
    found = result.get("finished_early")
    if not found:
        return ""
    return f"early, after {found['epoch']} of {found['epochs']} epochs (step {found['step']})"


def _settings(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The configuration as (name, words); a component is its name followed by its options."""
    for key, value in config.items():
        if value is None or value == [] or value == {} or value is False:
            continue
        if isinstance(value, Mapping):
            yield key, _component(value)
        elif isinstance(value, (list, tuple)):
            yield (
                key,
                ", ".join(
                    _component(one) if isinstance(one, Mapping) else str(one) for one in value
                ),
            )
        else:
            yield key, _value(value)


def _component(value: Mapping[str, Any]) -> str:
    """A component with its options, or a section of settings, in one line."""
    named = "name" in value
    options = value.get("options") or {} if named else value
    words = " ".join(f"{key}={_value(one)}" for key, one in options.items())
    return f"{value['name']}  {words}".rstrip() if named else words


def _value(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, (list, tuple)):
        return ",".join(map(_value, value))
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _architecture(result: Mapping[str, Any]) -> Iterator[RenderableType]:
    """The cells drawn, the id and the text that the field exchanges."""
    value = result["architecture"]
    if isinstance(value, Mapping):
        architecture = Architecture.from_json(value)
        yield cell(architecture)
        yield Text.assemble(("id    ", "dim"), architecture.id)
    else:
        yield Text(str(value))
    if result.get("text"):
        table = Table.grid()
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        table.add_row(Text("text  ", "dim"), Text(str(result["text"])))
        yield table


def _evaluations(evaluations: Sequence[Mapping[str, Any]]) -> RenderableType:
    """A row for each metric; notes stand below the metrics that they qualify."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(style="dim", overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    parts: list[RenderableType] = [table]
    notes = []
    for one in evaluations:
        name = str(one["evaluator"])
        for row, (key, value) in enumerate(one["metrics"].items()):
            table.add_row(
                name if row == 0 else "", key.replace("_", " "), Text(metric(key, value), "bold")
            )
        notes += [Text(f"{name}: {note}", "dim", overflow="fold") for note in one.get("notes", ())]
    return Group(*parts, *notes)


def _chance(evaluations: Sequence[Mapping[str, Any]], classes: int | None) -> Iterator[Text]:
    """A caution where an accuracy on unseen images is what guessing one of the classes gives."""
    for one in evaluations:
        accuracy = one["metrics"].get("valid_accuracy")
        if classes and accuracy is not None and accuracy < CHANCE / classes:
            yield Text.assemble(
                ("warning ", "yellow"),
                ("chance: ", "bold"),
                f"{percent(accuracy)} of the valid images is about what guessing gives "
                f"({counted(classes, 'class', 'classes')}); by {one['evaluator']}.",
            )


def _cost(cost: Mapping[str, Mapping[str, Any]]) -> RenderableType:
    """A row for each phase, and their total."""
    phases = Cost.from_json(cost)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("phase")
    for heading in ("images forward", "images backward", "time", "peak memory"):
        table.add_column(heading, justify="right")
    for name, phase in phases.phases.items():
        table.add_row(name, *_phase(phase))
    if len(phases.phases) > 1:
        table.add_row("total", *_phase(phases.total), style="bold")
    return table


def _phase(phase: PhaseCost) -> tuple[str, str, str, str]:
    memory = size(phase.peak_memory) if phase.peak_memory else "-"
    return count(phase.images_forward), count(phase.images_backward), seconds(phase.seconds), memory
