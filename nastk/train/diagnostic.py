"""`warnings_of`: the warnings in a run's events, read without torch; see `diagnostics.py`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from nastk.base.events import Watched

UNSETTLED = 3


@dataclass(frozen=True)
class Diagnostic:
    """A warning about a search: a name for programs and a message for people."""

    name: str
    message: str


def warnings_of(
    history: Sequence[Mapping[str, Any]], branch: str | None = None
) -> list[Diagnostic]:
    """Returns the warnings of a run's last epoch.

    Args:
        history: the events of a run, as `RunFolder.events` reads them.
        branch: name of a branch; None stands for the branch of the final architecture or, in an
            unfinished run, for the branch watched last.

    Example: `warnings_of(nastk.resume("runs/a").history)`
    """
    watched = [event for event in history if event["kind"] == Watched.kind]
    name = branch_of(history, Watched.kind) if branch is None else branch
    last = [event for event in watched if event["branch"] == name][-1:]
    warnings = [warning for event in last for warning in event["warnings"]]
    diagnostics = [Diagnostic(warning["name"], warning["message"]) for warning in warnings]
    finished = [event for event in history if event["kind"] == "epoch-done"]
    epochs = [event for event in finished if event["branch"] == name]
    changes = changes_of([str(event["architecture"]) for event in epochs])
    if len(changes) > UNSETTLED and all(changes[-UNSETTLED:]):
        diagnostics.append(
            Diagnostic(
                "unsettled",
                f"The decision changed in each of the last {UNSETTLED} epochs: "
                "a longer run may decide otherwise.",
            )
        )
    return diagnostics


def branch_of(history: Sequence[Mapping[str, Any]], kind: str) -> str | None:
    """Returns the branch of the final architecture, or else that of the last event of `kind`."""
    finished = [event["branch"] for event in history if event["kind"] == "run-finished"]
    of_kind = [event["branch"] for event in history if event["kind"] == kind]
    return next(iter([*finished[-1:], *of_kind[-1:]]), None)


def changes_of(decisions: Sequence[str]) -> list[bool]:
    """Returns for each epoch but the first: True if the decision differs from the one before.

    >>> changes_of(["a", "a", "b"])
    [False, True]
    """
    return [before != after for before, after in pairwise(decisions)]
