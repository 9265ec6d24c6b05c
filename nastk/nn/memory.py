"""Free memory (`available`), a limit on its use (`memory_limit`), and free disk (`check_disk`).

Linux grants more memory than it has, and kills a process that uses it. Under a limit torch's
allocation fails instead, and a rehearsal that does not fit ends with a readable error.
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
    """Returns the bytes that this process may still use on `device`.

    It is None if the system does not report it.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    lines = dict(line.split(":", 1) for line in _read(Path("/proc/meminfo")).splitlines())
    if "MemAvailable" not in lines:
        return None
    free = int(lines["MemAvailable"].split()[0]) * 1024
    # A container may have less memory than the machine. Its file caches count as used memory.
    limit, used = (_read(GROUP / name).strip() for name in ("memory.max", "memory.current"))
    return min(free, max(int(limit) - int(used), 0)) if limit.isdigit() and used.isdigit() else free


@contextmanager
def memory_limit(device: torch.device, more: int | None) -> Iterator[None]:
    """Limits this process, inside the context, to `more` bytes beyond its present memory.

    There is no limit if `more` is None, on CUDA (where allocations fail anyway), or if the system
    is not Linux.
    """
    pages = _read(Path("/proc/self/statm")).split()
    if more is None or device.type == "cuda" or not pages:
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    wanted = int(pages[0]) * resource.getpagesize() + more
    soft = wanted if before[0] == resource.RLIM_INFINITY else min(wanted, before[0])
    resource.setrlimit(resource.RLIMIT_AS, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def peak_memory(device: torch.device) -> int:
    """Returns the largest memory (bytes) that this process has used on `device`."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def check_disk(path: Path, needed: int) -> None:
    """Called before a run: checks that the disk of the folder `path` has `needed` bytes free.

    Raises:
        ConfigurationError: the disk has fewer, or the folder cannot exist.
    """
    try:
        folder = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
        free = shutil.disk_usage(folder).free
    except OSError as error:  # a name too long, a current folder that is gone
        raise ConfigurationError(
            f"Nothing can be written to {path}: {error.strerror or error}. Choose another --out, "
            "in a folder that exists."
        ) from None
    if free < needed:
        raise ConfigurationError(
            f"The checkpoints of this run need about {needed / 2**20:.1f} MiB and {folder} has "
            f"{free / 2**20:.1f} MiB free. Make room, or choose another --out."
        )


def _read(path: Path) -> str:
    """Returns the text of a file; it is empty if the file cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
