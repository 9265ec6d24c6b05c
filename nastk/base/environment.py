"""Where a run was computed: versions, system and processor, read without torch: `environment`."""

import platform
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("nastk", "torch", "torchvision", "numpy")


def environment(libraries: Sequence[str] = LIBRARIES) -> dict[str, str]:
    """Returns versions of Python and of `libraries`, the system and the processor's model.

    A library that is not installed is left out.

    Example: `environment()["python"] == "3.11.4"`
    """
    versions = {name: found for name in libraries if (found := _version(name))}
    return {
        "python": platform.python_version(),
        **versions,
        "system": f"{platform.system()} {platform.machine()}".strip(),
        "processor": processor(),
    }


@cache
def processor() -> str:
    """Returns the name of the processor's model, as well as this system knows it."""
    description = Path("/proc/cpuinfo")
    try:
        lines = description.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # a system without this file
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(models), "") or platform.processor() or platform.machine() or "unknown"


def _version(name: str) -> str | None:
    """Returns the version of an installed library; None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
