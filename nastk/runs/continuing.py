"""What is checked before a run goes on, or is judged again: that it still is the same run.

`configuration` compares `config.json` with what the run began with, `images` the images, and
`restored` says what no longer fits a checkpoint's states. Next: `run.py` goes on.
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
from nastk.runs.config import SearchConfig, resolve
from nastk.runs.endings import raised_by
from nastk.runs.folder import CONFIG, DATA, RunFolder
from nastk.train.branch import Branch
from nastk.train.trainer import Trainer

MAY_DIFFER = frozenset(
    {"device", "evaluators", "leaf_evaluator", "leaf_metric", "leaf_race", "ranking", "preset"}
)
"""Keys of a configuration that may change in a run's life: nothing that trains depends on them."""
MAY_DIFFER_IN = {
    "trainer": frozenset({"workers", "checkpoint_minutes", "log_every", "threads", "cuda_graphs"}),
}
UNRECORDED = (
    "This run was begun by a nastk that kept no record of its images, so it could not be checked "
    "that they are still the same."
)


def configuration(folder: RunFolder, found: Checkpoint | None) -> SearchConfig:
    """The configuration of a run that goes on from a checkpoint (None: from the start).

    Raises:
        ConfigurationError: `config.json` was changed after the run began; says what.
    """
    config = resolved(folder)
    before = (found.origin.get("config") if found else None) or _begun_with(folder)
    # Where nothing is trained yet, nothing can be at odds.
    begun = found is not None or folder.state() == "finished"
    if begun and before and (change := _change(before, config)):
        raise ConfigurationError(
            f"{folder.path / CONFIG} was changed after its run began: {change}. Put it back, or "
            "start a new search with `nastk search --config`."
        )
    return config


def resolved(folder: RunFolder, changes: Mapping[str, Any] | None = None) -> SearchConfig:
    """The configuration in a run's folder.

    Raises:
        ConfigurationError: it asks for what cannot be done; names the file.
    """
    try:
        return resolve({**folder.config(), **(changes or {})})
    except ConfigurationError as error:
        raise type(error)(f"{folder.path / CONFIG}: {error}") from None


def images(folder: RunFolder, assembly: Assembly, found: Checkpoint | None) -> list[str]:
    """Check that the images are those that a run began with; answers what a user should know.

    Raises:
        DataError: they are not; says the first difference.
    """
    value = folder.data()
    digest = found.origin.get("data") if found else None
    if value is None and digest is None:
        return [UNRECORDED]
    now = Inventory.of(assembly.splits, assembly.task)
    if digest == now.digest:
        return []
    if value is None:
        difference: str | None = f"{DATA}, which would tell where, is missing"
    else:
        difference = now.difference(recorded(folder, value))
    if difference is None:
        return []
    raise DataError(
        f"The images are not those that {folder.path} began with: {difference}. Splits "
        "are drawn from all images, so test images of now may have trained its weights. Put the "
        "images back as they were, or start a new search."
    )


def recorded(folder: RunFolder, value: Any) -> Inventory:
    """The inventory in a run's `data.json`.

    Raises:
        DataError: it is damaged; names the file.
    """
    try:
        return Inventory.from_json(value)
    except DataError as error:
        raise DataError(
            f"{folder.path / DATA} is damaged: {error}. Without that file the run goes on, its "
            "images unchecked: remove it if you know that they are the same."
        ) from None


def origin(config: SearchConfig, inventory: Inventory) -> dict[str, Any]:
    """What a checkpoint says its states belong to."""
    return {
        "config": config.model_dump(mode="json"),
        "data": inventory.digest,
        "packages": packages(config, catalogue()),
        "torch": torch.__version__,
    }


def packages(config: SearchConfig, installed: Catalogue) -> dict[str, str]:
    """What the run's space and updater are called, with their packages and versions."""
    return {
        kind: installed.called(kind, getattr(config, kind).name) for kind in ("space", "updater")
    }


def restored(
    trainer: Trainer, found: Checkpoint, config: SearchConfig, state: dict[str, Any]
) -> Branch:
    """The branch that a checkpoint's state describes.

    Raises:
        CheckpointError: the state does not fit this run; says who said so, and what has changed.
        NastkError: there was not enough memory.
    """
    try:
        return trainer.restore(state)
    except NastkError:
        raise
    except RAISED as error:
        if out_of_memory(error):
            raise as_nastk_error(error, f"The checkpoint {found.path}", "it was loaded") from error
        who = raised_by(error, config, ("updater", config.updater.name))
        said = f"{who} said {described(error)}" if who else described(error)
        before = {**found.origin.get("packages", {}), "nastk": f"nastk {found.version}"}
        now = {**packages(config, catalogue()), "nastk": f"nastk {version('nastk')}"}
        changes = [f"{before[one]} is now {now[one]}" for one in before if before[one] != now[one]]
        since = f" Since it was written, {'; '.join(changes)}." if changes else ""
        raise CheckpointError(
            f"The checkpoint {found.path} does not fit the run's space, updater or images: "
            f"{said}.{since} Go on with what it was written by, or start a new search. {TRACEBACK}"
        ) from error


def _begun_with(folder: RunFolder) -> Mapping[str, Any] | None:
    """The configuration in a run's first event, if it can be read."""
    for event in folder.events():
        if event["kind"] == "run-started":
            config = event.get("config")
            return config if isinstance(config, Mapping) else None
    return None


def _change(before: Mapping[str, Any], config: SearchConfig) -> str | None:
    """The first setting, in words, that was another one before."""
    now = config.model_dump(mode="json")
    for key, old in before.items():
        if key in MAY_DIFFER or key not in now:
            continue
        for name, then, here in _settings(key, old, now[key], _paths(config)):
            if then != here:
                return f"{name} is {here!r}, was {then!r}"
    return None


def _settings(key: str, old: Any, new: Any, paths: frozenset[str]) -> list[tuple[str, Any, Any]]:
    """(name, before, now) of what one key of a configuration holds."""
    if key in ("space", "updater", "data") and isinstance(old, Mapping):
        same = old.get("name") == new["name"]
        options = old.get("options") if same else {}
        found = [(key, old.get("name"), new["name"])]
        for name, value in (options if isinstance(options, Mapping) else {}).items():
            # Files may have moved; whether they are the same shows in the images.
            if name in new["options"] and not (key == "data" and name in paths):
                found.append((f"{key} option {name}", value, new["options"][name]))
        return found
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        free = MAY_DIFFER_IN.get(key, frozenset())
        names = [name for name in old if name in new and name not in free]
        return [(f"{key} option {name}", old[name], new[name]) for name in names]
    if key == "limits":
        return [(key, _limits(old), _limits(new))]
    return [(key, old, new)]


def _limits(value: Any) -> Any:
    """Metrics with their largest values; paths of an evaluator may have moved."""
    if not isinstance(value, list):
        return value
    return [(one.get("metric"), one.get("at_most")) for one in value if isinstance(one, Mapping)]


def _paths(config: SearchConfig) -> frozenset[str]:
    """The names of the data source's options that are paths."""
    return frozenset({"path", "root"} & set(config.data.options))
