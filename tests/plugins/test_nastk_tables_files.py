"""`nastk_tables`: what is taken from a benchmark's files, which are made here."""

import gzip

import numpy as np
import pytest
from tables_kit import ARCHITECTURES, KINDS, X, Y, Z, folder, nats_folder, packed, whole, written

from nastk import DataError
from nastk_tables.column import Column
from nastk_tables.importing import import_files
from nastk_tables.sheet import Sheet, merge

CSV = f"arch,cifar10_valid,cifar10_test\n{X},10.5,20\n{Y},30,40.25\n"


# ---------------------------------------------------------------- CSV


@pytest.mark.parametrize("pack", [str.encode, lambda text: gzip.compress(text.encode())])
def test_csv_plain_and_packed(tmp_path, pack):
    table = import_files([written(tmp_path, pack(CSV), "a.csv.gz")]).table
    assert table.texts == (X, Y)
    assert [column.name for column in table.columns] == ["cifar10_valid_200", "cifar10_test_200"]
    np.testing.assert_array_equal(table.values, [[10.5, 30], [20, 40.25]])
    assert table.sources == ("a.csv.gz",)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("imagenet16_test", Column("accuracy", "%", "imagenet16", "test", 90)),
        ("ImageNet16-120_valid", Column("accuracy", "%", "imagenet16", "valid", 90)),
        ("cifar10_params_M_by_ops", Column("parameters", "M", "cifar10")),
        ("cifar100_flops_M", Column("multiply_adds", "M", "cifar100")),
        ("cifar10valid_train_time_s", Column("train_seconds", "s", "cifar10", "valid", 90)),
        ("cifar100_train_time_s", Column("train_seconds", "s", "cifar100", None, 90)),
        (
            "cifar10valid_valid_time_per_epoch_s",
            Column("pass_seconds", "s", "cifar10", "valid", 90),
        ),
        ("n_seeds", Column("n_seeds")),
    ],
)
def test_csv_columns_are_known_by_their_names(tmp_path, name, column):
    text = f"architecture,cifar10_test,{name}\n{X},50,10.5\n{Y},60,20\n"
    table = import_files([written(tmp_path, text)], epochs=90).table
    assert table.columns[1] == column


def test_csv_columns_of_text_are_left_out_with_a_note(tmp_path):
    imported = import_files([written(tmp_path, f"arch,cifar10_test,why\n{X},50,a\n{Y},60,7\n")])
    assert imported.notes[0] == "Left out, since they are no numbers: why."
    assert len(imported.table.columns) == 1


def test_latencies_are_merged_by_architecture_and_the_impossible_is_missing(tmp_path):
    latency = f"arch,raspi4,pixel3,fpga\n{Y},0.05,0.1,0.05\n{X},12,,3\n"
    files = [written(tmp_path, CSV), written(tmp_path, latency, "my_latency.csv")]
    table = import_files(files).table
    names = {"latency_raspi4": [12, np.nan], "latency_pixel3": [np.nan, 0.1]}
    for name, values in {**names, "latency_fpga": [3, 0.05]}.items():
        np.testing.assert_array_equal(table.numbers(name), np.float32(values))
    assert {column.unit for column in table.columns} == {"%", "ms"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no column of architectures"),
        ("arch,cifar10_test\n", "no column of architectures with rows below it"),
        ("a,b\n1,2\n", "Expected a header with `arch`, got: a, b"),
        (f"arch,cifar10_test\n{X},50\n{Y}\n", "row 3: expected 2 values, got 1. Is the file whole"),
        (
            f"arch,cifar10_test\n{X},50\n{Y},5O\n",
            "row 3, column 'cifar10_test': expected a number.*'5O'",
        ),
        (f"arch,cifar10_test\n{X},50\n{Y},inf\n", "row 3, column 'cifar10_test'.*'inf'"),
        (f"arch,cifar10_test\n{X},0.5\n{Y},0.9\n", "above 1; expected .* in percent.*by 100"),
        (f"arch,cifar10_test\n{X},50\n{Y},101\n", "between 50 and 101; expected acc"),
        (f"arch,cifar10_test\n{X},50\n{X},51\n", "holds an architecture twice: '.none~0"),
        (f"arch,cifar10_params_M\n{X},50\n", "holds no accuracy. Expected a column such as"),
        (f"arch,cifar10_test,cifar10_test\n{X},1.5,50\n", "has the column 'cifar10_test' twice"),
        (b"arch,cifar10_test\n\xff\xfe,50\n", "cannot be read as CSV"),
        (gzip.compress(CSV.encode(), mtime=0)[:-9], "cannot be read as CSV"),
    ],
)
def test_csv_that_is_wrong_is_refused_with_the_place(tmp_path, content, words):
    with pytest.raises(DataError, match=words):
        import_files([written(tmp_path, content)])


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (CSV, "a.csv and b.csv both have a column 'cifar10_valid_200'"),
        (
            f"arch,n\n{X},1\n{Z},2\n",
            "b.csv holds 1 architectures that a.csv does not, such as '.nor_conv",
        ),
    ],
)
def test_files_that_do_not_fit_each_other_are_refused(tmp_path, second, words):
    files = [written(tmp_path, CSV), written(tmp_path, second, "b.csv")]
    with pytest.raises(DataError, match=words):
        import_files(files)


@pytest.mark.parametrize(
    ("name", "words"),
    [("no.csv", "does not exist"), ("", "is a folder without meta"), ("a.zip", "of no kind")],
)
def test_other_paths_are_refused_with_what_is_read(tmp_path, name, words):
    written(tmp_path, "a", "a.zip")
    with pytest.raises(DataError, match=rf"{words}.*Give NAS-Bench-201-v1_1-096897\.pth"):
        import_files([tmp_path / name])


def test_rounding_makes_equal_means_equal():
    column = Column("accuracy", "%", "cifar10", "test", 200)
    noisy = np.array([82.092, 82.092 + 3e-8, 82.092 - 3e-8])
    table = merge([Sheet(("a", "b", "c"), {column: noisy}, "s")], "toy")
    assert [table.scores().rank(text) for text in "abc"] == [0, 0, 0]


def test_columns_without_numbers_are_left_out():
    columns = {
        Column("accuracy", "%", "cifar10", "test", 200): np.array([1.5, 2]),
        Column("latency", "ms"): np.full(2, np.nan),
    }
    assert len(merge([Sheet(("a", "b"), columns, "s")], "toy").columns) == 1


# ---------------------------------------------------------------- official files


@pytest.mark.parametrize("make", KINDS)
def test_every_official_form_gives_the_same_table(tmp_path, make):
    path = make(tmp_path)
    table = import_files([path]).table
    assert (table.texts, table.sources) == (tuple(ARCHITECTURES), (path.name,))
    for dataset, valid, test in (("cifar10", 20, 30), ("cifar100", 40, 50), ("imagenet16", 60, 70)):
        for split, base in (("valid", valid), ("test", test)):
            # Means over three, two and one run, whose accuracies rise by one from seed to seed.
            means = table.scores(dataset, split, 3)
            np.testing.assert_array_equal(means.values, [base + 1, base + 1.5, base + 2])
            assert means.column.seeds == (777, 888, 999)
            of_last_seed = table.scores(dataset, split, 3, seed=999).values
            np.testing.assert_array_equal(of_last_seed, [base + 2, np.nan, np.nan])
            short = table.scores(dataset, split, 2)
            np.testing.assert_array_equal(short.values, [base, base + 1, base + 2])
            assert short.column.seeds == (111,)


@pytest.mark.parametrize("make", KINDS)
def test_official_costs(tmp_path, make):
    table = import_files([make(tmp_path)]).table
    text = ARCHITECTURES[1]
    assert table.others(text, "cifar10", "valid", 3) == {
        "parameters": pytest.approx(0.2),
        "multiply_adds": 20,
        "train_seconds": 12,
        "pass_seconds": 1,
        "latency": pytest.approx(10.0),
    }
    assert table.simulated_seconds(text, "cifar10", 3) == 13
    assert table.simulated_seconds(text, "cifar100", 2) == 9


def test_the_two_trainings_on_cifar10_are_kept_apart(tmp_path):
    content = whole()
    for key, one in content["arch2infos"][0]["200"]["all_results"].items():
        if key[0] == "cifar10":
            one["train_times"] = dict.fromkeys(range(3), 100.0)
    table = import_files([packed(tmp_path / "a.pickle.pbz2", content)]).table
    of = {
        split: table.others(ARCHITECTURES[0], "cifar10", split, 3)["train_seconds"]
        for split in ("valid", "test")
    }
    assert of == {"valid": 6, "test": 300}


def test_what_old_files_lack_is_missing(tmp_path):
    content = whole(times=False)
    short = content["arch2infos"][1]["12"]
    short["dataset_seed"] = {"cifar10-valid": [111]}
    short["all_results"]["cifar10-valid", 111]["latency"] = None
    del content["arch2infos"][2]
    table = import_files([packed(tmp_path / "a.pickle.pbz2", content)]).table
    assert table.texts == tuple(ARCHITECTURES[:2])
    assert np.isnan(table.scores("cifar100", "test", 2).values).tolist() == [False, True]
    assert not [column for column in table.columns if column.quantity == "train_seconds"]


def test_a_folder_may_hold_some_architectures_only(tmp_path):
    imported = import_files([folder(tmp_path / "some", [2])])
    assert imported.table.texts == (ARCHITECTURES[2],)
    assert "1 of 15,625 architectures" in imported.notes[0]
    with pytest.raises(DataError, match="lists 3 architectures and holds results of none"):
        import_files([folder(tmp_path / "none", [])])


def test_progress_is_told(tmp_path):
    heard = []
    import_files([nats_folder(tmp_path)], progress=lambda done, total: heard.append((done, total)))
    assert heard == [(1, 3), (2, 3), (3, 3)]


def test_where_runs_disagree_on_size_seed_888_is_believed(tmp_path):
    content = whole()
    runs = content["arch2infos"][0]["200"]["all_results"]
    runs["cifar10", 777]["params"] = 7.0
    table = import_files([packed(tmp_path / "a.pickle.pbz2", content)]).table
    known = table.others(ARCHITECTURES[0], "cifar10", "test", 3)
    assert known["parameters"] == pytest.approx(0.1)


def test_official_and_csv_merge(tmp_path):
    latency = written(tmp_path, f"arch,fpga\n{ARCHITECTURES[2]},2.5\n", "latency.csv")
    table = import_files([nats_folder(tmp_path), latency]).table
    np.testing.assert_array_equal(table.numbers("latency_fpga"), np.float32([np.nan, np.nan, 2.5]))


def spoil(change):
    content = whole()
    change(content)
    return content


def without(key):
    return lambda content: content.pop(key)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2], "no file of NAS-Bench-201 or NATS-Bench: it lacks 'meta_archs'"),
        (spoil(without("meta_archs")), "lacks 'meta_archs'"),
        (spoil(without("arch2infos")), "lacks 'arch2infos'"),
        (spoil(lambda one: one.update(meta_archs=["64:64:64"] * 3)), "size space of NATS-Bench"),
        (spoil(lambda one: one.update(meta_archs=ARCHITECTURES[:1])), "architecture 1 reads None"),
        (spoil(lambda one: one["arch2infos"][0].update({"200": 5})), "has another structure"),
        (
            spoil(lambda one: one["arch2infos"][0]["200"].pop("dataset_seed")),
            "has another structure .*KeyError: 'dataset_seed'",
        ),
        (
            spoil(lambda one: one["arch2infos"][0]["200"]["all_results"].clear()),
            "has another structure",
        ),
        (
            spoil(
                lambda one: one["arch2infos"][0]["200"]["all_results"]["cifar10", 777].update(
                    flop="many"
                )
            ),
            "expected a number, got str",
        ),
    ],
)
def test_official_files_of_another_structure_are_refused(tmp_path, content, words):
    with pytest.raises(DataError, match=words):
        import_files([packed(tmp_path / "a.pickle.pbz2", content)])
