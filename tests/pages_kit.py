"""Folders that reports are made of, written by hand: runs with everything, trainings, studies."""

import json
from pathlib import Path

from report_kit import BENCH
from run_kit import CONFIG, RANKED, event, trained

OPERATIONS = BENCH.edges[0].operations
ENVIRONMENT = {"python": "3.12.1", "nastk": "0.1.0", "processor": "a processor", "device": "cpu"}
DATA = {"schema": 1, "splits": {"valid": {"counts": [50, 50]}, "test": {"counts": [100, 100]}}}
NUMBER = {"value": 0.7, "low": 0.6, "high": 0.8}


def scores(epoch):
    """A table of scores, edges x operations, with a hole."""
    rows = [[0.01 * (row + 1) * column * epoch for column in range(5)] for row in range(6)]
    rows[2][0] = None
    return rows


def errors():
    return [[0.001 * (column + 1) for column in range(5)] for _ in range(6)]


def watched(epoch, **changes):
    values = {"parameter_free": 0.5, "entropy": 1.0 - 0.01 * epoch, "scores": scores(epoch)}
    warning = {"name": "undecided", "message": "The weights are <b>uniform</b>."}
    return event("watched", "0", epoch, **{**values, "warnings": [warning], **changes})


def reported(epoch, topic="method", **values):
    return event("updater-reported", "0", epoch, topic=topic, values=values)


def individual(number, fitness, parents=(), fresh=()):
    return {
        "number": number, "parents": list(parents), "fresh": list(fresh), "fitness": fitness,
        "architecture": f"a{number}",
    }  # fmt: skip


GENERATIONS = (
    [individual(0, 0.2), individual(1, 0.3), individual(2, 0.1)],
    [individual(3, 0.5, (0, 1)), individual(1, 0.35), individual(4, 0.2, (2, 2), (1,))],
    [individual(5, 0.6, (3, 3), (0,)), individual(6, 0.4, (4, 1)), individual(1, 0.3)],
)


def ranked(epoch, tau=0.5):
    agreement = {**RANKED, "kendall": {"value": tau, "low": tau - 0.1, "high": tau + 0.1}}
    measured = {**agreement, "halves": 0.8, "images": 1_000}
    by = {"scores": agreement, "supernet": measured, "parameters": {**RANKED, "kendall": NUMBER}}
    return event("ranked", "0", epoch, evaluator="table", metric="accuracy", by=by)


def events(epochs=3):
    """A history with all that a report shows, in one branch."""
    found = [event("run-started", "0", 0, epochs=epochs, steps_per_epoch=1, config=CONFIG)]
    for epoch in range(1, epochs + 1):
        found += [
            reported(epoch, values=scores(epoch), standard_errors=errors()),
            reported(epoch, "generation", individuals=GENERATIONS[epoch - 1]),
            {**trained("0", epoch), "loss": 2.0 / epoch, "accuracy": 0.2 * epoch},
            watched(epoch),
            ranked(epoch, 0.2 * epoch),
        ]
    return [*found, event("run-finished", "0", epochs, architecture="a", architecture_id=BENCH.id)]


LIGHT = [{**trained("0", epoch), "loss": 2.0 / epoch} for epoch in (1, 2)]
"""A history with nothing but epochs."""


def result(**changes):
    return {
        "architecture": BENCH.to_json(),
        "text": "|nor_conv_3x3~0|",
        "branch": "0",
        "task": {"classes": 10, "channels": 3, "size": 32, "labels": []},
        "evaluations": [
            {"evaluator": "size", "metrics": {"parameters": 587386, "multiply_adds": 88_000_000},
             "notes": ["Counted for one image."]},
            {"evaluator": "supernet", "metrics": {"valid_accuracy": 0.5, "test_accuracy": 0.4},
             "notes": []},
        ],
        "cost": {
            "train": {"images_forward": 300, "images_backward": 300, "seconds": 3.0},
            "updater": {"images_forward": 100, "images_backward": 0, "seconds": 1.0},
        },
        **changes,
    }  # fmt: skip


def write_full_run(path, history=None, outcome=None, config=None):
    """A run's folder; `outcome` False leaves it unfinished."""
    path = Path(path)
    path.mkdir(parents=True)
    lines = events() if history is None else history
    (path / "config.json").write_text(json.dumps(config or CONFIG))
    (path / "data.json").write_text(json.dumps(DATA))
    (path / "environment.json").write_text(json.dumps({"environments": [ENVIRONMENT]}))
    (path / "events.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))
    if outcome is not False:
        (path / "result.json").write_text(json.dumps(outcome or result()))
    return path


def log(epochs=3, start=2.0):
    return [
        {"epoch": epoch, "rate": 0.1 / epoch, "loss": start / epoch, "train_accuracy": 0.2 * epoch,
         "valid_accuracy": 0.15 * epoch, "seconds": 1.0}
        for epoch in range(1, epochs + 1)
    ]  # fmt: skip


def write_training(path, seeds=(0, 1), unfinished=()):
    """A training's folder with these seeds; no model for those that are `unfinished`."""
    for seed in (*seeds, *unfinished):
        place = Path(path) / f"seed-{seed}"
        place.mkdir(parents=True)
        lines = [json.dumps(row) + "\n" for row in log(start=2.0 + seed)]
        (place / "log.jsonl").write_text("".join(lines) + '{"epoch": 4, "lo')
        if seed not in unfinished:
            (place / "model.json").write_text(json.dumps(model(seed)))
    return Path(path)


def model(seed):
    return {
        "format": 1, "nastk": "0.1.0", "space": {"name": "nasbench201", "options": {}},
        "architecture": "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+"
        "|skip_connect~0|nor_conv_1x1~1|avg_pool_3x3~2|",
        "classes": ["cat", None], "data": {"name": "folder", "options": {"path": "a/leaves"}},
        "recipe": {"epochs": 3, "cutout": None}, "seed": seed, "from": "scratch", "epochs": 3,
        "train_loss": 0.5, "valid_accuracy": 0.8 + 0.02 * seed, "test_accuracy": 0.7 + 0.02 * seed,
        "parameters": 1000, "multiply_adds": 20000, "images": 30, "seconds": 60.0,
        "command": "nastk train runs/a", "environment": ENVIRONMENT,
    }  # fmt: skip


def write_study(path):
    """A study of two updaters with two seeds each; one run failed, one was interrupted."""
    for updater, accuracy in (("random", 0.4), ("gm", 0.6)):
        for seed in range(2):
            config = {**CONFIG, "updater": {"name": updater, "options": {}}, "seed": seed}
            metrics = {"table_test_accuracy": accuracy + seed / 50, "kendall_by_scores": 0.3}
            metrics["kendall_by_scores_low"] = 0.2
            outcome = result(evaluations=[{"evaluator": "table", "metrics": metrics, "notes": []}])
            write_full_run(path / f"{updater}-seed{seed}", LIGHT, outcome, config)
    config = {**CONFIG, "updater": {"name": "gm", "options": {}}, "seed": 2}
    failed = write_full_run(path / "gm-seed2", LIGHT[:1], False, config)
    (failed / "error.txt").write_text("The loss is not finite.")
    write_full_run(path / "random-seed2", LIGHT[:1], False, {**CONFIG, "seed": 2})
    return path


def write_problems(path, problems=2, seeds=2, epochs=3):
    """A study of four updaters on several problems, each epoch looked up and ranked."""
    skills = {"random": 0.0, "gm(inner=darts)": 0.02, "fair": 0.05, "shapley": 0.06}
    rows = []
    for number in range(problems):
        data = {"name": "folder", "options": {"path": f"photos/place{number}"}}
        for place, (label, skill) in enumerate(skills.items()):
            folder = label.replace("(", "-").replace(")", "")
            runs = []
            for seed in range(seeds):
                config = {**CONFIG, "data": data, "seed": seed}
                config["updater"] = {"name": label.partition("(")[0], "options": {}}
                last = 0.6 + skill + 0.01 * seed + 0.02 * ((place + number) % 2)
                lines = []
                for epoch in range(1, epochs + 1):
                    reached = last - 0.1 / epoch**2 + 0.1 / epochs**2
                    spent = {"images_forward": 100 * epoch * (1 + place), "seconds": 2.0 * epoch}
                    spent |= {"images_backward": 100 * epoch, "cpu_seconds": epoch * (1 + seed)}
                    lines.append({**trained("0", epoch), **spent})
                    lines.append(ranked(epoch, reached - 0.2))
                    known = {"table_test_accuracy": reached, "regret": 0.75 - reached}
                    lines.append(event("looked-up", "0", epoch, evaluator="table", metrics=known))
                size = {"parameters": 300_000 + 100_000 * ((seed + place) % 4)}
                evaluations = [
                    {"evaluator": "table", "metrics": {**known, **size}, "notes": []},
                ]
                outcome = result(evaluations=evaluations)
                runs.append(f"nasbench201-on-folder-place{number}--{folder}-seed{seed}")
                write_full_run(path / runs[-1], lines, outcome, config)
            rows.append({"problem": f"nasbench201 on folder:place{number}", "updater": label,
                         "seeds": list(range(seeds)), "runs": runs})  # fmt: skip
    (path / "study.json").write_text(json.dumps(rows))
    return path
