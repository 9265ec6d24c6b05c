"""Errors and warnings of PIL while it reads pictures, turned into ours."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from nastk import DataError

BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    struct.error,
    Image.DecompressionBombError,
)
"""The exceptions of PIL for files that are missing, cut off, of another kind or far too large."""


def unreadable(file: str, error: BaseException) -> DataError:
    """Returns the error for a picture that cannot be read."""
    return DataError(
        f"The image {file} cannot be read ({type(error).__name__}: {error}). "
        "Remove it, or replace it with a sound copy."
    )


@contextmanager
def overheard() -> Iterator[list[str]]:
    """Collects PIL's warnings in a list of texts, which is filled when the context ends.

    On stderr a warning would show a path and a line of PIL's code. Python has one list of warning
    filters for all threads, so this context belongs around threads and not into them.
    """
    messages: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield messages
    messages += dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught)
