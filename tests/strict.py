"""`install`, called by `conftest.py`: in the test process the functions of nastk check themselves.

Every function and every dataclass of the packages named is compiled with `checked` as its innermost
decorator, which compares arguments and answers with the annotations, shapes included, at every
call. jaxtyping's own hook does the same in three layers, anew for every function within a function
each time that is reached; a third of the suite's time went there.
"""

import ast
import functools
import inspect
import sys
from collections.abc import Iterator
from dataclasses import is_dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder, SourceFileLoader
from types import CodeType, FunctionType, SimpleNamespace
from typing import Any, Self, get_args, get_type_hints

from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray, jaxtyped

TRUSTED = (
    "nastk.kernels",
    "nastk.norms",
    "nastk_spaces_nasbench201.source",
    "nastk_spaces_nasbench201.returning",
)
"""Called thousands of times in a forward pass of a tiny net, so that checking took longer than they
do; their own tests hold them to plain forms."""


refusing = beartype(conf=BeartypeConf(violation_type=TypeError))
"""The check of one function: a TypeError, as calling it wrongly is."""


class CheckedLoader(SourceFileLoader):
    """Compiles a module with `checked` in front of its functions, from its source every time."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        tree = ast.parse(self.get_data(path), path)
        for node in _definitions(tree):
            decorator = ast.parse("__import__('strict').checked", mode="eval").body
            for part in ast.walk(decorator):
                ast.copy_location(part, node)
            place = 0 if isinstance(node, ast.ClassDef) else len(node.decorator_list)
            node.decorator_list.insert(place, decorator)
        return compile(tree, path, "exec", dont_inherit=True)


class CheckedFinder(MetaPathFinder):
    """Finds the modules of `packages`, for `CheckedLoader`."""

    def __init__(self, packages: list[str]):
        self.packages = frozenset(packages)

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname.partition(".")[0] not in self.packages or fullname.startswith(TRUSTED):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = CheckedLoader(spec.loader.name, spec.loader.path)
        return spec


def install(packages: list[str]) -> None:
    """From now on the modules of `packages` are imported checked; those loaded already are not."""
    sys.meta_path.insert(0, CheckedFinder(packages))


def _definitions(node: ast.AST) -> Iterator[Any]:
    """The functions and classes of a module and of its classes.

    Those within a function are made anew at each of its calls, and only it can call them.
    """
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
        else:
            if isinstance(child, ast.ClassDef):
                yield child
            yield from _definitions(child)


def checked(found: Any) -> Any:
    """A function, or a dataclass's `__init__`, that checks its arguments and its answer."""
    if isinstance(found, type):
        if is_dataclass(found) and isinstance(vars(found).get("__init__"), FunctionType):
            found.__init__ = checked(found.__init__)
        return found
    hints = {name: _hint(hint, found.__globals__) for name, hint in found.__annotations__.items()}
    bare = FunctionType(
        found.__code__, found.__globals__, found.__name__, found.__defaults__, found.__closure__
    )
    bare.__kwdefaults__, bare.__module__ = found.__kwdefaults__, found.__module__
    bare.__qualname__, bare.__annotations__ = found.__qualname__, hints
    typed = refusing(bare)
    if typed is bare:
        return found
    if any(map(_has_shape, hints.values())):
        typed = _in_its_own_context(typed)
    return functools.wraps(found)(typed)


def _in_its_own_context(function: Any) -> Any:
    """`function`, with the sizes of its axes agreeing among its arguments and its answer."""

    def call(*args: Any, **named: Any) -> Any:
        with jaxtyped("context"):
            return function(*args, **named)

    return call


def _hint(hint: Any, names: dict[str, Any]) -> Any:
    """The annotation as a type.

    Any where it is `Self`, which beartype reads only on whole classes, or names what exists only
    for type checkers (`if TYPE_CHECKING`) or later in the module.
    """
    try:
        holder = SimpleNamespace(__annotations__={"hint": hint})
        found = get_type_hints(holder, names, include_extras=True)["hint"]
    except NameError:
        return Any
    return Any if _mentions_self(found) else found


def _mentions_self(hint: Any) -> bool:
    return hint is Self or any(_mentions_self(part) for part in get_args(hint))


def _has_shape(hint: Any) -> bool:
    if isinstance(hint, list):
        return any(map(_has_shape, hint))
    if inspect.isclass(hint) and issubclass(hint, AbstractArray):
        return True
    return any(map(_has_shape, get_args(hint)))
