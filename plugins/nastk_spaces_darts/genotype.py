"""The text in which the field exchanges cells: `Genotype(normal=[('sep_conv_3x3', 0), ...], ...)`.

`write` makes the text; `read` reads it in all spellings of `spelling.py`, and also the nested
cells, the weights beside operations and the operation names of XAutoDL (GDAS, IS-DARTS).
"""

from collections.abc import Sequence
from typing import Any

from nastk import DataError
from nastk.base import near_miss
from nastk_spaces_darts.spelling import GROUPS, fields

Cell = list[list[tuple[str, int]]]
"""The chosen (operation, source) pairs of each node of a cell."""

ALIASES = {
    "dua_sepc_3x3": "sep_conv_3x3",
    "dua_sepc_5x5": "sep_conv_5x5",
    "dil_sepc_3x3": "dil_conv_3x3",
    "dil_sepc_5x5": "dil_conv_5x5",
}
"""XAutoDL's names of operations, and ours of the same operations."""

__all__ = ["ALIASES", "GROUPS", "Cell", "nodes_of", "read", "write"]


def write(normal: Cell, reduce: Cell) -> str:
    """Returns the text of two cells, in the form that DARTS prints."""
    concat = list(range(2, 2 + len(normal)))
    cells = [[link for node in cell for link in node] for cell in (normal, reduce)]
    return (
        f"Genotype(normal={cells[0]}, normal_concat={concat}, reduce={cells[1]}, "
        f"reduce_concat={concat})"
    )


def read(text: str, operations: Sequence[str], nodes: int) -> dict[str, Cell]:
    """Returns the cells that `text` describes, by group.

    Raises:
        DataError: the text is no genotype of `nodes` nodes with these `operations`; the message
            says where it departs from the expected form.
    """
    values = fields(text)
    for group in GROUPS:
        _check_concat(f"{group}_concat", values.get(f"{group}_concat"), nodes)
    return {group: _cell(group, values.get(group), operations, nodes) for group in GROUPS}


def nodes_of(text: str) -> int | None:
    """Returns the number of nodes besides the inputs of the cells in `text`, or None if unclear."""
    try:
        concat = fields(text).get("normal_concat")
    except DataError:
        return None
    fits = isinstance(concat, list) and concat == [*range(2, 2 + len(concat))]
    return len(concat) if fits and concat else None


def _check_concat(name: str, value: Any, nodes: int) -> None:
    """Raises a DataError unless every node of the cell is part of its output."""
    if value != [*range(2, 2 + nodes)]:
        raise DataError(
            f"{name} must be the nodes {[*range(2, 2 + nodes)]} of this space, got {_short(value)}."
        )


def _cell(group: str, value: Any, operations: Sequence[str], nodes: int) -> Cell:
    """Returns one cell from a flat list of two entries per node, or from a list of pairs."""
    if not isinstance(value, list):
        raise DataError(
            f"{group} of the genotype must be a list of (operation, input), got {_short(value)}."
        )
    nested = len(value) == nodes and all(
        isinstance(item, list) and all(isinstance(part, list) for part in item) for item in value
    )
    entries = [entry for item in value for entry in item] if nested else list(value)
    if len(entries) != 2 * nodes or (nested and any(len(item) != 2 for item in value)):
        raise DataError(
            f"{group} needs 2 entries for each of {nodes} nodes ({2 * nodes} in all), got "
            f"{len(entries)}."
        )
    links = [_link(group, index, entry, operations) for index, entry in enumerate(entries)]
    cell = [links[2 * node : 2 * node + 2] for node in range(nodes)]
    for number, (first, second) in enumerate(cell, start=2):
        if first == second:
            raise DataError(f"node {number} of {group} has {first[0]!r} of input {first[1]} twice.")
    return cell


def _link(group: str, index: int, entry: Any, operations: Sequence[str]) -> tuple[str, int]:
    """Returns the (operation, source) of entry `index`, checked against its node."""
    where, number = f"{group}[{index}]", 2 + index // 2
    if not (isinstance(entry, list) and 2 <= len(entry) <= 3 and isinstance(entry[0], str)):
        numbers = isinstance(entry, list) and bool(entry) and type(entry[0]) is int
        hint = " Programs number operations differently: give their names." if numbers else ""
        raise DataError(f"{where} must be (operation, input), got {_short(entry)}.{hint}")
    if len(entry) == 3 and not isinstance(entry[2], int | float):
        raise DataError(f"{where}: what follows operation and input is a weight, got {entry[2]!r}.")
    name, source = ALIASES.get(entry[0], entry[0]), entry[1]
    if name == "none":
        raise DataError(f"{where} is 'none', which no cell may keep.")
    if name not in operations:
        known = [operation for operation in operations if operation != "none"]
        raise DataError(
            f"{where}: no operation is named {name!r}.{near_miss(name, known)} Known: "
            f"{', '.join(known)}."
        )
    if isinstance(source, bool) or not isinstance(source, int) or not 0 <= source < number:
        raise DataError(
            f"{where}: node {number} can read inputs 0 to {number - 1}, got {_short(source)}."
        )
    return name, source


def _short(value: Any) -> str:
    """Returns `repr(value)`, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
