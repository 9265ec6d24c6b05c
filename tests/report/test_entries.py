"""What trackers are told: every kind of event as numbers and texts with names."""

import pytest
from run_kit import EVENTS, RANKED

from nastk import Edge
from nastk.report import Entry
from nastk.report.entries import entry, settings

EDGES = (Edge("0->1", ("conv", "skip"), "cell", 0, 1), Edge("0->2", ("conv",), "cell", 0, 2))
WARNING = {"name": "undecided", "message": "almost uniform"}
AT = {"branch": "0", "epoch": 2, "step": 7, "time": 1.5}
CASES = [
    (
        {"kind": "epoch-done", "loss": 0.5, "accuracy": 0.25, "learning_rate": 0.1,
         "architecture": "a", "images_forward": 30, "images_backward": 20, "seconds": 1.5},
        {"train/loss": 0.5, "train/accuracy": 0.25, "train/learning_rate": 0.1, "train/epoch": 2.0,
         "cost/images_forward": 30.0, "cost/images_backward": 20.0, "cost/seconds": 1.5},
        {},
    ),
    (
        {"kind": "watched", "parameter_free": 0.5, "entropy": None,
         "scores": [[0.75, None], [-1.0, None]], "warnings": [WARNING]},
        {"decision/parameter_free": 0.5, "scores/0->1/conv": 0.75, "scores/0->2/conv": -1.0},
        {"warning/undecided": "almost uniform"},
    ),
    ({"kind": "watched", "parameter_free": 0.0, "entropy": 0.5, "scores": None, "warnings": []},
     {"decision/parameter_free": 0.0, "decision/entropy": 0.5}, {}),
    (
        {"kind": "ranked", "evaluator": "table", "metric": "accuracy",
         "by": {"scores": RANKED, "supernet": None}},
        {"ranking/scores/kendall": 0.5, "ranking/scores/spearman": 0.5,
         "ranking/scores/regret_1": 0.5, "ranking/scores/regret_5": 0.02,
         "ranking/scores/regret_10": 0.0},
        {},
    ),
    ({"kind": "updater-reported", "topic": "orders",
      "values": {"used": 3, "lists": [1, 2], "word": "none", "on": True, "nothing": None}},
     {"report/orders/used": 3.0}, {}),
    ({"kind": "branch-continued", "children": ["0.0", "0.1"]}, {},
     {"branches": "branch 0 goes on as 0.0, 0.1"}),
    ({"kind": "branch-continued", "children": []}, {},
     {"branches": "branch 0 goes on as none: it ended"}),
    ({"kind": "evaluated", "evaluator": "size", "metrics": {"parameters": 703, "share": 0.5}},
     {"evaluation/size/parameters": 703.0, "evaluation/size/share": 0.5}, {}),
    ({"kind": "looked-up", "evaluator": "table", "metrics": {"table_test_accuracy": 0.5}},
     {"decision/table/table_test_accuracy": 0.5}, {}),
    ({"kind": "run-finished", "architecture": "a|b", "architecture_id": "27a3", "seconds": 2.5},
     {"cost/seconds": 2.5}, {"architecture": "a|b", "architecture_id": "27a3"}),
]  # fmt: skip


@pytest.mark.parametrize(("line", "numbers", "texts"), CASES)
def test_an_event_gives_numbers_and_texts(line, numbers, texts):
    assert entry({**AT, **line}, EDGES) == Entry(2, 7, 1.5, numbers, texts)


@pytest.mark.parametrize(
    "line", [{"kind": "run-started"}, {"kind": "of-a-later-version"}, {"kind": "updater-reported"}]
)
def test_an_event_without_numbers_gives_nothing(line):
    assert entry({**AT, **line}, EDGES) is None


def test_the_names_of_a_branch_begin_with_it():
    (found,) = [entry(line, EDGES) for line in EVENTS if line["branch"] == "0.0"]
    assert set(found.numbers) >= {"branch-0.0/train/loss", "branch-0.0/train/accuracy"}


def test_settings_are_on_one_level():
    nested = {"seed": 0, "updater": {"name": "gm", "options": {"groups": [2, 3]}}, "ranking": None}
    assert settings(nested) == {
        "seed": 0,
        "updater.name": "gm",
        "updater.options.groups": "[2, 3]",
        "ranking": None,
    }
