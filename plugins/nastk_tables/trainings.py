"""`Trainings`: the folder in which the trainings of a table are kept.

    origin.json              what is trained on what, and how; other trainings are refused
    NETWORK-seedN.json       a training that is finished, or failed with its reason
    NETWORK-seedN.lock       while a process works on it

Any number of processes may work in one folder. Each training is claimed by a lock that the system
frees when its process ends, so that nothing needs to be cleaned up after a kill.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nastk import ConfigurationError
from nastk.base import claimed, read_json, write_atomically

ORIGIN = "origin.json"
FAILED = "failed"
"""The key of the reason in the file of a training that failed."""


class Trainings:
    """The trainings in `folder`, all of one `origin` (a JSON object), by network and seed.

    Example:
        trainings = Trainings(folder, {"space": {"name": "mine", "options": {}}})
        trainings.check()
        with trainings.claimed("0a1b2c3d4e5f", 0) as mine:
            if mine and trainings.of("0a1b2c3d4e5f", 0) is None: ...
    """

    def __init__(self, folder: Path, origin: Mapping[str, Any]) -> None:
        self.folder, self.origin = folder, origin
        self._read: dict[str, dict[str, Any]] = {}

    def check(self) -> None:
        """Called before anything is trained: raises if the folder holds other trainings.

        Raises:
            ConfigurationError: it does; the message names the first difference.
        """
        path = self.folder / ORIGIN
        if not path.exists():
            return
        before = read_json(path)
        for name, now in self.origin.items():
            then = before.get(name) if isinstance(before, Mapping) else None
            if then != now:
                raise ConfigurationError(
                    f"{self.folder} holds trainings of another {name}: {_difference(then, now)}. "
                    "Ask for the same, or choose another --out."
                )

    def begin(self) -> None:
        """Called before the first training: writes what they are."""
        content = json.dumps(self.origin, indent=1, sort_keys=True) + "\n"
        if not (self.folder / ORIGIN).exists():
            write_atomically(self.folder / ORIGIN, content.encode())

    @contextmanager
    def claimed(self, network: str, seed: int) -> Iterator[bool]:
        """Context that gives True if no other process works on this training; see `claimed`."""
        path = self.folder / f"{_name(network, seed)}.lock"
        with claimed(path) as mine:
            yield mine
            if mine:
                # Another process may have opened it, and then finds that the training is done.
                path.unlink(missing_ok=True)

    def of(self, network: str, seed: int) -> dict[str, Any] | None:
        """Returns what is known of a training that is finished or failed; None for any other.

        Raises:
            UnreadableError: the file is damaged.
        """
        name = f"{_name(network, seed)}.json"
        if name not in self._read:
            if not (self.folder / name).exists():
                return None
            self._read[name] = read_json(self.folder / name)  # never changes once it is there
        return self._read[name]

    def keep(self, network: str, seed: int, content: Mapping[str, Any]) -> None:
        """Called when a training is finished or failed."""
        text = json.dumps(content, indent=1) + "\n"
        write_atomically(self.folder / f"{_name(network, seed)}.json", text.encode())

    def forget(self, network: str, seed: int) -> None:
        """Called to train once more: removes what is known of a training."""
        name = f"{_name(network, seed)}.json"
        self._read.pop(name, None)
        (self.folder / name).unlink(missing_ok=True)


def _name(network: str, seed: int) -> str:
    return f"{network}-seed{seed}"


def _difference(then: Any, now: Any) -> str:
    """Returns the first difference of two JSON values in words."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for name in sorted(then.keys() | now.keys()):
            if then.get(name) != now.get(name):
                return f"{name} {_difference(then.get(name), now.get(name))}"
    return f"is {now!r}, was {then!r}"
