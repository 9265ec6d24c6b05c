"""The executor `processes`: who gets which device and threads, and what the memory holds."""

from dataclasses import dataclass, field

import pytest

from nastk import ConfigurationError
from nastk_processes.seats import seats

GIB = 2**30


@dataclass
class Work:
    """What an executor asks of a workload."""

    device: str = "cpu"
    threads: int = 0
    needs: int = GIB
    has: int | None = 100 * GIB
    jobs: list = field(default_factory=lambda: [None] * 8)

    def memory(self):
        return self.needs

    def free(self):
        return self.has


@pytest.mark.parametrize(
    ("work", "workers", "threads", "cores", "found"),
    [
        (Work(), None, None, 4, [1] * 4),
        (Work(), None, 2, 4, [2] * 2),
        (Work(), 2, None, 4, [2] * 2),
        (Work(), 3, None, 4, [1] * 3),
        (Work(threads=2), None, None, 4, [2] * 2),
        (Work(threads=2), 3, None, 4, [2] * 3),
        (Work(), None, 8, 4, [8]),
        (Work(), None, None, 64, [1] * 8),  # no more than there are runs
        (Work(has=3 * GIB), None, None, 4, [1] * 3),
        (Work(has=GIB // 2), None, None, 4, [1]),
        (Work(has=None), None, None, 4, [1] * 4),
    ],
)
def test_threads_and_memory_decide_how_many_processes_there_are(
    work, workers, threads, cores, found
):
    made = seats(work, workers, threads, cores)
    assert [seat.threads for seat in made] == found
    assert {seat.environment["OMP_NUM_THREADS"] for seat in made} == {str(found[0])}


@pytest.mark.parametrize(
    ("device", "visible", "workers", "found"),
    [
        ("cuda", "2,5", None, ["2", "5"]),
        ("cuda", "2, 5", 4, ["2", "5", "2", "5"]),
        ("cuda", "2,5", 1, ["2"]),
        ("cuda:1", "2,5", None, [None]),
    ],
)
def test_each_cuda_device_has_a_process(device, visible, workers, found, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    made = seats(Work(device), workers, None, 4)
    assert [seat.environment.get("CUDA_VISIBLE_DEVICES") for seat in made] == found


@pytest.mark.parametrize(
    ("work", "workers", "threads", "message"),
    [
        (Work(has=3 * GIB), 4, None, r"4 runs at once need 4 x .* of cpu, and .* are free\. Use "),
        (Work("cuda", has=GIB), 4, None, "2 runs at once need .* of cuda"),
        (Work(threads=2), None, 3, r"have 2 threads \(-t threads\) and 3 .*Leave one of them out"),
    ],
)
def test_what_does_not_fit_is_refused(work, workers, threads, message, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(ConfigurationError, match=message):
        seats(work, workers, threads, 4)
