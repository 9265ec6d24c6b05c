"""Texts and sizes in a picture of branches: cards, labels, tags, bars, the key."""

from nastk.report import BranchRecord, BranchSplit, Family, Lineage, family, percent, readable
from nastk_drawing import canvas
from nastk_drawing.heat import heat_size, span

TAG, TAG_GAP, TAG_ROW, ROOM = 7.8, 5.0, 20.0, 190.0
"""Points: the font of a tag, the gap between tags, the height and most width of a row of tags."""
HEADER, SIDE = 20.0, 10.0
"""Points: the height of a card's first line, and the space at a card's sides."""


def splits(branches: Lineage) -> list[BranchSplit]:
    """Returns the splits of a run, in the order of its branches."""
    return [branch.split for branch in branches.branches.values() if branch.split]


def families_of(branches: Lineage) -> list[Family]:
    """Returns the families of the operations in the branches' groups, by name."""
    groups = [branch.group for branch in branches.branches.values()]
    return sorted({family(name) for group in groups for name in group}, key=lambda kind: kind.name)


def evaluated(branches: Lineage) -> bool:
    """True if the leaves were compared on the valid split."""
    return any(leaf.valid is not None for leaf in branches.leaves)


def accuracies(branches: Lineage) -> dict[str, float]:
    """Returns the leaves' accuracies on the valid split; before these are known, on train."""
    values = {
        leaf.name: leaf.valid if evaluated(branches) else leaf.train for leaf in branches.leaves
    }
    return {name: value for name, value in values.items() if value is not None and value == value}


def course(record: BranchRecord) -> str:
    """Returns a branch's epochs and train accuracy as text."""
    if record.train is None:
        return "not trained yet"
    epochs = f"epoch{'s' if record.first != record.last else ''} {record.epochs}"
    return f"{epochs} · train {percent(record.train)}"


def label(split: BranchSplit) -> list[str]:
    """Returns the lines of a fork's label: the edge, and the distance between its groups."""
    if split.value is None:
        return [_arrow(split.edge)] if split.edge else []
    return [_arrow(split.edge), f"{'within' if split.within else 'distance'} {split.value:.2f}"]


def _arrow(edge: str) -> str:
    """Returns an edge's name with an arrow sign."""
    return edge.replace("->", "\N{RIGHTWARDS ARROW}")


def label_size(record: BranchRecord) -> tuple[float, float]:
    """Returns width and height of the label behind a branch; (0, 0) without a label."""
    lines = label(record.split) if record.split else []
    if not lines:
        return 0.0, 0.0
    return max(canvas.text_width(line, 8.5) for line in lines) + 16.0, 10.0 + 12.0 * len(lines)


def hanging_size(record: BranchRecord) -> tuple[float, float]:
    """Returns width and height of the heat map below a branch; (0, 0) without one."""
    return heat_size(record.split) if record.split else (0.0, 0.0)


def tag_width(name: str) -> float:
    """Returns the width of an operation's tag in points."""
    return canvas.text_width(readable(name), TAG) + 12.0


def tag_rows(record: BranchRecord) -> list[list[str]]:
    """Returns the operations of a branch's group, in rows whose tags fit in `ROOM` points."""
    rows: list[list[str]] = [[]]
    for name in record.group:
        if rows[-1] and sum(tag_width(tag) + TAG_GAP for tag in [*rows[-1], name]) > ROOM:
            rows.append([])
        rows[-1].append(name)
    return rows


def undivided(record: BranchRecord) -> str:
    """Returns the text that replaces the tags on the card of a branch without a group."""
    if record.origin is None:
        return "undivided"
    return record.origin.edge or "the same operations"


def card_size(record: BranchRecord) -> tuple[float, float]:
    """Returns the least width and the height of a branch's card in points."""
    rows = tag_rows(record)
    tags = max(sum(tag_width(name) + TAG_GAP for name in row) - TAG_GAP for row in rows)
    head = canvas.text_width(record.name, 9.5, "bold") + canvas.text_width(course(record), 7.0)
    return max(tags, head + 14.0) + 2 * SIDE, HEADER + TAG_ROW * len(rows) + SIDE - 2.0


def key(branches: Lineage) -> list[tuple[str, str]]:
    """Returns the meaning of lines and shades that occur in the picture, as (sign, words)."""
    children = [branch for branch in branches.branches.values() if branch.parent is not None]
    entries = []
    if any(not child.fresh for child in children):
        entries.append(("solid", "weights inherited"))
    if any(child.fresh for child in children):
        entries.append(("dashed", "weights start anew"))
    if branches.chosen():
        entries.append(("chosen", "to the chosen leaf"))
    if any(split.distances is not None for split in splits(branches)):
        least, most = span(splits(branches))
        entries.append(("shades", f"distance {least:.2f} to {most:.2f}"))
    return entries
