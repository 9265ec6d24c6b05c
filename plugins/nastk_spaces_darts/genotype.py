"""The text by which the field exchanges cells: `Genotype(normal=[('sep_conv_3x3', 0), ...], ...)`.

`write` makes it; `read` understands it as DARTS and its followers print it, and the nested form and
the operation names of XAutoDL (IS-DARTS). The text is parsed, never run.
"""

import ast
from collections.abc import Sequence
from typing import Any

from nastk.errors import DataError, near_miss

Cell = list[list[tuple[str, int]]]
"""For each node of a cell, its chosen (operation, source)."""

ALIASES = {
    "dua_sepc_3x3": "sep_conv_3x3",
    "dua_sepc_5x5": "sep_conv_5x5",
    "dil_sepc_3x3": "dil_conv_3x3",
    "dil_sepc_5x5": "dil_conv_5x5",
}
"""Names that XAutoDL's search uses for the same operations."""

GROUPS = ("normal", "reduce")


def write(normal: Cell, reduce: Cell) -> str:
    """The text of two cells, in the form DARTS prints."""
    concat = list(range(2, 2 + len(normal)))
    cells = [[link for node in cell for link in node] for cell in (normal, reduce)]
    return (
        f"Genotype(normal={cells[0]}, normal_concat={concat}, reduce={cells[1]}, "
        f"reduce_concat={concat})"
    )


def read(text: str, operations: Sequence[str], nodes: int) -> dict[str, Cell]:
    """The cells that `text` describes, by group.

    Raises:
        DataError: it is no genotype of `nodes` nodes with these `operations`; says where it stops
            being one.
    """
    fields = _fields(text)
    for group in GROUPS:
        _check_concat(f"{group}_concat", fields.get(f"{group}_concat"), nodes)
    return {group: _cell(group, fields.get(group), operations, nodes) for group in GROUPS}


def _fields(text: str) -> dict[str, Any]:
    """The keyword arguments of the one call in `text`."""
    try:
        body = ast.parse(text.strip()).body
    except SyntaxError as error:
        where = f"line {error.lineno}, character {error.offset}"
        raise DataError(f"This stops being a genotype at {where}: {error.msg}.") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"This text is no genotype: {error}.") from None
    call = body[0].value if len(body) == 1 and isinstance(body[0], (ast.Expr, ast.Assign)) else None
    if not (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "Genotype"
    ):
        raise DataError(f"Expected `Genotype(normal=[...], ...)`, got {_short(text)}.")
    return {
        keyword.arg: _literal(keyword.arg, keyword.value)
        for keyword in call.keywords
        if keyword.arg
    }


def _literal(name: str, node: ast.expr) -> Any:
    """The value of an argument: a literal, or `range(a, b)`."""
    try:
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "range"
        ):
            return range(*(ast.literal_eval(bound) for bound in node.args))
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        raise DataError(
            f"{name} of the genotype is no plain value (character {node.col_offset + 1})."
        ) from None


def _check_concat(name: str, value: Any, nodes: int) -> None:
    """Every node of the cell is part of its output."""
    try:
        fits = (
            isinstance(value, (list, tuple, range))
            and len(value) == nodes
            and list(value) == [*range(2, 2 + nodes)]
        )
    except OverflowError:
        fits = False
    if not fits:
        raise DataError(
            f"{name} must be the nodes {[*range(2, 2 + nodes)]} of this space, got {_short(value)}."
        )


def _cell(group: str, value: Any, operations: Sequence[str], nodes: int) -> Cell:
    """One cell, from two entries a node in a row or from one pair of entries a node."""
    if not isinstance(value, (list, tuple)):
        raise DataError(
            f"{group} of the genotype must be a list of (operation, input), got {_short(value)}."
        )
    nested = len(value) == nodes and all(
        isinstance(item, (list, tuple)) and all(isinstance(part, (list, tuple)) for part in item)
        for item in value
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
    """One (operation, source), checked against its node."""
    where, number = f"{group}[{index}]", 2 + index // 2
    if not (isinstance(entry, (list, tuple)) and len(entry) == 2 and isinstance(entry[0], str)):
        raise DataError(f"{where} must be (operation, input), got {_short(entry)}.")
    name, source = ALIASES.get(entry[0], entry[0]), entry[1]
    if name == "none":
        raise DataError(f"{where} is 'none', which no cell may keep.")
    if name not in operations:
        known = [each for each in operations if each != "none"]
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
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
