import errno
import json
import math
import os
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from safetensors.torch import save

from nastk import CheckpointError, Cost, NastkError, PhaseCost
from nastk.base import files as files_module
from nastk.base.files import write_atomically
from nastk.runs.checkpoint import KEPT, Checkpoint, newest, read, write
from nastk.testing import fingerprint

COST = Cost({"train": PhaseCost(64, 32, 1.5, 7)})
DTYPES = [
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.bool,
]


def tensor(dtype, shape, seed):
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, shape, generator=rng).to(dtype)


tensors = some.builds(
    tensor,
    some.sampled_from(DTYPES),
    some.sampled_from([(), (0,), (3,), (2, 0), (2, 3), (1, 2, 2)]),
    some.integers(0, 5),
)
plain = (
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats()
    | some.text(some.characters(codec="utf-8"), max_size=5)
)
keys = (
    some.text(some.characters(codec="utf-8"), max_size=4)
    | some.integers()
    | some.sampled_from(["1", 1, "a.1", "$tensor"])
)
nests = some.recursive(
    plain | tensors,
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.lists(inner, max_size=3).map(tuple)
        | some.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=8,
)


def round_trip(state):
    with tempfile.TemporaryDirectory() as folder:
        return read(write(Path(folder), Checkpoint([state], COST, 12, "0.1"), "1"))


@given(nests)
def test_any_nest_comes_back(nest):
    found = round_trip({"state": nest})
    assert fingerprint(found.branches) == fingerprint([{"state": nest}])
    assert (found.cost, found.events, found.version) == (COST, 12, "0.1")


@pytest.mark.parametrize(
    "state",
    [
        {"a": {1: torch.tensor(1), "1": torch.tensor(2)}},
        {"a.b": torch.tensor(1), "a": {"b": torch.tensor(2)}},
        {"a": [torch.ones(2)] * 2},
        {
            "view": torch.arange(6).reshape(2, 3).t(),
            "strided": torch.arange(6)[::2],
            "lazy": torch.ones(2).expand(3, 2),
        },
        {"grad": torch.ones(2, requires_grad=True), "parameter": torch.nn.Parameter(torch.ones(1))},
        {
            "nan": [math.nan, math.inf, -math.inf, -0.0],
            "big": 2**80,
            "quote": '"\\\n\u2028',
            "empty": [(), {}, []],
        },
        {},
    ],
    ids=[
        "keys of two types",
        "dotted keys",
        "one tensor twice",
        "views",
        "gradient",
        "odd values",
        "empty",
    ],
)
def test_odd_states_come_back(state):
    (found,) = round_trip(state).branches
    assert fingerprint(found) == fingerprint(state)


def test_no_branches_come_back(tmp_path):
    assert read(write(tmp_path, Checkpoint([], COST), "1")).branches == []


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            {"updater": {"rows": [1, {3}]}},
            r"The state at branches\.0\.updater\.rows\.1 holds a set, which a checkpoint",
        ),
        ({"rng": torch.Generator()}, r"branches\.0\.rng holds a Generator"),
        ({"a": {(1, 2): 3}}, r"The state at branches\.0\.a has the key \(1, 2\)"),
    ],
)
def test_a_value_that_cannot_be_stored_is_named_by_its_path(state, message, tmp_path):
    with pytest.raises(CheckpointError, match=message):
        write(tmp_path, Checkpoint([state], COST), "1")
    assert list(tmp_path.iterdir()) == []


STATE = {
    "weights": torch.arange(6.0).reshape(2, 3),
    "mask": torch.tensor([True, False]),
    "step": 37,
    "name": "0.1",
}


@pytest.fixture
def stored(tmp_path):
    return write(tmp_path, Checkpoint([STATE], COST, 99, "0.1"), "000000000037")


def test_a_flip_of_any_bit_is_noticed_or_harmless(stored):
    content = stored.read_bytes()
    whole = read(stored)
    noticed = 0
    for place in range(len(content)):
        stored.write_bytes(
            content[:place] + bytes([content[place] ^ (1 << place % 8)]) + content[place + 1 :]
        )
        try:
            found = read(stored)
        except CheckpointError as error:
            assert str(stored) in str(error)
            noticed += 1
        else:
            assert (fingerprint(found.branches), found.cost, found.events, found.version) == (
                fingerprint(whole.branches),
                whole.cost,
                whole.events,
                whole.version,
            ), f"byte {place}"
    assert noticed > 0.9 * len(content)


def test_a_file_cut_short_anywhere_is_noticed(stored):
    content = stored.read_bytes()
    for length in [0, 1, 7, 8, 9, *range(10, len(content), 37), len(content) - 1]:
        stored.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match="is damaged"):
            read(stored)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "damaged or none of nastk's"),
        ({"other": "1"}, "damaged or none of nastk's"),
        ({"nastk": "[1]"}, "none of nastk's: its header is no JSON object"),
        ({"nastk": "{"}, "damaged or none of nastk's"),
        (
            {"nastk": json.dumps({"format": 2, "version": "9.9"})},
            r"was written by nastk 9\.9 \(format 2\); this nastk reads format 1\. Upgrade with "
            "`pip install",
        ),
        (
            {"nastk": json.dumps({"format": 1, "version": "0.1"})},
            "its checksum does not fit its content",
        ),
    ],
)
def test_a_file_of_something_else_is_refused(metadata, message, tmp_path):
    path = tmp_path / "1.safetensors"
    path.write_bytes(save({"a": torch.ones(1)}, metadata))
    with pytest.raises(CheckpointError, match=message):
        read(path)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(CheckpointError, match=r"gone\.safetensors"):
        read(tmp_path / "gone.safetensors")


def fill(folder, count=KEPT):
    for number in range(1, count + 1):
        write(folder, Checkpoint([{"step": number}], COST), f"{number:012d}")
    return sorted(folder.iterdir())


def test_only_the_newest_are_kept(tmp_path):
    files = fill(tmp_path, KEPT + 3)
    assert [path.name for path in files] == [
        f"{number:012d}.safetensors" for number in range(4, KEPT + 4)
    ]
    checkpoint, complaints = newest(tmp_path)
    assert (checkpoint.branches, complaints) == ([{"step": KEPT + 3}], [])


def test_the_newest_skips_a_damaged_one_and_says_so(tmp_path):
    *_, last = fill(tmp_path)
    last.write_bytes(last.read_bytes()[:-5])
    found, (incompatibility,) = newest(tmp_path)
    assert found.branches == [{"step": KEPT - 1}]
    assert str(last) in incompatibility and "damaged" in incompatibility


def test_when_none_can_be_read_all_complaints_are_said(tmp_path):
    files = fill(tmp_path)
    for path in files:
        path.write_bytes(b"")
    with pytest.raises(
        CheckpointError, match="No older checkpoint is left; start the search again"
    ) as error:
        newest(tmp_path)
    assert all(str(path) in str(error.value) for path in files)


def test_a_folder_without_checkpoints_has_no_newest(tmp_path):
    assert newest(tmp_path) is None
    assert newest(tmp_path / "nowhere") is None


def failing(number):
    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.ENOSPC, "No space left on device"), (errno.EACCES, "Permission denied")],
)
@pytest.mark.parametrize("where", ["fsync", "open", "replace", "mkdir"])
def test_a_failed_write_leaves_what_was_there(where, number, said, tmp_path, monkeypatch):
    files = fill(tmp_path)
    before = {path: path.read_bytes() for path in files}
    with monkeypatch.context() as patched:
        if where == "fsync":
            patched.setattr(os, "fsync", failing(number))
        elif where == "open":
            patched.setattr(files_module, "open", failing(number), raising=False)
        else:
            patched.setattr(Path, where, failing(number))
        message = (
            rf"{files[-1].name} could not be written: {said}\. Make room or choose another --out; "
            "what was"
        )
        with pytest.raises(NastkError, match=message):
            write(tmp_path, Checkpoint([{"step": 0}], COST), files[-1].stem)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_new_name_that_fails_leaves_nothing_of_it(tmp_path, monkeypatch):
    files = fill(tmp_path)
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    with pytest.raises(NastkError, match="No space left"):
        write(tmp_path, Checkpoint([{"step": 9}], COST), "000000000009")
    assert sorted(tmp_path.iterdir()) == files


def test_a_file_is_written_whole_with_its_folders(tmp_path):
    path = tmp_path / "a" / "b.json"
    write_atomically(path, b"first")
    write_atomically(path, b"second")
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]
