"""What a plugin must answer (the table of docs/architecture.md), and which values may change."""

import importlib
from dataclasses import is_dataclass
from pathlib import Path

import pytest

import nastk
from nastk import (
    ArchitectureUpdater,
    Continuation,
    DataSource,
    Evaluator,
    Plan,
    SearchSpace,
    Subspace,
    Supernet,
)

MUST = [
    (SearchSpace, "supernet network decide to_text from_text"),
    (Supernet, "forward operations"),
    (ArchitectureUpdater, "mixtures architecture"),
    (Evaluator, "evaluate"),
    (DataSource, "task splits"),
]


@pytest.mark.parametrize(("interface", "answers"), MUST)
def test_a_class_that_lacks_an_answer_cannot_be_made(interface, answers):
    names = answers.split()
    for missing in names:
        given = {name: lambda self: None for name in names if name != missing}
        lacking = type("Lacking", (interface,), {"name": "lacking", "summary": "", **given})
        with pytest.raises(TypeError, match=f"abstract method '?{missing}"):
            lacking()
    assert interface.__abstractmethods__ == set(names)


def test_by_default_a_plan_decides_and_a_branch_keeps_its_weights():
    subspace = Subspace(((True, False),))
    assert Plan(3, 3, 16, 48, 48) == Plan(3, 3, 16, 48, 48, decides=True)
    assert Continuation(subspace) == Continuation(subspace, fresh=False, schedule=None)


CHANGES = ["Answers", "Tally", "Weights", "Branch", "Trainer"]
"""The state of a run; what captures CUDA graphs (`train/graphs.py`) changes too."""
ROOMS = [
    path
    for room in ("spaces", "train")
    for path in sorted((Path(nastk.__file__).parent / room).rglob("*.py"))
    if path.stem not in ("__init__", "graphs")
]


@pytest.mark.parametrize("path", ROOMS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_values_are_frozen_and_state_is_known_by_name(path):
    parts = path.relative_to(Path(nastk.__file__).parent).with_suffix("").parts
    module = importlib.import_module(".".join(("nastk", *parts)))
    own = [one for one in vars(module).values() if isinstance(one, type) and is_dataclass(one)]
    changing = {
        one.__name__
        for one in own
        if one.__module__ == module.__name__ and not one.__dataclass_params__.frozen
    }
    assert changing <= set(CHANGES)
