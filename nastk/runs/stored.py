"""The forms of a run folder's files, checked whenever one is read: `complaint`, `read_events`.

One flipped bit, or an editor, can leave what is still JSON but no longer what readers expect. Needs
no torch, as all that only looks at runs.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from nastk.base.events import Event
from nastk.base.reading import json_value
from nastk.runs.earlier import EVENT_FIELDS


class _Open(BaseModel):
    """Keys that are not named here are let through: newer nastks may write more."""

    model_config = ConfigDict(strict=True, extra="allow")


class _Component(_Open):
    name: str
    options: dict[str, Any]


class _Trainer(_Open):
    epochs: int


class StoredConfig(_Open):
    """What readers expect of `config.json`; `config.resolve` checks the rest."""

    space: _Component
    updater: _Component
    data: _Component
    trainer: _Trainer
    seed: int


class _Edge(_Open):
    name: str
    group: str
    source: int
    node: int
    operations: list[str]
    chosen: list[str]


class _Architecture(_Open):
    version: int = Field(alias="schema")
    id: str
    space: str
    edges: list[_Edge]


class _Objective(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    label_smoothing: float
    class_weights: list[float] | None


class _Task(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    classes: int
    channels: int
    size: int | Annotated[list[int], Field(min_length=2, max_length=2)]
    labels: list[str]
    objective: _Objective | None = None


class _Evaluation(_Open):
    evaluator: str
    metrics: dict[str, float]
    notes: list[str]
    seconds: float = 0.0


class _Phase(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    images_forward: int = 0
    images_backward: int = 0
    seconds: float = 0.0
    peak_memory: int = 0
    strategies: dict[str, int] = Field(default_factory=dict)


class StoredResult(_Open):
    """What readers expect of `result.json`."""

    architecture: _Architecture
    text: str
    branch: str
    task: _Task
    evaluations: list[_Evaluation]
    cost: dict[str, _Phase]
    finished_early: dict[str, int] | None = None


def complaint(model: type[BaseModel], value: Any) -> str | None:
    """What is wrong with a file's value, in words; None where it has the form of `model`."""
    try:
        model.model_validate(value)
    except ValidationError as error:
        return _words(error)
    return None


def read_events(content: bytes) -> tuple[list[dict[str, Any]], int]:
    """The events in a log, and how many lines of it hold none.

    A last line that was cut short counts as none that should be there. Fields that older logs lack
    have their defaults.
    """
    *lines, last = content.split(b"\n")
    found = [_event(line) for line in lines]
    unfinished = _event(last) if last else None
    known = [event for event in (*found, unfinished) if event is not None]
    return known, found.count(None)


def _event(line: bytes) -> dict[str, Any] | None:
    """The event that a line of the log holds."""
    try:
        value = json_value(line.decode())
    except ValueError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        return None
    if not isinstance(value.get("time", 0.0), (int, float)):
        return None
    known = _kinds().get(value["kind"])
    if known is None:
        return value
    try:
        names = EVENT_FIELDS.get(value["kind"], {})
        value = {names.get(key, key): one for key, one in value.items()}
        return {**known.validate_json(json.dumps(value), strict=True).to_json(), **value}
    except ValidationError:
        return None


@cache
def _kinds() -> Mapping[str, Any]:
    """Who reads each kind of event."""
    return {one.kind: TypeAdapter(one) for one in Event.__subclasses__()}


def _words(error: ValidationError) -> str:
    """The first complaint of pydantic's, in our words."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"])) or "it"
    if first["type"] == "missing":
        return f"{place} is missing"
    wanted = first["msg"].removeprefix("Input should be ")
    return f"{place} should be {wanted}, got {str(first['input'])[:60]!r}"
