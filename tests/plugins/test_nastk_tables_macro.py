"""The table of NAS-Bench-Macro: what its file becomes, and what is refused."""

import gzip
import json
import os
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest

from nastk import Architecture, DataError, EvaluationContext, catalogue
from nastk.testing import ToyData
from nastk_spaces_mobilenet.macro import MacroSpace
from nastk_tables.evaluator import TableAccuracy
from nastk_tables.importing import import_files
from nastk_tables.storage import write

BESIDE = Path(__file__).parents[3] / "shared" / "data"
OFFICIAL = Path(os.environ.get("NASTK_SHARED", BESIDE)) / "nas_bench_macro_cifar10.json.gz"
ROW = {"test_acc": [90.0, 91.0, 92.0], "mean_acc": 91.0, "std": 0.8, "params": 890666, "flops": 47}
GOOD = {"02012100": ROW, "00000000": {**ROW, "test_acc": [45.0, 45.25, 45.5], "params": 387882}}


def written(folder, content, packed=False):
    path = folder / f"macro.json{'.gz' * packed}"
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    path.write_bytes(gzip.compress(text) if packed else text)
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_the_file_becomes_a_table(packed, tmp_path):
    table = import_files([written(tmp_path, GOOD, packed)], "nasbench-macro").table
    assert table.texts == ("02012100", "00000000")
    assert table.scores("cifar10", "test", 50).of("02012100") == 91.0
    assert table.scores("cifar10", "test", 50).column.seeds == (0, 1, 2)
    assert [table.scores("cifar10", "test", 50, seed).of("00000000") for seed in (0, 1, 2)] == [
        45.0,
        45.25,
        45.5,
    ]
    known = table.others("00000000", "cifar10", "test", 50)
    assert known == pytest.approx({"parameters": 0.387882, "multiply_adds": 47e-6})


def broken(**changes):
    return {**GOOD, "00000000": {**ROW, **changes}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no JSON file"),
        (b"\xff\xfe", "no JSON file"),
        (b'{"00000000": 1, "00000000": 2}', "twice"),
        ([], "no networks by their digits"),
        ({}, "no networks by their digits"),
        ({"00000000": 3}, "'test_acc' of 3 numbers"),
        (broken(test_acc=[1.0, 2.0]), "'test_acc' of 3 numbers"),
        (broken(test_acc=[1.0, 2.0, None]), "'test_acc' of 3 numbers"),
        (broken(test_acc=[1.0, 2.0, True]), "'test_acc' of 3 numbers"),
        (broken(params="many"), "'params' of a number"),
        (broken(test_acc=[1.0, 2.0, 400.0]), "percent"),
        ({"0000000": ROW}, "architecture 1 of 1"),
        ({"00000003": ROW}, "architecture 1 of 1"),
    ],
)
def test_what_is_no_such_file_is_refused(content, words, tmp_path):
    with pytest.raises(DataError, match=words):
        import_files([written(tmp_path, content)], "nasbench-macro")


def test_the_evaluator_looks_up_the_trainings_that_the_table_has(tmp_path):
    write(tmp_path / "m.table", import_files([written(tmp_path, GOOD)], "nasbench-macro").table)
    space = MacroSpace()
    data = ToyData()
    setting = EvaluationContext(space, data.task, data.splits(0))
    options = TableAccuracy.parse_options({"table": str(tmp_path / "m.table")})
    evaluation = TableAccuracy(setting, options).evaluate(space.from_text("00000000"), None)
    found, trainings = evaluation.metrics, evaluation.trainings["table_test_accuracy"]
    assert len(trainings) == 3 and fmean(trainings) == pytest.approx(0.4525, abs=1e-6)
    assert found["table_test_accuracy"] == pytest.approx(0.4525)
    assert (found["rank"], found["architectures"]) == (1, 2)
    assert found["table_parameters"] == 387882


def test_the_authors_file_is_whole():
    if not OFFICIAL.exists():
        pytest.skip(f"{OFFICIAL.name} is not here (its folder: NASTK_SHARED, or ../shared/data)")
    table = import_files([OFFICIAL], "nasbench-macro").table
    scores = table.scores("cifar10", "test", 50)
    assert len(table) == 6561
    assert scores.values.max() == pytest.approx(93.1267, abs=1e-4)
    assert float(np.median(scores.values)) == pytest.approx(90.99, abs=1e-4)
    space = catalogue().load("space", "nasbench-macro")()
    one = space.from_text(table.texts[0])
    assert isinstance(one, Architecture)
    assert scores.of(space.canonical(one)) == scores.of(table.texts[0])
