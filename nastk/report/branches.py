"""Which branch came from which, read from a run's events: `lineage`, for the trees of a report.

Any updater that splits has one: the trainer records every split with the subspaces of the children.
One that measured how far operations are apart adds its distances (`SplitReport`). Next: `tree.py`
shows a lineage in the terminal.
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
    """Where a branch split: the edge that was divided, and one group of operations for each child.

    `edge` is a name; what was divided otherwise (several edges, none) is told by `edge` alone and
    `groups` are empty. `value` is what the updater compared edges by: the distance between groups,
    or within them where `within`. `distances` are those of `operations`; None: not measured.
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
    """One branch of a run: the epochs it trained, the split that made it, the one that ended it.

    Accuracies are fractions (0..1): `train` of its last epoch, `valid` of the leaf's decision.
    `fresh` says that it began with new weights, `chosen` that the run's architecture is its own.
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
        """The epochs it trained, in words: `3–4`, `3`, or nothing."""
        if self.first is None:
            return ""
        return f"{self.first}" if self.first == self.last else f"{self.first}–{self.last}"


@dataclass(frozen=True)
class Lineage:
    """The branches of a run by name, parents before children, children in their order."""

    branches: Mapping[str, BranchRecord]

    @property
    def root(self) -> BranchRecord:
        """The branch that the run began as."""
        return next(iter(self.branches.values()))

    @property
    def leaves(self) -> list[BranchRecord]:
        """The branches that did not split."""
        return [each for each in self.branches.values() if not each.children]

    def children(self, branch: BranchRecord) -> list[BranchRecord]:
        """What a branch split into."""
        return [self.branches[name] for name in branch.children]

    def chosen(self) -> list[str]:
        """The names on the way from the root to the chosen leaf; empty where none is chosen yet."""
        found = [each.name for each in self.branches.values() if each.chosen]
        while found and (parent := self.branches[found[0]].parent) is not None:
            found.insert(0, parent)
        return found


def lineage(history: Sequence[Event], architecture: Any = None) -> Lineage | None:
    """The lineage of a run's branches; None where it never split.

    Args:
        history: the run's events.
        architecture: its JSON object, which names edges and operations where no updater does;
            numbers stand for names without it.

    Example: `lineage(folder.events(), folder.result()["architecture"])`
    """
    splits = [
        event
        for event in history
        if event.get("kind") == "branch-continued" and len(event.get("children", ())) > 1
    ]
    if not splits:
        return None
    known = {
        (event["branch"], event["epoch"]): report
        for event in history
        if (report := SplitReport.read(event)) is not None
    }
    records: dict[str, BranchRecord] = {}
    for event in splits:
        name = str(event["branch"])
        report = known.get((event["branch"], event["epoch"]))
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
    root = next(each for each in records.values() if each.parent is None)
    return Lineage({each.name: each for each in _walk(records, root)})


def _reports(history: Sequence[Event], topic: str) -> list[Event]:
    return [
        event
        for event in history
        if event.get("kind") == "updater-reported" and event.get("topic") == topic
    ]


def _walk(records: Mapping[str, BranchRecord], start: BranchRecord) -> Iterator[BranchRecord]:
    yield start
    for child in start.children:
        yield from _walk(records, records[child])


def _reported(event: Event, report: SplitReport | None) -> BranchSplit | None:
    """The split as the updater reported it; None if that is not the one that the trainer made."""
    if report is None or not report.edge or len(report.groups) != len(event["children"]):
        return None
    edge: Event = next((each for each in report.edges if each["edge"] == report.edge), {})
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
    """The split that the subspaces of the children tell: on the one edge where they differ."""
    tables, epoch = event["subspaces"], int(event["epoch"])
    rows = [row for row, each in enumerate(zip(*tables, strict=True)) if len(set(each)) > 1]
    if len(rows) != 1:
        return BranchSplit(epoch, f"{len(rows)} edges" if rows else "", ())
    row = rows[0]
    name, operations = f"edge {row}", [str(column) for column in range(len(tables[0][row]))]
    if len(edges) == len(tables[0]):
        name, operations = edges[row][0], list(edges[row][1])
    groups = tuple(
        tuple(word for word, sign in zip(operations, table[row], strict=False) if sign == "1")
        for table in tables
    )
    alive = tuple(word for word in operations if any(word in group for group in groups))
    return BranchSplit(epoch, name, groups, alive)


def _edges(architecture: Any) -> Edges:
    """The edges that an architecture's JSON object names; none where it is none."""
    rows = architecture.get("edges", ()) if isinstance(architecture, Mapping) else ()
    return [(str(row["name"]), row["operations"]) for row in rows]


def _add_epochs(records: dict[str, BranchRecord], history: Sequence[Event]) -> None:
    for event in history:
        record = records.get(str(event.get("branch")))
        if event.get("kind") == "epoch-done" and record is not None:
            first = record.first if record.first is not None else int(event["epoch"])
            records[record.name] = replace(
                record, first=first, last=int(event["epoch"]), train=float(event["accuracy"])
            )


def _add_leaves(records: dict[str, BranchRecord], history: Sequence[Event]) -> None:
    """What the end of the run says: each leaf's accuracy, and which leaf is the run's."""
    for event in _reports(history, "leaves"):
        metric = next((name for name in event["values"] if name.endswith("accuracy")), "")
        for name, accuracy in event["values"].get(metric, {}).items():
            if name in records:
                records[name] = replace(records[name], valid=float(accuracy))
    for event in history:
        name = str(event.get("branch"))
        if event.get("kind") == "run-finished" and name in records:
            records[name] = replace(records[name], chosen=True)
