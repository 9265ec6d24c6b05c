"""The branches of a run that split, as a tree in the terminal: `Tree`, a line for each branch.

    branch   epochs  edge       operations           distance    train    valid
    0           1–2                                            61.00 %
    ├─ 0.0      3–4  cell:0->1  none, skip_connect       2.31  68.20 %  66.10 %
    └─ 0.1      3–4  cell:0->1  conv_1x1, conv_3x3       2.31  70.40 %  69.30 %  ◀

Where the terminal is too narrow for that, edge and operations stand below their branch.
"""

from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from nastk.report.ascii import Plain
from nastk.report.branches import BranchRecord, Lineage
from nastk.report.curves import branch_tree
from nastk.report.families import family
from nastk.report.numbers import percent

CHOSEN = "bold green"
"""How the branch of the run's architecture stands out."""


class Tree:
    """A lineage as a tree: epochs, edge, group, distance and accuracies of every branch.

    Example: `rich.print(Tree(lineage(folder.events())))`
    """

    def __init__(self, branches: Lineage) -> None:
        self._branches = branches
        records = branches.branches.values()
        self._measured = [each for each in records if each.split and each.split.value is not None]
        self._judged = any(each.valid is not None for each in records)
        self._guides = branch_tree(list(branches.branches))

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        beside, room = self._beside(), options.max_width
        needed = Measurement.get(console, options.update_width(10_000), beside).maximum
        yield Plain(beside if needed <= room else self._below(console, room))
        if any(each.chosen for each in self._branches.leaves):
            why = ": the most accurate leaf on the valid split" if self._by_accuracy() else ""
            yield Plain(Text(f"◀ the branch of the architecture{why}", "dim"))

    def _by_accuracy(self) -> bool:
        """True if the chosen leaf is the most accurate; an evaluator may go by something else."""
        leaves = self._branches.leaves
        known = [each.valid for each in leaves if each.valid is not None]
        return any(each.chosen and each.valid == max(known) for each in leaves if known)

    # ------------------------------------------------------------------ the two forms

    def _beside(self) -> RenderableType:
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
        headings = self._headings()
        for number, heading in enumerate([*headings[:2], "edge", "operations", *headings[2:]]):
            table.add_column(
                heading,
                justify="left" if number in (0, 2, 3) or not heading else "right",
                no_wrap=True,
            )
        for name, guide in self._guides:
            record = self._branches.branches[name]
            row = self._row(name, guide)
            table.add_row(*row[:2], Text(self._edge(record)), _operations(record), *row[2:])
        return table

    def _below(self, console: Console, room: int) -> RenderableType:
        """A grid of one column, whose lines are put together here: a branch, then its group."""
        rows = [[Text(each, "dim") for each in self._headings()]]
        rows += [self._row(name, guide) for name, guide in self._guides]
        widths = [max(line[place].cell_len for line in rows) for place in range(len(rows[0]))]
        grid = Table.grid()
        grid.add_column(no_wrap=True)
        grid.add_row(_joined(rows[0], widths))
        for (name, _), lead, row in zip(self._guides, self._leads(), rows[1:], strict=True):
            grid.add_row(_joined(row, widths))
            record = self._branches.branches[name]
            if record.origin is None:
                continue
            words = Text.assemble((f"{self._edge(record)}  ", "dim"), _operations(record))
            for line in words.wrap(console, max(room - cell_len(lead), 8)):
                line.rstrip()
                grid.add_row(Text.assemble((lead, "dim"), line))
        return grid

    def _leads(self) -> list[str]:
        """The lines of the tree that pass below each branch."""
        depth = {name: cell_len(guide) for name, guide in self._guides}
        found = []
        for number, (name, guide) in enumerate(self._guides):
            lead = guide.replace("├─ ", "│  ").replace("└─ ", "   ")
            below = [depth[other] for other, _ in self._guides[number + 1 : number + 2]]
            found.append(lead + ("│  " if below and below[0] > depth[name] else "   "))
        return found

    # ------------------------------------------------------------------ columns

    def _headings(self) -> list[str]:
        within = any(each.split and each.split.within for each in self._measured)
        distance = ["within" if within else "distance"] if self._measured else []
        return ["branch", "epochs", *distance, "train", *(["valid"] if self._judged else []), ""]

    def _row(self, name: str, guide: str) -> list[Text]:
        """What stands in the columns of `_headings` for one branch."""
        record = self._branches.branches[name]
        style = CHOSEN if record.chosen else ""
        found = [Text.assemble((guide, "dim"), (name, style)), Text(record.epochs)]
        if self._measured:
            value = record.origin.value if record.origin else None
            found.append(Text("" if value is None else f"{value:.2f}"))
        found.append(_accuracy(record.train, ""))
        if self._judged:
            found.append(_accuracy(record.valid, style))
        return [*found, Text("◀" if record.chosen else "", style)]

    @staticmethod
    def _edge(record: BranchRecord) -> str:
        return record.origin.edge if record.origin else ""


def _operations(record: BranchRecord) -> Text:
    """The operations of a branch's group in their colours."""
    words = [Text(each, family(each).terminal) for each in record.group]
    return Text(", ").join(words)


def _accuracy(value: float | None, style: str) -> Text:
    return Text("" if value is None else percent(value), style)


def _joined(row: list[Text], widths: list[int]) -> Text:
    """One line of cells: the branch to the left, numbers to the right."""
    line = Text()
    for place, (cell, width) in enumerate(zip(row, widths, strict=True)):
        gap = " " * (width - cell.cell_len)
        line = Text.assemble(
            line, "  " if place else "", *((cell, gap) if not place else (gap, cell))
        )
    line.rstrip()
    return line
