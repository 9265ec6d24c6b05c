"""The run folder: the truth about a run, readable without nastk and without torch.

    config.json         the resolved configuration; `nastk search --config` runs it again
    data.json           which images it began with
    events.jsonl        what happened, one JSON object a line
    checkpoints/        the newest states, to resume from
    architecture.json   what was found
    result.json         architecture, evaluations and cost; present once the run is finished
    run.lock            held while a process works on the run

`RunFolder` reads and writes it; `find_runs` lists the folders below a place.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout
from pydantic import BaseModel

from nastk.base.errors import ConfigurationError, DataError, NastkError, UnreadableError
from nastk.base.reading import read_json_object
from nastk.base.values import finite
from nastk.base.wording import command
from nastk.runs.stored import StoredConfig, StoredResult, complaint, read_events
from nastk.spaces.architecture import Architecture

CONFIG, DATA, EVENTS, RESULT, ARCHITECTURE = (
    "config.json",
    "data.json",
    "events.jsonl",
    "result.json",
    "architecture.json",
)

UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError)
"""What readers raise where a value is of another kind than they expect."""


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run. `state` is running, finished, interrupted or failed.

    Example: `RunFolder(Path("runs/a")).result()["architecture"]["text"]`
    """

    path: Path

    @classmethod
    def open(cls, path: str | Path) -> "RunFolder":
        """An existing run.

        Raises:
            ConfigurationError: there is no run at `path`; lists runs nearby.
        """
        folder = cls(Path(path))
        try:
            if (folder.path / CONFIG).is_file():
                return folder
            beside = folder.path.parent if folder.path.parent.is_dir() else Path("runs")
            near = [str(run.path) for run in find_runs(beside)]
        except OSError as error:  # a name that is too long, a folder that may not be read
            raise ConfigurationError(
                f"{path} is no run folder: {error.strerror or error}."
            ) from None
        raise ConfigurationError(
            f"{path} is no run folder (it has no {CONFIG}). "
            + (f"Runs there: {', '.join(near[:8])}." if near else "Start one with `nastk search`.")
        )

    @classmethod
    def new(cls, out: str | Path | None, stem: str) -> "RunFolder":
        """A folder for a new run: `out`, or the first free `runs/STEM-NNN`.

        Raises:
            ConfigurationError: `out` already holds a run, or is a file.
        """
        if out is None:
            number = 1
            while (Path("runs") / f"{stem}-{number:03d}").exists():
                number += 1
            return cls(Path("runs") / f"{stem}-{number:03d}")
        folder = cls(Path(out))
        try:
            if folder.path.exists() and not folder.path.is_dir():
                raise ConfigurationError(f"--out {out} is a file. Choose a folder.")
            holds_run = (folder.path / CONFIG).exists()
        except OSError as error:  # a name that is too long, a folder that may not be read
            raise ConfigurationError(
                f"--out {out} cannot be used: {error.strerror or error}. Choose another."
            ) from None
        if holds_run:
            state = folder.state()
            ending = (
                ""
                if state == "finished"
                else f", or continue it with `{command('nastk', 'resume', folder.path)}`"
            )
            kind = "a finished" if state == "finished" else "an unfinished"
            raise ConfigurationError(
                f"The run folder {out} already holds {kind} search. Choose another --out{ending}."
            )
        return folder

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints lie."""
        return self.path / "checkpoints"

    def config(self) -> dict[str, Any]:
        """The resolved configuration.

        Raises:
            NastkError: the file is damaged; says how.
        """
        return self._read(CONFIG, StoredConfig)

    def data(self) -> dict[str, Any] | None:
        """Which images the run began with; None in runs of nastk 0.1."""
        return self._read(DATA) if (self.path / DATA).exists() else None

    def result(self) -> dict[str, Any]:
        """The result.

        Raises:
            ConfigurationError: the run is not finished.
        """
        if not (self.path / RESULT).exists():
            raise ConfigurationError(
                f"The run {self.path} has no result yet (it is {self.state()}). "
                f"Continue it with `{command('nastk', 'resume', self.path)}`."
            )
        value = self._read(RESULT, StoredResult)
        try:
            Architecture.from_json(value["architecture"])
        except DataError as error:
            raise DataError(f"{self.path / RESULT}: {error}") from None
        return value

    def events(self) -> list[dict[str, Any]]:
        """Everything that happened; lines that hold no event are left out."""
        return self._events()[0]

    def complaints(self) -> list[str]:
        """What a reader of the events should know: how many lines of the log are damaged."""
        _, lost = self._events()
        if not lost:
            return []
        lines = "1 line holds" if lost == 1 else f"{lost} lines hold"
        return [f"{self.path / EVENTS} is damaged: {lines} no event, left out here."]

    def _events(self) -> tuple[list[dict[str, Any]], int]:
        try:
            return read_events((self.path / EVENTS).read_bytes())
        except FileNotFoundError:
            return [], 0
        except OSError as error:
            raise NastkError(
                f"{self.path / EVENTS} cannot be read: {error.strerror or error}."
            ) from None

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Around whatever shows a run: values that nobody can show are said in one message.

        The files have their forms, but what plugins put into them has none that is known.

        Raises:
            NastkError: something in them is of another kind than its readers expect.
        """
        try:
            yield
        except UNREADABLE as error:
            raise NastkError(
                f"The files of {self.path} hold something that cannot be shown "
                f"({type(error).__name__}: {error}). They may have been edited or damaged; "
                "NASTK_TRACEBACK=1 shows where."
            ) from error

    def state(self) -> str:
        """`running` (its lock is held), `finished`, `failed` (has an error), or `interrupted`."""
        if (self.path / RESULT).exists():
            return "finished"
        if self.path.exists() and not self._lock_is_free():
            return "running"
        return "failed" if (self.path / "error.txt").exists() else "interrupted"

    def error(self) -> str | None:
        """What ended a failed run."""
        try:
            text = (self.path / "error.txt").read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            return f"error.txt cannot be read: {error.strerror or error}."
        return text or "What it was could not be written; its disk may have been full."

    @contextlib.contextmanager
    def locked(self, wait: float = 0) -> Iterator[None]:
        """Hold the run for this process; `wait` so many seconds for another to let it go.

        Raises:
            NastkError: another process works on it, or the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / "run.lock")
            lock.acquire(timeout=wait)
        except Timeout:
            raise NastkError(
                f"Another process works on {self.path}. Wait for it, or stop it first."
            ) from None
        except OSError as error:
            raise NastkError(
                f"The run folder {self.path} cannot be written: {error.strerror or error}."
            ) from None
        try:
            yield
        finally:
            lock.release()

    def _lock_is_free(self) -> bool:
        if not (self.path / "run.lock").exists():
            return True
        lock = FileLock(self.path / "run.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        except OSError:
            return True  # somebody else's folder, which we may only read
        lock.release()
        return True

    def _read(self, name: str, form: type[BaseModel] | None = None) -> dict[str, Any]:
        path = self.path / name
        try:
            value = read_json_object(path)
        except UnreadableError as error:
            raise self._unreadable(path, error.reason) from None
        if form is not None and (why := complaint(form, value)):
            raise self._unreadable(path, why)
        return value

    def _unreadable(self, path: Path, why: str) -> NastkError:
        error = UnreadableError(path, why)
        if path.name != RESULT:
            return error
        again = command("nastk", "resume", self.path)
        return NastkError(
            f"{error} Remove it, and `{again}` judges again from the newest checkpoint."
        )


class EventLog:
    """Appends events to `events.jsonl`, each line written through to the file.

    `position` is the length in bytes that a checkpoint remembers; opening the log at a position
    cuts what came after, which the resumed run writes again.

    Raises:
        NastkError: the file cannot be written.
    """

    def __init__(self, folder: RunFolder, position: int = 0) -> None:
        self._path = folder.path / EVENTS
        try:
            self._file: IO[bytes] = open(self._path, "ab")  # noqa: SIM115  (closed by `close`)
            # Never lengthened: a file that was lost would come back as zeros.
            self._file.truncate(min(position, self._path.stat().st_size))
        except OSError as error:
            raise NastkError(
                f"{self._path} could not be written: {error.strerror or error}."
            ) from None

    def write(self, event: Mapping[str, Any]) -> None:
        """Append one event.

        Raises:
            NastkError: the disk is full, or the file is no longer where it was.
        """
        self.check()
        stamped = finite({**event, "time": round(time.time(), 3)})  # NaN is no JSON
        line = json.dumps(stamped, separators=(",", ":"), allow_nan=False) + "\n"
        try:
            self._file.write(line.encode())
            self._file.flush()
        except OSError as error:
            raise NastkError(
                f"{self._path} could not be written: {error.strerror or error}. "
                f"Make room, then `{command('nastk', 'resume', self._path.parent)}`."
            ) from None

    def check(self) -> None:
        """Called before anything is written into the run's folder.

        Raises:
            NastkError: the folder was moved, renamed or removed since the log was opened.
        """
        try:
            if os.path.samestat(os.fstat(self._file.fileno()), os.stat(self._path)):
                return
        except OSError:
            pass  # it is not there
        folder = self._path.parent
        raise NastkError(
            f"The run folder {folder} was moved, renamed or removed while its run went on, which "
            "ended here. What was written until then went with it: where the folder is now, "
            "`nastk resume` goes on from its newest checkpoint."
        )

    @property
    def position(self) -> int:
        """Bytes written so far, flushed to the disk."""
        self._file.flush()
        with contextlib.suppress(OSError):
            os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            self._file.close()


def find_runs(place: str | Path) -> list[RunFolder]:
    """The run folders in and directly below `place`, by name."""
    root = Path(place)
    found = [
        path.parent for path in [root / CONFIG, *sorted(root.glob(f"*/{CONFIG}"))] if path.is_file()
    ]
    return [RunFolder(path) for path in found]


def means_a_run(word: str) -> bool:
    """Whether a command's argument is a folder, or the path of one that is not there.

    Anything else is an architecture from elsewhere: a file, a name, or a text such as a genotype.

    >>> means_a_run("runs/no-such-run"), means_a_run("DARTS_V2")
    (True, False)
    """
    with contextlib.suppress(OSError, ValueError):  # a text that no path can be
        if Path(word).exists():
            return Path(word).is_dir()
    return "/" in word and is_one_word(word)


def is_one_word(text: str) -> bool:
    """Whether a text can be a name or a path, and no genotype, table or list."""
    return not set(text) & set("([{|~,;= \n\t\"'")
