"""What a run's events warn of: `warnings_of` reads what `diagnostics.py` wrote, without torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from nastk.base.events import Watched

UNSETTLED = 3


@dataclass(frozen=True)
class Diagnostic:
    """Something to look at: its name, for programs, and what it means, for people."""

    name: str
    message: str


def warnings_of(
    history: Sequence[Mapping[str, Any]], branch: str | None = None
) -> list[Diagnostic]:
    """What a run's events warn of, for its last epoch.

    Args:
        history: the events of a run, as `RunFolder.events` reads them.
        branch: the branch that is asked about; where None the one whose architecture the run
            found, or the last one watched while it goes on.

    Example: `warnings_of(nastk.resume("runs/a").history)`
    """
    watched = [each for each in history if each["kind"] == Watched.kind]
    name = branch_of(history, Watched.kind) if branch is None else branch
    last = [each for each in watched if each["branch"] == name][-1:]
    found = [Diagnostic(one["name"], one["message"]) for each in last for one in each["warnings"]]
    epochs = [each for each in history if each["kind"] == "epoch-done" and each["branch"] == name]
    changes = changes_of([str(each["architecture"]) for each in epochs])
    if len(changes) > UNSETTLED and all(changes[-UNSETTLED:]):
        found.append(
            Diagnostic(
                "unsettled",
                f"The decision changed in each of the last {UNSETTLED} epochs: "
                "a longer run may decide otherwise.",
            )
        )
    return found


def branch_of(history: Sequence[Mapping[str, Any]], kind: str) -> str | None:
    """The branch to speak of: of the found architecture, or that of the last event of `kind`."""
    finished = [each["branch"] for each in history if each["kind"] == "run-finished"]
    heard = [each["branch"] for each in history if each["kind"] == kind]
    return next(iter([*finished[-1:], *heard[-1:]]), None)


def changes_of(decisions: Sequence[str]) -> list[bool]:
    """For each epoch but the first, whether its decision is another than the one before.

    >>> changes_of(["a", "a", "b"])
    [False, True]
    """
    return [one != other for one, other in pairwise(decisions)]
