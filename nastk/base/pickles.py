"""Reads pickles without running anything that they name: `read_pickle`.

A pickle is a program; its only way to code outside it is naming a function. Here the caller says
which names a file may use and what each means, a function of the caller's own, and every other name
is refused before it is looked up. Nothing is imported on a file's behalf, numpy and torch included.
What this does not stop is a file made to fill the memory.
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
"""What broken bytes raise on their way through the unpickler and through decompression."""


@runtime_checkable
class Readable(Protocol):
    """A file of bytes, open for reading."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes."""

    def readline(self) -> bytes:
        """The bytes up to the end of the line."""


class Meant:
    """What a name in a file means: it can be called, and nothing else can be done to it.

    Example: `Meant(lambda *_: None)` for objects that are left out.
    """

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        """Called by the unpickler where the file calls the name."""
        return self._make(*arguments)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("it tries to change what its names mean")


Admitted = Mapping[tuple[str, str], Meant]
"""The names that a file may use, as (module, name), and what each means."""


def encoded(text: str, encoding: str) -> bytes:
    """For `_codecs.encode`, by which Python 2's protocols write bytes.

    Raises:
        UnpicklingError: another encoding than theirs.
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
    """The next pickle of `file`; `source` is its name in messages.

    `elsewhere` stands for objects that the file says are stored beside it; `encoding` is that of
    texts written by Python 2. `advice` ends the message about a file larger than the memory.

    Raises:
        DataError: it names something that is not admitted, is damaged, or too large.
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
        """Called by the unpickler where a file refers to something that is stored beside it."""
        return self._elsewhere
