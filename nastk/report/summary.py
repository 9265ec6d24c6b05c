"""The summary of a run, after a search and in `nastk show`: settings, decision, metrics, cost.

`summary` takes plain dicts, as a run folder holds them, and leaves out missing parts, so that it
shows an interrupted run as well as a finished one.
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
from nastk.report.evaluations import searched
from nastk.report.numbers import count, counted, metric, percent, seconds, size
from nastk.report.quality import decisions, rankings
from nastk.report.terminal import cell
from nastk.report.tree import Tree
from nastk.spaces.architecture import Architecture

CHANCE = 1.25
"""An accuracy below this multiple of that of guessing counts as guessing."""

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
    """Returns the summary of a run as something that rich prints.

    Args:
        result: any of `run` (its folder), `state`, `config`, `architecture` (its JSON object),
            `text`, `evaluations` (with evaluator, metrics, notes), `cost` (by phase) and `error`.
        history: the run's events; those of kind `epoch-done` make the curves, splits a tree, and
            those of kind `watched` and `ranked` have sections of their own.

    Example: `rich.print(summary({**folder.result(), "config": folder.config()}, folder.events()))`
    """
    parts: list[RenderableType] = [_head(result)]
    curves = Curves(history)
    if curves.branches:
        parts += _section("Training", curves)
    if (section := searched(history)) is not None:
        parts += _section("Search", section)
    branches = lineage(history, result.get("architecture"))
    if branches is not None:
        parts += _section("Branches", Tree(branches))
    if result.get("architecture"):
        parts += _section("Architecture", *_architecture(result))
    if (section := decisions(history)) is not None:
        parts += _section("Decision", section)
    if (section := rankings(history)) is not None:
        parts += _section("Ranking quality", section)
    # Ranking quality has a section of its own already.
    evaluations = [
        evaluation
        for evaluation in result.get("evaluations") or ()
        if evaluation["evaluator"] != "ranking"
    ]
    if evaluations:
        classes = (result.get("task") or {}).get("classes")
        parts += _section("Evaluation", _evaluations(evaluations), *_chance(evaluations, classes))
    if result.get("cost"):
        parts += _section("Cost", _cost(result["cost"]))
    return Plain(Group(*parts))


def _section(title: str, *parts: RenderableType) -> list[RenderableType]:
    """Returns an empty line, the title, and the parts, which are indented."""
    return [Text(), Text(title, "bold"), *(Padding(part, (0, 0, 0, 2)) for part in parts)]


def _head(result: Mapping[str, Any]) -> RenderableType:
    """Returns the folder of the run and its state, then the configuration."""
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
    """Returns in words where a run was finished early; empty for any other run."""
    early = result.get("finished_early")
    if not early:
        return ""
    return f"early, after {early['epoch']} of {early['epochs']} epochs (step {early['step']})"


def _settings(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the configuration as (name, text); a component is its name followed by its options."""
    for key, value in config.items():
        if value is None or value == [] or value == {} or value is False:
            continue
        if isinstance(value, Mapping):
            yield key, _component(value)
        elif isinstance(value, (list, tuple)):
            yield (
                key,
                ", ".join(
                    _component(item) if isinstance(item, Mapping) else str(item) for item in value
                ),
            )
        else:
            yield key, _value(value)


def _component(value: Mapping[str, Any]) -> str:
    """Returns a component with its options, or a section of settings, in one line."""
    named = "name" in value
    options = value.get("options") or {} if named else value
    words = " ".join(f"{key}={_value(option)}" for key, option in options.items())
    return f"{value['name']}  {words}".rstrip() if named else words


def _value(value: Any) -> str:
    """Returns the value of an option as text."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, (list, tuple)):
        return ",".join(map(_value, value))
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _architecture(result: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Yields the drawn cells, the id, and the text in which the field exchanges architectures."""
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
    """Returns a row for each metric, and the evaluators' notes below."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(style="dim", overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    parts: list[RenderableType] = [table]
    notes = []
    for evaluation in evaluations:
        name = str(evaluation["evaluator"])
        for row, (key, value) in enumerate(evaluation["metrics"].items()):
            table.add_row(
                name if row == 0 else "", key.replace("_", " "), Text(metric(key, value), "bold")
            )
        notes += [
            Text(f"{name}: {note}", "dim", overflow="fold") for note in evaluation.get("notes", ())
        ]
    return Group(*parts, *notes)


def _chance(evaluations: Sequence[Mapping[str, Any]], classes: int | None) -> Iterator[Text]:
    """Yields a warning for each accuracy on the valid split that is no better than guessing."""
    for evaluation in evaluations:
        accuracy = evaluation["metrics"].get("valid_accuracy")
        if classes and accuracy is not None and accuracy < CHANCE / classes:
            yield Text.assemble(
                ("warning ", "yellow"),
                ("chance: ", "bold"),
                f"{percent(accuracy)} of the valid images is about what guessing gives "
                f"({counted(classes, 'class', 'classes')}); by {evaluation['evaluator']}.",
            )


def _cost(cost: Mapping[str, Mapping[str, Any]]) -> RenderableType:
    """Returns a row for each phase, and their total."""
    phases = Cost.from_json(cost)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("phase")
    for heading in ("images forward", "images backward", "time", "peak memory"):
        table.add_column(heading, justify="right")
    for name, phase in phases.phases.items():
        table.add_row(name, *_phase(phase))
    if len(phases.phases) > 1:
        table.add_row("total", *_phase(phases.total), style="bold")
    if not (recorded := phases.total.recorded_seconds):
        return table
    words = f"of the time, {seconds(recorded)} were recorded where results were looked up"
    return Group(table, Text(words, "dim"))


def _phase(phase: PhaseCost) -> tuple[str, str, str, str]:
    """Returns images forward and backward, time, and peak memory as texts."""
    memory = size(phase.peak_memory) if phase.peak_memory else "-"
    return count(phase.images_forward), count(phase.images_backward), seconds(phase.seconds), memory
