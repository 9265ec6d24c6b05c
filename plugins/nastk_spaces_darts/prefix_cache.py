"""`PrefixCache` keeps what one measurement computed for the next measurement.

Two mixtures that differ only in one cell type agree before the first cell of this type; two that
differ at one node agree before this node, in that first cell. All later maps differ, and keeping
them would only cost memory.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar, TypeVar

Made = TypeVar("Made")


class PrefixCache:
    """Results of the last forward pass, with the ingredients that they were made from.

    Example: `PrefixCache().get_or_compute("stem", (images,), lambda: stem(images))`
    """

    keeps: ClassVar[bool] = True

    def __init__(self) -> None:
        self._made: dict[Hashable, tuple[Sequence[Any], Any]] = {}

    def get_or_compute(
        self, place: Hashable, ingredients: Sequence[Any], make: Callable[[], Made]
    ) -> Made:
        """Called for a result worth keeping: returns the one kept under `place`, or makes it.

        A kept result is valid as long as its ingredients are the same objects, or equal rows or
        numbers.
        """
        if place in self._made:
            before, kept = self._made[place]
            if _same(before, ingredients):
                return kept  # type: ignore[no-any-return]
        made = make()
        self._made[place] = (ingredients, made)
        return made


class NoPrefixCache(PrefixCache):
    """A cache that keeps nothing, for training."""

    keeps = False

    def get_or_compute(
        self, place: Hashable, ingredients: Sequence[Any], make: Callable[[], Made]
    ) -> Made:
        """Called like `PrefixCache.get_or_compute`: always makes the result."""
        return make()


def _same(before: Sequence[Any], now: Sequence[Any]) -> bool:
    """True if all ingredients are the same object, or equal tuples or integers."""
    return len(before) == len(now) and all(
        a is b or (isinstance(a, tuple | int) and a == b) for a, b in zip(before, now, strict=True)
    )
