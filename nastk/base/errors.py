"""The classes of all errors that nastk raises on purpose, as one tree.

    NastkError                     exit code 1: something failed while it ran
    ├── ConfigurationError         exit code 2: a request that cannot be met; raised before training
    │   ├── UnknownNameError       no such space, updater, option ...; names the nearest known name
    │   └── MissingExtraError      an optional library is not installed; names what to install
    ├── DataError                  images or labels that cannot be used
    ├── PluginError                a plugin did not load, or returned what its contract forbids
    │   └── ObserverError          a function that hears the events of a run failed
    ├── CheckpointError            a checkpoint that cannot be read, or is of another version
    ├── UnreadableError            a file that is missing, or has another content
    ├── WriteError                 a file that cannot be written: disk full, no permission
    ├── DivergenceError            a loss that is not finite; names branch, epoch and step
    ├── BusyError                  another process works on a run, a training or a study
    ├── LostProcessError           another process of the same run has ended
    └── StopRequested              exit code 130: the user stopped a run; its checkpoint is written

A message says what was got, what was expected and what to do. The command line prints it as one
line and exits with `exit_code`; a traceback always means a defect of nastk or of a plugin.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class NastkError(Exception):
    """The base class of all errors that nastk raises on purpose.

    Example: `except nastk.NastkError as error: print(error)`
    """

    exit_code = 1


class ConfigurationError(NastkError):
    """A request that cannot be met (a name, an option, a combination); raised before training."""

    exit_code = 2


class UnknownNameError(ConfigurationError):
    """A name that no plugin offers; `UnknownNameError.of` words it with the nearest known name.

    >>> known = ["darts", "nasbench201"]
    >>> print(UnknownNameError.of("space", "dart", known, "See `nastk plugins`."))
    No space is named 'dart'. Did you mean 'darts'? Known: darts, nasbench201. See `nastk plugins`.
    """

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str], advice: str = "") -> "UnknownNameError":
        """Returns an error for `name`, which is not among the `known` names of this `kind`.

        `advice` is the last sentence of the message.
        """
        names = sorted(known)
        parts = [
            f"No {kind} is named {name!r}.{near_miss(name, names)}",
            f"Known: {', '.join(names) or 'none'}.",
        ]
        return cls(" ".join([*parts, advice]).strip())


class MissingExtraError(ConfigurationError):
    """An optional library that is needed is not installed."""


class DataError(NastkError):
    """Images or labels that cannot be used: unreadable files, empty classes, several sizes."""

    exit_code = 2


class PluginError(NastkError):
    """A plugin that did not load, or that returned what its contract forbids."""


class ObserverError(PluginError):
    """A function that was to hear the events of a run raised an error, which ended the run."""


class CheckpointError(NastkError):
    """A checkpoint that cannot be read, is damaged, or has another version's format."""


class UnreadableError(NastkError):
    """A file that cannot be read or has another content; `reason` says why, without the path."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} cannot be read: {reason}.")
        self.path, self.reason = path, reason


class WriteError(NastkError):
    """A file that cannot be written (disk full, no permission).

    `reason` says why, without the path.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} could not be written: {reason}. "
            "Make room or choose another --out; what was there before is untouched."
        )
        self.path, self.reason = path, reason


class DivergenceError(NastkError):
    """A loss that is not finite; the message names the branch, the epoch and the step."""


class BusyError(NastkError):
    """Another process holds the lock of what was asked for; nothing was changed."""


class LostProcessError(NastkError):
    """Another process of a run on several devices has ended, so this one cannot go on.

    It is `explained` once the message says what is kept of the run, and how to continue.
    """

    def __init__(self, message: str, explained: bool = False) -> None:
        super().__init__(message)
        self.explained = explained


class StopRequested(NastkError):
    """The user stopped the run. Its checkpoint is written; `nastk resume` continues from there."""

    exit_code = 130


def near_miss(name: str, known: Iterable[str]) -> str:
    """Returns ` Did you mean 'darts'?`, or an empty string if no known name is like `name`."""
    matches = get_close_matches(name, list(known), n=1)
    return f" Did you mean {matches[0]!r}?" if matches else ""
