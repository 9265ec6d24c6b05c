"""`nastk_tables`: what a benchmark's file names is not executed; damage ends in a message."""

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from tables_kit import (
    folder,
    nats_file,
    nats_folder,
    packed,
    torch_legacy,
    torch_zip,
    whole,
    written,
)

from nastk import DataError
from nastk_tables.importing import import_files
from nastk_tables.unpickle import load


class Calls:
    """Pickles as a call of anything."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def attacks(marker):
    script = f"open({str(marker)!r}, 'w').close()"
    return [
        (Calls(os.system, f"touch {marker}"), r"names (posix|nt)\.system"),
        (Calls(exec, script), r"names (builtins|__builtin__)\.exec"),
        (Calls(eval, script), r"names (builtins|__builtin__)\.eval"),
        (Calls(getattr, "a", "upper"), r"names (builtins|__builtin__)\.getattr"),
        (Calls(open, str(marker), "w"), r"names _?io\.open"),
        (Calls(Path, "a"), r"names pathlib[\w.]*\.Path"),
        (Calls(torch.load, "a"), r"names torch\.serialization\.load"),
        (Calls(np.load, "a"), r"names numpy[\w.]*\.load"),
        (Calls(import_files, ["a"]), r"names nastk_tables\.importing\.import_files"),
    ]


def in_folder(path, content):
    packed(folder(path / "nats", [0]) / "000000.pickle.pbz2", content)
    return path / "nats"


def in_meta(path, content):
    packed(folder(path / "nats", [0]) / "meta.pickle.pbz2", content)
    return path / "nats"


def in_zip(path, content):
    torch.save(content, path / "a.pth")
    return path / "a.pth"


def in_legacy(path, content):
    torch.save(content, path / "a.pth", _use_new_zipfile_serialization=False)
    return path / "a.pth"


@pytest.mark.parametrize("put", [in_folder, in_meta, in_zip, in_legacy])
@pytest.mark.parametrize("number", range(9))
def test_a_call_is_refused_by_name_and_not_executed(tmp_path, put, number):
    marker = tmp_path / "marker"
    call, words = attacks(marker)[number]
    # Deep inside what is otherwise a good file, too.
    content = {**whole(), "evaluated_indexes": [call]}
    with pytest.raises(DataError, match=f"{words}, which .*refused and not executed"):
        import_files([put(tmp_path, content)])
    assert not marker.exists()


def test_the_attack_works_where_nothing_refuses_it(tmp_path):
    marker = tmp_path / "marker"
    pickle.loads(pickle.dumps(attacks(marker)[0][0]))
    assert marker.exists()


HARMFUL = {
    # OrderedDict's stand-in, told to become something else (BUILD with a state)
    "state": b"\x80\x02ccollections\nOrderedDict\n}X\x05\x00\x00\x00_makeK\x01sb.",
    # the same with attributes (BUILD with two states)
    "slots": b"\x80\x02ccollections\nOrderedDict\nN}X\x05\x00\x00\x00_makeK\x01s\x86b.",
    # NEWOBJ on an admitted name
    "newobj": b"\x80\x02ccollections\nOrderedDict\n)\x81.",
    # a call of a value
    "call": b"\x80\x02K\x01)R.",
    # an array of objects, and one of another length than it says
    "objects": pickle.dumps(np.array([None, {}], dtype=object), 2),
    "kinds": pickle.dumps(np.dtype([("a", "f8")]), 2),
    "encoding": b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R.",
    "extension": b"\x80\x02\x82\x01.",
    "size": b"\x80\x02c__builtin__\nbytes\nJ\xff\xff\xff\x7f\x85R.",
}


@pytest.mark.parametrize("name", HARMFUL)
def test_tricks_with_admitted_names_end_in_a_message(name):
    with pytest.raises(DataError, match="the file is damaged"):
        load(io.BytesIO(HARMFUL[name]), "the file")
    assert load(io.BytesIO(pickle.dumps(OrderedDict(a=1), 2)), "the file") == {"a": 1}


PLAIN = [
    {"a": [1, 2.5, None, True, "x", b"y", (1, 2), {3}]},
    OrderedDict([(("cifar10", 777), {"seed": 1})]),
    set(),
    b"",
]


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("value", PLAIN)
def test_plain_values_come_back(value, protocol):
    assert load(io.BytesIO(pickle.dumps(value, protocol)), "a") == value


@pytest.mark.parametrize("kind", ["f8", "f4", "f2", "i8", "i2", "u1", "u4", "?", ">f8", ">i4"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_numpy_numbers_come_back_plain_from_new_and_old_numpy(kind, protocol):
    scalar = np.array([1.0]).astype(kind)[0]
    array = np.arange(6).reshape(2, 3).astype(kind)
    for value, expected in ((scalar, 1), (array, array.flatten().tolist())):
        new = pickle.dumps(value, protocol)
        assert load(io.BytesIO(new), "a") == expected
        if protocol == 2:
            old = new.replace(b"numpy._core", b"numpy.core")
            assert load(io.BytesIO(old), "a") == expected


def test_weights_are_left_out(tmp_path):
    network = torch.nn.Linear(2, 2)
    content = {"state": network.state_dict(), "half": torch.ones(1, dtype=torch.bfloat16)}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(DataError, match="lacks 'meta_archs'"):  # it was read, and holds no table
        import_files([tmp_path / "a.pth"])


@pytest.mark.parametrize("make", [nats_file, torch_zip, torch_legacy])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.95])
def test_files_cut_short_are_refused(tmp_path, make, share):
    path = make(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"is damaged|is no file|lacks"):
        import_files([path])


@pytest.mark.parametrize("name", ["meta.pickle.pbz2", "000001.pickle.pbz2"])
@pytest.mark.parametrize("kept", [0, 3, 100])
def test_damaged_parts_of_a_folder_are_named(tmp_path, name, kept):
    path = nats_folder(tmp_path)
    (path / name).write_bytes((path / name).read_bytes()[:kept])
    with pytest.raises(DataError, match=f"{name} is damaged"):
        import_files([path])


def test_spoiled_bytes_end_in_a_value_or_a_message():
    good = pickle.dumps({"a": [1.5, "text", np.float64(2.0)], "b": {(1, 2): OrderedDict(x=1)}}, 4)
    refused = 0
    for place in range(len(good)):
        spoiled = bytearray(good)
        spoiled[place] ^= 0xFF
        try:
            load(io.BytesIO(bytes(spoiled)), "a")
        except DataError:
            refused += 1
    assert refused > len(good) / 4


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is damaged, cut short, or no pickle"),
        (pickle.dumps({"meta_archs": []}), "is no file that torch.save wrote"),
        (b"PK\x03\x04 and more", "is damaged"),
        (struct.pack("<Q", 7), "is damaged, cut short, or no pickle"),
    ],
)
def test_what_is_no_torch_file_is_refused(tmp_path, content, words):
    with pytest.raises(DataError, match=words):
        import_files([written(tmp_path, content, "a.pth")])


def test_a_zip_archive_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(DataError, match=r"is a zip archive, but none that torch.save wrote"):
        import_files([tmp_path / "a.pth"])
