"""`checked`, named by `conftest.py`: the check that tests put around every function of nastk."""

from typing import Any, Self, get_args

from beartype import beartype

TRUSTED = (
    "nastk.kernels",
    "nastk.norms",
    "nastk_spaces_nasbench201.source",
    "nastk_spaces_nasbench201.returning",
)
"""Called thousands of times in a forward pass of a tiny net, so that checking took longer than they
do; their own tests hold them to plain forms."""


def checked(function: Any) -> Any:
    """`function` with its arguments and answer checked against its annotations, shapes included.

    Two kinds are left out: `Self`, which beartype reads only on whole classes, and names that exist
    only for type checkers (`if TYPE_CHECKING`), which cannot be looked up.
    """
    if function.__module__.startswith(TRUSTED):
        return function
    if isinstance(function, type):
        return beartype(function)
    hints = getattr(function, "__annotations__", {})
    for name, hint in hints.items():
        if isinstance(hint, str) or _mentions_self(hint):
            hints[name] = Any
    return beartype(function)


def _mentions_self(hint: Any) -> bool:
    return hint is Self or any(_mentions_self(part) for part in get_args(hint))
