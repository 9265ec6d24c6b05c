"""For `test_fuzz.py`: runs the command line under a deadline, and spoils texts, values and bytes.

A case is an act that may end in three ways only: fine, a `NastkError`, or an exit code with a
message. `endings` collects all others (a traceback, a hang, a wrong exit code, an exit without a
message), each with the number of its case, so that it can be made again from the seed.
"""

import json
import random
import shutil
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cli_kit import called

from nastk import NastkError

DEADLINE = 60.0
"""Seconds after which a case counts as hanging; the slowest takes a few on a busy machine."""

VALUES = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    10**20,
    -(10**20),
    1 << 31,
    0.5,
    1.5,
    -0.0,
    1e308,
    5e-324,
    float("nan"),
    float("inf"),
    float("-inf"),
    "",
    " ",
    "auto",
    "none",
    "1",
    "٣",
    "a" * 300,
    "a/b",
    "../../a",
    "\x00",
    "\x1b[31m",
    "$\\alpha$",
    [],
    [1],
    ["a", None],
    {},
    {"name": "a"},
    {"options": []},
)
"""Values that somebody, or some program, has put where another was expected."""

TOKENS = (
    *("{", "}", "[", "]", ":", ",", "-", "|", "~", "+", "'", '"', "#", "&a", "*a", "()", "'''"),
    *("\n", "\t", "\x00", "null", "NaN", "1e999", "0x10", "1_000", "٣", "é", "\ud7ff"),
    *("!!python/object:os.system", "range(2, 6)"),
)


class Hanging(BaseException):
    """A case was not done before its deadline; no code of nastk catches it."""


@dataclass
class Endings:
    """The wrong endings of many cases, and how many cases there were."""

    cases: int = 0
    wrong: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Fail with the first of them."""
        shown = "\n".join(self.wrong[:25])
        assert not self.wrong, f"{len(self.wrong)} of {self.cases} cases ended wrongly:\n{shown}"


def attempt(endings: Endings, what: str, act: Callable[[], object]) -> object:
    """Do `act`, which may be refused by a `NastkError`; any other exception is a wrong ending."""
    endings.cases += 1
    try:
        with _deadline(), _as_users_see_warnings():
            return act()
    except NastkError as error:
        if not str(error).strip():
            endings.wrong.append(f"{what}: {type(error).__name__} without a message")
    except Hanging:
        endings.wrong.append(f"{what}: not done after {DEADLINE:g} seconds")
    except Exception as error:
        endings.wrong.append(f"{what}: {type(error).__name__}: {str(error)[:200]}")
    return None


def command(endings: Endings, what: str, arguments: list[str], codes: set[int]) -> tuple[int, str]:
    """Run the command line in this process; `codes` are the exit codes that are right here."""
    endings.cases += 1
    try:
        with _deadline(), _as_users_see_warnings():
            code, out, text = called(*arguments)
    except Hanging:
        endings.wrong.append(f"{what}: not done after {DEADLINE:g} seconds")
        return 1, ""
    except BaseException as error:
        endings.wrong.append(f"{what}: {type(error).__name__}: {str(error)[:200]}")
        return 1, ""
    if code not in codes:
        endings.wrong.append(f"{what}: exit code {code}, expected one of {codes}: {text[-300:]}")
    elif code and not text.strip():
        endings.wrong.append(f"{what}: exit code {code} without a message")
    if "Traceback (most recent call last)" in text:
        endings.wrong.append(f"{what}: a traceback: {text[-300:]}")
    return code, out


@contextmanager
def _deadline() -> Iterator[None]:
    def end(number: int, frame: object) -> None:
        raise Hanging

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, DEADLINE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _as_users_see_warnings() -> Iterator[None]:
    """Warnings are no errors here: a user's process prints them and goes on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# ---------------------------------------------------------------------- spoiling


def spoiled_text(text: str, rng: random.Random) -> str:
    """`text` after one to four accidents: cut, doubled, swapped, or with strange characters."""
    for _ in range(rng.randint(1, 4)):
        place, end = sorted((rng.randint(0, len(text)), rng.randint(0, len(text))))
        end = min(end, place + 12)
        text = rng.choice(
            (
                text[:place] + text[end:],
                text[:place] + rng.choice(TOKENS) + text[place:],
                text[:place] + rng.choice(TOKENS) + text[end:],
                text[:end] + text[place:],
                text[:place],
                text[:place] + text[place:end].swapcase() + text[end:],
            )
        )
    return text


def spoiled_bytes(content: bytes, rng: random.Random) -> bytes:
    """`content` with a bit flipped, cut, doubled, emptied, or overwritten by zeros or noise."""
    if not content:
        return rng.randbytes(8)
    place = rng.randrange(len(content))
    end = min(len(content), place + rng.randint(1, 64))
    return rng.choice(
        (
            content[:place]
            + bytes([content[place] ^ 1 << rng.randrange(8)])
            + content[place + 1 :],
            content[:place],
            content[:end] + content[place:],
            content[:place] + bytes(end - place) + content[end:],
            content[:place] + rng.randbytes(end - place) + content[end:],
            b"",
        )
    )


def spoiled_value(value: object, rng: random.Random) -> object:
    """A nest of mappings and lists in which one item is another value, gone, or doubled."""
    places = list(_places(value))
    if not places:
        return rng.choice(VALUES)
    copy = json.loads(json.dumps(value))
    path = rng.choice(places)
    holder = copy
    for key in path[:-1]:
        holder = holder[key]
    act = rng.randrange(8)
    if act == 0:
        del holder[path[-1]]
    elif act == 1 and isinstance(holder, dict):
        holder[rng.choice(("x", "", "name", "options"))] = holder[path[-1]]
    else:
        holder[path[-1]] = rng.choice(VALUES)
    return copy


def _places(value: object, path: tuple = ()) -> Iterator[tuple]:
    """The path of every item in a nest of mappings and lists."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in items:
        yield (*path, key)
        yield from _places(item, (*path, key))


def copied(source: Path, target: Path) -> Path:
    """A fresh copy of a folder, in place of what stood at `target`."""
    shutil.rmtree(target, ignore_errors=True)
    return Path(shutil.copytree(source, target))


def damaged(path: Path, rng: random.Random) -> str:
    """Damage one file of a folder; answers what was done, in words."""
    files = sorted(each for each in path.rglob("*") if each.is_file() and each.name != "run.lock")
    file = rng.choice(files)
    act = rng.randrange(6)
    name = file.relative_to(path)
    if act == 0:
        file.unlink()
        return f"{name} removed"
    if act == 1:
        file.unlink()
        file.mkdir()
        return f"{name} is a folder"
    if act in (2, 3) and file.suffix in (".json", ".jsonl"):
        lines = file.read_text().splitlines() if file.suffix == ".jsonl" else [file.read_text()]
        number = rng.randrange(len(lines))
        lines[number] = json.dumps(spoiled_value(json.loads(lines[number]), rng))
        file.write_text("\n".join(lines) + "\n")
        return f"{name} with another value"
    file.write_bytes(spoiled_bytes(file.read_bytes(), rng))
    return f"{name} with other bytes"
