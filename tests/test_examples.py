"""Every example runs, small; the plugin of the tutorial holds the contract."""

import ast
import importlib
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from core_kit import ShortContract

from nastk import Task, space_of
from nastk.base.plugins import collect
from nastk.testing import SearchSpaceContract
from nastk_tables.storage import read

EXAMPLES = Path(__file__).parent.parent / "examples"
PLUGIN = EXAMPLES / "third_party_plugin"
sys.path.insert(0, str(PLUGIN))

from nastk_coin.coin import Coin  # noqa: E402
from nastk_coin.lucky import LuckyCoin  # noqa: E402

RUNS = {
    "first_search": (["--space", "toy", "--data", "toy", "--epochs", "4"], "parameters     "),
    "own_images": (["--space", "toy", "--count", "80", "--epochs", "2"], "valid_accuracy"),
    "own_space": (["--updater", "random", "--data", "toy", "--epochs", "2"], "parameters  "),
    "own_table": (
        ["build", "--table", "own.table", "--epochs", "1", "--sample", "2", "--seeds", "0"],
        "the best      first=",
    ),
    "line_space": (["--updater", "random", "--data", "toy", "--epochs", "2"], "|"),
    "write_an_updater": (["--epochs", "1"], "as a path of the supernet"),
    "nastk_in_one_file": (["--epochs", "1"], "trained from scratch"),
}


def test_every_example_is_run_here():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(RUNS)


@pytest.mark.parametrize("name", RUNS)
def test_an_example_runs(name, capsys, workplace):
    arguments, words = RUNS[name]
    importlib.import_module(name).main(arguments)
    assert words in capsys.readouterr().out


def test_the_table_of_ones_own_is_of_the_whole_space():
    table, own_table = read(EXAMPLES / "own_table.table"), importlib.import_module("own_table")
    space = space_of(own_table.Chain)()
    assert table.texts == tuple(space.to_text(each) for each in space.architectures())
    assert not table.is_sample and not table.provenance["failed"]
    assert table.scores("digits", "valid", 30).column.seeds == (0, 1)
    assert table.scores("digits", "valid", 30).count() == 256


@pytest.mark.slow
def test_a_search_is_held_against_a_table_of_ones_own(capsys, workplace):
    own_table = importlib.import_module("own_table")
    own_table.main([*RUNS["own_table"][0], "--sample", "12"])
    own_table.main(["search", "--table", "own.table", "--epochs", "1", "--seeds", "0"])
    assert "tau supernet" in capsys.readouterr().out


@pytest.mark.slow
def test_the_second_method_of_the_one_file_runs_on_the_same_trainer(capsys):
    importlib.import_module("nastk_in_one_file").main(["--updater", "random", "--epochs", "1"])
    assert "trained from scratch" in capsys.readouterr().out


def test_one_file_means_one_file():
    tree = ast.parse((EXAMPLES / "nastk_in_one_file.py").read_text())
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {name for name in imported if name.startswith("nastk")}


class TestLineSpace(SearchSpaceContract):
    space = importlib.import_module("line_space").LineSpace
    options, task = {"channels": 4}, Task(classes=3, channels=3, size=8)


class TestCoin(ShortContract):
    updater = Coin


class TestLuckyCoin(ShortContract):
    updater, options = LuckyCoin, {"tosses": 2}


def test_the_plugin_of_the_tutorial_is_found_by_its_entry_point():
    found = collect([EntryPoint("nastk_coin", "nastk_coin", "nastk")])
    assert found.names("updater") == ["coin", "lucky-coin"]
    assert not found.problems
    for updater in (Coin, LuckyCoin):
        assert found.load("updater", updater.name) is updater
        assert found.find("updater", updater.name).offer.summary == updater.summary
