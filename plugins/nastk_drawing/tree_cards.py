"""What stands on a picture of branches, in words and points: cards, labels, tags, bars, the key."""

from nastk.report import BranchRecord, BranchSplit, Family, Lineage, family, percent, readable
from nastk_drawing import canvas
from nastk_drawing.heat import heat_size, span

TAG, TAG_GAP, TAG_ROW, ROOM = 7.8, 5.0, 20.0, 190.0
"""The size of an operation's name, points between tags, a row of tags, and how wide one may be."""
HEADER, SIDE = 20.0, 10.0
"""The height of a card's first line, and the space around what is in a card."""


def splits(branches: Lineage) -> list[BranchSplit]:
    """The splits of a run, in the order of its branches."""
    return [each.split for each in branches.branches.values() if each.split]


def families_of(branches: Lineage) -> list[Family]:
    """The families of operations that a legend names."""
    groups = [each.group for each in branches.branches.values()]
    return sorted({family(name) for group in groups for name in group}, key=lambda kind: kind.name)


def evaluated(branches: Lineage) -> bool:
    """Whether the leaves were compared on the valid split."""
    return any(each.valid is not None for each in branches.leaves)


def accuracies(branches: Lineage) -> dict[str, float]:
    """The leaves' accuracies on the valid split; on the train split as long as there are none."""
    found = {
        each.name: each.valid if evaluated(branches) else each.train for each in branches.leaves
    }
    return {name: value for name, value in found.items() if value is not None and value == value}


def course(record: BranchRecord) -> str:
    """A branch's epochs and train accuracy."""
    if record.train is None:
        return "not trained yet"
    epochs = f"epoch{'s' if record.first != record.last else ''} {record.epochs}"
    return f"{epochs} · train {percent(record.train)}"


def label(split: BranchSplit) -> list[str]:
    """What stands on a fork: the edge, and how far apart its groups are."""
    if split.value is None:
        return [_arrow(split.edge)] if split.edge else []
    return [_arrow(split.edge), f"{'within' if split.within else 'distance'} {split.value:.2f}"]


def _arrow(edge: str) -> str:
    return edge.replace("->", "\N{RIGHTWARDS ARROW}")


def label_size(record: BranchRecord) -> tuple[float, float]:
    """Width and height of the label behind a branch; (0, 0) where there is none."""
    words = label(record.split) if record.split else []
    if not words:
        return 0.0, 0.0
    return max(canvas.text_width(each, 8.5) for each in words) + 16.0, 10.0 + 12.0 * len(words)


def hanging_size(record: BranchRecord) -> tuple[float, float]:
    """Width and height of what hangs below a branch; (0, 0) where nothing does."""
    return heat_size(record.split) if record.split else (0.0, 0.0)


def tag_width(name: str) -> float:
    """The width of an operation's tag."""
    return canvas.text_width(readable(name), TAG) + 12.0


def tag_rows(record: BranchRecord) -> list[list[str]]:
    """The tags of a branch's operations, in rows of up to `ROOM` points."""
    rows: list[list[str]] = [[]]
    for name in record.group:
        if rows[-1] and sum(tag_width(each) + TAG_GAP for each in [*rows[-1], name]) > ROOM:
            rows.append([])
        rows[-1].append(name)
    return rows


def undivided(record: BranchRecord) -> str:
    """What stands in the place of tags on a card without a group of its own."""
    if record.origin is None:
        return "undivided"
    return record.origin.edge or "the same operations"


def card_size(record: BranchRecord) -> tuple[float, float]:
    """Width (at least) and height of a branch's card."""
    rows = tag_rows(record)
    tags = max(sum(tag_width(name) + TAG_GAP for name in row) - TAG_GAP for row in rows)
    head = canvas.text_width(record.name, 9.5, "bold") + canvas.text_width(course(record), 7.0)
    return max(tags, head + 14.0) + 2 * SIDE, HEADER + TAG_ROW * len(rows) + SIDE - 2.0


def key(branches: Lineage) -> list[tuple[str, str]]:
    """What lines and shades mean, where they occur: (sign, words)."""
    children = [each for each in branches.branches.values() if each.parent is not None]
    found = []
    if any(not each.fresh for each in children):
        found.append(("solid", "weights inherited"))
    if any(each.fresh for each in children):
        found.append(("dashed", "weights start anew"))
    if branches.chosen():
        found.append(("chosen", "to the chosen leaf"))
    if any(each.distances is not None for each in splits(branches)):
        least, most = span(splits(branches))
        found.append(("shades", f"distance {least:.2f} to {most:.2f}"))
    return found
