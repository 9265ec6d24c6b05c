"""The picture of a run's branches.

From left to right: a branch is a card with the operations of its group; the label of a fork names
the divided edge and the distance between its groups; the table of distances is below the branch
that split; the leaves end in bars of their accuracy. `tree_layout.py` computes the positions,
`tree_cards.py` texts and sizes, `heat.py` draws the tables.
"""

from typing import TYPE_CHECKING

from nastk.report import BranchRecord, BranchSplit, Lineage, family, percent, readable
from nastk_drawing import canvas
from nastk_drawing import tree_cards as cards
from nastk_drawing.canvas import BORDER, INK, LINE, MARGIN, NODE_EDGE, PADDING, PANEL, SOFT
from nastk_drawing.heat import draw_heat, shade, span
from nastk_drawing.tree_layout import HANG, TreeLayout, placed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHOSEN = "#2F7D4F"
"""The colour of the lines to the chosen leaf, whose card is filled as a cell's output."""
BAR, BAR_GAP, BAR_TEXT, SCALE = 110.0, 20.0, 92.0, 34.0
"""Points: a full bar, the gap before it, its text behind it, and the height of the scale above."""
SCALES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)


def picture(
    branches: Lineage, *, title: str | None = None, subtitle: str | None = None
) -> "Figure":
    """Returns the picture as a matplotlib `Figure` outside pyplot; arguments as for `draw_tree`."""
    layout = placed(branches, cards.card_size, cards.hanging_size, cards.label_size)
    bars = cards.accuracies(branches)
    tree_width = layout.width + (BAR_GAP + BAR + BAR_TEXT if bars else 0.0)
    inner = max(
        tree_width,
        canvas.text_width(title or "", 15.0, "bold") - 2 * PADDING,
        canvas.text_width(subtitle or "", 9.5) - 2 * PADDING,
        _key_width(branches) - 2 * PADDING,
    )
    width = inner + 2 * (PADDING + MARGIN)
    rows = canvas.legend_rows(cards.families_of(branches), width - 2 * MARGIN)
    head = (24.0 if title else 0.0) + (18.0 if subtitle else 0.0)
    panel = layout.height + 2 * PADDING + (SCALE if bars else 0.0)
    height = 2 * MARGIN + head + panel + 14.0 + 18.0 * (len(rows) + 1) - 8.0
    figure, axes = canvas.page(width, height)
    top = canvas.headline(axes, height - MARGIN, title, subtitle)
    canvas.rectangle(axes, MARGIN, top - panel, inner + 2 * PADDING, panel, PANEL, BORDER, 8.0, 0)
    shift = (MARGIN + PADDING + (inner - tree_width) / 2, top - panel + PADDING)
    _Drawing(axes, branches, layout, shift).everything(bars)
    canvas.legend(axes, rows, top - panel - 20.0, width)
    _draw_key(axes, branches, top - panel - 20.0 - 18.0 * len(rows), width)
    return figure


class _Drawing:
    """Draws a lineage on a page; `shift` is added to all positions of the layout."""

    def __init__(
        self, axes: "Axes", branches: Lineage, layout: TreeLayout, shift: tuple[float, float]
    ) -> None:
        self._axes, self._branches, self._layout, self._shift = axes, branches, layout, shift
        self._chosen = branches.chosen()
        self._ends = span(cards.splits(branches))

    def everything(self, bars: dict[str, float]) -> None:
        """Draw forks, cards, tables and bars."""
        for record in self._branches.branches.values():
            left, y, width = self._position(record)
            if record.split:
                self._fork(record, record.split)
                below = y - cards.card_size(record)[1] / 2 - HANG
                draw_heat(self._axes, record.split, left, below, self._ends)
            self._card(record, left, y, width)
        if bars:
            self._bars(bars)

    def _position(self, record: BranchRecord) -> tuple[float, float, float]:
        """Returns left side, middle and width of a card."""
        depth = self._layout.depth[record.name]
        left = self._layout.left[depth] + self._shift[0]
        return left, self._layout.y[record.name] + self._shift[1], self._layout.wide[depth]

    # ------------------------------------------------------------------ forks

    def _fork(self, record: BranchRecord, split: BranchSplit) -> None:
        """Draw the lines from a branch to its children, and the label of the split."""
        left, y, card_width = self._position(record)
        begin = self._layout.fork[self._layout.depth[record.name]] + self._shift[0]
        width, height = cards.label_size(record)
        _line(self._axes, (left + card_width, y), (begin, y), record.name in self._chosen)
        for child in self._branches.children(record):
            end, child_y, _ = self._position(child)
            _line(
                self._axes,
                (begin + width, y),
                (end, child_y),
                child.name in self._chosen,
                child.fresh,
            )
        if not width:
            return
        bold = record.name in self._chosen
        canvas.rectangle(
            self._axes, begin, y - height / 2, width, height, "#FFFFFF",
            CHOSEN if bold else LINE, 6.0, 3, linewidth=1.1,
        )  # fmt: skip
        words = cards.label(split)
        for number, line in enumerate(words):
            canvas.text(
                self._axes, begin + width / 2, y + 6.0 * (len(words) - 1) - 12.0 * number,
                line, 8.5 if not number else 7.5, INK if not number else SOFT,
            )  # fmt: skip

    # ------------------------------------------------------------------ cards

    def _card(self, record: BranchRecord, left: float, y: float, width: float) -> None:
        """Draw the card of a branch with its left side at `left` and its middle at `y`."""
        height = cards.card_size(record)[1]
        fill, edge, line = canvas.NODE_MIDDLE, NODE_EDGE, 1.1
        if record.parent is None:
            fill = canvas.NODE_INPUT
        if record.chosen:
            fill, edge, line = canvas.NODE_OUTPUT, CHOSEN, 2.0
        canvas.rectangle(
            self._axes, left, y - height / 2, width, height, fill, edge, 7.0, 3, linewidth=line
        )
        x, top, right = left + cards.SIDE, y + height / 2 - cards.SIDE - 4.0, left + width
        canvas.text(self._axes, x, top, record.name, 9.5, INK, ha="left", weight="bold")
        course = cards.course(record)
        canvas.text(self._axes, right - cards.SIDE, top, course, 7.0, SOFT, ha="right")
        below = top - cards.HEADER + 2.0
        for number, row in enumerate(cards.tag_rows(record)):
            tag_x = x
            for name in row:
                self._tag(name, tag_x, below - cards.TAG_ROW * number)
                tag_x += cards.tag_width(name) + cards.TAG_GAP
        if not record.group:
            words = cards.undivided(record)
            canvas.text(self._axes, x, below, words, cards.TAG, SOFT, ha="left")

    def _tag(self, name: str, x: float, y: float) -> None:
        """Draw the tag of an operation with its left side at `x` and its middle at `y`."""
        colour, width = family(name).colour, cards.tag_width(name)
        canvas.rectangle(
            self._axes, x, y - 8.0, width, 16.0, canvas.tint(colour), colour, 4.5, 4, linewidth=1.0
        )
        canvas.text(self._axes, x + width / 2, y, readable(name), cards.TAG, INK)

    # ------------------------------------------------------------------ bars

    def _bars(self, accuracies: dict[str, float]) -> None:
        """Draw the leaves' accuracies (fractions) as bars with a common scale."""
        left = self._layout.width + BAR_GAP + self._shift[0]
        most = next(end for end in SCALES if max(accuracies.values()) <= end or end == 1.0)
        top = self._layout.height + self._shift[1]
        split = "valid" if cards.evaluated(self._branches) else "train"
        canvas.text(self._axes, left, top + SCALE - 10.0, f"{split} accuracy", 8.5, INK, ha="left")
        canvas.text(self._axes, left, top + SCALE - 22.0, "0", 7.0, SOFT, ha="left")
        canvas.text(
            self._axes, left + BAR, top + SCALE - 22.0, f"{100 * most:.0f} %", 7.0, SOFT, ha="right"
        )
        for name, accuracy in accuracies.items():
            record = self._branches.branches[name]
            begin, y, width = self._position(record)
            if begin + width + BAR_GAP < left:
                self._axes.plot([begin + width, left], [y, y], color=LINE, lw=0.8, ls=":", zorder=1)
            self._bar(record, accuracy, (left, y), BAR * min(accuracy / most, 1.0))

    def _bar(
        self, record: BranchRecord, accuracy: float, start: tuple[float, float], length: float
    ) -> None:
        """Draw a bar of `length` points whose left end is at `start`, with its accuracy."""
        from matplotlib.patches import Rectangle

        (x, y), colour = start, CHOSEN if record.chosen else LINE
        self._axes.add_patch(Rectangle((x, y - 6), BAR, 12, facecolor=BORDER, lw=0, zorder=2))
        self._axes.add_patch(Rectangle((x, y - 6), length, 12, facecolor=colour, lw=0, zorder=3))
        words = percent(accuracy) + ("  chosen" if record.chosen else "")
        weight = "bold" if record.chosen else "normal"
        canvas.text(self._axes, x + BAR + 8.0, y, words, 8.5, INK, ha="left", weight=weight)


def _line(
    axes: "Axes",
    start: tuple[float, float],
    end: tuple[float, float],
    chosen: bool,
    fresh: bool = False,
) -> None:
    """Draw a curve that leaves and arrives level; dashed where weights start anew."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    middle = (start[0] + end[0]) / 2
    path = Path(
        [start, (middle, start[1]), (middle, end[1]), end],
        [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4],
    )
    colour, line_width = (CHOSEN, 2.6) if chosen else (LINE, 1.6)
    style = (0, (3.0, 1.6)) if fresh else "-"
    axes.add_patch(
        PathPatch(
            path, fill=False, edgecolor=colour, lw=line_width, ls=style, capstyle="butt",
            zorder=2 if chosen else 1,
        )
    )  # fmt: skip


# ---------------------------------------------------------------------- the key


def _key_width(branches: Lineage) -> float:
    """Returns the width of the key in points."""
    return sum(canvas.text_width(words, 8.5) + 52.0 for _, words in cards.key(branches)) - 18.0


def _draw_key(axes: "Axes", branches: Lineage, y: float, width: float) -> None:
    """Draw the meaning of lines and shades, centred in `width` points."""
    from matplotlib.patches import Rectangle

    x = (width - _key_width(branches)) / 2
    for sign, words in cards.key(branches):
        if sign == "shades":
            for step in range(7):
                corner = (x + 4.0 * step, y - 4.5)
                axes.add_patch(
                    Rectangle(
                        corner, 4.0, 9.0, facecolor=shade(step / 6, (0.0, 1.0)), lw=0, zorder=4
                    )
                )
        else:
            _line(axes, (x, y), (x + 28.0, y), sign == "chosen", sign == "dashed")
        canvas.text(axes, x + 34.0, y, words, 8.5, SOFT, ha="left")
        x += canvas.text_width(words, 8.5) + 52.0
