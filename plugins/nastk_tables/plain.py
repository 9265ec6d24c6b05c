"""Plain values in place of a pickle's objects: numbers, arrays and dictionaries, without weights.

The unpickler (`unpickle.py`) makes these in place of numpy's, torch's and other objects. Each class
defines in `__setstate__` what it reads of a file's state, so that no foreign code reads the file.
"""

import pickle
import struct
from math import prod
from typing import Any

NUMBERS = {
    "b1": "?",
    "i1": "b",
    "i2": "h",
    "i4": "i",
    "i8": "q",
    "u1": "B",
    "u2": "H",
    "u4": "I",
    "u8": "Q",
    "f2": "e",
    "f4": "f",
    "f8": "d",
}
"""The codes of `struct` for numpy's names of number types."""


class Skipped:
    """Replaces weights, which no table needs; `SKIPPED` is the only instance."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        """Called by the unpickler with the state of a tensor: ignores it."""


SKIPPED = Skipped()


class Dictionary(dict[Any, Any]):
    """An ordered dictionary of a file, without its attributes."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        """Called by the unpickler with the attributes of a dictionary: ignores them."""


class NumberType:
    """A numpy number type, such as `f8`, with its byte order."""

    __slots__ = ("_code", "_order")

    def __init__(self, name: str, *_: object) -> None:
        if name not in NUMBERS:
            raise pickle.UnpicklingError(f"values of numpy type {name!r} are no plain numbers")
        self._code = NUMBERS[name]
        self._order = "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Called by the unpickler with numpy's state, whose second part is the byte order."""
        self._order = ">" if state[1] == ">" else "<"

    def numbers(self, raw: bytes, count: int) -> tuple[Any, ...]:
        """Called for an array or a scalar: returns `count` plain numbers from their bytes."""
        if not isinstance(raw, bytes):
            raise pickle.UnpicklingError("an array holds objects instead of numbers")
        if len(raw) != count * struct.calcsize(self._order + self._code):
            raise pickle.UnpicklingError("an array has another length than it says")
        return struct.unpack(f"{self._order}{count}{self._code}", raw)


class Numbers(list[Any]):
    """A numpy array as a flat list of plain numbers."""

    __slots__ = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Called by the unpickler with (version, shape, type, column order, bytes)."""
        shape, kind, _, raw = state[-4:]
        self[:] = kind.numbers(raw, prod(shape))
