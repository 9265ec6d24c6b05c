"""Studies of several spaces and data sets: problems, their requests, their folders, their ranks."""

import json

import pytest
from cli_kit import called

import nastk
from nastk import ConfigurationError
from nastk.cli.problems import problem_request
from nastk.runs.comparison import compared
from nastk.runs.overall import over_problems
from nastk.runs.problem import folder_name, problems
from nastk.runs.study_plan import plan

SMALL, LARGE = nastk.use("toy", channels=4), nastk.use("toy", channels=6)
TOY = {"data": "toy", "trainer": {"epochs": 1, "batch_size": 16}}
RANDOM = nastk.use("random", candidates=2)


@pytest.mark.parametrize(
    ("space", "data", "labels"),
    [
        ("toy", None, ["toy on digits"]),
        (["toy", "darts"], ["toy", "digits"],
         ["toy on toy", "toy on digits", "darts on toy", "darts on digits"]),
        ([SMALL, LARGE], "toy", ["toy(channels=4) on toy", "toy(channels=6) on toy"]),
        (["toy", LARGE], "toy", ["toy on toy", "toy(channels=6) on toy"]),
        ("toy", ["folder:/a/leaves", "folder:/a/trees"],
         ["toy on folder:leaves", "toy on folder:trees"]),
        ("toy", ["folder:/a/leaves", "folder:/b/leaves"],
         ["toy on folder:leaves(path=/a/leaves)", "toy on folder:leaves(path=/b/leaves)"]),
    ],
)  # fmt: skip
def test_every_space_on_every_data_set_is_a_problem(space, data, labels):
    assert [problem.label for problem in problems(space, data)] == labels


@pytest.mark.parametrize(
    ("space", "own", "words"),
    [
        (["toy", "toy"], {}, "at least one space, and each only once"),
        ([], {}, "at least one space"),
        (None, {}, "No space was named"),
        (["toy", 3], {}, "named by a string, got 3"),
        (["toy", "darts"], {"dart": {}}, "names 'dart', which is no space.*Did you mean 'darts'"),
        (["toy", "darts"], {"darts": {"trainr": {}}}, "problems.darts has the unknown key"),
        (["toy", "darts"], {"darts": {"seed": 3}}, "problems.darts cannot have seed"),
        (["toy", "darts"], {"darts": 3}, "problems.darts is written as"),
    ],
)
def test_what_is_no_problem_is_refused(space, own, words):
    with pytest.raises(ConfigurationError, match=words):
        problems(space, "toy", own)


def test_the_more_special_wins_and_lists_add_up():
    own = {
        "toy": {"trainer": {"epochs": 2}, "evaluators": ["size"]},
        "digits": {"trainer": {"epochs": 3}},
        "toy on digits": {"trainer": {"batch_size": 8}},
    }
    shared = {"trainer": {"epochs": 1, "batch_size": 16}, "evaluators": ["supernet"], "seed": 4}
    first, second, third = problems(["toy", "darts"], ["digits", "toy"], own)[:3]
    asked = first.request(shared)
    assert asked["trainer"] == {"epochs": 3, "batch_size": 8}
    assert (asked["evaluators"], asked["seed"]) == (["supernet", "size"], 4)
    # The space and the data are both called toy: what is given for it is given once.
    assert second.request(shared)["evaluators"] == ["supernet", "size"]
    assert third.request(shared)["trainer"] == {"epochs": 3, "batch_size": 16}


def test_a_problem_has_its_own_options_in_its_runs(tmp_path):
    request = {**TOY, "space": ["toy", LARGE], "problems": {
        "toy(channels=6) on toy": {"trainer": {"epochs": 2}, "evaluators": ["size"]}}}  # fmt: skip
    cells = plan(request, ["darts", RANDOM], [0, 1], tmp_path)
    epochs = [cell.config.trainer.epochs for cell in cells]
    assert epochs == [1] * 4 + [2] * 4
    assert [each.name for each in cells[-1].config.evaluators] == ["size"]
    names = [cell.folder.path.name for cell in cells[::2]]
    assert names == [
        "toy-on-toy--darts-seed0",
        "toy-on-toy--random-candidates=2-seed0",
        "toy-channels=6-on-toy--darts-seed0",
        "toy-channels=6-on-toy--random-candidates=2-seed0",
    ]


@pytest.mark.slow
def test_a_problem_may_have_a_budget_of_its_own(tmp_path):
    request = {**TOY, "trainer": {"batch_size": 16}, "space": [SMALL, LARGE], "problems": {
        "toy(channels=6) on toy": {"budget": "images=2k"}}}  # fmt: skip
    cells = plan(request, ["darts", RANDOM], [0], tmp_path, "images=1k")
    assert [cell.config.budget for cell in cells] == ["images=1k"] * 2 + ["images=2k"] * 2
    assert cells[0].config.trainer.epochs < cells[2].config.trainer.epochs


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study of one problem that was asked for a second one."""
    out = tmp_path_factory.mktemp("study")
    nastk.compare("toy", ["darts", RANDOM], seeds=[0], out=out, **TOY)
    before = (out / "darts-seed0" / "result.json").read_bytes()
    study = nastk.compare(["toy", LARGE], ["darts", RANDOM], seeds=[0, 1], out=out, **TOY)
    assert (out / "darts-seed0" / "result.json").read_bytes() == before
    return study


def test_a_study_of_one_problem_is_extended_by_another(finished):
    assert finished.problems == ["toy on toy", "toy(channels=6) on toy"]
    names = [name for row in finished.rows for name in row["runs"]]
    assert names[:2] == ["darts-seed0", "darts-seed1"]
    assert names[-1] == "toy-channels=6-on-toy--random-candidates=2-seed1"
    assert [(row["problem"], row["updater"]) for row in finished.rows][1:3] == [
        ("toy on toy", "random(candidates=2)"),
        ("toy(channels=6) on toy", "darts"),
    ]
    stored = nastk.Study.load(finished.folder)
    assert stored.rows == finished.rows and stored.table() == finished.table()
    assert stored.table().startswith("problem,updater,seeds,")
    assert list(stored.frame()["problem"].unique()) == finished.problems


def test_one_of_its_problems_finds_its_runs(finished):
    requests = ({**TOY, "space": space} for space in ("toy", LARGE))
    for request, name in zip(requests, ("darts-", "toy-channels=6-on-toy--darts-"), strict=True):
        cells = plan(request, ["darts", RANDOM], [0, 1], finished.folder)
        assert all(cell.folder.state() == "finished" for cell in cells)
        assert cells[0].folder.path.name == f"{name}seed0"


def test_a_comparison_is_of_one_problem(finished):
    with pytest.raises(
        ConfigurationError, match=r"of one problem, name one. There are: toy on toy"
    ):
        finished.comparison()
    with pytest.raises(ConfigurationError, match=r"got 'toy on to'. Did you mean 'toy on toy'"):
        finished.comparison(problem="toy on to")
    found = finished.comparison(problem="toy(channels=6) on toy")
    assert found.to_json() == finished.overall().comparisons["toy(channels=6) on toy"].to_json()


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((), ["none are ranked", "toy(channels=6) on toy", "of test accuracy over 2 seeds"]),
        (("--all",), ["test accuracy", "images forward", "Cohen's d_z"]),
        (
            ("--pareto", "params"),
            ["on the front of test accuracy and parameters", "toy on toy"],
        ),
        (("--pareto", "params", "--json"), ['"fronts"', '"volumes"']),
        (("--to", "darts"), ["to darts", "random(candidates=2)"]),
        (("--to", "best", "--json"), ['"chosen": true']),
        (("--csv",), ["problem,updater,seeds,"]),
        (("--latex",), ["% toy on toy\n", "% Ranks over all problems\n", r"\toprule", "random"]),
        (("--markdown",), ["**toy on toy**\n", "toy on toy |", "| difference |"]),
    ],
)
def test_show_prints_it_in_every_form(finished, flags, words):
    code, out, _ = called("compare", "--show", str(finished.folder), *flags)
    assert code == 0 and all(word in out for word in words), out


def test_show_as_json_has_every_problem(finished):
    code, out, _ = called("compare", "--show", str(finished.folder), "--json")
    found = json.loads(out)
    assert code == 0 and list(found["overall"]["comparisons"]) == finished.problems
    assert found["overall"]["means"]["toy on toy"].keys() == {"darts", "random"}


def comparison(to="random", **values):
    runs = {
        label: {seed: {"accuracy": value} for seed, value in enumerate(each)}
        for label, each in values.items()
    }
    return compared(runs, to)


def test_ranks_are_of_means_over_seeds_and_averaged_over_problems():
    one = comparison(a=[0.9, 0.7], b=[0.6, 0.8], random=[0.5, 0.5])
    other = comparison(a=[0.5, 0.5], b=[0.6, 0.6], random=[0.4, 0.4])
    found = over_problems({"one": one, "other": other})
    assert found.means["one"] == pytest.approx({"a": 0.8, "b": 0.7, "random": 0.5})
    assert dict(found.ranks.ranks) == {"a": 1.5, "b": 1.5, "random": 3.0}
    assert list(found.frame()["rank"]) == [1.5, 1.5, 3.0]
    assert list(found.frame()["one"]) == pytest.approx([80.0, 70.0, 50.0])


def test_random_of_another_budget_is_random():
    one = comparison("random(candidates=5)", a=[0.9], b=[0.6], **{"random(candidates=5)": [0.5]})
    found = over_problems({"one": one, "other": comparison(a=[0.5], c=[0.6], random=[0.4])})
    assert found.labels == ["a", "random"] and found.ranks is None
    assert found.to_json()["means"]["one"] == {"a": 0.9, "random": 0.5}


def test_without_a_common_updater_nothing_is_ranked():
    one, other = comparison("a", a=[0.9]), comparison("b", b=[0.5])
    with pytest.raises(ConfigurationError, match=r"on every problem. It has: one: a; other: b"):
        over_problems({"one": one, "other": other})


def requested(flags, file=None, **options):
    lists = {"space": None, "data": None, "evaluators": None, "limits": None}
    given = {"space": None, "data": None, "trainer": None, "ranking": None}
    return problem_request({**lists, **flags}, {**given, **options}, None, file or {})


TWO = {"space": ["toy", "darts"], "data": ["toy"]}


@pytest.mark.parametrize(
    ("flags", "options", "file", "expected"),
    [
        ({"space": ["toy"]}, {"space": ["channels=4"]}, {},
         {"space": {"name": "toy", "options": {"channels": 4}}}),
        ({"space": ["toy"]}, {}, {"space": {"name": "toy", "options": {"channels": 4}}},
         {"space": {"name": "toy", "options": {"channels": 4}}}),
        (TWO, {"space": ["channels=4", "darts.cells=3"]}, {},
         {"space": [{"name": "toy", "options": {"channels": 4}},
                    {"name": "darts", "options": {"channels": 4, "cells": 3}}], "data": "toy"}),
        (TWO, {"trainer": ["epochs=2", "darts.epochs=4"]}, {},
         {"trainer": {"epochs": 2}, "problems": {"darts": {"trainer": {"epochs": 4}}}}),
        (TWO, {"trainer": ["darts.epochs=4"]},
         {"problems": {"darts": {"trainer": {"epochs": 1, "batch_size": 2}}}},
         {"problems": {"darts": {"trainer": {"epochs": 4, "batch_size": 2}}}}),
        ({**TWO, "evaluators": ["size", "darts.retrain,epochs=2"], "limits": ["toy.params=4M"]},
         {}, {}, {"evaluators": ["size"], "problems": {
             "darts": {"evaluators": ["retrain,epochs=2"]}, "toy": {"limits": ["params=4M"]}}}),
        ({}, {}, {"space": ["toy", "darts"], "trainer": {"epochs": 3}},
         {"space": ["toy", "darts"], "data": None, "trainer": {"epochs": 3}}),
        ({"space": ["darts", "toy"]}, {},
         {"space": ["toy", {"name": "darts", "options": {"cells": 3}}]},
         {"space": [{"name": "darts", "options": {"cells": 3}}, {"name": "toy", "options": {}}]}),
        ({**TWO, "ranking": "table"}, {"ranking": ["toy.sample=20"]}, {},
         {"ranking": {"evaluator": "table"}, "problems": {"toy": {"ranking": {"sample": 20}}}}),
    ],
)  # fmt: skip
def test_flags_name_the_problem_that_they_are_for(flags, options, file, expected):
    found = requested(flags, file, **options)
    assert {key: found[key] for key in expected} == expected


def test_a_flag_for_a_space_that_is_not_there_is_refused():
    with pytest.raises(ConfigurationError, match=r"SPACE.OPTION=VALUE for one of toy, darts"):
        requested(TWO, space=["dart.cells=3"])
    with pytest.raises(ConfigurationError, match=r"problems is written as"):
        requested(TWO, {"problems": [3]})


@pytest.mark.parametrize("text", ["a on b", "a (b=1, c=2) on folder:x/y", "--a--", "ä on b"])
def test_folders_of_problems_have_no_two_hyphens(text):
    name = folder_name(text)
    assert name and "--" not in name and "/" not in name


@pytest.mark.slow
def test_the_command_takes_several_data_sets(workplace):
    words = "compare --space toy --data toy --data digits --updater random --seeds 0 --epochs 1 -q"
    more = ["-t", "batch_size=16", "-u", "random.candidates=1", "-d", "digits.limit=60",
            "--out", "s", "-e", "digits.size"]  # fmt: skip
    code, out, err = called(*words.split(), *more)
    assert code == 0, err
    assert "toy on toy" in out and "toy on digits" in out
    config = workplace / "s" / "toy-on-digits--random-candidates=1-seed0" / "config.json"
    assert json.loads(config.read_text())["evaluators"][0]["name"] == "size"
