"""How much memory there is, and a lid on it: `available`, `lid`, behind `nastk search --dry-run`.

Linux hands out more memory than it has, and ends a process that uses it. Under a lid torch is
refused instead, and a rehearsal that does not fit ends in an error that can be read.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

GROUP = Path("/sys/fs/cgroup")
REFUSED = ("allocate memory", "could not create a", "could not execute a", "bad_alloc")
"""Words of torch's allocator, and of oneDNN, which says no more than this."""


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
def lid(device: torch.device, more: int | None) -> Iterator[None]:
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


def out_of_memory(error: BaseException) -> bool:
    """Whether torch, a library of torch's or Python failed because it got no memory."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in REFUSED)
    )


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
