"""The test process is stricter than the user's.

Torch is deterministic and single-threaded, and nothing of the caller's environment reaches nastk.
Warnings are errors too: `pyproject.toml` says so. A test that writes below `runs/` asks for
`workplace`, an empty folder of its own. `shapes.py` says how to check every call's types and shapes
as well.
"""

import os
import sys
from functools import cache

import pytest
import torch
from hypothesis import settings

os.environ["COLUMNS"] = "100"
os.environ["NO_COLOR"] = "1"
for name in [name for name in os.environ if name.startswith("NASTK_") and name != "NASTK_SHARED"]:
    del os.environ[name]


# Modules that use torch to read files, to parse texts, to compare options or to see what becomes of
# runs: nothing of what they assert depends on a processor.
EXACT = (
    "base/",
    "cli/",
    "report/",
    "contract/test_presets",
    "nn/test_memory",
    "plugins/test_nastk_black_box",
    "plugins/test_nastk_drawing",
    "plugins/test_nastk_images",
    "plugins/test_nastk_ray",
    "plugins/test_nastk_shapley_presets",
    "plugins/test_nastk_tables",
    "plugins/test_nastk_training_recipes",
    "plugins/test_spaces_texts",
    "runs/test_damaged_runs",
    "runs/test_executing",
    "runs/test_following",
    "runs/test_moved",
    "runs/test_problems",
    "runs/test_protocol",
    "runs/test_record",
    "runs/test_repeating",
    "runs/test_study",
    "runs/test_warm_up",
    "test_benchmarks",
    "test_reproduction",
)

settings.register_profile("suite", max_examples=40, deadline=None, derandomize=True, database=None)
settings.load_profile("suite")


def pytest_configure(config):
    # The checks look at one random item of a long list, also where a strategy makes a value of
    # nastk.
    config.addinivalue_line(
        "filterwarnings", "ignore:Do not use the `random` module inside strategies"
    )


def pytest_collection_modifyitems(items):
    cases = {}
    for item in items:
        if computes(item.module) and not item.nodeid.removeprefix("tests/").startswith(EXACT):
            item.add_marker("numeric")
        if mark := item.get_closest_marker("quick_cases"):
            cases.setdefault((item.parent, item.originalname, *mark.args), []).append(item)
    for (_, _, quick), each in cases.items():
        kept = {number * len(each) // quick for number in range(quick)}
        for number, item in enumerate(each):
            if number not in kept:
                item.add_marker("slow")


@cache
def computes(module):
    """Whether a module of tests uses torch, itself or through what it imports by name."""
    used = {getattr(each, "__module__", None) for each in vars(module).values()}
    names = [vars(sys.modules[name]) for name in {module.__name__, *used} if name in sys.modules]
    # By identity: some values of torch raise an error where they are compared with a module.
    return any(value is torch or value is torch.nn for each in names for value in each.values())


@pytest.fixture(scope="session", autouse=True)
def deterministic():
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def one_thread():
    # Some commands set the number for their process; where cores are busy with other tests, two
    # threads wait for each other and take ten times as long.
    yield
    torch.set_num_threads(1)


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty folder that is the current one, so that `runs/` is made there."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
