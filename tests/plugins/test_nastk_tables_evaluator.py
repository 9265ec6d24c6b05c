"""`nastk_tables`: the evaluator on the toy space, the commands, and what doctor says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from evaluators_kit import Even
from tables_kit import ARCHITECTURES, TEXTS, toy_table
from typer.testing import CliRunner

import nastk_tables
from nastk import ConfigurationError, DataError, EvaluationContext
from nastk.testing import EvaluatorContract, ToyData, ToySpace
from nastk_tables import places
from nastk_tables.command_line import add_to
from nastk_tables.evaluator import TableAccuracy
from nastk_tables.storage import read, write


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    """The user's folder, with the toy's table in it."""
    monkeypatch.setenv("NASTK_DATA", str(tmp_path / "data"))
    write(places.default_path("toy"), toy_table())
    return tmp_path / "data"


# ---------------------------------------------------------------- the evaluator


class TestTableAccuracy(EvaluatorContract):
    evaluator, updater = TableAccuracy, Even


def evaluator(space=None, **options):
    source = ToyData()
    setting = EvaluationContext(space or ToySpace(), source.task, source.splits(0))
    return TableAccuracy(setting, TableAccuracy.parse_options(options))


@pytest.mark.parametrize(
    ("metric", "split", "of_test"),
    [
        ("rank", "test", True),
        ("rank", "valid", False),
        ("regret", "test", True),
        ("regret", "valid", False),
        ("table_test_accuracy", "valid", True),
        ("table_valid_accuracy", "test", False),
        ("table_parameters", "test", False),
    ],
)
def test_which_metrics_are_of_the_test_split(metric, split, of_test):
    assert evaluator(split=split).of_test(metric) is of_test


def test_evaluator_says_accuracy_rank_and_costs():
    evaluation = evaluator().evaluate(ToySpace().from_text(TEXTS[-3]), None)
    assert dict(evaluation.metrics) == {
        "table_test_accuracy": 0.673,
        "table_valid_accuracy": 0.4865,
        "rank": 2.0,
        "regret": 0.002,
        "architectures": 576.0,
        "table_parameters": 101306.0,
        "table_simulated_seconds": 1575.5,
    }
    assert (
        "higher test accuracy on cifar10 after 200 epochs, mean over the runs with seeds 777, 888"
        in (evaluation.notes[0])
    )


def test_evaluator_ranks_by_the_split_that_it_is_told():
    missing = ToySpace().from_text(TEXTS[288])
    metrics = evaluator(split="valid").evaluate(ToySpace().from_text(TEXTS[2]), None).metrics
    assert (metrics["rank"], metrics["architectures"]) == (572.0, 575.0)
    assert metrics["table_train_seconds"] == 1002.0
    assert metrics["table_latency_fpga"] == 0.004
    assert "table_valid_accuracy" not in evaluator().evaluate(missing, None).metrics
    with pytest.raises(DataError, match=r"no value of"):
        evaluator(split="valid").evaluate(missing, None)


def test_evaluator_takes_another_data_set_and_schedule():
    text = TEXTS[9]
    metrics = evaluator(dataset="ImageNet16-120").evaluate(ToySpace().from_text(text), None).metrics
    assert metrics == {
        "table_test_accuracy": 0.3991,
        "rank": 9.0,
        "regret": 0.0009,
        "architectures": 576.0,
        "table_parameters": 200000.0,
    }
    assert evaluator(epochs=12).evaluate(ToySpace().from_text(text), None).metrics["rank"] == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dataset": "cifar100"}, "no column 'cifar100_test_200'"),
        ({"epochs": 100}, "no column 'cifar10_test_100'"),
        ({"dataset": "imagenet16", "split": "valid"}, "no column 'imagenet16_valid_200'"),
        ({"split": "train"}, "table: split must be one of 'test' or 'valid', got 'train'"),
        ({"epochs": 0}, "epochs must be at least 1"),
        (
            {"table": "tiy"},
            r"No table is named 'tiy' .*Did you mean 'toy'\? Imported: toy\. Download",
        ),
        (
            {"table": "there/is.table"},
            r"no such table \(.*there.is\.table\).*`nastk table import NATS",
        ),
    ],
)
def test_evaluator_refuses_when_the_run_is_assembled(options, words):
    with pytest.raises(ConfigurationError, match=words):
        evaluator(**options)


def test_evaluator_without_any_table_says_how_to_get_one(tmp_path, monkeypatch):
    monkeypatch.setenv("NASTK_DATA", str(tmp_path / "empty"))
    with pytest.raises(
        ConfigurationError, match=r"'toy' .*empty.tables.toy\.table.*NATS-Bench.*import"
    ):
        evaluator()


def test_evaluator_refuses_the_table_of_another_space(tmp_path):
    write(tmp_path / "a.table", toy_table(space="nasbench201"))
    with pytest.raises(
        ConfigurationError, match=r"of space 'nasbench201', the run searches .*'toy'"
    ):
        evaluator(table=str(tmp_path / "a.table"))
    write(tmp_path / "b.table", toy_table(texts=["|conv~0|", "|skip~0|"]))
    with pytest.raises(ConfigurationError, match=r"writes architectures like '\|conv~0\|'"):
        evaluator(table=str(tmp_path / "b.table"))


def test_evaluator_refuses_a_damaged_table(tmp_path):
    path = places.default_path("toy")
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ConfigurationError, match=r"is damaged: .*`nastk table import`"):
        evaluator()


def test_evaluator_refuses_an_architecture_that_the_table_lacks(tmp_path):
    write(tmp_path / "a.table", toy_table(texts=TEXTS[:10]))
    known = evaluator(table=str(tmp_path / "a.table"))
    assert known.evaluate(ToySpace().from_text(TEXTS[9]), None).metrics["rank"] == 0
    with pytest.raises(DataError, match=f"table of 10 architectures .* has no '{TEXTS[10]}'"):
        known.evaluate(ToySpace().from_text(TEXTS[10]), None)


# ---------------------------------------------------------------- commands and doctor


@pytest.fixture
def command():
    app = typer.Typer()
    add_to(app)
    add_to(app)  # the command line is built more than once in a process
    assert len(app.registered_groups) == 1
    return lambda *words: CliRunner().invoke(app, ["table", *map(str, words)])


def csv_of(path, texts=TEXTS, **columns):
    rows = [["arch", *columns], *zip(texts, *columns.values(), strict=False)]
    path.write_text("\n".join(",".join(f'"{cell}"' for cell in row) for row in rows))
    return path


def test_import_writes_to_the_users_tables_and_says_what(tmp_path, data, command):
    source = csv_of(tmp_path / "a.csv", cifar10_test=[10.5, 20.25], note=["x", "y"])
    done = command("import", source, "--space", "toy", "--name", "mine", "--epochs", 36)
    assert done.exit_code == 0, done.output
    assert "Left out, since they are no numbers: note." in done.stderr
    path = data / "tables" / "mine.table"
    assert f"{path}: 2 architectures of toy" in done.stdout
    assert "cifar10_test_36" in done.stdout
    assert "10.5000 to 20.2500" in done.stdout
    assert read(path).scores("cifar10", "test", 36).of(TEXTS[1]) == 20.25


def test_import_takes_out_and_speaks_json(tmp_path, data, command):
    source = csv_of(tmp_path / "a.csv", ARCHITECTURES, cifar10_test=[10.5, 20.25])
    done = command("import", source, "--out", tmp_path / "b.table", "--json")
    said = json.loads(done.stdout)
    assert (said["architectures"], said["space"]) == (2, "nasbench201")
    assert said["sha256"] == read(tmp_path / "b.table").digest
    assert said["bytes"] == (tmp_path / "b.table").stat().st_size
    assert said["columns"][0]["greatest"] == 20.25
    assert "2 of 15,625 architectures of nasbench201" in done.stderr
    assert sorted(each.name for each in (data / "tables").iterdir()) == ["toy.table"]


def test_a_failed_import_leaves_nothing(tmp_path, command):
    source = csv_of(tmp_path / "a.csv", cifar10_test=[10.5, "much"])
    done = command("import", source, "--out", tmp_path / "b.table")
    assert isinstance(done.exception, DataError)
    assert not (tmp_path / "b.table").exists()


def test_info_checks_and_lists(command):
    done = command("info", "toy")
    assert "576 architectures of toy" in done.stdout
    assert "made from made.csv" in done.stdout
    assert "288 values" in done.stdout
    assert json.loads(command("info", "toy", "--json").stdout)["architectures"] == 576
    assert isinstance(command("info", "other").exception, ConfigurationError)


def test_findings_say_where_it_is_or_how_to_get_it(data):
    (missing,) = nastk_tables.findings()
    assert set(missing) == {"what", "found", "ok", "advice"}
    assert missing["ok"] and "nastk table import" in missing["advice"]
    assert str(data / "tables" / "nasbench201.table") in missing["found"]
    path = places.default_path("nasbench201")
    write(path, toy_table(space="nasbench201"))
    (there,) = nastk_tables.findings()
    assert there["ok"] and "576 architectures, 10 columns" in there["found"] and not there["advice"]
    path.write_bytes(path.read_bytes()[:-1])
    (broken,) = nastk_tables.findings()
    assert not broken["ok"] and "damaged" in broken["found"] and broken["advice"]


def test_the_usual_place_is_the_users_cache(monkeypatch):
    monkeypatch.delenv("NASTK_DATA")
    assert places.folder() == Path("~/.cache/nastk/tables").expanduser()


def test_what_only_looks_imports_no_torch(data):
    code = (
        "import sys, typer, nastk_tables; app = typer.Typer(); nastk_tables.commands(app);"
        "nastk_tables.evaluators(); assert 'numpy' not in sys.modules;"
        "from nastk_tables.storage import read; from nastk_tables.importing import import_files;"
        "nastk_tables.findings(); assert 'torch' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_the_offer_is_the_class():
    (offer,) = nastk_tables.evaluators()
    assert (offer.name, offer.summary) == (TableAccuracy.name, TableAccuracy.summary)
    assert offer.load == f"{TableAccuracy.__module__}:{TableAccuracy.__name__}"
