"""How many worker processes there are, and what each may use: `seats`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from nastk import ConfigurationError, Workload
from nastk.report import size

CUDA, OPENMP = "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"


@dataclass(frozen=True)
class Seat:
    """What a worker process may use: its environment variables, and CPU threads (0: as it is).

    Example: `Seat({"CUDA_VISIBLE_DEVICES": "1"})`
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    threads: int = 0


def seats(work: Workload, workers: int | None, threads: int | None, cores: int) -> list[Seat]:
    """Returns a seat for each worker process, after checking that the memory suffices for all.

    Args:
        work: the runs.
        workers: the number of processes; None: one for each CUDA device, on a CPU as many as have
            their threads on the `cores`, and as fit into the memory.
        threads: the CPU threads of each; None: those of the runs' configuration; where that leaves
            them open, an equal part of the cores, and one if `workers` is None as well.
        cores: the CPU cores that this process may use.

    Raises:
        ConfigurationError: the memory does not suffice, or threads are given twice.
    """
    if threads and work.threads and threads != work.threads:
        raise ConfigurationError(
            f"The runs are to have {work.threads} threads (-t threads) and {threads} "
            "(--executor processes,threads), which give different bits. Leave one of them out."
        )
    if work.device.startswith("cuda"):
        devices = _devices(work.device)
        number = min(workers or len(devices), len(work.jobs))
        _check(work, -(-number // len(devices)), workers)
        environments = [{CUDA: device} if device else {} for device in devices]
        return [Seat(environments[each % len(devices)], threads or 0) for each in range(number)]
    each = threads or work.threads or (max(cores // workers, 1) if workers else 1)
    number = min(workers or max(cores // each, 1), len(work.jobs))
    number = _check(work, number, workers)
    return [Seat({OPENMP: str(each)}, each)] * number


def _check(work: Workload, number: int, asked: int | None) -> int:
    """Returns how many of `number` runs fit into the memory of a device at once.

    Raises:
        ConfigurationError: fewer than were `asked` for do, or on CUDA than are needed.
    """
    if number == 1:
        return number
    free, each = work.free(), work.memory()
    fitting = number if free is None else max(free // max(each, 1), 1)
    if fitting < number and asked is not None:
        raise ConfigurationError(
            f"{number} runs at once need {number} x {size(each)} of {work.device}, and "
            f"{size(free or 0)} are free. Use --executor processes,workers={fitting}, or leave "
            "workers out."
        )
    return min(fitting, number)


def _devices(device: str) -> list[str]:
    """Returns the CUDA devices for the workers, as their environment names them.

    A device that was asked for by its number stays as it is: its name is the empty text.
    """
    if device != "cuda":
        return [""]
    import torch

    visible = [name.strip() for name in os.environ.get(CUDA, "").split(",") if name.strip()]
    return visible or [str(number) for number in range(torch.cuda.device_count())]
