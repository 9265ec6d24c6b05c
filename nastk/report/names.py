"""The name of a run's images in titles: `data_name`."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any


def data_name(data: Mapping[str, Any]) -> str:
    """Returns the name of a data source, with its folder (last part of the path) if it has one.

    `data` is the section of a configuration: `name` and `options`.

    >>> data_name({"name": "folder", "options": {"path": "pictures/leaves"}})
    'folder:leaves'
    """
    path = str((data.get("options") or {}).get("path") or "")
    last = PurePath(path).name
    return f"{data['name']}:{last if last not in ('', '..') else path}" if path else data["name"]
