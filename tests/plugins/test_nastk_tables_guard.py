"""`nastk_tables`: what must not become a table, and what a failed import must not destroy."""

import os
import pickle
import socket
import struct
import zipfile
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import typer
from tables_kit import ARCHITECTURES, TEXTS, X, Y, packed, torch_zip, toy_table, whole, written
from typer.testing import CliRunner

from nastk import ConfigurationError, DataError, NastkError
from nastk.testing.toy import ToySpace
from nastk_tables import places
from nastk_tables.column import Column
from nastk_tables.command_line import add_to
from nastk_tables.importing import _of_space, import_files
from nastk_tables.sheet import Sheet, merge
from nastk_tables.storage import read, write
from nastk_tables.torch_file import load_torch


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("NASTK_DATA", str(tmp_path / "data"))


def command(*words):
    app = typer.Typer()
    add_to(app)
    return CliRunner().invoke(app, ["table", *map(str, words)])


# ---------------------------------------------------------------- architectures


@pytest.mark.parametrize(
    "text",
    ["xx", "", "=cmd|' /C calc'!A0", "a\nb", X[:-1], X.replace("avg_pool_3x3", "max_pool_3x3")],
)
def test_rows_that_are_no_architectures_of_the_space_are_refused(tmp_path, text):
    source = written(tmp_path, f'arch,cifar10_test\n{X},50\n"{text}",60\n')
    with pytest.raises(
        DataError, match=r"a.csv: architecture 2 of 2 is none of space 'nasbench201': .*`--space`"
    ):
        import_files([source])


def test_architectures_of_a_space_with_other_options_can_be_read(tmp_path):
    source = written(tmp_path, f"arch,cifar10_test\n{X},50\n")
    with pytest.raises(DataError, match="is none of space 'nasbench201'"):
        import_files([source], options={"exclude_none": True})
    done = command("import", source, "-s", "exclude_none=true", "--out", tmp_path / "a.table")
    assert isinstance(done.exception, DataError)
    done = command("import", source, "-s", "exclude_none=false", "--out", tmp_path / "a.table")
    assert done.exit_code == 0 and read(tmp_path / "a.table").texts == (X,)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"space": "nasbench2"}, "No search space is named 'nasbench2'"),
        ({"options": {"nones": True}}, "nasbench201 has no option 'nones'"),
    ],
)
def test_a_space_that_is_not_there_is_refused(tmp_path, asked, words):
    source = written(tmp_path, f"arch,cifar10_test\n{X},50\n")
    with pytest.raises(ConfigurationError, match=words):
        import_files([source], **asked)


class Tolerant(ToySpace):
    """Reads architectures with spaces in them, and writes them without."""

    def from_text(self, text):
        return super().from_text(text.replace(" ", ""))


def test_architectures_are_kept_as_the_space_writes_them():
    column = Column("accuracy", "%", "cifar10", "test", 200)
    sheet = Sheet((TEXTS[5].replace(",", " , "), TEXTS[3]), {column: np.array([1.5, 2])}, "s")
    again = _of_space(sheet, Tolerant())
    assert again.texts == (TEXTS[5], TEXTS[3])
    twice = replace(sheet, texts=(TEXTS[5].replace(",", " , "), TEXTS[5]))
    with pytest.raises(DataError, match="s holds an architecture twice"):
        merge([_of_space(twice, Tolerant())], "toy")


# ---------------------------------------------------------------- what was there before


@pytest.mark.parametrize("texts", [(*TEXTS[:-1], "a\nb"), ()], ids=["line-break", "none"])
def test_a_table_that_would_not_be_read_takes_no_good_ones_place(tmp_path, texts):
    path = tmp_path / "a.table"
    write(path, toy_table())
    good = path.read_bytes()
    bad = replace(toy_table(), texts=texts, values=toy_table().values[:, : len(texts)])
    with pytest.raises(DataError, match="could not be read back"):
        write(path, bad)
    assert path.read_bytes() == good and os.listdir(tmp_path) == ["a.table"]


def test_a_failed_import_keeps_what_was_there(tmp_path):
    good = written(tmp_path, f"arch,cifar10_test\n{X},50\n")
    bad = written(tmp_path, 'arch,cifar10_test\n"a\nb",50\n', "b.csv")
    out = tmp_path / "a.table"
    assert command("import", good, "--out", out).exit_code == 0
    before = out.read_bytes()
    assert isinstance(command("import", bad, "--out", out).exception, DataError)
    assert out.read_bytes() == before


@pytest.mark.parametrize("kind", ["folder", "pipe", "socket", "device", "link"])
def test_only_files_are_replaced(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    if kind == "folder":
        out.mkdir()
    elif kind == "pipe":
        os.mkfifo(out)
    elif kind == "device":
        out = os.devnull
    elif kind == "link":
        out.symlink_to(os.devnull)
    else:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("out")
    before = os.lstat(out)
    source = written(tmp_path, f"arch,cifar10_test\n{X},50\n")
    done = command("import", source, "--out", out)
    assert isinstance(done.exception, ConfigurationError)
    assert "--out" in str(done.exception)
    after = os.lstat(out)
    assert (after.st_mode, after.st_ino) == (before.st_mode, before.st_ino)
    with pytest.raises(ConfigurationError):
        write(places.Path(out), toy_table())


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "/a"])
def test_a_tables_name_is_no_path(tmp_path, name):
    source = written(tmp_path, f"arch,cifar10_test\n{X},50\n")
    with pytest.raises(ConfigurationError, match=r"A table's name is a word .*--out"):
        places.default_path(name)
    if name:
        done = command("import", source, "--name", name)
        assert isinstance(done.exception, ConfigurationError)


@pytest.mark.parametrize("table", ["x" * 300, "y/" * 3000, "a\0b", "~nobody-of-this-name/a.table"])
def test_tables_that_cannot_be_there_are_not_there(table):
    with pytest.raises(ConfigurationError, match=r"No table is named|There is no such table"):
        places.find(table)


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    "cell",
    ["9_0", "٩٠", "９０", "0x5a", "1e999", "-1e39", "1e", ".", "+", "infinity", "1,5", "5 0"],
)
def test_only_plain_numbers_are_numbers(tmp_path, cell):
    source = written(tmp_path, f'arch,cifar10_test,n\n{X},50,1\n{Y},60,"{cell}"\n')
    with pytest.raises(DataError, match=r"row 3, column 'n': expected a number or nothing, got"):
        import_files([source])


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("5", 5),
        (" 5.5 ", 5.5),
        ("+5.", 5),
        ("-.5", -0.5),
        ("1E2", 100),
        ("nan", np.nan),
        ("", np.nan),
    ],
)
def test_numbers_as_programs_write_them_are_read(tmp_path, cell, value):
    source = written(tmp_path, f"arch,cifar10_test,n\n{X},50,1\n{Y},60,{cell}\n")
    np.testing.assert_array_equal(import_files([source]).table.numbers("n")[1], np.float32(value))


def test_numbers_too_great_for_the_file_are_refused():
    columns = {
        Column("accuracy", "%", "cifar10", "test", 200): np.array([1.5]),
        Column("parameters", "M"): np.array([1e39]),
    }
    with pytest.raises(DataError, match="'parameters' holds numbers too great to keep"):
        merge([Sheet((X,), columns, "s")], "nasbench201")


# ---------------------------------------------------------------- official files


@pytest.mark.parametrize("key", [1.5, "x", None, True, (0,)])
def test_numbers_of_architectures_are_whole(tmp_path, key):
    content = whole()
    content["arch2infos"] = {0: content["arch2infos"][0], key: content["arch2infos"][1]}
    with pytest.raises(DataError, match=r"another structure .* numbers an architecture "):
        import_files([packed(tmp_path / "a.pickle.pbz2", content)])


@pytest.mark.parametrize("number", [-1, 3, 10**30])
def test_numbers_of_architectures_are_in_the_list(tmp_path, number):
    content = {**whole(), "arch2infos": {number: whole()["arch2infos"][0]}}
    with pytest.raises(DataError, match=rf"architecture {number} reads None"):
        import_files([packed(tmp_path / "a.pickle.pbz2", content)])


@pytest.mark.parametrize(
    ("key", "value"),
    [("flop", 10**400), ("flop", float("inf")), ("params", None), ("epochs", "3"), ("latency", 5)],
)
def test_absurd_values_are_refused(tmp_path, key, value):
    content = whole()
    for run in content["arch2infos"][0]["200"]["all_results"].values():
        run[key] = value
    with pytest.raises(DataError, match="has another structure than"):
        import_files([packed(tmp_path / "a.pickle.pbz2", content)])


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([X, Y, X.replace("none~0", "nane~0")], r"architecture 3 of 3 is none of .*'nane'"),
        ([X, Y, X], "a.pickle.pbz2 holds an architecture twice: '.none~0"),
    ],
)
def test_architectures_of_official_files_are_looked_at(tmp_path, texts, words):
    content = {**whole(), "meta_archs": texts}
    with pytest.raises(DataError, match=words):
        import_files([packed(tmp_path / "a.pickle.pbz2", content)])


def spoiled_offset(content):
    """The archive's directory says that its first member lies beyond the end."""
    place = content.rindex(b"PK\x01\x02")
    first = content.index(b"PK\x01\x02")
    assert first <= place
    return content[: first + 42] + struct.pack("<I", 0x7FFFFFF0) + content[first + 46 :]


def spoiled_name(content):
    return content.replace(b"data.pkl", b"data\xff\xffkl")


@pytest.mark.parametrize("spoil", [spoiled_offset, spoiled_name])
def test_a_damaged_archive_ends_in_a_message(tmp_path, spoil):
    path = torch_zip(tmp_path)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError, match=r"is damaged|none that torch.save wrote"):
        import_files([path])


def test_spoiled_bytes_of_an_archive_end_in_a_value_or_a_message(tmp_path):
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        content = OrderedDict(meta_archs=ARCHITECTURES, arch2infos={0: whole()["arch2infos"][0]})
        archive.writestr("a/data.pkl", pickle.dumps(content, 2))
    good = path.read_bytes()
    refused = 0
    places_to_spoil = [*range(0, 60, 2), *range(len(good) - 120, len(good), 2)]
    for place in places_to_spoil:
        spoiled = bytearray(good)
        spoiled[place] ^= 0xFF
        path.write_bytes(spoiled)
        try:
            load_torch(path)
        except NastkError:
            refused += 1
    assert refused > len(places_to_spoil) / 3


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    path = packed(tmp_path / "a.pickle.pbz2", whole())

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("bz2.open", denied)
    with pytest.raises(DataError, match=r"a.pickle.pbz2 cannot be read: Permission denied"):
        import_files([path])
