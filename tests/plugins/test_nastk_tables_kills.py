"""Two processes build one table; one is killed in the middle, and the table is the same."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nastk_tables.storage import read

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_table.py"
WORDS = ["build", "--epochs", "2", "--sample", "12", "--seeds", "0-1"]


def started(out):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, str(EXAMPLE), *WORDS, "--table", str(out)]
    return subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL)


def waited(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
def test_a_killed_process_costs_one_training(tmp_path):
    straight, shared = tmp_path / "straight.table", tmp_path / "shared.table"
    with started(straight) as alone:
        assert alone.wait(300) == 0
    folder = tmp_path / "shared.trainings"
    with started(shared) as killed, started(shared) as other:
        waited(lambda: len(list(folder.glob("*-seed*.json"))) >= 4)
        killed.send_signal(signal.SIGKILL)
        assert other.wait(300) == 0
    with started(shared) as last:  # the one training that the killed one had at that moment
        assert last.wait(300) == 0
    one, two = read(straight), read(shared)
    assert one.texts == two.texts and one.columns == two.columns
    for column in one.columns:
        if column.quantity != "train_seconds":
            np.testing.assert_array_equal(one.numbers(column.name), two.numbers(column.name))
    trainings = [json.loads(path.read_text()) for path in folder.glob("*-seed*.json")]
    assert len(trainings) == 24 and all("metrics" in training for training in trainings)
