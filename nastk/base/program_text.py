"""Reads values from the texts that programs print, in Python or JSON: `printed`. No code is run.

Logs of other programs hold `list(range(2, 6))`, `np.int64(3)`, `tensor(0.12)` and namedtuples;
every space that reads such texts (`SearchSpace.from_text`) needs this.
"""

import ast
import re
from typing import Any

LARGEST = 200_000
"""Longer texts (characters) are refused; a cell takes some hundreds."""

LONGEST = 10_000
"""A `range` with more entries is refused."""

RANGES = ("range", "arange")
WRAPPERS = ("list", "tuple", "array", "asarray", "tensor", "dict", "OrderedDict")
"""Calls that are read as their first argument, like those of numpy's numbers and strings."""

NUMPY = re.compile(r"(u?int|float)(8|16|32|64)?|str_|bool_")
CONSTANTS = {"null": None, "true": True, "false": False}
"""The names of JSON for values that Python writes in another way."""


def printed(text: str) -> Any:
    """Returns the value of `text`: lists, tuples (as lists), dicts, strings, numbers, None.

    Raises:
        ValueError: `text` has another part; the message says where.

    >>> printed("{'normal': [('skip_connect', np.int64(0))], 'concat': range(2, 4)}")
    {'normal': [['skip_connect', 0]], 'concat': [2, 3]}
    """
    return value_of(expression(text))


def expression(text: str) -> ast.expr:
    """Returns the syntax tree of `text` as one Python expression, which is not run.

    Raises:
        ValueError: it is not an expression; the message says where the error is.
    """
    if len(text) > LARGEST:
        raise ValueError(f"it has more than {LARGEST} characters")
    # torch prints `grad_fn=<...>` with tensors that have a gradient; that is not valid Python.
    plain = re.sub(r",\s*grad_fn=<\w+>", "", text.strip())
    try:
        return ast.parse(plain, mode="eval").body
    except SyntaxError as error:
        where = f"line {error.lineno}, character {error.offset}"
        raise ValueError(f"at {where}: {error.msg}") from None
    except (RecursionError, MemoryError) as error:
        raise ValueError(f"it is nested too deep ({type(error).__name__})") from None


def value_of(node: ast.expr) -> Any:
    """Returns the value of a part of a Python expression.

    Raises:
        ValueError: it has a form that `printed` does not read.
    """
    try:
        return _value(node)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def called(node: ast.expr) -> str | None:
    """Returns the last part of the called name: `Genotype` for `a.b.Genotype(...)`.

    It is None if the expression is not a call of a named function.
    """
    if not isinstance(node, ast.Call):
        return None
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else None


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(element) for element in node.elts]
    if isinstance(node, ast.Dict) and None not in node.keys:
        keys = [_value(key) for key in node.keys if key is not None]
        if not all(isinstance(key, str | int) for key in keys):
            raise _unreadable(node)
        return dict(zip(keys, map(_value, node.values), strict=True))
    if isinstance(node, ast.Name) and node.id in CONSTANTS:
        return CONSTANTS[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _value(node.operand)
        if isinstance(inner, int | float):
            return -inner
    if isinstance(node, ast.Call):
        return _called_value(node)
    raise _unreadable(node)


def _called_value(node: ast.Call) -> Any:
    name = called(node) or ""
    if name in RANGES:
        bounds = [_value(argument) for argument in node.args]
        if 1 <= len(bounds) <= 3 and all(type(bound) is int for bound in bounds):
            numbers = range(*bounds) if len(bounds) < 3 or bounds[2] else range(0)
            try:
                if len(numbers) <= LONGEST:
                    return [*numbers]
            except OverflowError:
                pass
    elif (name in WRAPPERS or NUMPY.fullmatch(name)) and len(node.args) == 1:
        return _value(node.args[0])
    raise _unreadable(node)


def _unreadable(node: ast.expr) -> ValueError:
    shown = ast.unparse(node)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return ValueError(f"at character {node.col_offset + 1}: {shown!r} is no plain value")
