"""What is read from files that anybody may have written: bounded, UTF-8, saying one thing only."""

import json
import os
import random
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as some

from nastk.base.errors import UnreadableError
from nastk.base.reading import json_value, read_json, read_json_object, read_text
from nastk.base.reading_yaml import yaml_value

PLAIN = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
    max_leaves=12,
)


@given(PLAIN)
def test_what_json_says_comes_back(value):
    assert json_value(json.dumps(value)) == value
    assert json_value(json.dumps(value, ensure_ascii=False)) == value


@given(PLAIN)
def test_what_yaml_says_comes_back(value):
    assert yaml_value(yaml.safe_dump(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("-2.5E2", -250.0),
        (".5", 0.5),
        ("010", 10),
        ("08", 8),
        ("9_0", "9_0"),
        ("1:30", "1:30"),
        ("0x10", "0x10"),
        ("٩٠", "٩٠"),
        ("2024-01-31", "2024-01-31"),
        ("=", "="),
        ("no", False),
        ("<<: {b: 1, c: 2}\nc: 3", {"b": 1, "c": 3}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
    ],
)
def test_words_of_yaml_are_the_numbers_that_they_look_like_or_texts(text, value):
    assert yaml_value(text) == value


ALIASES = "a0: &a0 [1, 1]\n" + "".join(
    f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 9)}]\n" for number in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "'a' stands twice; leave one out at line 3, column 1"),
        ("{a: {b: 1, 'b': 1}}", "'b' stands twice"),
        ("[" * 51 + "]" * 51, "nested more than 50 deep"),
        ("[" * 9999, "nested too deeply"),
        ("&a [*a]", "nested more than 50 deep"),
        (ALIASES, "more than 100,000 values"),
        ("9" * 5000, "a number of 5000 digits"),
        ("!!binary '//8='", "holds a bytes"),
        ("!!set {a}", "holds a set"),
        ("!!timestamp 2024-01-31", "holds a date"),
        ("!!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("? [a]\n: b", "unhashable key at line 1"),
        ("a: \x07", "special characters are not allowed"),
    ],
)
def test_yaml_that_means_nothing_or_two_things_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        yaml_value(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "b": 2, "a": 1}', "'a' stands twice"),
        ('[{"a": {"x": 1, "x": 2}}]', "'x' stands twice"),
        ("[" * 51 + "]" * 51, "nested more than 50 deep"),
        ("[" * 99999, "nested more than 50 deep"),
        ('{"a":' * 99999, "nested more than 50 deep"),
        ("9" * 5000, "a number of 5000 digits"),
        ("{", "Expecting property name"),
        ("", "Expecting value"),
    ],
)
def test_json_that_means_nothing_or_two_things_is_refused(text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        json_value(text)
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(
        UnreadableError, match=rf"a\.json cannot be read: it is no JSON \(.*{message}"
    ):
        read_json(tmp_path / "a.json")


def test_fifty_deep_is_taken():
    assert json_value("[" * 50 + "]" * 50) == yaml_value("[" * 50 + "]" * 50)


def test_any_damage_is_an_error_of_ours_or_none(tmp_path):
    """Bytes of a JSON file changed, cut and doubled at random."""
    draw, good = random.Random(0), json.dumps({"a": [1, 2.5, {"b": None}], "é": "ü"}).encode()
    for _ in range(300):
        content, place = bytearray(good), draw.randrange(len(good))
        content[place : place + draw.randrange(3)] = draw.randbytes(draw.randrange(3))
        (tmp_path / "a.json").write_bytes(content)
        try:
            assert isinstance(read_json_object(tmp_path / "a.json"), dict)
        except UnreadableError as error:
            assert str(error).startswith(f"{tmp_path / 'a.json'} cannot be read: ")


def test_text_is_utf_8_with_or_without_a_mark(tmp_path):
    for content in ("größe".encode(), "\ufeffgröße".encode()):
        (tmp_path / "a").write_bytes(content)
        assert read_text(tmp_path / "a") == "größe"


@pytest.mark.parametrize(
    ("content", "largest", "message"),
    [
        ("größe".encode("latin-1"), 100, r"no UTF-8 text \(byte 0xf6 at position 2\)"),
        (b"x" * (2**20 + 1), 2**20, "larger than 1 MiB"),
    ],
)
def test_what_is_no_such_text_is_refused(content, largest, message, tmp_path):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(UnreadableError, match=message):
        read_text(tmp_path / "a", largest)


def test_places_that_hold_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, message in {
        "gone": "No such file",
        ".": "Is a directory",
        "pipe": "a pipe or a device",
        "x" * 300: "File name too long",
        "a\0b": "null byte",
    }.items():
        with pytest.raises(UnreadableError, match=message):
            read_text(tmp_path / name)


def test_a_pipe_is_read_where_it_was_asked_for():
    reading, writing = os.pipe()
    os.write(writing, b"space: toy")
    os.close(writing)
    assert read_text(Path("/dev/fd") / str(reading), pipes=True) == "space: toy"
    os.close(reading)


def test_an_object_is_wanted(tmp_path):
    (tmp_path / "a").write_text("[1]")
    with pytest.raises(UnreadableError, match="it holds no JSON object"):
        read_json_object(tmp_path / "a")
