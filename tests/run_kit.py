"""A finished run's folder written by hand: it split, was watched and ranked. No torch needed."""

import json

from report_kit import BENCH

AGREEMENT = {"value": 0.5, "low": 0.4, "high": 0.6}
RANKED = {
    "architectures": 60, "kendall": AGREEMENT, "spearman": AGREEMENT,
    "regret": {"1": 0.5, "5": 0.02, "10": 0.0},
}  # fmt: skip
CONFIG = {
    "space": {"name": "nasbench201", "options": {}},
    "updater": {"name": "gm", "options": {"inner": "darts"}},
    "data": {"name": "folder", "options": {"path": "pictures/leaves"}},
    "trainer": {"epochs": 2, "batch_size": 16},
    "evaluators": [{"name": "size", "options": {}}],
    "seed": 3,
}
SIZE = {"parameters": 587386, "multiply_adds": 88_000_000}


def event(kind, branch, epoch, **values):
    return {"kind": kind, "branch": branch, "epoch": epoch, "step": epoch, "time": 0.0, **values}


def trained(branch, epoch):
    values = {"loss": 1.0, "accuracy": 0.5, "architecture": "a", "learning_rate": 0.1}
    return event("epoch-done", branch, epoch, images_forward=1, images_backward=1, **values)


EVENTS = [
    event("run-started", "0", 0, epochs=2, steps_per_epoch=1, config=CONFIG),
    trained("0", 1),
    event("branch-continued", "0", 1, children=["0.0", "0.1"], fresh=[False, False],
          subspaces=[["11111"] * 6, ["11100", *["11111"] * 5]], schedules=[]),
    trained("0.0", 2),
    trained("0.1", 2),
    event("watched", "0.1", 2, parameter_free=0.5, entropy=0.5, scores=None, warnings=[]),
    event("ranked", "0.1", 2, evaluator="table", metric="accuracy",
          by={"scores": RANKED, "supernet": None}),
    event("run-finished", "0.1", 2, architecture="a", architecture_id=BENCH.id),
]  # fmt: skip
RESULT = {
    "architecture": BENCH.to_json(),
    "text": "a",
    "branch": "0.1",
    "task": {"classes": 10, "channels": 3, "size": 32, "labels": []},
    "evaluations": [
        {"evaluator": "size", "metrics": SIZE, "notes": []},
        {"evaluator": "supernet", "metrics": {"valid_accuracy": 0.5}, "notes": []},
    ],
    "cost": {"train": {"images_forward": 3, "images_backward": 3, "seconds": 1.0}},
}


def write_run(path):
    """A folder that `nastk show`, `runs` and `draw` read."""
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(CONFIG))
    (path / "events.jsonl").write_text("".join(json.dumps(each) + "\n" for each in EVENTS))
    (path / "architecture.json").write_text(json.dumps(BENCH.to_json()))
    (path / "result.json").write_text(json.dumps(RESULT))
