"""The most memory that an action takes: growth of this process's resident memory, in bytes.

The kernel keeps the highest resident size that a process has had, and can be told to start anew.
What is freed inside the process but not yet handed back would count as taken, so `isolated.py` runs
what it measures in a fresh process whose allocator hands large blocks back at once.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nastk import ConfigurationError

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")

PROMPT = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""Environment of a process that hands freed memory back at once (glibc)."""


def peak_of(action: Callable[[], Any]) -> int:
    """Bytes by which resident memory grew, at most, while `action` ran.

    Raises:
        ConfigurationError: this system has no /proc (it is not Linux).
    """
    if not STATUS.exists() or not RESET.exists():
        raise ConfigurationError(
            "Memory is measured through /proc, which this system lacks. Run this work on Linux."
        )
    RESET.write_text("5")
    before = _status("VmRSS")
    action()
    return max(_status("VmHWM") - before, 0)


def _status(name: str) -> int:
    """One entry of the process's status, in bytes."""
    for line in STATUS.read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    raise ConfigurationError(f"{STATUS} has no line {name}. Run this work on a Linux kernel.")
