"""What happens in a run, as frozen values that progress bars, files and notebooks all hear.

In the order of a run: `RunStarted`, then for each epoch of each branch `StepDone` (now and then),
`UpdaterWorking` and `UpdaterReported` (from inside the updater), `EpochDone`, `Watched`, `Ranked`
(where asked for), `BranchContinued`; at the end `Evaluated` for each evaluator and `RunFinished`.
Events that only show progress are `transient`: they reach observers but are not written to
`events.jsonl`, which therefore holds the same lines whether a run was interrupted or not (but for
the fields named `seconds`). Images and seconds in events are those of the search, not of judging.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar

from nastk.base.renamed import renamed_fields

if TYPE_CHECKING:  # the command line shows events without waiting for torch
    from torch import Tensor


def table_to_json(table: "Tensor") -> list[list[float | None]]:
    """A table of numbers (rows x columns) as JSON: None where there is no finite number."""
    return [[value if isfinite(value) else None for value in row] for row in table.tolist()]


@dataclass(frozen=True)
class Event:
    """Base of all events; `branch`, `epoch` and `step` say where, both counted when finished."""

    kind: ClassVar[str] = "event"
    transient: ClassVar[bool] = False

    branch: str
    epoch: int
    step: int

    def to_json(self) -> dict[str, Any]:
        """A JSON object with the event's kind and its fields."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class RunStarted(Event):
    """The run is assembled and training begins. `config` is the resolved configuration."""

    kind: ClassVar[str] = "run-started"
    epochs: int = 0
    steps_per_epoch: int = 0
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StepDone(Event):
    """Some weight steps are taken; `loss` and `accuracy` (0..1) are means over the epoch so far."""

    kind: ClassVar[str] = "step-done"
    transient: ClassVar[bool] = True
    loss: float = 0.0
    accuracy: float = 0.0
    steps_per_epoch: int = 0


@dataclass(frozen=True)
class UpdaterWorking(Event):
    """The updater is at piece `done` of `total` of something long, in words for a progress bar."""

    kind: ClassVar[str] = "updater-working"
    transient: ClassVar[bool] = True
    message: str = ""
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class EvaluatorWorking(UpdaterWorking):
    """The same of an evaluator, such as an epoch of a training from scratch."""

    kind: ClassVar[str] = "evaluator-working"


@dataclass(frozen=True)
class UpdaterReported(Event):
    """Something the updater wants on record: a topic and JSON values (scores, errors, lineage)."""

    kind: ClassVar[str] = "updater-reported"
    topic: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SplitReport:
    """What an updater says of a split it makes, for trees: values of a report on topic `split`.

    `groups` are the operations of `edge` that each child keeps, in the order of the children.
    `value` is what edges were compared by, None where nothing was measured: a distance between the
    groups, or within them where `within`. `edges` are all that were considered: the name `edge`,
    its `operations` and their `distances` (None: not measured).

    Example: `probe.report(SplitReport.topic, **asdict(SplitReport("edge 0", (("a",), ("b",)))))`
    """

    topic: ClassVar[str] = "split"

    edge: str | None
    groups: Sequence[Sequence[str]] = ()
    value: float | None = None
    within: bool = False
    edges: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> "SplitReport | None":
        """The report in a line of `events.jsonl`; None if the line is no report of a split."""
        values = event.get("values")
        # Runs of earlier versions have a topic named after the updater: the keys tell.
        if event.get("kind") != UpdaterReported.kind or not isinstance(values, Mapping):
            return None
        if not {"edge", "groups", "edges"} <= set(values):
            return None
        within = values.get("within", values.get("rule") == "smallest-within")
        return cls(values["edge"], values["groups"], values.get("value"), within, values["edges"])


@dataclass(frozen=True)
class EpochDone(Event):
    """An epoch of a branch is trained: mean training loss, accuracy (0..1), decision as of now."""

    kind: ClassVar[str] = "epoch-done"
    loss: float = 0.0
    accuracy: float = 0.0
    learning_rate: float = 0.0
    architecture: str = ""
    images_forward: int = 0
    images_backward: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Watched(Event):
    """What the decision after an epoch is like; `diagnostics.py` explains the numbers.

    `parameter_free` is the share (0..1) of chosen operations without parameters, `entropy` that of
    the mixing weights (1 is uniform; None for single paths), `scores` how the updater rates the
    operations (edges x operations; None where it does not), `warnings` (name, message) each.
    """

    kind: ClassVar[str] = "watched"
    parameter_free: float = 0.0
    entropy: float | None = None
    scores: Sequence[Sequence[float | None]] | None = None
    warnings: Sequence[Mapping[str, str]] = ()


@renamed_fields(judge="evaluator")
@dataclass(frozen=True)
class Ranked(Event):
    """Ranking quality after an epoch, by kind (`scores`, `supernet`): `Agreement` as JSON, or None.

    `evaluator` and `metric` say whose accuracy is the truth.
    """

    kind: ClassVar[str] = "ranked"
    evaluator: str = ""
    metric: str = ""
    by: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)


@renamed_fields(heirs="children")
@dataclass(frozen=True)
class BranchContinued(Event):
    """The branch shrank, split or ended: the names and subspaces of its children (none: it ended).

    `schedules` are the learning rates that begin anew, as JSON; None for a child whose rate goes
    on, empty where all do.
    """

    kind: ClassVar[str] = "branch-continued"
    children: Sequence[str] = ()
    subspaces: Sequence[Sequence[str]] = ()
    fresh: Sequence[bool] = ()
    schedules: Sequence[Mapping[str, Any] | None] = ()


@dataclass(frozen=True)
class CheckpointSaved(Event):
    """Everything up to here can be resumed."""

    kind: ClassVar[str] = "checkpoint-saved"
    transient: ClassVar[bool] = True
    path: str = ""


@dataclass(frozen=True)
class Evaluated(Event):
    """An evaluator judged the architecture of the run."""

    kind: ClassVar[str] = "evaluated"
    evaluator: str = ""
    metrics: Mapping[str, float | int] = field(default_factory=dict)


@dataclass(frozen=True)
class RunFinished(Event):
    """The search is over: the architecture as its space's text, and its canonical id."""

    kind: ClassVar[str] = "run-finished"
    architecture: str = ""
    architecture_id: str = ""
    images_forward: int = 0
    images_backward: int = 0
    seconds: float = 0.0
