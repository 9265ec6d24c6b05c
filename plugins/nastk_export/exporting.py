"""`export`: a trained model in a folder of one format, compared with its network.

The folder is made beside its place and moved there when the comparison has passed, so that a failed
export leaves nothing behind.
"""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from nastk import ConfigurationError, NastkError, TrainedModel
from nastk.base import read_json, write_atomically
from nastk_export.card import document, readme
from nastk_export.comparing import LIMIT, RANDOM, difference, random_images, real_images
from nastk_export.formats import Format, named
from nastk_export.programs import predict_program

REAL = 64
"""Real images that are compared unless another number is asked for."""


@dataclass(frozen=True)
class Exported:
    """An export: its folder, and how far its logits are from the network's.

    `random` and `real` are the numbers of images that were compared. `notes` say why there are no
    real ones.
    """

    folder: Path
    format: str
    difference: float
    random: int
    real: int
    notes: tuple[str, ...] = ()


def quiet(_: str) -> None:
    """Tells nobody."""


def export(
    folder: str | Path,
    format: str,
    out: str | Path | None = None,
    *,
    real: int = REAL,
    license: str = "unknown",
    command: str = "",
    tell: Callable[[str], None] = quiet,
) -> Exported:
    """Called by `nastk_export.export`, whose docstring it has.

    Raises:
        ConfigurationError: nothing can be exported from `folder` in this format or to `out`.
        NastkError: the export differs from the network; nothing is left behind.
    """
    chosen = named(format)
    model = TrainedModel.load(folder)
    assert model.folder is not None
    place = Path(out) if out is not None else model.folder / "exported" / format
    _check_free(place)
    chosen.needs()
    network = model.network()
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".export-", dir=place.parent))
    try:
        done = _exported(chosen, model, network, temporary, real, tell)
        facts = _facts(done, chosen, model, license, command)
        write_atomically(temporary / "model.json", document(facts))
        write_atomically(temporary / "README.md", readme(facts, chosen).encode())
        temporary.chmod(0o755)
        if place.exists():
            place.rmdir()
        temporary.rename(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Exported(place, format, done.difference, done.random, done.real, done.notes)


def _exported(
    chosen: Format,
    model: TrainedModel,
    network: nn.Module,
    folder: Path,
    real: int,
    tell: Callable[[str], None],
) -> Exported:
    """Writes the network and the program beside it into `folder`, and compares."""
    tell(f"writing {chosen.file}")
    chosen.write(network, model, folder)
    (folder / "predict.py").write_text(predict_program(chosen.name), encoding="utf-8")
    images = [random_images(model)]
    notes: tuple[str, ...] = ()
    if real:
        tell(f"reading images of {model.data.name}")
        try:
            images.append(real_images(model, real))
        except NastkError as error:
            notes = (f"No real images were compared, since they are not at hand: {error}",)
    count = sum(map(len, images)) - RANDOM
    tell(f"comparing {RANDOM} random and {count} real images")
    largest = difference(network, folder, np.concatenate(images), chosen.most)
    if not largest <= LIMIT:
        raise NastkError(
            f"The export in format {chosen.name} is not the network: a logit differs by "
            f"{largest:.2g}, more than {LIMIT:g}. Nothing was left behind. Try another --format."
        )
    return Exported(folder, chosen.name, largest, RANDOM, count, notes)


def _check_free(place: Path) -> None:
    """Raises a ConfigurationError unless an export can be written to `place`."""
    if place.is_dir() and not any(place.iterdir()):
        return
    if place.exists() or place.is_symlink():
        raise ConfigurationError(
            f"{place} exists already. Remove it, or choose another folder with --out."
        )


def _facts(
    done: Exported, chosen: Format, model: TrainedModel, license: str, command: str
) -> dict[str, Any]:
    """Returns the content of the export's `model.json`: the model's, with a part `export`."""
    stored = done.folder / "model.json"
    values = read_json(stored) if stored.exists() else model.to_json()
    return {
        **values,
        "export": {
            "format": chosen.name,
            "file": chosen.file,
            "libraries": chosen.versions(),
            "largest_batch": chosen.most,
            "input": ["batch", model.image.channels, model.image.height, model.image.width],
            "largest_difference": done.difference,
            "random_images": done.random,
            "real_images": done.real,
            "license": license,
            "seeds": seeds(model),
            "command": command,
        },
    }


def seeds(model: TrainedModel) -> list[dict[str, Any]]:
    """Returns seed and accuracies of each model of the training that `model` belongs to."""
    assert model.folder is not None
    found = {model.seed: model}
    if model.folder.name == f"seed-{model.seed}":
        for path in model.folder.parent.glob("seed-*/model.json"):
            sibling = TrainedModel.load(path.parent)
            if sibling.architecture_id == model.architecture_id:
                found[sibling.seed] = sibling
    return [
        {
            "seed": seed,
            "valid_accuracy": found[seed].valid_accuracy,
            "test_accuracy": found[seed].test_accuracy,
        }
        for seed in sorted(found)
    ]
