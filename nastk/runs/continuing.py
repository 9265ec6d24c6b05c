"""Checks that a run is unchanged before it is resumed or evaluated again.

`configuration` compares `config.json` with the configuration that the run began with, `images`
compares the images, and `restored` reports what no longer fits a checkpoint's states. Then `run.py`
continues the run.
"""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch

from nastk.base.errors import CheckpointError, ConfigurationError, DataError, NastkError
from nastk.base.failures import RAISED, TRACEBACK, as_nastk_error, described, out_of_memory
from nastk.base.plugins import Catalogue, catalogue
from nastk.data.inventory import Inventory
from nastk.runs.assembly import Assembly
from nastk.runs.checkpoint import Checkpoint
from nastk.runs.config import resolve
from nastk.runs.endings import raised_by
from nastk.runs.folder import CONFIG, DATA, RunFolder
from nastk.runs.moved import PATHS
from nastk.runs.search_config import SearchConfig
from nastk.train.branch import Branch
from nastk.train.trainer import Trainer

MAY_DIFFER = frozenset(
    {"device", "evaluators", "leaf_evaluator", "leaf_metric", "leaf_race", "ranking", "preset"}
)
"""Keys of a configuration that may change during a run: training does not depend on them."""
MAY_DIFFER_IN = {
    "trainer": frozenset({"workers", "checkpoint_minutes", "log_every", "threads", "cuda_graphs"}),
}
UNRECORDED = (
    "This run was begun by a nastk that kept no record of its images, so it could not be checked "
    "that they are still the same."
)


def configuration(folder: RunFolder, checkpoint: Checkpoint | None) -> SearchConfig:
    """Returns the configuration of a run that continues from a checkpoint (None: from the start).

    Raises:
        ConfigurationError: `config.json` was changed after the run began; names the change.
    """
    config = resolved(folder)
    before = (checkpoint.origin.get("config") if checkpoint else None) or _begun_with(folder)
    # Before anything is trained, any configuration is consistent.
    begun = checkpoint is not None or folder.state() == "finished"
    if begun and before and (change := changed_setting(before, config)):
        raise ConfigurationError(
            f"{folder.path / CONFIG} was changed after its run began: {change}. Put it back, or "
            "start a new search with `nastk search --config`."
        )
    return config


def resolved(folder: RunFolder, changes: Mapping[str, Any] | None = None) -> SearchConfig:
    """Returns the configuration in a run's folder, with `changes`.

    Raises:
        ConfigurationError: the configuration is invalid; names the file.
    """
    try:
        return resolve({**folder.config(), **(changes or {})})
    except ConfigurationError as error:
        raise type(error)(f"{folder.path / CONFIG}: {error}") from None


def images(folder: RunFolder, assembly: Assembly, checkpoint: Checkpoint | None) -> list[str]:
    """Check that the images are those that a run began with; returns remarks for the user.

    Raises:
        DataError: they are not; names the first difference.
    """
    value = folder.data()
    digest = checkpoint.origin.get("data") if checkpoint else None
    if value is None and digest is None:
        return [UNRECORDED]
    inventory = Inventory.of(assembly.splits, assembly.task)
    if digest == inventory.digest:
        return []
    if value is None:
        difference: str | None = f"{DATA}, which would tell where, is missing"
    else:
        difference = inventory.difference(recorded(folder, value))
    if difference is None:
        return []
    raise DataError(
        f"The images are not those that {folder.path} began with: {difference}. Splits "
        "are drawn from all images, so test images of now may have trained its weights. Put the "
        "images back as they were, or start a new search."
    )


def recorded(folder: RunFolder, value: Any) -> Inventory:
    """Returns the inventory of images in a run's `data.json`.

    Raises:
        DataError: the file is damaged; names it.
    """
    try:
        return Inventory.from_json(value)
    except DataError as error:
        raise DataError(
            f"{folder.path / DATA} is damaged: {error}. Without that file the run goes on, its "
            "images unchecked: remove it if you know that they are the same."
        ) from None


def origin(config: SearchConfig, inventory: Inventory) -> dict[str, Any]:
    """Returns what the states in a checkpoint belong to, as `Checkpoint.origin` stores it."""
    return {
        "config": config.model_dump(mode="json"),
        "data": inventory.digest,
        "packages": packages(config, catalogue()),
        "torch": torch.__version__,
    }


def packages(config: SearchConfig, installed: Catalogue) -> dict[str, str]:
    """Returns the names of the run's space and updater, with their packages and versions."""
    return {
        kind: installed.called(kind, getattr(config, kind).name) for kind in ("space", "updater")
    }


def restored(
    trainer: Trainer, checkpoint: Checkpoint, config: SearchConfig, state: dict[str, Any]
) -> Branch:
    """Returns the branch that a checkpoint's state describes.

    Raises:
        CheckpointError: the state does not fit this run; says which component rejected it, and
            which packages have changed.
        NastkError: there was not enough memory.
    """
    try:
        return trainer.restore(state)
    except NastkError:
        raise
    except RAISED as error:
        if out_of_memory(error):
            raise as_nastk_error(
                error, f"The checkpoint {checkpoint.path}", "it was loaded"
            ) from error
        component = raised_by(error, config, ("updater", config.updater.name))
        why = f"{component} said {described(error)}" if component else described(error)
        before = {**checkpoint.origin.get("packages", {}), "nastk": f"nastk {checkpoint.version}"}
        now = {**packages(config, catalogue()), "nastk": f"nastk {version('nastk')}"}
        changes = [
            f"{before[kind]} is now {now[kind]}" for kind in before if before[kind] != now[kind]
        ]
        since = f" Since it was written, {'; '.join(changes)}." if changes else ""
        raise CheckpointError(
            f"The checkpoint {checkpoint.path} does not fit the run's space, updater or images: "
            f"{why}.{since} Go on with what it was written by, or start a new search. {TRACEBACK}"
        ) from error


def _begun_with(folder: RunFolder) -> Mapping[str, Any] | None:
    """Returns the configuration in a run's first event; None where it cannot be read."""
    for event in folder.events():
        if event["kind"] == "run-started":
            config = event.get("config")
            return config if isinstance(config, Mapping) else None
    return None


def changed_setting(before: Mapping[str, Any], config: SearchConfig) -> str | None:
    """Returns the first setting that has changed since `before`, in words; None where none has."""
    now = config.model_dump(mode="json")
    for key, old in before.items():
        if key in MAY_DIFFER or key not in now:
            continue
        for name, old_value, new_value in _settings(key, old, now[key]):
            if old_value != new_value:
                return f"{name} is {new_value!r}, was {old_value!r}"
    return None


def _settings(key: str, old: Any, new: Any) -> list[tuple[str, Any, Any]]:
    """Returns (name, old value, new value) of the settings under one key of a configuration."""
    if key in ("space", "updater", "data") and isinstance(old, Mapping):
        same = old.get("name") == new["name"]
        options = old.get("options") if same else {}
        settings = [(key, old.get("name"), new["name"])]
        for name, value in (options if isinstance(options, Mapping) else {}).items():
            # Files may have moved: `images` checks whether they are the same.
            if name in new["options"] and not (key == "data" and name in PATHS):
                settings.append((f"{key} option {name}", value, new["options"][name]))
        return settings
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        free = MAY_DIFFER_IN.get(key, frozenset())
        names = [name for name in old if name in new and name not in free]
        return [(f"{key} option {name}", old[name], new[name]) for name in names]
    if key == "limits":
        return [(key, _limits(old), _limits(new))]
    return [(key, old, new)]


def _limits(value: Any) -> Any:
    """Returns pairs of a limit's metric and largest value.

    Evaluators' options are left out, as paths among them may have changed.
    """
    if not isinstance(value, list):
        return value
    return [
        (limit.get("metric"), limit.get("at_most")) for limit in value if isinstance(limit, Mapping)
    ]
