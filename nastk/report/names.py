"""What a title calls the images of a run: `data_name`."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any


def data_name(data: Mapping[str, Any]) -> str:
    """The name of a data source, with its folder (the last part of the path) where it has one.

    `data` is the section of a configuration: `name` and `options`.

    >>> data_name({"name": "folder", "options": {"path": "pictures/leaves"}})
    'folder:leaves'
    """
    path = str((data.get("options") or {}).get("path") or "")
    last = PurePath(path).name
    return f"{data['name']}:{last if last not in ('', '..') else path}" if path else data["name"]
