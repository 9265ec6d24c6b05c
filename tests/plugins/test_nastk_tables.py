"""`nastk_tables`: the table, its file, and the real data where it is there."""

import doctest
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from tables_kit import TEXTS, toy_table

from nastk import ConfigurationError, DataError, NastkError
from nastk_tables import column as column_module
from nastk_tables import places
from nastk_tables.column import Column, dataset_name
from nastk_tables.importing import import_files
from nastk_tables.storage import read, write

BESIDE = Path(__file__).parents[2].parent / "shared" / "data"
SHARED = Path(os.environ.get("NASTK_SHARED", BESIDE))
REAL = [SHARED / f"nb201_{name}.csv.gz" for name in ("200ep", "costs", "latency")]


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    """The user's folder, with the toy's table in it."""
    monkeypatch.setenv("NASTK_DATA", str(tmp_path / "data"))
    write(places.default_path("toy"), toy_table())
    return tmp_path / "data"


# ---------------------------------------------------------------- the table


def test_the_example_gives_what_it_says():
    assert doctest.testmod(column_module) == (0, 1)


def test_a_column_is_named_by_what_is_set():
    named = {
        "cifar10_test_200": Column("accuracy", "%", "cifar10", "test", 200),
        "cifar10_test_200_seed777": Column("accuracy", "%", "cifar10", "test", 200, 777),
        "cifar100_train_seconds_12": Column("train_seconds", "s", "cifar100", None, 12),
        "latency_fpga": Column("latency_fpga", "ms"),
    }
    assert {name: column.name for name, column in named.items()} == {name: name for name in named}
    for column in named.values():
        assert Column.from_json(json.loads(json.dumps(column.to_json()))) == column


@pytest.mark.parametrize(
    ("text", "name"),
    [("CIFAR10", "cifar10"), ("ImageNet16-120", "imagenet16"), ("imagenet16", "imagenet16")],
)
def test_data_sets_have_one_name(text, name):
    assert dataset_name(text) == name


def test_scores_rank_by_the_number_of_better_ones():
    scores = toy_table().scores("cifar10", "test", 200)
    assert len(TEXTS) == scores.count() == 4**3 * 3**2
    assert [scores.rank(text) for text in (TEXTS[-1], TEXTS[-2], TEXTS[0])] == [0, 1, 575]
    assert scores.best() == (TEXTS[-1], pytest.approx(67.5))
    assert scores.top_share(TEXTS[-6]) == 5 / 576 <= 0.01 < scores.top_share(TEXTS[-8])
    assert scores.column.seeds == (777, 888)


def test_equal_accuracies_share_a_rank():
    scores = toy_table().scores("cifar10", "test", 12)
    assert {scores.rank(text) for text in TEXTS[:9]} == {0}
    assert scores.best()[0] == TEXTS[0]


def test_what_is_missing_is_neither_ranked_nor_answered():
    table = toy_table()
    scores = table.scores("cifar10", "valid", 200)
    assert scores.count() == 575
    with pytest.raises(DataError, match=r"no value of .* in column 'cifar10_valid_200'"):
        scores.rank(TEXTS[288])
    assert "latency_fpga" in table.others(TEXTS[2], "cifar10", "test", 200)
    assert "latency_fpga" not in table.others(TEXTS[3], "cifar10", "test", 200)


def test_one_run_and_other_names_of_data_sets_can_be_asked_for():
    table = toy_table()
    assert table.scores("cifar10", "test", 200, seed=777).of(TEXTS[10]) == 12
    assert table.scores("ImageNet16-120", "test", 200).of(TEXTS[0]) == 40


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("cifar10", "test", 20), "no column 'cifar10_test_20'. Did you mean 'cifar10_test_200'"),
        (("cifar100", "test", 200), "no column 'cifar100_test_200'.*It has: cifar10_test_200, "),
        (("cifar10", "test", 200, 5), "no column 'cifar10_test_200_seed5'"),
    ],
)
def test_a_training_that_is_not_there_is_named_with_what_is(asked, words):
    with pytest.raises(ConfigurationError, match=words):
        toy_table().scores(*asked)


def test_simulated_seconds_are_a_training_and_one_pass():
    table = toy_table()
    assert table.simulated_seconds(TEXTS[7]) == 1000 + 7 + 2.5
    assert table.simulated_seconds(TEXTS[7], epochs=12) is None
    assert table.simulated_seconds(TEXTS[7], "imagenet16") is None


def test_an_unknown_architecture_is_refused_with_an_example():
    with pytest.raises(DataError, match=r"576 architectures of space 'toy' has no 'x'.*'none,none"):
        toy_table().scores().of("x")
    assert "x" not in toy_table()


# ---------------------------------------------------------------- the file


def test_a_table_comes_back_as_it_was_and_is_mapped(tmp_path):
    path, table = tmp_path / "deep" / "a.table", toy_table()
    size = write(path, table)
    again = read(path)
    assert size == path.stat().st_size
    assert (again.space, again.texts, again.columns) == (table.space, table.texts, table.columns)
    assert again.sources == table.sources
    np.testing.assert_array_equal(again.values, table.values)
    assert again.values.dtype == np.float32
    assert not again.values.flags.owndata
    assert not again.values.flags.writeable
    assert again.digest == hashlib.sha256(path.read_bytes()[:-32]).hexdigest()


def test_equal_tables_are_equal_files_and_no_temporary_is_left(tmp_path):
    for name in ("a", "b", "a"):
        write(tmp_path / name, toy_table())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_file()) == ["a", "b"]


def test_values_start_where_processors_like_them():
    content = places.default_path("toy").read_bytes()
    assert (16 + int.from_bytes(content[8:16], "little")) % 64 == 0
    assert json.loads(content[16 : 16 + int.from_bytes(content[8:16], "little")])["format"] == 1


@pytest.mark.parametrize("share", [0.0, 0.0005, 0.01, 0.3, 0.7, 0.999])
def test_a_changed_byte_anywhere_is_noticed(share):
    path = places.default_path("toy")
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"is damaged|is no table of nastk"):
        read(path)


@pytest.mark.parametrize("kept", [0, 5, 8, 20, 60, 1000, -33, -32, -1])
def test_a_file_that_was_cut_short_is_noticed(kept):
    path = places.default_path("toy")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=r"is damaged|is no table|cannot be read: .*empty"):
        read(path)


def signed(content):
    return content + hashlib.sha256(content).digest()


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"format": 2}, "has format 2; this nastk reads format 1. Upgrade"),
        ({"format": 1}, "is damaged: 'columns'"),
        ([], "is damaged"),
        ({"format": 1, "columns": [], "architectures": 3, "space": "a", "sources": []}, "damaged"),
        ({"format": 1, "columns": [{"quantity": "a", "x": 1}], "architectures": 0}, "damaged.*'x'"),
        ({"format": 1, "columns": [], "architectures": 0}, "damaged: it holds no architectures"),
        ({"format": 1, "columns": [], "architectures": -3}, "damaged: it holds no architectures"),
        ({"format": 1, "columns": [], "architectures": 1e400}, "is damaged"),
        ({"format": 1, "columns": 7, "architectures": "1"}, "is damaged"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(tmp_path, header, words):
    text = json.dumps(header).encode()
    path = tmp_path / "a.table"
    path.write_bytes(signed(b"NASTKTAB" + len(text).to_bytes(8, "little") + text))
    with pytest.raises(DataError, match=words):
        read(path)


def test_a_benchmarks_own_file_is_no_table(tmp_path):
    (tmp_path / "a.csv").write_text("arch,cifar10_test\na,1\n")
    with pytest.raises(DataError, match=r"is no table of nastk. Make one .*`nastk table import "):
        read(tmp_path / "a.csv")
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read(tmp_path / "b.table")


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(NastkError, match=r"could not be written: .*Make room or choose another"):
        write(tmp_path / "file" / "a.table", toy_table())
    assert (tmp_path / "file").read_text() == "old"


# ---------------------------------------------------------------- the real table


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    missing = [file.name for file in REAL if not file.is_file()]
    if missing:
        pytest.skip(f"{', '.join(missing)} not in {SHARED}")
    path = tmp_path_factory.mktemp("real") / "nasbench201.table"
    imported = import_files(REAL)
    assert imported.notes == ("Left out, since they are no numbers: unique_str.",)
    assert write(path, imported.table) < 4e6
    return read(path)


CONV, SKIP, POINT = "nor_conv_3x3", "skip_connect", "nor_conv_1x1"
BEST_CIFAR10 = f"|{CONV}~0|+|{CONV}~0|{CONV}~1|+|{SKIP}~0|{CONV}~1|{POINT}~2|"


@pytest.mark.parametrize(
    ("dataset", "split", "maximum"),
    [
        ("cifar10", "test", 94.3733),
        ("cifar100", "test", 73.5133),
        ("imagenet16", "test", 47.3111),
        ("cifar10", "valid", 91.6067),
        ("cifar100", "valid", 73.4933),
        ("imagenet16", "valid", 46.7333),
    ],
)
def test_maxima_of_the_real_table(real, dataset, split, maximum):
    scores = real.scores(dataset, split, 200)
    assert round(scores.best()[1], 4) == maximum
    assert scores.rank(scores.best()[0]) == 0
    assert scores.count() == len(real) == 15_625


def test_real_ranks_costs_and_seconds(real):
    assert real.scores().best()[0] == BEST_CIFAR10
    none = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    assert real.scores().of(none) == 10
    first = real.texts[0]
    known = real.others(first, "cifar10", "valid", 200)
    assert known["parameters"] == pytest.approx(0.129306, rel=1e-6)
    assert known["multiply_adds"] == pytest.approx(15.64737, rel=1e-6)
    assert real.simulated_seconds(first) == pytest.approx(1444.219 + 2.54898, rel=1e-6)


@pytest.mark.parametrize(("device", "missing"), [("raspi4", 157), ("pixel3", 202), ("fpga", 0)])
def test_measurements_that_failed_are_missing(real, device, missing):
    values = real.numbers(f"latency_{device}")
    assert np.isnan(values).sum() == missing
    assert np.nanmin(values) >= 0.1
