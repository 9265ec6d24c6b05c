"""Reads pickles without running anything that they name: `load`.

A pickle is a program; its only way to code outside it is naming a function. Here a few names mean
functions of this module, which make plain values out of plain values, and every other name is
refused before it is looked up. Nothing is imported on a file's behalf, numpy and torch included.
What this does not stop is a file made to fill the memory.
"""

import pickle
import struct
from collections.abc import Callable, Iterable
from typing import Any, Protocol, runtime_checkable

from nastk.errors import DataError
from nastk_tables.plain import SKIPPED, Dictionary, Numbers, NumberType, Skipped

DAMAGE = (
    pickle.UnpicklingError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    OSError,
    struct.error,
)
"""What broken bytes raise on their way through the unpickler and through decompression."""

FLOATS = ("Double", "Float", "Half", "BFloat16")
WHOLE = ("Long", "Int", "Short", "Char", "Byte", "Bool")


@runtime_checkable
class Readable(Protocol):
    """A file of bytes, open for reading."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes."""

    def readline(self) -> bytes:
        """The bytes up to the end of the line."""


class _Meant:
    """A name that is admitted: can be called, and nothing else can be done to it."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("it tries to change what its names mean")


def _encode(text: str, encoding: str) -> bytes:
    """Bytes, as old pickles write them."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes are written as {encoding!r}, expected 'latin1'")
    return text.encode("latin-1")


def _set(items: Iterable[Any] = ()) -> set[Any]:
    return set(items)


def _admitted() -> dict[tuple[str, str], _Meant]:
    skip = _Meant(lambda *_: SKIPPED)
    number = _Meant(lambda kind, raw: kind.numbers(raw, 1)[0])
    meant = {
        ("collections", "OrderedDict"): _Meant(Dictionary),
        ("_codecs", "encode"): _Meant(_encode),
        ("numpy", "dtype"): _Meant(NumberType),
        ("numpy", "ndarray"): skip,
        ("torch._utils", "_rebuild_tensor"): skip,
        ("torch._utils", "_rebuild_tensor_v2"): skip,
        ("torch._utils", "_rebuild_parameter"): skip,
    }
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        meant[module, "scalar"] = number
        meant[module, "_reconstruct"] = _Meant(lambda *_: Numbers())
    for module in ("__builtin__", "builtins"):
        meant[module, "set"] = _Meant(_set)
        meant[module, "bytes"] = _Meant(lambda: b"")
    for kind in FLOATS + WHOLE:
        meant["torch", f"{kind}Storage"] = skip
    return meant


ADMITTED = _admitted()


class _Reader(pickle.Unpickler):
    def __init__(self, file: Readable, source: str) -> None:
        super().__init__(file)
        self._source = source

    def find_class(self, module: str, name: str) -> Any:
        """Called by the unpickler for every name in the file."""
        if (module, name) not in ADMITTED:
            raise DataError(
                f"{self._source} names {module}.{name}, which no benchmark table needs and which "
                "could run code. It was refused and not executed; get the file from the "
                "benchmark's authors."
            )
        return ADMITTED[module, name]

    def persistent_load(self, identifier: object) -> Skipped:
        """Called by the unpickler where a torch file refers to stored weights."""
        return SKIPPED


def load(file: Readable, source: str) -> Any:
    """The next pickle of `file` as plain values; `source` is its name in messages.

    Raises:
        DataError: it names something that is not admitted, is damaged, or too large.
    """
    try:
        return _Reader(file, source).load()
    except MemoryError:
        raise DataError(
            f"{source} is damaged or larger than the memory. The folder "
            "NATS-tss-v1_0-3ffb9-simple is read in small parts; import that one."
        ) from None
    except DAMAGE as error:
        reason = f"{type(error).__name__}: {error}"
        raise DataError(
            f"{source} is damaged, cut short, or no pickle ({reason}). Download it again."
        ) from None
