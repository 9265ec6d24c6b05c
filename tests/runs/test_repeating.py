"""A study is made again: the command and the file of a report give each run its settings."""

import json
from dataclasses import replace

import pytest
from cli_kit import called

import nastk.cli.study
from nastk import ConfigurationError, Preset, StopRequested
from nastk.cli import repetition
from nastk.runs.config import resolve
from nastk.runs.protocol import registered
from nastk.runs.repeating import repeated
from nastk.runs.search_config import SearchConfig
from nastk.runs.study_plan import plan

TRAINER = {"epochs": 3, "batch_size": 48, "threads": 1}
TOY = {"space": "toy", "data": "toy", "trainer": TRAINER}
SPACES = [{"name": "toy", "options": {"channels": number}} for number in (2, 4)]
TWO = {**TOY, "space": SPACES, "evaluators": ["supernet"]}
OWN = {
    "toy(channels=2) on toy": {"trainer": {"epochs": 4}, "evaluators": ["size"]},
    "toy(channels=4) on toy": {"leaf_race": 0.25, "preset": "quick"},
}
SHAPLEY = nastk.use("shapley", warmup=1, samples=2)
GM = nastk.use("gm", inner="darts", inner_options={"order": 1}, splits=[1])


def settings(cells):
    """What is to be the same in two studies, by problem, updater and seed."""
    found = {}
    for cell in cells:
        config = cell.config.model_dump(mode="json", exclude={"preset", "device"})
        key = json.dumps([config["space"], config["data"]]), cell.label, cell.seed
        found[key] = config
    return found


def again(monkeypatch, words):
    """The runs that `nastk compare` would begin with these words."""
    found = []

    def planned(space, updaters, data, *, seeds, budget, out, problems=None, **others):
        request = {key: value for key, value in others.items() if key in SearchConfig.model_fields}
        request |= {"space": space, "data": data, "problems": problems}
        found.extend(plan(request, updaters, seeds, out, budget))
        raise StopRequested

    monkeypatch.setattr(nastk.cli.study, "compare", planned)
    _, _, said = called("compare", *words)
    assert found, said
    return found


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize(
    ("request_of", "updaters", "budget", "words", "keys"),
    [
        (
            TOY,
            ["darts", SHAPLEY],
            None,
            ["darts", "shapley,warmup=1,samples=2", "random", "--seeds", "0,2"],
            None,
        ),
        (
            {**TOY, "device": "cpu"},
            [GM, nastk.use("random", candidates=7)],
            None,
            ['gm,inner=darts,inner_options={"order":1},splits=[1]', "random,candidates=7",
             "--seeds", "0,2"],
            None,
        ),
        (
            TWO,
            ["darts"],
            None,
            ["darts", "random", "--seeds", "0,2"],
            {"trainer", "preset", "evaluators"},
        ),
        (
            {**TWO, "problems": OWN},
            ["darts"],
            None,
            ["darts", "random", "--seeds", "0,2"],
            {"trainer", "problems"},
        ),
        (
            {**TOY, "trainer": {"batch_size": 48}},
            ["darts"],
            "images=2k",
            ["darts", "random,candidates=12", "--seeds", "0,2", "--budget", "images=2k"],
            {"trainer", "preset", "evaluators"},
        ),
    ],
)  # fmt: skip
def test_the_command_plans_the_same_runs(
    request_of, updaters, budget, words, keys, tmp_path, monkeypatch
):
    cells = registered(plan(request_of, updaters, [0, 2], tmp_path, budget), tmp_path)
    found = repetition(tmp_path, [])
    assert [word for word in found.arguments if word != "--updater"] == words
    assert found.remarks == []
    file = tmp_path / "again.json"
    if found.file is None:  # any run's own file serves
        file.write_text(cells[-1].config.model_dump_json())
    else:
        assert keys <= set(found.file)
        file.write_text(json.dumps(found.file))
    repeating = ["--config", file, *found.arguments, "--out", tmp_path / "again"]
    assert settings(again(monkeypatch, repeating)) == settings(cells)
    assert (found.file is None) == (keys is None)


def test_a_preset_that_only_one_updater_has_is_named_again(tmp_path, monkeypatch):
    darts = nastk.catalogue().load("updater", "darts")
    brief = Preset(
        "brief", "not published", updater_options={"order": 2}, trainer_options={"epochs": 5}
    )
    monkeypatch.setattr(darts, "presets", (*darts.presets, brief))
    request = {**TOY, "trainer": {"batch_size": 48}, "preset": "quick"}
    cells = registered(plan(request, [nastk.use("darts", preset="brief")], [0], tmp_path), tmp_path)
    found = repetition(tmp_path, [])
    assert found.arguments[:2] == ["--updater", "darts,preset=brief"]
    file = tmp_path / "again.json"
    file.write_text(json.dumps(found.file))
    repeating = ["--config", file, *found.arguments, "--out", tmp_path / "again"]
    assert settings(again(monkeypatch, repeating)) == settings(cells)


def configs(**updaters):
    """The configurations of a study from before protocols, of two seeds."""
    common = {"space": "nasbench201", "data": "cifar10", "preset": "none"}
    return {
        f"{name}-seed{seed}": resolve(
            {**common, "updater": name, **asked, "seed": seed}
        ).model_dump(mode="json")
        for name, asked in updaters.items()
        for seed in range(2)
    }  # fmt: skip


def test_what_a_preset_gave_to_each_comes_from_the_preset(tmp_path):
    runs = configs(darts={"preset": "paper"}, gdas={"preset": "paper"})
    epochs = {run["trainer"]["epochs"] for run in runs.values()}
    found = repeated(tmp_path, runs)
    assert len(epochs) == 2 and "epochs" not in found.config["trainer"]
    assert found.config["preset"] == "paper" and not found.is_plain
    assert [spec.options for spec in found.updaters] == [{}, {}]


def test_options_that_no_label_names_are_given_where_they_are_needed(tmp_path):
    odd = {"name": "random", "options": {"candidates": 3}}
    (spec,) = repeated(tmp_path, configs(random={"updater": odd})).updaters
    assert spec.options["candidates"] == 3


def test_how_the_new_study_may_differ_is_said(tmp_path):
    trainer = {"batch_size": 48}
    cells = plan({**TOY, "trainer": trainer}, ["darts"], [0, 1], tmp_path, "images=2k")
    budget = {"budget": "cpu_seconds=9"}
    cells = [replace(cell, config=cell.config.model_copy(update=budget)) for cell in cells]
    registered(cells[:-1], tmp_path, "valid_accuracy")
    found = repetition(tmp_path, [])
    assert found.arguments[-4:] == ["--budget", "cpu_seconds=9", "--metric", "valid_accuracy"]
    assert found.remarks[0].startswith("Not every updater had every seed")
    assert found.remarks[1].startswith("A budget in seconds may give other epochs")


OTHER = {"space": "nasbench-macro", "data": "digits"}


@pytest.mark.parametrize(
    ("updaters", "changes", "message"),
    [
        (
            {"darts": {}, "fair": OTHER},
            {},
            "Nothing was run on nasbench201 on digits, and nastk compare has every space on",
        ),
        (
            {"darts": {"trainer": {"batch_size": 7}}, "fair": {}},
            {},
            "No config file gives darts its trainer beside the others",
        ),
        ({"fair": {}}, {"space": {"name": "gone"}}, "No search space is named 'gone'"),
    ],
)
def test_what_no_command_makes_is_refused_with_the_reason(updaters, changes, message, tmp_path):
    runs = {name: {**run, **changes} for name, run in configs(**updaters).items()}
    with pytest.raises(ConfigurationError, match=message):
        repeated(tmp_path, runs)
