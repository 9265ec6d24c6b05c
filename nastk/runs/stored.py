"""Schemas of a run folder's files, checked whenever one is read.

`complaint` is for a whole file, `read_events` and `event_of` are for the log.
A flipped bit, or an editor, can leave a file that is JSON but not of the expected form. Like all
code that only shows runs, this module needs no torch.
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
    """A model that lets unknown keys pass: newer versions of nastk may write more of them."""

    model_config = ConfigDict(strict=True, extra="allow")


class _Component(_Open):
    name: str
    options: dict[str, Any]


class _Trainer(_Open):
    epochs: int


class StoredConfig(_Open):
    """The part of `config.json` that code for showing runs uses; `config.resolve` checks the rest.

    Example: `complaint(StoredConfig, json.loads(text))`
    """

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
    cpu_seconds: float = 0.0


class StoredResult(_Open):
    """The part of `result.json` that code for showing runs uses.

    Example: `complaint(StoredResult, json.loads(text))`
    """

    architecture: _Architecture
    text: str
    branch: str
    task: _Task
    evaluations: list[_Evaluation]
    cost: dict[str, _Phase]
    finished_early: dict[str, int] | None = None


def complaint(model: type[BaseModel], value: Any) -> str | None:
    """Returns what is wrong with a file's value, in words; None where `model` accepts it."""
    try:
        model.model_validate(value)
    except ValidationError as error:
        return _words(error)
    return None


def read_events(content: bytes) -> tuple[list[dict[str, Any]], int]:
    """Returns the events in a log, and how many of its lines hold no event.

    A last line that was cut short does not count as damaged. Fields that older logs lack get their
    defaults.
    """
    *lines, last = content.split(b"\n")
    events = [_event(line) for line in lines]
    unfinished = _event(last) if last else None
    intact = [event for event in (*events, unfinished) if event is not None]
    return intact, events.count(None)


def _event(line: bytes) -> dict[str, Any] | None:
    """Returns the event in a line of the log; None where the line is damaged."""
    try:
        value = json_value(line.decode())
    except ValueError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        return None
    if not isinstance(value.get("time", 0.0), (int, float)):
        return None
    reader = _kinds().get(value["kind"])
    if reader is None:
        return value
    try:
        names = EVENT_FIELDS.get(value["kind"], {})
        value = {names.get(key, key): field for key, field in value.items()}
        return {**reader.validate_json(json.dumps(value), strict=True).to_json(), **value}
    except ValidationError:
        return None


def event_of(line: Mapping[str, Any]) -> Event | None:
    """Returns a line of the log, as `read_events` reads it, as an event; None for unknown kinds."""
    reader = _kinds().get(line["kind"])
    if reader is None:
        return None
    event: Event = reader.validate_json(json.dumps(line), strict=True)
    return event


@cache
def _kinds() -> Mapping[str, Any]:
    """Returns the validator of each kind of event."""
    return {event.kind: TypeAdapter(event) for event in Event.__subclasses__()}


def _words(error: ValidationError) -> str:
    """Returns the first of pydantic's errors in plain words."""
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"])) or "it"
    if first["type"] == "missing":
        return f"{field} is missing"
    wanted = first["msg"].removeprefix("Input should be ")
    return f"{field} should be {wanted}, got {str(first['input'])[:60]!r}"
