"""Commands that messages suggest can be typed as they stand; names cannot steer a terminal."""

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from nastk.base.wording import command, printable


@given(some.lists(some.text(), min_size=1, max_size=4))
def test_the_shell_reads_the_words_that_were_meant(words):
    assert shlex.split(command(*words)) == words


@pytest.mark.parametrize(
    ("path", "typed"),
    [("runs/a", "runs/a"), ("a b", "'a b'"), ("-x", "./-x"), ("it's", "'it'\"'\"'s'")],
)
def test_a_path_is_never_an_option(path, typed):
    assert command("nastk", "show", Path(path)) == f"nastk show {typed}"


@given(some.text())
def test_nothing_printable_steers_a_terminal(text):
    shown = printable(text)
    assert len(shown) == len(text)
    assert all(sign in "\n\t" or ord(sign) >= 0x20 for sign in shown)
    assert not set(shown) & {
        chr(code) for code in [0x7F, *range(0x80, 0xA0), *range(0x202A, 0x202F)]
    }
    shown.encode()
    assert printable(shown) == shown


def test_letters_of_any_language_stay():
    assert printable("größe 大きさ 🙂 نص\n\t") == "größe 大きさ 🙂 نص\n\t"
