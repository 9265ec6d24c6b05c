"""Files of earlier versions: what their keys are called now.

`with_present_names` reads configurations, `EVENT_FIELDS` is for the events of a run's log.
"""

from collections.abc import Mapping
from typing import Any

CONFIGURATION = {
    "leaf_judge": "leaf_evaluator",
    "judge": "evaluator",
    "judge_options": "evaluator_options",
}
EVENT_FIELDS = {"branch-continued": {"heirs": "children"}, "ranked": {"judge": "evaluator"}}
"""Fields by the kind of event."""


def with_present_names(request: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration of this version or an earlier one, with its keys as they are called now.

    >>> with_present_names({"ranking": {"judge": "table"}})
    {'ranking': {'evaluator': 'table'}}
    """
    parts = {key: _renamed(request[key]) for key in ("ranking", "limits") if key in request}
    return {**_renamed(request), **parts}


def _renamed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {CONFIGURATION.get(key, key): inner for key, inner in value.items()}
    return [_renamed(one) for one in value] if isinstance(value, list) else value
