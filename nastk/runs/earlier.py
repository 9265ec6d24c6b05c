"""Present names of the keys in files of earlier versions.

`with_present_names` renames the keys of a configuration, `EVENT_FIELDS` those of a log's events.
"""

from collections.abc import Mapping
from typing import Any

CONFIGURATION = {
    "leaf_judge": "leaf_evaluator",
    "judge": "evaluator",
    "judge_options": "evaluator_options",
}
EVENT_FIELDS = {"branch-continued": {"heirs": "children"}, "ranked": {"judge": "evaluator"}}
"""Renamed fields by kind of event."""


def with_present_names(request: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a configuration of this or an earlier version with the present names of its keys.

    >>> with_present_names({"ranking": {"judge": "table"}})
    {'ranking': {'evaluator': 'table'}}
    """
    parts = {key: _renamed(request[key]) for key in ("ranking", "limits") if key in request}
    return {**_renamed(request), **parts}


def _renamed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {CONFIGURATION.get(key, key): inner for key, inner in value.items()}
    return [_renamed(item) for item in value] if isinstance(value, list) else value
