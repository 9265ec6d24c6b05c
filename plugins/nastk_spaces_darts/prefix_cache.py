"""What the last measurement computed, for the next one: `PrefixCache`.

Two mixtures that differ in one cell type only agree before its first cell, and two that differ at
one node agree before that node, in this first cell. Further on every map is another, and keeping it
would cost memory for nothing.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar, TypeVar

Made = TypeVar("Made")


class PrefixCache:
    """Answers of the last forward pass, each with what it was made from.

    Example: `PrefixCache().get_or_compute("stem", (images,), lambda: stem(images))`
    """

    keeps: ClassVar[bool] = True

    def __init__(self) -> None:
        self._made: dict[Hashable, tuple[Sequence[Any], Any]] = {}

    def get_or_compute(
        self, place: Hashable, ingredients: Sequence[Any], make: Callable[[], Made]
    ) -> Made:
        """Called where something is worth keeping: the answer kept at `place`, or a new one.

        It is kept as long as the ingredients are the same: the same objects, equal rows or numbers.
        """
        if place in self._made:
            before, answer = self._made[place]
            if _same(before, ingredients):
                return answer  # type: ignore[no-any-return]
        made = make()
        self._made[place] = (ingredients, made)
        return made


class NoPrefixCache(PrefixCache):
    """Keeps nothing, as in training."""

    keeps = False

    def get_or_compute(
        self, place: Hashable, ingredients: Sequence[Any], make: Callable[[], Made]
    ) -> Made:
        """Called like `PrefixCache.get_or_compute`: always makes."""
        return make()


def _same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return len(one) == len(other) and all(
        a is b or (isinstance(a, tuple | int) and a == b) for a, b in zip(one, other, strict=True)
    )
