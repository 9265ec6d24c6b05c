"""The branches of a run and their parents, read from its events: `lineage`.

Every run that splits has a lineage, as the trainer records each split with the subspaces of the
children. An updater that measures distances between operations reports them too (`SplitReport`).
`tree.py` shows a lineage in the terminal.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nastk.base.events import SplitReport

Event = Mapping[str, Any]
Edges = Sequence[tuple[str, Sequence[str]]]
"""Names of edges with those of their operations, in the order of a subspace."""


@dataclass(frozen=True)
class BranchSplit:
    """A split of a branch: the edge that was divided, and a group of operations for each child.

    `edge` is the edge's name. Where several edges were divided, or none, `edge` says so in words
    and `groups` is empty. `value` is the quantity by which the updater compared edges: the distance
    between groups, or within them where `within` is set. `distances` is the table of distances
    between `operations` (operations x operations); None: not measured.
    """

    epoch: int
    edge: str
    groups: tuple[tuple[str, ...], ...]
    operations: tuple[str, ...] = ()
    value: float | None = None
    within: bool = False
    distances: tuple[tuple[float, ...], ...] | None = None


@dataclass(frozen=True)
class BranchRecord:
    """A branch of a run: its epochs `first` to `last`, its `origin` split and its own `split`.

    Accuracies are fractions (0..1): `train` of its last epoch, `valid` of the leaf's decision.
    `fresh` says that the branch began with new weights, `chosen` that it made the run's decision.
    """

    name: str
    parent: str | None = None
    group: tuple[str, ...] = ()
    origin: BranchSplit | None = None
    split: BranchSplit | None = None
    children: tuple[str, ...] = ()
    first: int | None = None
    last: int | None = None
    train: float | None = None
    valid: float | None = None
    fresh: bool = False
    chosen: bool = False

    @property
    def epochs(self) -> str:
        """The epochs of the branch in words: `3–4`, `3`, or nothing."""
        if self.first is None:
            return ""
        return f"{self.first}" if self.first == self.last else f"{self.first}–{self.last}"


@dataclass(frozen=True)
class Lineage:
    """The branches of a run by name, parents before children, children in their order."""

    branches: Mapping[str, BranchRecord]

    @property
    def root(self) -> BranchRecord:
        """The first branch of the run."""
        return next(iter(self.branches.values()))

    @property
    def leaves(self) -> list[BranchRecord]:
        """The branches that did not split."""
        return [branch for branch in self.branches.values() if not branch.children]

    def children(self, branch: BranchRecord) -> list[BranchRecord]:
        """Returns the children of a branch, in their order."""
        return [self.branches[name] for name in branch.children]

    def chosen(self) -> list[str]:
        """Returns the names on the path from the root to the chosen leaf; empty without one."""
        names = [branch.name for branch in self.branches.values() if branch.chosen]
        while names and (parent := self.branches[names[0]].parent) is not None:
            names.insert(0, parent)
        return names


def lineage(history: Sequence[Event], architecture: Any = None) -> Lineage | None:
    """Returns the lineage of a run's branches; None for a run that never split.

    Args:
        history: the run's events.
        architecture: the JSON object of the run's architecture. It names edges and operations where
            the updater did not report them; without it they are numbered.

    Example: `lineage(folder.events(), folder.result()["architecture"])`
    """
    splits = [
        event
        for event in history
        if event.get("kind") == "branch-continued" and len(event.get("children", ())) > 1
    ]
    if not splits:
        return None
    reports = {
        (event["branch"], event["epoch"]): report
        for event in history
        if (report := SplitReport.read(event)) is not None
    }
    records: dict[str, BranchRecord] = {}
    for event in splits:
        name = str(event["branch"])
        report = reports.get((event["branch"], event["epoch"]))
        split = _reported(event, report) or _derived(event, _edges(architecture))
        records[name] = replace(
            records.get(name, BranchRecord(name)), split=split, children=tuple(event["children"])
        )
        for number, child in enumerate(event["children"]):
            group = split.groups[number] if split.groups else ()
            fresh = bool(event["fresh"][number])
            records[child] = BranchRecord(child, name, group, split, fresh=fresh)
    _add_epochs(records, history)
    _add_leaves(records, history)
    root = next(record for record in records.values() if record.parent is None)
    return Lineage({record.name: record for record in _walk(records, root)})


def _reports(history: Sequence[Event], topic: str) -> list[Event]:
    """Returns the updater's reports on a topic."""
    return [
        event
        for event in history
        if event.get("kind") == "updater-reported" and event.get("topic") == topic
    ]


def _walk(records: Mapping[str, BranchRecord], start: BranchRecord) -> Iterator[BranchRecord]:
    """Yields `start` and its descendants, parents before children."""
    yield start
    for child in start.children:
        yield from _walk(records, records[child])


def _reported(event: Event, report: SplitReport | None) -> BranchSplit | None:
    """Returns the split that the updater reported; None where the trainer made another one."""
    if report is None or not report.edge or len(report.groups) != len(event["children"]):
        return None
    edge: Event = next((row for row in report.edges if row["edge"] == report.edge), {})
    table, groups = edge.get("distances"), tuple(map(tuple, report.groups))
    return BranchSplit(
        int(event["epoch"]),
        str(report.edge),
        groups,
        tuple(edge.get("operations") or [name for group in groups for name in group]),
        None if report.value is None else float(report.value),
        report.within,
        None if table is None else tuple(tuple(map(float, row)) for row in table),
    )


def _derived(event: Event, edges: Edges) -> BranchSplit:
    """Returns the split derived from the children's subspaces: at the edge in which they differ.

    A child's subspace has a text for each edge, with a 1 for each alive operation, else a 0.
    """
    tables, epoch = event["subspaces"], int(event["epoch"])  # tables: children x edges
    rows = [row for row, texts in enumerate(zip(*tables, strict=True)) if len(set(texts)) > 1]
    if len(rows) != 1:
        return BranchSplit(epoch, f"{len(rows)} edges" if rows else "", ())
    row = rows[0]
    name, operations = f"edge {row}", [str(column) for column in range(len(tables[0][row]))]
    if len(edges) == len(tables[0]):
        name, operations = edges[row][0], list(edges[row][1])
    groups = tuple(
        tuple(
            operation
            for operation, sign in zip(operations, table[row], strict=False)
            if sign == "1"
        )
        for table in tables
    )
    alive = tuple(
        operation for operation in operations if any(operation in group for group in groups)
    )
    return BranchSplit(epoch, name, groups, alive)


def _edges(architecture: Any) -> Edges:
    """Returns the edges in an architecture's JSON object; none for any other value."""
    rows = architecture.get("edges", ()) if isinstance(architecture, Mapping) else ()
    return [(str(row["name"]), row["operations"]) for row in rows]


def _add_epochs(records: dict[str, BranchRecord], history: Sequence[Event]) -> None:
    """Add to the records their first and last epochs, and the accuracy of the last."""
    for event in history:
        record = records.get(str(event.get("branch")))
        if event.get("kind") == "epoch-done" and record is not None:
            first = record.first if record.first is not None else int(event["epoch"])
            accuracy = event["accuracy"]
            records[record.name] = replace(
                record,
                first=first,
                last=int(event["epoch"]),
                train=None if accuracy is None else float(accuracy),
            )


def _add_leaves(records: dict[str, BranchRecord], history: Sequence[Event]) -> None:
    """Add to the records the leaves' accuracies, and which leaf made the run's decision."""
    for event in _reports(history, "leaves"):
        metric = next((name for name in event["values"] if name.endswith("accuracy")), "")
        for name, accuracy in event["values"].get(metric, {}).items():
            if name in records:
                records[name] = replace(records[name], valid=float(accuracy))
    for event in history:
        name = str(event.get("branch"))
        if event.get("kind") == "run-finished" and name in records:
            records[name] = replace(records[name], chosen=True)
