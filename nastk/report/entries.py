"""What a tracker is told of an event: `entry` makes numbers and texts with names of its line.

    train/loss, train/accuracy, train/learning_rate       after each epoch
    cost/images_forward, cost/images_backward             what the search has cost so far
    decision/parameter_free, decision/entropy             of the decision after each epoch
    scores/EDGE/OPERATION                                 what the updater thinks of each operation
    report/TOPIC/NAME                                     numbers that the updater reported
    ranking/RANKER/kendall, spearman, regret_K            how well a ranker orders architectures
    evaluation/EVALUATOR/METRIC                           what evaluators found at the end
    warning/NAME, branches, architecture                  texts

Names of any branch but the first begin with the branch: `branch-0.1/train/loss`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nastk.base.events import (
    BranchContinued,
    EpochDone,
    Evaluated,
    LookedUp,
    Ranked,
    RunFinished,
    UpdaterReported,
    Watched,
)
from nastk.base.values import number
from nastk.spaces.subspace import Edge

Named = Iterator[tuple[str, Any]]


@dataclass(frozen=True)
class Entry:
    """What an event gives a tracker: numbers for curves, and texts, both by their names.

    `step` counts the weight steps of the branch and `epoch` its finished epochs; `time` is that of
    the event, as `time.time` gives it.

    Example: `Entry(1, 50, 0.0, {"train/loss": 1.2})`
    """

    epoch: int
    step: int
    time: float
    numbers: Mapping[str, float]
    texts: Mapping[str, str]


def entry(line: Mapping[str, Any], edges: Sequence[Edge]) -> Entry | None:
    """Returns what a line of `events.jsonl` gives a tracker; None where that is nothing.

    `edges` are those of the search space, which name the rows and columns of scores.
    """
    make = MAKERS.get(line["kind"])
    if make is None:
        return None
    prefix = "" if line["branch"] == "0" else f"branch-{line['branch']}/"
    numbers, texts = {}, {}
    for name, value in make(line, edges):
        if isinstance(value, str):
            texts[prefix + name] = value
        elif (plain := number(value)) is not None:
            numbers[prefix + name] = float(plain)
    if not numbers and not texts:
        return None
    return Entry(line["epoch"], line["step"], line.get("time", 0.0), numbers, texts)


def settings(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns a configuration as one level of names with plain values; lists become texts.

    >>> settings({"space": {"name": "darts", "options": {"cells": 8}}, "evaluators": ["size"]})
    {'space.name': 'darts', 'space.options.cells': 8, 'evaluators': "['size']"}
    """
    flat: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= settings(value, f"{name}.")
        elif value is None or isinstance(value, (bool, int, float, str)):
            flat[name] = value
        else:
            flat[name] = str(value)
    return flat


def _epoch(line: Mapping[str, Any], edges: Sequence[Edge]) -> Named:
    for name in ("loss", "accuracy", "learning_rate"):
        yield f"train/{name}", line.get(name)
    yield "train/epoch", line["epoch"]
    yield from _cost(line)


def _cost(line: Mapping[str, Any]) -> Named:
    for name in ("images_forward", "images_backward", "seconds", "cpu_seconds"):
        yield f"cost/{name}", line.get(name)


def _watched(line: Mapping[str, Any], edges: Sequence[Edge]) -> Named:
    yield "decision/parameter_free", line.get("parameter_free")
    yield "decision/entropy", line.get("entropy")
    for edge, row in zip(edges, line.get("scores") or (), strict=False):
        for operation, score in zip(edge.operations, row, strict=False):
            yield f"scores/{edge.name}/{operation}", score
    for warning in line.get("warnings") or ():
        yield f"warning/{warning['name']}", str(warning["message"])


def _reported(line: Mapping[str, Any], edges: Sequence[Edge]) -> Named:
    for name, value in (line.get("values") or {}).items():
        if not isinstance(value, (str, bool)):
            yield f"report/{line.get('topic')}/{name}", value


def _ranked(line: Mapping[str, Any], edges: Sequence[Edge]) -> Named:
    for ranker, agreement in (line.get("by") or {}).items():
        for name in ("kendall", "spearman"):
            yield f"ranking/{ranker}/{name}", ((agreement or {}).get(name) or {}).get("value")
        for most, regret in ((agreement or {}).get("regret") or {}).items():
            yield f"ranking/{ranker}/regret_{most}", regret


def _continued(line: Mapping[str, Any], edges: Sequence[Edge]) -> Named:
    children = ", ".join(line.get("children") or ()) or "none: it ended"
    yield "branches", f"branch {line['branch']} goes on as {children}"


def _evaluated(line: Mapping[str, Any], edges: Sequence[Edge]) -> Named:
    for name, value in (line.get("metrics") or {}).items():
        yield f"evaluation/{line.get('evaluator')}/{name}", value


def _looked_up(line: Mapping[str, Any], edges: Sequence[Edge]) -> Named:
    for name, value in (line.get("metrics") or {}).items():
        yield f"decision/{line.get('evaluator')}/{name}", value


def _finished(line: Mapping[str, Any], edges: Sequence[Edge]) -> Named:
    yield "architecture", str(line.get("architecture", ""))
    yield "architecture_id", str(line.get("architecture_id", ""))
    yield from _cost(line)


MAKERS: dict[str, Callable[[Mapping[str, Any], Sequence[Edge]], Named]] = {
    EpochDone.kind: _epoch,
    Watched.kind: _watched,
    UpdaterReported.kind: _reported,
    Ranked.kind: _ranked,
    BranchContinued.kind: _continued,
    Evaluated.kind: _evaluated,
    LookedUp.kind: _looked_up,
    RunFinished.kind: _finished,
}
