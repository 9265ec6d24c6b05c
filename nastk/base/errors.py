"""Every error that nastk raises on purpose, as one tree.

    NastkError                     exit code 1: something failed while it ran
    ├── ConfigurationError         exit code 2: the request cannot be done, seen before anything ran
    │   ├── UnknownNameError       no such space, updater, option ...; carries the near miss
    │   └── MissingExtraError      an optional library is not installed; says what to install
    ├── DataError                  images or labels that cannot be used
    ├── PluginError                a plugin did not load, or answered what its contract forbids
    ├── CheckpointError            a checkpoint that cannot be read, or belongs to another version
    ├── UnreadableError            a file that is missing, or holds something else
    ├── WriteError                 a file that cannot be written: disk full, no permission
    ├── DivergenceError            a loss that is not finite, with the place where it happened
    └── StopRequested              exit code 130: the user stopped a run; its checkpoint is written

A message says what was got, what was expected and what to do. The command line prints it as one
line and exits with `exit_code`; a traceback is only ever a defect of nastk or of a plugin.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class NastkError(Exception):
    """The root of the tree: catch it to catch everything nastk raises on purpose."""

    exit_code = 1


class ConfigurationError(NastkError):
    """What was asked for cannot be done (name, option, combination); raised before training."""

    exit_code = 2


class UnknownNameError(ConfigurationError):
    """A name that nobody offers. Use `UnknownNameError.of` to word it with its near miss.

    >>> known = ["darts", "nasbench201"]
    >>> print(UnknownNameError.of("space", "dart", known, "See `nastk plugins`."))
    No space is named 'dart'. Did you mean 'darts'? Known: darts, nasbench201. See `nastk plugins`.
    """

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str], advice: str = "") -> "UnknownNameError":
        """An error for `name`, which is none of the `known` names of this `kind`."""
        names = sorted(known)
        parts = [
            f"No {kind} is named {name!r}.{near_miss(name, names)}",
            f"Known: {', '.join(names) or 'none'}.",
        ]
        return cls(" ".join([*parts, advice]).strip())


class MissingExtraError(ConfigurationError):
    """An optional library is needed and not installed."""


class DataError(NastkError):
    """Images or labels that cannot be used: unreadable files, empty classes, several sizes."""

    exit_code = 2


class PluginError(NastkError):
    """A plugin that did not load, or that answered what its contract forbids."""


class CheckpointError(NastkError):
    """A checkpoint that cannot be read, is damaged, or was written by another format."""


class UnreadableError(NastkError):
    """A file that cannot be read, or holds something else; `reason` says why, without its path."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} cannot be read: {reason}.")
        self.path, self.reason = path, reason


class WriteError(NastkError):
    """A file that cannot be written (disk full, no permission); `reason` says why, without path."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} could not be written: {reason}. "
            "Make room or choose another --out; what was there before is untouched."
        )
        self.path, self.reason = path, reason


class DivergenceError(NastkError):
    """A loss that is not finite; the message says in which branch, epoch and step."""


class StopRequested(NastkError):
    """The user asked the run to stop. Its checkpoint is written; `nastk resume` goes on from it."""

    exit_code = 130


def near_miss(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'darts'?`, or an empty string where nothing known is near to `name`."""
    found = get_close_matches(name, list(known), n=1)
    return f" Did you mean {found[0]!r}?" if found else ""
