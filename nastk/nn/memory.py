"""How much memory there is (`available`), a limit on it (`memory_limit`), and disk (`check_disk`).

Linux hands out more memory than it has, and ends a process that uses it. Under a limit torch is
refused instead, and a rehearsal that does not fit ends in an error that can be read.
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from nastk.base.errors import ConfigurationError

GROUP = Path("/sys/fs/cgroup")


def available(device: torch.device) -> int | None:
    """Bytes that this process may still take on `device`; None where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    lines = dict(line.split(":", 1) for line in _read(Path("/proc/meminfo")).splitlines())
    if "MemAvailable" not in lines:
        return None
    free = int(lines["MemAvailable"].split()[0]) * 1024
    # A container may have less than the machine; file caches count as used there.
    most, used = (_read(GROUP / name).strip() for name in ("memory.max", "memory.current"))
    return min(free, max(int(most) - int(used), 0)) if most.isdigit() and used.isdigit() else free


@contextmanager
def memory_limit(device: torch.device, more: int | None) -> Iterator[None]:
    """While inside, this process gets at most `more` bytes beyond those that it has now.

    Nothing is limited where `more` is None, on CUDA (which refuses by itself), or without Linux.
    """
    pages = _read(Path("/proc/self/statm")).split()
    if more is None or device.type == "cuda" or not pages:
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    wanted = int(pages[0]) * resource.getpagesize() + more
    inside = wanted if before[0] == resource.RLIM_INFINITY else min(wanted, before[0])
    resource.setrlimit(resource.RLIMIT_AS, (inside, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def peak_memory(device: torch.device) -> int:
    """The most memory (bytes) this process has used on `device`."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def check_disk(path: Path, needed: int) -> None:
    """Refuse a folder for checkpoints that take `needed` bytes, where they have no room.

    Raises:
        ConfigurationError: there is less room than that, or no such place.
    """
    try:
        there = next(place for place in (path, *path.absolute().parents) if place.exists())
        free = shutil.disk_usage(there).free
    except OSError as error:  # a name too long, a current folder that is gone
        raise ConfigurationError(
            f"Nothing can be written to {path}: {error.strerror or error}. Choose another --out, "
            "in a folder that exists."
        ) from None
    if free < needed:
        raise ConfigurationError(
            f"The checkpoints of this run need about {needed / 2**20:.1f} MiB and {there} has "
            f"{free / 2**20:.1f} MiB free. Make room, or choose another --out."
        )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
