"""How much memory there is, and the lid on it; the lid is tried in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nastk.nn import memory

CPU = torch.device("cpu")
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")
MEMINFO = "MemTotal:       2048 kB\nMemAvailable:   1024 kB\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"/proc/meminfo": MEMINFO}, 1024 * 1024),
        ({"/proc/meminfo": MEMINFO, "memory.max": "max\n", "memory.current": "7\n"}, 1024 * 1024),
        ({"/proc/meminfo": MEMINFO, "memory.max": "5000\n", "memory.current": "3000\n"}, 2000),
        ({"/proc/meminfo": MEMINFO, "memory.max": "5000\n", "memory.current": "6000\n"}, 0),
        ({}, None),
    ],
)
def test_what_is_available_is_what_machine_and_container_leave(monkeypatch, files, expected):
    def read(path):
        return files.get(str(path), files.get(Path(path).name, ""))

    monkeypatch.setattr(memory, "_read", read)
    assert memory.available(CPU) == expected


@LINUX
def test_under_a_limit_torch_is_refused_and_afterwards_not():
    code = """
import torch
from nastk.base.failures import out_of_memory
from nastk.nn.memory import memory_limit
cpu = torch.device("cpu")
with memory_limit(cpu, 50 << 20):
    kept = torch.ones(10 << 18)
    try:
        torch.ones(100 << 18)
    except RuntimeError as error:
        assert out_of_memory(error), error
    else:
        raise AssertionError("100 MiB fitted under a limit of 50")
with memory_limit(cpu, None):
    assert len(torch.ones(100 << 18)) == 100 << 18
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
