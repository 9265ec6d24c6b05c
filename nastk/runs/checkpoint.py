"""Checkpoints: branches, cost and length of the event log, in one file that is whole or absent.

Tensors are stored as safetensors, plain values as JSON in the same file's header; no pickle is ever
read. A file is written under a temporary name, flushed to disk and renamed, so that a crash or a
full disk leaves the earlier checkpoints untouched. `newest` skips files whose checksum is wrong,
and `set_aside` renames them, so that only intact files count among the `KEPT` newest.
"""

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from nastk.base.cost import Cost
from nastk.base.errors import CheckpointError
from nastk.base.files import sweep, write_atomically

FORMAT = 1
KEPT = 2
DAMAGED = ".damaged"
"""Suffix of a checkpoint whose checksum is wrong; the file is deleted at the next checkpoint."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run: its branches' states, its cost, the length of `events.jsonl` in bytes.

    `origin` is what the states belong to, as JSON: the run's configuration, the digest of its
    images, the versions of its packages; empty in files of nastk 0.1. `path` is the file that the
    checkpoint was read from.

    Example: `write(folder, Checkpoint([branch.state_dict()], ledger.cost(), events=1234))`, then
    `newest(folder)`.
    """

    branches: list[dict[str, Any]]
    cost: Cost
    events: int = 0
    version: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = field(default=None, compare=False)


def write(folder: Path, checkpoint: Checkpoint, name: str) -> Path:
    """Store `checkpoint` as `folder/name.safetensors`, keeping the `KEPT` newest files.

    Raises:
        NastkError: the disk is full or not writable; earlier checkpoints are untouched.
    """
    tensors: dict[str, Tensor] = {}
    plain = {
        "format": FORMAT,
        "version": checkpoint.version,
        "torch": torch.__version__,
        "cost": checkpoint.cost.to_json(),
        "events": checkpoint.events,
        **({"origin": checkpoint.origin} if checkpoint.origin else {}),
        "branches": [
            _encode(state, f"branches.{number}", tensors)
            for number, state in enumerate(checkpoint.branches)
        ],
    }
    # safetensors refuses tensors that share memory, so each is copied.
    tensors = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    plain["checksum"] = _checksum(plain, tensors)
    path = folder / f"{name}.safetensors"
    write_atomically(path, save(tensors, {"nastk": json.dumps(plain)}))
    sweep(folder, alone=True)  # a killed process leaves its .tmp behind; the run is locked
    for old in [*_files(folder)[KEPT:], *folder.glob(f"*{DAMAGED}")]:
        with contextlib.suppress(OSError):
            old.unlink(missing_ok=True)
    return path


def read(path: Path) -> Checkpoint:
    """Returns the checkpoint stored in `path`.

    Raises:
        CheckpointError: the file is damaged, no checkpoint of nastk, or of another format.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["nastk"])
            # Cloned, because a tensor that maps the file keeps it open, and a deleted file that is
            # open still takes space on the disk.
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118  (no mapping)
        if not isinstance(header, dict):
            raise ValueError("its header is no JSON object")
    except (OSError, SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"The checkpoint {path} is damaged or none of nastk's: {error}."
        ) from None
    if header.get("format") != FORMAT:
        raise CheckpointError(
            f"The checkpoint {path} was written by nastk {header.get('version')} "
            f"(format {header.get('format')}); this nastk reads format {FORMAT}. "
            "Upgrade with `pip install -U nastk`, or install that version."
        )
    if header.pop("checksum", None) != _checksum(header, tensors):
        raise CheckpointError(
            f"The checkpoint {path} is damaged: its checksum does not fit its content."
        )
    return Checkpoint(
        [_decode(state, tensors) for state in header["branches"]],
        Cost.from_json(header["cost"]),
        header["events"],
        header["version"],
        header.get("origin", {}),
        path,
    )


def newest(folder: Path) -> tuple[Checkpoint, list[str]] | None:
    """Returns the newest intact checkpoint of `folder`, and a message for each damaged newer one.

    None where the folder has no checkpoint at all.

    Raises:
        CheckpointError: the folder has checkpoints, and none can be read.
    """
    files = _files(folder)
    messages: list[str] = []
    for path in files:
        try:
            return read(path), messages
        except CheckpointError as error:
            messages.append(str(error))
    if messages:
        raise CheckpointError(
            " ".join(messages) + " No older checkpoint is left; start the search again."
        )
    return None


def set_aside(folder: Path, newest: Path | None) -> None:
    """Rename the files newer than `newest`, the newest intact one: they must not count as kept."""
    for path in _files(folder):
        if newest is None or path.name <= newest.name:
            return
        with contextlib.suppress(OSError):
            path.rename(path.with_name(path.name + DAMAGED))


def _files(folder: Path) -> list[Path]:
    """Returns the checkpoint files, newest first: their names are rising numbers of steps."""
    files = (path for path in folder.glob("*.safetensors") if path.is_file())
    return sorted(files, reverse=True)


def _checksum(plain: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Returns a hash of a file's content: plain values, and names, shapes and bytes of tensors."""
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
    for key in sorted(tensors):
        digest.update(f"{key} {tensors[key].dtype} {tuple(tensors[key].shape)}".encode())
        digest.update(tensors[key].reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _encode(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """Returns `value` as JSON; its tensors go into `tensors` under their path."""
    if isinstance(value, Tensor):
        # {1: ...} and {"1": ...}, or "a.b" and "b" inside "a", have the same path, so the path
        # alone does not identify a tensor.
        name = path if path not in tensors else f"{path}#{len(tensors)}"
        tensors[name] = value
        return {"$tensor": name}
    if isinstance(value, Mapping):
        for key in value:
            if not (key is None or isinstance(key, (bool, int, float, str))):
                raise CheckpointError(
                    f"The state at {path} has the key {key!r}; "
                    "a checkpoint stores numbers and strings as keys."
                )
        # Optimiser states have numbers as keys, which a JSON object cannot hold.
        return {
            "$items": [
                [key, _encode(item, f"{path}.{key}", tensors)] for key, item in value.items()
            ],
        }
    if isinstance(value, (list, tuple)):
        items = [_encode(item, f"{path}.{number}", tensors) for number, item in enumerate(value)]
        return {"$tuple": items} if isinstance(value, tuple) else items
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise CheckpointError(
        f"The state at {path} holds a {type(value).__name__}, which a checkpoint cannot store. "
        "A state_dict may hold tensors, numbers, strings, None, "
        "and lists, tuples and dicts of them."
    )


def _decode(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Returns the value that `_encode` turned into JSON and `tensors`."""
    if isinstance(value, list):
        return [_decode(item, tensors) for item in value]
    if isinstance(value, dict):
        if "$tensor" in value:
            return tensors[value["$tensor"]]
        if "$tuple" in value:
            return tuple(_decode(item, tensors) for item in value["$tuple"])
        return {key: _decode(item, tensors) for key, item in value["$items"]}
    return value
