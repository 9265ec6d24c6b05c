"""`Architecture`: the result of a search, a frozen value with a canonical id and a JSON form.

Reading, comparing or drawing an architecture needs neither torch nor its search space. The space
turns it into a network (`SearchSpace.network`) and into the text form that the field uses
(`SearchSpace.to_text`).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from nastk.base.errors import DataError
from nastk.spaces.subspace import Edge, connected

SCHEMA = 1


@dataclass(frozen=True)
class Architecture:
    """The operations chosen on each edge of a space: usually one or none; several are allowed.

    `choices` has one tuple of operation names for each of `edges`, in the order of the space.
    Two architectures are equal if their spaces, edges and choices are equal.

    >>> edge = Edge("cell:0->1", ("conv", "skip"), "cell", 0, 1)
    >>> architecture = Architecture("toy", (edge,), (("conv",),))
    >>> Architecture.from_json(architecture.to_json()) == architecture
    True
    """

    space: str
    edges: tuple[Edge, ...]
    choices: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        if len(self.edges) != len(self.choices):
            raise DataError(
                f"An architecture of {len(self.edges)} edges needs as many choices, "
                f"got {len(self.choices)}."
            )
        for edge, chosen in zip(self.edges, self.choices, strict=True):
            for operation in chosen:
                if operation not in edge.operations:
                    raise DataError(
                        f"Edge {edge.name} of space {self.space!r} has no operation {operation!r}. "
                        f"It has: {', '.join(edge.operations)}."
                    )
            if len(set(chosen)) != len(chosen):
                raise DataError(
                    f"Edge {edge.name} of space {self.space!r} has an operation twice: "
                    f"{', '.join(chosen)}."
                )
        # The operations of an edge are a set: sort them, so that equal decisions compare equal.
        ordered = tuple(
            tuple(sorted(chosen, key=edge.operations.index))
            for edge, chosen in zip(self.edges, self.choices, strict=True)
        )
        object.__setattr__(self, "choices", ordered)

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits, equal for equal decisions in any version of nastk."""
        chosen_names = {
            edge.name: sorted(chosen)
            for edge, chosen in zip(self.edges, self.choices, strict=True)
            if chosen
        }
        text = json.dumps([self.space, chosen_names], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def table(self) -> tuple[tuple[bool, ...], ...]:
        """Returns the choices as a boolean edges x operations table, like `Subspace.alive`."""
        width = max(len(edge.operations) for edge in self.edges)
        return tuple(
            tuple(
                column < len(edge.operations) and edge.operations[column] in chosen
                for column in range(width)
            )
            for edge, chosen in zip(self.edges, self.choices, strict=True)
        )

    def links(self) -> list[tuple[Edge, str]]:
        """Returns every chosen (edge, operation name), in the order of the edges."""
        return [
            (edge, operation)
            for edge, chosen in zip(self.edges, self.choices, strict=True)
            for operation in chosen
        ]

    def connected(self) -> bool:
        """True if in every cell type a path without `none` leads from an input to the last node.

        An input is a node that no edge enters. A network that is not connected is constant.
        """
        return connected(self.edges, self.choices)

    def to_json(self) -> dict[str, Any]:
        """Returns a complete JSON object: schema version, id, space, edges and their choices."""
        return {
            "schema": SCHEMA,
            "id": self.id,
            "space": self.space,
            "edges": [
                {
                    "name": edge.name,
                    "group": edge.group,
                    "source": edge.tail,
                    "node": edge.head,
                    "operations": list(edge.operations),
                    "chosen": list(chosen),
                }
                for edge, chosen in zip(self.edges, self.choices, strict=True)
            ],
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Returns the architecture that `to_json` wrote.

        Raises:
            DataError: the object is no architecture, or has a newer schema.
        """
        if not isinstance(value, Mapping):
            raise DataError(f"An architecture is a JSON object, got {type(value).__name__}.")
        if value.get("schema") != SCHEMA:
            raise DataError(
                f"Expected an architecture of schema {SCHEMA}, got schema {value.get('schema')!r}. "
                "If a newer nastk wrote it, upgrade with `pip install -U nastk`."
            )
        try:
            rows = value["edges"]
            edges = tuple(
                Edge(
                    _text(row["name"]),
                    tuple(_text(name) for name in row["operations"]),
                    _text(row["group"]),
                    int(row["source"]),
                    int(row["node"]),
                )
                for row in rows
            )
            return cls(_text(value["space"]), edges, tuple(tuple(row["chosen"]) for row in rows))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"This JSON object is no architecture: {error!r}.") from None


def _text(value: Any) -> str:
    """Returns `value`, a name in a file, if it is a string; else raises a `TypeError`."""
    if not isinstance(value, str):
        raise TypeError(f"a name must be a text, got {value!r}")
    return value


@dataclass(frozen=True)
class Published:
    """A published architecture: its text form, and the options that its space needs for it.

    Example: `Published("mb3_3x3 skip ...", {"layout": "mobilenetv2"})`
    """

    text: str
    options: Mapping[str, Any] = field(default_factory=dict)
