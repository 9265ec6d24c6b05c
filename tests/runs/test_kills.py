"""A hundred kills at random instants: whatever is resumed ends in the bits of an undisturbed run.

`pytest -m slow tests/runs/test_kills.py`. Each setting is run once undisturbed; then in processes
of their own, again and again, each killed (SIGKILL) after a random share of that time, resumed, and
mostly killed once more. Instants come from the clock, so no two runs of this test are the same;
what must hold, holds at any of them.
"""

import json
import subprocess
import sys

import pytest
from core_kit import without_time

from nastk.runs import checkpoint
from nastk.runs.folder import RunFolder
from nastk.testing import fingerprint

pytestmark = pytest.mark.slow

KILLS = 9
"""Kills of each setting; twelve settings make more than a hundred."""

OFTEN = {"checkpoint_minutes": 0.0005}
"""A checkpoint every 30 milliseconds: kills that fall into the writing of one."""

SMALL = {"space": {"name": "nasbench201", "options": {"channels": 4, "cells": 1}}, "data": "toy"}
SETTINGS = {
    "darts": {"updater": "darts"},
    "darts, many checkpoints": {"updater": "darts", "trainer": OFTEN},
    "darts second order": {"updater": {"name": "darts", "options": {"order": 2}}},
    "shapley": {
        "updater": {"name": "shapley", "options": {"samples": 2, "warmup": 1, "batch_size": 16}},
        "trainer": OFTEN,
    },
    "random by evolution": {
        "updater": {
            "name": "random",
            "options": {"choice": "evolution", "population": 6, "generations": 2, "parents": 2},
        }
    },
    "splitting": {"updater": "toy-split", "trainer": OFTEN},
    "limited": {"updater": "drnas", "limits": ["params=0.5M"]},
    "ranked": {
        "updater": "random",
        "ranking": {"evaluator": "size", "every": 1, "sample": 10, "images": 24, "batch_size": 24},
    },
    "isdarts on nasbench201": {
        **SMALL,
        "updater": {"name": "isdarts", "options": {"interval": 1, "batches": 1}},
        "trainer": {"epochs": 6},
    },
    "evnas": {
        "updater": {
            "name": "evnas",
            "options": {"population": 3, "tournament": 2, "batch_size": 16},
        },
        "trainer": OFTEN,
    },
    "retrained at the end": {
        "updater": "gdas",
        "evaluators": [{"name": "retrain", "options": {"epochs": 2, "batch_size": 16}}],
    },
    "random on nasbench201": {
        **SMALL,
        "updater": {"name": "random", "options": {"candidates": 6}},
        "trainer": OFTEN,
    },
}

KILL = """
import json, os, random, signal, sys, time
import torch
import nastk
import torch._dynamo  # which torch loads in a search's first step: once for all
torch.set_num_threads(1)

def child(act):
    number = os.fork()
    if not number:
        sys.stderr = open(os.devnull, "w")
        try:
            act()
        except BaseException as error:
            print(type(error).__name__, error, flush=True)
            os._exit(3)
        os._exit(0)
    return number

def ended(number):
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])

def goes_on(request, out):
    if os.path.exists(f"{out}/config.json"):
        nastk.resume(out)
    else:
        nastk.search(**request, out=out)

request, place, kills = json.loads(sys.argv[1])
began = time.monotonic()
assert ended(child(lambda: nastk.search(**request, out=f"{place}/straight"))) == 0
whole = time.monotonic() - began
done = trial = 0
while done < kills:
    trial += 1
    assert trial < 5 * kills, "nearly every run ended before it could be killed"
    out, more = f"{place}/{trial}", True
    while True:
        number = child(lambda: goes_on(request, out))
        if more:
            time.sleep(random.uniform(0.02, 1.0) * whole)
            os.kill(number, signal.SIGKILL)
        status = ended(number)
        assert status in (0, -signal.SIGKILL), status
        if status == 0:
            break
        done += 1
        more = random.random() < 0.6
print(json.dumps({"kills": done, "runs": trial}))
"""


def ending(path):
    """What must be equal: states, architecture, evaluations and events, but for the clock's."""
    folder = RunFolder.open(path)
    assert folder.state() == "finished"
    stored, complaints = checkpoint.newest(folder.checkpoints)
    assert complaints == []
    events = [
        without_time(event) for event in folder.events() if event["kind"] != "checkpoint-saved"
    ]
    result = folder.result()
    evaluations = [without_time(one) for one in result["evaluations"]]
    return fingerprint(stored.branches), result["architecture"], evaluations, events


@pytest.mark.parametrize("setting", SETTINGS)
def test_killed_at_any_instant_and_resumed_equals_undisturbed(setting, tmp_path):
    asked = {"space": "toy", "data": "toy", "seed": 3, **SETTINGS[setting]}
    asked["trainer"] = {"epochs": 4, "batch_size": 16, "log_every": 1, "threads": 1} | asked.get(
        "trainer", {}
    )
    line = [sys.executable, "-c", KILL, json.dumps([asked, str(tmp_path), KILLS])]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["kills"] >= KILLS
    straight = ending(tmp_path / "straight")
    for trial in range(1, counts["runs"] + 1):
        assert ending(tmp_path / str(trial)) == straight, f"run {trial} of {counts}"
        left = [path.name for path in (tmp_path / str(trial)).rglob("*.tmp")]
        assert left == [], "leftovers of a kill"
