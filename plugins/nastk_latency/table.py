"""`LatencyTable`: the times of a space's operations, as a small JSON file with a checksum.

All times are seconds of one forward pass of a batch.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from nastk import Architecture, ConfigurationError, DataError, Options, Task
from nastk.base import UnreadableError, parse, read_json, write_atomically
from nastk.data import read_size

ADVICE = "Make it anew with `nastk latency build`."


class Row(Options):
    """The seconds that each operation of one edge adds."""

    name: str = Field(description="the edge")
    operations: tuple[str, ...] = Field(description="its operations")
    seconds: tuple[float, ...] = Field(description="what each of them adds")

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        if len(self.seconds) != len(self.operations):
            raise ValueError(
                f"{len(self.operations)} seconds on edge {self.name!r}, one for each operation"
            )
        return self


class Shape(Options):
    """The classes and images that the timed networks were made for."""

    classes: int = Field(ge=1, description="classes")
    channels: int = Field(ge=1, description="channels of an image")
    size: int | tuple[int, int] = Field(description="pixels a side, or (height, width)")

    @field_validator("size", mode="before")
    @classmethod
    def _read_size(cls, value: Any) -> Any:
        return read_size(value)

    @property
    def task(self) -> Task:
        """The task with these classes and images."""
        return Task(self.classes, self.channels, self.size)


class Reference(Options):
    """A timed network, by which a table recognises its networks."""

    text: str = Field(description="its architecture, in the space's text form")
    parameters: int = Field(ge=0, description="its parameters")


class Check(Options):
    """Predicted and measured times of networks that are not part of the fit."""

    correlation: float | None = Field(description="Pearson's; null where all times are the same")
    mean_relative_error: float = Field(ge=0, description="mean of |foretold - measured| / measured")
    foretold: tuple[float, ...] = Field(description="by the table")
    measured: tuple[float, ...] = Field(description="of the whole networks")

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        if len(self.foretold) != len(self.measured):
            raise ValueError("as many foretold times as measured ones")
        return self


class LatencyTable(Options):
    """Times of a space on one device: `rest`, and the seconds that each operation adds.

    Example: `read(Path("cpu.json")).of(architecture)`
    """

    format: Literal[1] = Field(1, description="version of this form")
    space: str = Field(description="the space")
    space_options: dict[str, Any] = Field(description="its options when it was timed")
    task: Shape = Field(description="the images")
    rest: float = Field(description="what every network takes")
    edges: tuple[Row, ...] = Field(description="what operations add")
    reference: Reference = Field(description="by which the networks are known again")
    device: str = Field(description="the model of the CPU or GPU")
    threads: int = Field(ge=1, description="CPU threads")
    batch: int = Field(ge=1, description="images in a pass")
    repeats: int = Field(ge=1, description="timed passes of each network")
    networks: int = Field(ge=1, description="networks that were timed for the fit")
    date: str = Field(description="the day, in UTC")
    torch: str = Field(description="version of torch")
    check: Check = Field(description="how well it foretells networks that it was not fitted to")

    def of(self, architecture: Architecture) -> float:
        """Returns the predicted seconds of a forward pass of an architecture with these edges."""
        added = {
            (row.name, operation): seconds
            for row in self.edges
            for operation, seconds in zip(row.operations, row.seconds, strict=True)
        }
        return self.rest + sum(
            added[edge.name, operation] for edge, operation in architecture.links()
        )

    def store(self, path: Path) -> None:
        """Writes the file atomically.

        Raises:
            NastkError: the file cannot be written.
        """
        values = self.model_dump(mode="json")
        text = json.dumps({**values, "sha256": digest(values)}, indent=1) + "\n"
        write_atomically(path, text.encode())


def read(path: Path) -> LatencyTable:
    """Returns the table in a file.

    Raises:
        ConfigurationError: there is no such file.
        DataError: the file is no latency table, or is damaged.
    """
    file = os.path.expanduser(path)
    try:
        values = read_json(Path(file))
    except UnreadableError as error:
        if os.path.isfile(file):
            raise DataError(f"{path} is no latency table: {error.reason}. {ADVICE}") from None
        raise ConfigurationError(
            f"The latency table {path} cannot be read: {error.reason}. {ADVICE}"
        ) from None
    if not isinstance(values, dict) or "sha256" not in values:
        raise DataError(f"{path} is no latency table: it has no checksum. {ADVICE}")
    if values.pop("sha256") != digest(values):
        raise DataError(f"The latency table {path} is damaged: its checksum differs. {ADVICE}")
    try:
        return parse(LatencyTable, values, "latency table")
    except (ConfigurationError, ArithmeticError) as error:
        raise DataError(f"{path} is no latency table: {error} {ADVICE}") from None


def digest(values: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of the values, which does not depend on their order."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
