"""`load` reads the pickles of benchmarks; `ADMITTED` lists the names that they may contain.

`nastk.base.read_pickle` does the reading, without running any code that a file names.
"""

from collections.abc import Iterable
from typing import Any

from nastk.base import Meant, Readable, encoded, read_pickle
from nastk_tables.plain import SKIPPED, Dictionary, Numbers, NumberType

FLOATS = ("Double", "Float", "Half", "BFloat16")
WHOLE = ("Long", "Int", "Short", "Char", "Byte", "Bool")


def _set(items: Iterable[Any] = ()) -> set[Any]:
    return set(items)


def _admitted() -> dict[tuple[str, str], Meant]:
    """Returns the admitted (module, name) pairs and the plain values that they stand for."""
    skip = Meant(lambda *_: SKIPPED)
    number = Meant(lambda kind, raw: kind.numbers(raw, 1)[0])
    meant = {
        ("collections", "OrderedDict"): Meant(Dictionary),
        ("_codecs", "encode"): Meant(encoded),
        ("numpy", "dtype"): Meant(NumberType),
        ("numpy", "ndarray"): skip,
        ("torch._utils", "_rebuild_tensor"): skip,
        ("torch._utils", "_rebuild_tensor_v2"): skip,
        ("torch._utils", "_rebuild_parameter"): skip,
    }
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        meant[module, "scalar"] = number
        meant[module, "_reconstruct"] = Meant(lambda *_: Numbers())
    for module in ("__builtin__", "builtins"):
        meant[module, "set"] = Meant(_set)
        meant[module, "bytes"] = Meant(lambda: b"")
    for kind in FLOATS + WHOLE:
        meant["torch", f"{kind}Storage"] = skip
    return meant


ADMITTED = _admitted()


def load(file: Readable, source: str) -> Any:
    """Returns the next pickle of `file` as plain values; `source` is the file's name in messages.

    Raises:
        DataError: the pickle names an object that is not admitted, is damaged, or is too large.
    """
    return read_pickle(
        file,
        source,
        ADMITTED,
        elsewhere=SKIPPED,
        advice="The folder NATS-tss-v1_0-3ffb9-simple is read in small parts; import that one.",
    )
