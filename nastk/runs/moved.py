"""Images that have moved: a path says where they are on one machine, not which they are.

`without_paths` leaves such paths out of a comparison of two configurations, and `only_moved` says
whether a run of a study goes on with images that lie elsewhere by now.
"""

from collections.abc import Mapping
from typing import Any

from nastk.base.errors import DataError
from nastk.data.inventory import Inventory
from nastk.runs.config import resolve
from nastk.runs.folder import RunFolder
from nastk.runs.images import inventory_of
from nastk.runs.search_config import SearchConfig

PATHS = frozenset({"path", "root"})
"""Options of a source of images that say where these are."""


def without_paths(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a configuration, as JSON, without the paths of its images."""
    data = config["data"]
    options = {name: value for name, value in data["options"].items() if name not in PATHS}
    return {**config, "data": {**data, "options": options}}


def only_moved(folder: RunFolder, config: SearchConfig) -> bool:
    """True if the images of `config` are those that a run began with, at another path.

    The configuration of the run may differ in nothing else that concerns images. What a run of the
    same seed would have is compared with the record in the folder; without one nothing is known,
    and the images count as others.

    Raises:
        DataError: the images of `config` cannot be used.
    """
    kept = resolve(folder.config())
    before, now = (without_paths(each.model_dump(mode="json")) for each in (kept, config))
    if kept.data == config.data or before["data"] != now["data"]:
        return False
    try:
        recorded = Inventory.from_json(folder.data())
    except DataError:
        return False
    return inventory_of(config.model_copy(update={"seed": kept.seed})).digest == recorded.digest
