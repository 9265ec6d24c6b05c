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
"""The style of the branch that made the run's decision."""


class Tree:
    """Renders a lineage as a tree: epochs, edge, group, distance and accuracies of every branch.

    Example: `rich.print(Tree(lineage(folder.events())))`
    """

    def __init__(self, branches: Lineage) -> None:
        self._branches = branches
        records = branches.branches.values()
        self._measured = [
            record for record in records if record.split and record.split.value is not None
        ]
        self._evaluated = any(record.valid is not None for record in records)
        self._guides = branch_tree(list(branches.branches))

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        beside, room = self._beside(), options.max_width
        needed = Measurement.get(console, options.update_width(10_000), beside).maximum
        yield Plain(beside if needed <= room else self._below(console, room))
        if any(leaf.chosen for leaf in self._branches.leaves):
            why = ": the most accurate leaf on the valid split" if self._by_accuracy() else ""
            yield Plain(Text(f"◀ the branch of the architecture{why}", "dim"))

    def _by_accuracy(self) -> bool:
        """True if the chosen leaf is the most accurate; another metric may have decided."""
        leaves = self._branches.leaves
        known = [leaf.valid for leaf in leaves if leaf.valid is not None]
        return any(leaf.chosen and leaf.valid == max(known) for leaf in leaves if known)

    # ------------------------------------------------------------------ wide and narrow layout

    def _beside(self) -> RenderableType:
        """Returns the tree with edge and operations in columns of their own."""
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
        """Returns the tree with edge and operations in lines below their branch.

        The lines are put together here, as rich has no cells that span columns.
        """
        rows = [[Text(heading, "dim") for heading in self._headings()]]
        rows += [self._row(name, guide) for name, guide in self._guides]
        widths = [max(line[column].cell_len for line in rows) for column in range(len(rows[0]))]
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
        """Returns the vertical lines of the tree that are drawn below each branch."""
        depth = {name: cell_len(guide) for name, guide in self._guides}
        leads = []
        for number, (name, guide) in enumerate(self._guides):
            lead = guide.replace("├─ ", "│  ").replace("└─ ", "   ")
            below = [depth[following] for following, _ in self._guides[number + 1 : number + 2]]
            leads.append(lead + ("│  " if below and below[0] > depth[name] else "   "))
        return leads

    # ------------------------------------------------------------------ columns

    def _headings(self) -> list[str]:
        """Returns the headings of all columns but edge and operations."""
        within = any(record.split and record.split.within for record in self._measured)
        distance = ["within" if within else "distance"] if self._measured else []
        return ["branch", "epochs", *distance, "train", *(["valid"] if self._evaluated else []), ""]

    def _row(self, name: str, guide: str) -> list[Text]:
        """Returns the cells of one branch, in the columns of `_headings`."""
        record = self._branches.branches[name]
        style = CHOSEN if record.chosen else ""
        cells = [Text.assemble((guide, "dim"), (name, style)), Text(record.epochs)]
        if self._measured:
            value = record.origin.value if record.origin else None
            cells.append(Text("" if value is None else f"{value:.2f}"))
        cells.append(_accuracy(record.train, ""))
        if self._evaluated:
            cells.append(_accuracy(record.valid, style))
        return [*cells, Text("◀" if record.chosen else "", style)]

    @staticmethod
    def _edge(record: BranchRecord) -> str:
        return record.origin.edge if record.origin else ""


def _operations(record: BranchRecord) -> Text:
    """Returns the operations of a branch's group in their colours."""
    words = [Text(operation, family(operation).terminal) for operation in record.group]
    return Text(", ").join(words)


def _accuracy(value: float | None, style: str) -> Text:
    return Text("" if value is None else percent(value), style)


def _joined(row: list[Text], widths: list[int]) -> Text:
    """Returns a row as one line: the branch is aligned to the left, numbers to the right."""
    line = Text()
    for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
        gap = " " * (width - cell.cell_len)
        line = Text.assemble(
            line, "  " if column else "", *((cell, gap) if not column else (gap, cell))
        )
    line.rstrip()
    return line
