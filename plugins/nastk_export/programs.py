"""`predict_program`: the program `predict.py` for a format, from the files in `standalone/`."""

import ast
from functools import cache
from pathlib import Path

PLACE = Path(__file__).parent / "standalone"


@cache
def predict_program(format: str) -> str:
    """Returns the text of `predict.py` for a format: with the format's own function `load`."""
    program = (PLACE / "predict.py").read_text(encoding="utf-8")
    loading = (PLACE / f"load_{format.replace('-', '_')}.py").read_text(encoding="utf-8")
    first, last = _lines_of_load(program)
    start, end = _lines_of_load(loading)
    lines = program.splitlines()
    own = [line.partition("  # type:")[0] for line in loading.splitlines()[start:end]]
    return "\n".join([*lines[:first], *own, *lines[last:]]) + "\n"


def _lines_of_load(text: str) -> tuple[int, int]:
    """Returns where the function `load` begins and ends, as indices of lines."""
    function = next(
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.name == "load"
    )
    assert function.end_lineno is not None
    return function.lineno - 1, function.end_lineno
