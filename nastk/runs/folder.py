"""The run folder: everything about a run, readable without nastk and without torch.

    config.json         the resolved configuration; `nastk search --config` runs it again
    data.json           the inventory of the images that the run began with
    environment.json    the versions and machines that worked on the run
    events.jsonl        the events of the run, one JSON object a line
    checkpoints/        the newest states, to resume from
    architecture.json   the architecture that the search chose
    result.json         architecture, evaluations and cost; present once the run is finished
    error.txt           why the run failed, if it has
    run.lock            locked while a process works on the run
    latest.json         where that process is just now; for `nastk watch`

`RunFolder` reads and writes it; `find_runs` lists the run folders in a folder.
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

from nastk.base.errors import BusyError, ConfigurationError, DataError, NastkError, UnreadableError
from nastk.base.reading import read_json_object
from nastk.base.values import finite
from nastk.base.wording import command
from nastk.runs.stored import StoredConfig, StoredResult, complaint, read_events
from nastk.spaces.architecture import Architecture

CONFIG, DATA, ENVIRONMENT, EVENTS, RESULT, ARCHITECTURE = (
    "config.json",
    "data.json",
    "environment.json",
    "events.jsonl",
    "result.json",
    "architecture.json",
)

LOCK, ERROR = "run.lock", "error.txt"

UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError)
"""The errors that code for showing a run raises where a value has an unexpected type."""


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run. `state` is running, finished, interrupted or failed.

    Example: `RunFolder(Path("runs/a")).result()["architecture"]["text"]`
    """

    path: Path

    @classmethod
    def open(cls, path: str | Path) -> "RunFolder":
        """Returns the folder of an existing run.

        Raises:
            ConfigurationError: there is no run at `path`; lists runs nearby.
        """
        folder = cls(Path(path))
        try:
            if (folder.path / CONFIG).is_file():
                return folder
            parent = folder.path.parent if folder.path.parent.is_dir() else Path("runs")
            runs = [str(run.path) for run in find_runs(parent)]
        except OSError as error:  # a name that is too long, a folder that may not be read
            raise ConfigurationError(
                f"{path} is no run folder: {error.strerror or error}."
            ) from None
        raise ConfigurationError(
            f"{path} is no run folder (it has no {CONFIG}). "
            + (f"Runs there: {', '.join(runs[:8])}." if runs else "Start one with `nastk search`.")
        )

    @classmethod
    def new(cls, out: str | Path | None, stem: str) -> "RunFolder":
        """Returns a folder for a new run: `out`, or the first free `runs/STEM-NNN`.

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
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    def config(self) -> dict[str, Any]:
        """Returns the resolved configuration.

        Raises:
            NastkError: the file is damaged; says how.
        """
        return self._read(CONFIG, StoredConfig)

    def data(self) -> dict[str, Any] | None:
        """Returns the inventory of the run's images; None in runs of nastk 0.1."""
        return self._read(DATA) if (self.path / DATA).exists() else None

    def environments(self) -> list[dict[str, Any]]:
        """Returns the environments that worked on the run, the first one first.

        The list is empty in runs of earlier versions, and where the file was damaged: nothing but
        reports depends on it.
        """
        try:
            found = read_json_object(self.path / ENVIRONMENT).get("environments")
        except UnreadableError:
            return []
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def result(self) -> dict[str, Any]:
        """Returns the content of `result.json`.

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
        """Returns the events of the run; lines that hold no event are left out."""
        return self._events()[0]

    def complaints(self) -> list[str]:
        """Returns a message about damaged lines of the log, if there are any."""
        _, lost = self._events()
        if not lost:
            return []
        lines = "1 line holds" if lost == 1 else f"{lost} lines hold"
        return [f"{self.path / EVENTS} is damaged: {lines} no event, left out here."]

    def _events(self) -> tuple[list[dict[str, Any]], int]:
        """Returns the events, and how many lines of the log are damaged."""
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
        """Context for code that shows a run; turns errors about unexpected values into one message.

        The files' own keys are checked when they are read, but the values that plugins add are not.

        Raises:
            NastkError: a value in the files has an unexpected type.
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
        if self.path.exists() and not is_free(self.path / LOCK):
            return "running"
        if (self.path / RESULT).exists():  # written since the first look, and then unlocked
            return "finished"
        return "failed" if (self.path / ERROR).exists() else "interrupted"

    def error(self) -> str | None:
        """Returns the message of the error that ended a failed run; None for other runs."""
        try:
            text = (self.path / ERROR).read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            return f"{ERROR} cannot be read: {error.strerror or error}."
        return text or "What it was could not be written; its disk may have been full."

    @contextlib.contextmanager
    def locked(self, wait: float = 0) -> Iterator[None]:
        """Lock the run for this process; waits up to `wait` seconds for another to unlock it.

        Raises:
            BusyError: another process works on the run.
            NastkError: the folder cannot be written, or its file system has no locks.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / LOCK)
            lock.acquire(timeout=wait)
        except Timeout:
            raise BusyError(
                f"Another process works on {self.path}. Wait for it, or stop it first."
            ) from None
        except OSError as error:
            raise NastkError(
                f"The run folder {self.path} cannot be written: {error.strerror or error}."
            ) from None
        except NotImplementedError:  # some versions of filelock, on some file systems
            raise NastkError(
                f"The file system of {self.path} has no locks. Choose another --out."
            ) from None
        try:
            yield
        finally:
            lock.release()

    def _read(self, name: str, form: type[BaseModel] | None = None) -> dict[str, Any]:
        """Returns the JSON object in the file called `name`, checked against `form`."""
        path = self.path / name
        try:
            value = read_json_object(path)
        except UnreadableError as error:
            raise self._unreadable(path, error.reason) from None
        if form is not None and (why := complaint(form, value)):
            raise self._unreadable(path, why)
        return value

    def _unreadable(self, path: Path, why: str) -> NastkError:
        """Returns the error for a damaged file; for `result.json` it says how to make it again."""
        error = UnreadableError(path, why)
        if path.name != RESULT:
            return error
        again = command("nastk", "resume", self.path)
        return NastkError(
            f"{error} Remove it, and `{again}` judges again from the newest checkpoint."
        )


class EventLog:
    """Appends events to `events.jsonl`, each line written through to the file.

    `position` is the length in bytes that a checkpoint stores. Opening the log at a position cuts
    the events after it, which the resumed run writes again.

    Raises:
        NastkError: the file cannot be written.

    Example: `EventLog(folder, checkpoint.events).write({"kind": "note"})`
    """

    def __init__(self, folder: RunFolder, position: int = 0) -> None:
        self._path = folder.path / EVENTS
        try:
            self._file: IO[bytes] = open(self._path, "ab")  # noqa: SIM115  (closed by `close`)
            # `truncate` would lengthen a file that was lost, and fill it with zeros.
            self._file.truncate(min(position, self._path.stat().st_size))
        except OSError as error:
            raise NastkError(
                f"{self._path} could not be written: {error.strerror or error}."
            ) from None

    def write(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """Append one event; returns it as it was written, with its time.

        Raises:
            NastkError: the disk is full, or the file was moved or removed.
        """
        self.check()
        stamped: dict[str, Any] = finite({**event, "time": round(time.time(), 3)})  # NaN is no JSON
        line = json.dumps(stamped, separators=(",", ":"), allow_nan=False) + "\n"
        try:
            self._file.write(line.encode())
            self._file.flush()
        except OSError as error:
            raise NastkError(
                f"{self._path} could not be written: {error.strerror or error}. "
                f"Make room, then `{command('nastk', 'resume', self._path.parent)}`."
            ) from None
        return stamped

    def check(self) -> None:
        """Check that the run's folder still exists; called before anything is written into it.

        Raises:
            NastkError: the folder was moved, renamed or removed since the log was opened.
        """
        try:
            if os.path.samestat(os.fstat(self._file.fileno()), os.stat(self._path)):
                return
        except OSError:
            pass  # the file is gone
        folder = self._path.parent
        raise NastkError(
            f"The run folder {folder} was moved, renamed or removed while its run went on, which "
            "ended here. What was written until then went with it: where the folder is now, "
            "`nastk resume` goes on from its newest checkpoint."
        )

    @property
    def position(self) -> int:
        """The bytes written so far; reading it flushes them to the disk."""
        self._file.flush()
        with contextlib.suppress(OSError):
            os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            self._file.close()


def is_free(path: Path) -> bool:
    """True if no process holds the lock at `path`, or there is none."""
    if not path.exists():
        return True
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    except OSError:
        return True  # another user's folder, which this process may only read
    lock.release()
    return True


def find_runs(place: str | Path) -> list[RunFolder]:
    """Returns the run folders in and directly below the folder `place`, by name."""
    root = Path(place)
    folders = [
        path.parent for path in [root / CONFIG, *sorted(root.glob(f"*/{CONFIG}"))] if path.is_file()
    ]
    return [RunFolder(path) for path in folders]


def means_a_run(word: str) -> bool:
    """True if a command's argument is a folder, or looks like the path of a missing one.

    Any other argument is an architecture: a file, a published name, or a text such as a genotype.

    >>> means_a_run("runs/no-such-run"), means_a_run("DARTS_V2")
    (True, False)
    """
    with contextlib.suppress(OSError, ValueError):  # the text cannot be a path
        if Path(word).exists():
            return Path(word).is_dir()
    return "/" in word and is_one_word(word)


def is_one_word(text: str) -> bool:
    """True if a text can be a name or a path; genotypes, tables and lists contain other signs."""
    return not set(text) & set("([{|~,;= \n\t\"'")
