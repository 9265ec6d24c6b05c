"""What PIL raises and warns of while it reads pictures, in our words."""

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
"""What PIL raises for files that are missing, cut off, of another kind or absurdly large."""


def unreadable(file: str, error: BaseException) -> DataError:
    """The error for a picture that cannot be read."""
    return DataError(
        f"The image {file} cannot be read ({type(error).__name__}: {error}). "
        "Remove it, or replace it with a sound copy."
    )


@contextmanager
def overheard() -> Iterator[list[str]]:
    """What PIL warns of while this lasts, in words; the list is filled at the end.

    On stderr a warning would show a path of PIL's and a line of its code. Python keeps one list of
    filters for all threads, so this belongs around them and not into them.
    """
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield said
    said += dict.fromkeys(" ".join(str(each.message).split()) for each in caught)
