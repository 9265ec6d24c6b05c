"""Reads pickles without running code that they name: `read_pickle`.

A pickle is a program; it reaches code outside itself only by the names of functions. The caller of
`read_pickle` lists the names that a file may use, each with a function of the caller that stands
for it; every other name is refused before it is looked up. Nothing is imported for a file, not even
numpy or torch. A file that is made to fill the memory is not stopped.
"""

import pickle
import struct
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from nastk.base.errors import DataError

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
"""The errors that damaged bytes raise in the unpickler and in decompression."""


@runtime_checkable
class Readable(Protocol):
    """A file of bytes, open for reading."""

    def read(self, size: int, /) -> bytes:
        """Returns at most `size` bytes."""

    def readline(self) -> bytes:
        """Returns the bytes up to the end of the line."""


class Meant:
    """The function that stands for a name in a pickle: it can be called, but not changed.

    Example: `Meant(lambda *_: None)` replaces the objects of a class by None.
    """

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        """Called by the unpickler when the file calls the name."""
        return self._make(*arguments)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("it tries to change what its names mean")


Admitted = Mapping[tuple[str, str], Meant]
"""The names that a file may use, as (module, name), with the function that stands for each."""


def encoded(text: str, encoding: str) -> bytes:
    """Stands for `_codecs.encode`, with which the protocols of Python 2 write bytes.

    Raises:
        UnpicklingError: the encoding is not latin1, the one that these protocols use.
    """
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes are written as {encoding!r}, expected 'latin1'")
    return text.encode("latin-1")


def read_pickle(
    file: Readable,
    source: str,
    admitted: Admitted,
    elsewhere: Any = None,
    encoding: str = "ASCII",
    advice: str = "",
) -> Any:
    """Returns the value of the next pickle in `file`.

    Args:
        file: the open file.
        source: the name of the file in messages.
        admitted: the names that the file may use.
        elsewhere: the value for objects that the file says are stored outside of it.
        encoding: the encoding of texts written by Python 2.
        advice: the end of the message about a file larger than the memory.

    Raises:
        DataError: the file uses a name that is not admitted, is damaged, or is too large.
    """
    try:
        return _Reader(file, source, admitted, elsewhere, encoding).load()
    except MemoryError:
        message = f"{source} is damaged or larger than the memory. {advice}"
        raise DataError(message.strip()) from None
    except DAMAGE as error:
        reason = f"{type(error).__name__}: {error}"
        raise DataError(
            f"{source} is damaged, cut short, or no pickle ({reason}). Download it again."
        ) from None


class _Reader(pickle.Unpickler):
    def __init__(
        self, file: Readable, source: str, admitted: Admitted, elsewhere: Any, encoding: str
    ) -> None:
        super().__init__(file, encoding=encoding)
        self._source, self._admitted, self._elsewhere = source, admitted, elsewhere

    def find_class(self, module: str, name: str) -> Any:
        """Called by the unpickler for every name in the file."""
        if (module, name) not in self._admitted:
            raise DataError(
                f"{self._source} names {module}.{name}, which such a file does not need and which "
                "could run code. It was refused and not executed; get the file from its authors."
            )
        return self._admitted[module, name]

    def persistent_load(self, identifier: object) -> Any:
        """Called by the unpickler when the file refers to an object stored outside of it."""
        return self._elsewhere
