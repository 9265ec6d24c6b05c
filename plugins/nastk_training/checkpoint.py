"""The checkpoint of a training, `checkpoint.pt`: written whole or not at all, read without code.

It holds the state of a `Training` and its origin, which is what the state belongs to: architecture,
recipe, seed and images. A training of another origin must not go on from it.
"""

import io
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from nastk import CheckpointError, ConfigurationError
from nastk.base import write_atomically

FORMAT = 1
NAME = "checkpoint.pt"


def write(folder: Path, state: Mapping[str, Any], origin: Mapping[str, Any]) -> None:
    """Writes the state of a training; an earlier checkpoint is replaced in one step.

    Raises:
        WriteError: the disk is full or not writable; the earlier checkpoint is untouched.
    """
    content = io.BytesIO()
    torch.save({"format": FORMAT, "origin": dict(origin), "state": dict(state)}, content)
    write_atomically(folder / NAME, content.getvalue())


def read(folder: Path, origin: Mapping[str, Any], device: torch.device) -> dict[str, Any] | None:
    """Returns the state of the training in a folder; None where there is no checkpoint.

    Raises:
        CheckpointError: the file is damaged, or of another version.
        ConfigurationError: it belongs to one training; names the first difference.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        value = torch.load(path, map_location=device, weights_only=True)
        found, before, state = value["format"], value["origin"], value["state"]
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"{path} is damaged or no checkpoint of a training: {str(error).splitlines()[0]}. "
            "Remove it to train from the beginning."
        ) from None
    if found != FORMAT:
        raise CheckpointError(
            f"{path} has format {found!r}, expected {FORMAT}. Upgrade with `pip install -U nastk`, "
            "or remove it to train from the beginning."
        )
    check_origin(folder, before, origin)
    return state  # type: ignore[no-any-return]


def check_origin(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raises a `ConfigurationError` if a folder holds a training of another origin."""
    for name, old, new in _differences(before, now):
        raise ConfigurationError(
            f"{folder} holds one training: {name} is {new!r}, was {old!r}. Ask for the same, "
            "or name another place with --name or --out."
        )


def _differences(
    before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Yields (name, old, new) of the values that differ; what only one side has is no difference.

    An option that a later version adds has its default, which is what was done before.
    """
    for name in before:
        if name not in now or before[name] == now[name]:
            continue
        if all(isinstance(side[name], Mapping) for side in (before, now)) and name != "network":
            yield from _differences(before[name], now[name], f"{prefix}{name}.")
        else:
            yield prefix + name, before[name], now[name]
