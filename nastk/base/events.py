"""The events of a run: frozen values that progress bars, files and notebooks all receive.

They come in this order: `RunStarted`; for each epoch of each branch `StepDone` (after some of the
steps), `UpdaterWorking` and `UpdaterReported` (from inside the updater), `EpochDone`, `Watched`,
`Ranked` (if ranking quality is measured) and `BranchContinued`; at the end `Evaluated` for each
evaluator and `RunFinished`. Events that only show progress are `transient`: observers receive them,
but they are not written to `events.jsonl`. That file therefore holds the same lines whether a run
was interrupted or not, except for the fields named `seconds` and `cpu_seconds`. Images and seconds
in events are those of the search, without those of watchers and evaluators.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar

from nastk.base.renamed import renamed_fields

if TYPE_CHECKING:  # the command line shows events without waiting for torch
    from torch import Tensor


def table_to_json(table: "Tensor") -> list[list[float | None]]:
    """Returns a table (rows x columns) as JSON lists, with None for numbers that are not finite."""
    return [[value if isfinite(value) else None for value in row] for row in table.tolist()]


@dataclass(frozen=True)
class Event:
    """The base class of all events.

    `epoch` and `step` count the finished epochs and weight steps of the branch called `branch`.

    Example: `EpochDone("0", epoch=1, step=50, loss=2.1).to_json()["kind"]` is `"epoch-done"`.
    """

    kind: ClassVar[str] = "event"
    transient: ClassVar[bool] = False

    branch: str
    epoch: int
    step: int

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON object with the event's kind and its fields."""
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
    """Some more weight steps are done.

    `loss` and `accuracy` (0..1) are means over the epoch so far.
    """

    kind: ClassVar[str] = "step-done"
    transient: ClassVar[bool] = True
    loss: float = 0.0
    accuracy: float = 0.0
    steps_per_epoch: int = 0


@dataclass(frozen=True)
class UpdaterWorking(Event):
    """The updater has done `done` of `total` parts of a long task; progress bars show `message`."""

    kind: ClassVar[str] = "updater-working"
    transient: ClassVar[bool] = True
    message: str = ""
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class EvaluatorWorking(UpdaterWorking):
    """An evaluator has done a part of a long task, such as an epoch of training from scratch."""

    kind: ClassVar[str] = "evaluator-working"


@dataclass(frozen=True)
class UpdaterReported(Event):
    """A report of the updater for the record: a topic and JSON values (scores, errors, lineage)."""

    kind: ClassVar[str] = "updater-reported"
    topic: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SplitReport:
    """A report of an updater on a split of a subspace: the values of a report on topic `split`.

    `edge` is the name of the edge that was split. `groups` are the operations of that edge that
    each child keeps, in the order of the children. `value` is the distance between the groups by
    which edges were compared (within the groups if `within`); None if nothing was measured. `edges`
    are all edges that were considered, as mappings with the name `edge`, its `operations` and their
    `distances` (None: not measured).

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
        """Returns the report in a line of `events.jsonl`; None if it is no report on a split."""
        values = event.get("values")
        # In runs of earlier versions the topic is the updater's name, so the keys decide.
        if event.get("kind") != UpdaterReported.kind or not isinstance(values, Mapping):
            return None
        if not {"edge", "groups", "edges"} <= set(values):
            return None
        within = values.get("within", values.get("rule") == "smallest-within")
        return cls(values["edge"], values["groups"], values.get("value"), within, values["edges"])


@dataclass(frozen=True)
class EvaluationReport:
    """A report of an updater on an evaluated architecture: values of a report on `evaluation`.

    `number` counts the evaluations of the run from 1. `value` is the `metric` of `evaluator` that
    is searched by (larger is better; None where the evaluation failed), `best` the largest so far.
    `repeats` counts the proposals just before that were known already and cost nothing.
    `individuals` are the evaluated architecture and the best so far as a population (see
    `nastk draw --lineage`): mappings with `number`, `parents`, `fresh`, `fitness`, `architecture`.

    Example: `probe.report(EvaluationReport.topic, **asdict(EvaluationReport(1, "a|b", "table")))`
    """

    topic: ClassVar[str] = "evaluation"

    number: int
    architecture: str
    evaluator: str
    metric: str = ""
    value: float | None = None
    best: float | None = None
    repeats: int = 0
    individuals: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> "EvaluationReport | None":
        """Returns the report in a line of `events.jsonl`; None if it is no such report."""
        values = event.get("values")
        if event.get("kind") != UpdaterReported.kind or event.get("topic") != cls.topic:
            return None
        if not isinstance(values, Mapping) or not {"number", "metric", "value"} <= set(values):
            return None
        return cls(**{name: values[name] for name in cls.__dataclass_fields__ if name in values})


@dataclass(frozen=True)
class EpochDone(Event):
    """An epoch of a branch is finished.

    `loss` and `accuracy` (0..1) are means over the training images of the epoch; they and
    `learning_rate` are None for an updater that trains no supernet. `architecture` is the present
    decision. Images and seconds are those of the search so far, `cpu_seconds` those that the CPU
    computed.
    """

    kind: ClassVar[str] = "epoch-done"
    loss: float | None = 0.0
    accuracy: float | None = 0.0
    learning_rate: float | None = 0.0
    architecture: str = ""
    images_forward: int = 0
    images_backward: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0


@dataclass(frozen=True)
class Watched(Event):
    """Diagnostics of the decision after an epoch; `diagnostics.py` explains the numbers.

    `parameter_free` is the share (0..1) of the chosen operations that have no parameters. `entropy`
    is the normalised entropy of the mixing weights (1 is uniform; None for single paths). `scores`
    are the updater's scores (edges x operations; None if it has none). `warnings` are mappings with
    a name and a message.
    """

    kind: ClassVar[str] = "watched"
    parameter_free: float = 0.0
    entropy: float | None = None
    scores: Sequence[Sequence[float | None]] | None = None
    warnings: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True)
class LookedUp(Event):
    """What an evaluator that only looks architectures up says of the decision after an epoch.

    `metrics` are those of its evaluation, such as the accuracy in a benchmark's table.
    """

    kind: ClassVar[str] = "looked-up"
    evaluator: str = ""
    metrics: Mapping[str, float | int] = field(default_factory=dict)


ONE_TRAINING = "one_training"
"""The ranking by one training of each architecture, whose truth is the mean of the others."""


@renamed_fields(judge="evaluator")
@dataclass(frozen=True)
class Ranked(Event):
    """Ranking quality after an epoch.

    `by` maps the kind of the predictions (`scores`, `supernet`) to an `Agreement` as JSON, or None.
    The `metric` of `evaluator` is the true accuracy.
    """

    kind: ClassVar[str] = "ranked"
    evaluator: str = ""
    metric: str = ""
    by: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)


@renamed_fields(heirs="children")
@dataclass(frozen=True)
class BranchContinued(Event):
    """The branch shrank, split or ended.

    `children` and `subspaces` are the names and subspaces of its children (empty: it ended);
    `fresh` is True for a child that starts with new weights. `schedules` are the restarted learning
    rate schedules of the children, as JSON: None for a child whose schedule goes on, empty if all
    schedules go on.
    """

    kind: ClassVar[str] = "branch-continued"
    children: Sequence[str] = ()
    subspaces: Sequence[Sequence[str]] = ()
    fresh: Sequence[bool] = ()
    schedules: Sequence[Mapping[str, Any] | None] = ()


@dataclass(frozen=True)
class CheckpointSaved(Event):
    """A checkpoint was written to `path`: the run can be resumed from this step."""

    kind: ClassVar[str] = "checkpoint-saved"
    transient: ClassVar[bool] = True
    path: str = ""


@dataclass(frozen=True)
class Evaluated(Event):
    """An evaluator returned its metrics for the architecture of the run."""

    kind: ClassVar[str] = "evaluated"
    evaluator: str = ""
    metrics: Mapping[str, float | int] = field(default_factory=dict)


@dataclass(frozen=True)
class RunFinished(Event):
    """The search is over: the architecture as the text of its space, and its canonical id."""

    kind: ClassVar[str] = "run-finished"
    architecture: str = ""
    architecture_id: str = ""
    images_forward: int = 0
    images_backward: int = 0
    seconds: float = 0.0
