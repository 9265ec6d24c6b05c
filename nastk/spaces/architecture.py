"""What was decided: `Architecture`, a frozen value with a canonical id and a versioned JSON form.

It needs no torch and no search space to be read, compared or drawn; its space turns it into a
network (`SearchSpace.network`) and into the text that the field exchanges (`SearchSpace.to_text`).
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
    """The operations chosen on each edge of a space: usually one or none, two are legal.

    `choices` has one tuple of operation names for each of `edges`, in the order of the space.
    Two architectures are equal if space, edges and choices are.

    >>> edge = Edge("cell:0->1", ("conv", "skip"), "cell", 0, 1)
    >>> found = Architecture("toy", (edge,), (("conv",),))
    >>> Architecture.from_json(found.to_json()) == found
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
        # One order for what has none, so that equal decisions are equal values.
        ordered = tuple(
            tuple(sorted(chosen, key=edge.operations.index))
            for edge, chosen in zip(self.edges, self.choices, strict=True)
        )
        object.__setattr__(self, "choices", ordered)

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits, the same for equal decisions on any machine and version."""
        named = {
            edge.name: sorted(chosen)
            for edge, chosen in zip(self.edges, self.choices, strict=True)
            if chosen
        }
        text = json.dumps([self.space, named], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def table(self) -> tuple[tuple[bool, ...], ...]:
        """The choices as a padded edges x operations table, the shape of `Subspace.alive`."""
        width = max(len(edge.operations) for edge in self.edges)
        return tuple(
            tuple(
                column < len(edge.operations) and edge.operations[column] in chosen
                for column in range(width)
            )
            for edge, chosen in zip(self.edges, self.choices, strict=True)
        )

    def links(self) -> list[tuple[Edge, str]]:
        """Every chosen (edge, operation name), in the order of the edges."""
        return [
            (edge, operation)
            for edge, chosen in zip(self.edges, self.choices, strict=True)
            for operation in chosen
        ]

    def connected(self) -> bool:
        """Whether the last node of every cell type is reached from an input without using `none`.

        An input is a node that no edge enters. What is not connected computes a constant.
        """
        return connected(self.edges, self.choices)

    def to_json(self) -> dict[str, Any]:
        """A JSON object that says everything: schema version, id, space, each edge's choice."""
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
        """The inverse of `to_json`.

        Raises:
            DataError: the object is no architecture, or one of a newer schema.
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
                    _word(row["name"]),
                    tuple(_word(name) for name in row["operations"]),
                    _word(row["group"]),
                    int(row["source"]),
                    int(row["node"]),
                )
                for row in rows
            )
            return cls(_word(value["space"]), edges, tuple(tuple(row["chosen"]) for row in rows))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"This JSON object is no architecture: {error!r}.") from None


def _word(value: Any) -> str:
    """A name in a file, which is a text; refuses anything else."""
    if not isinstance(value, str):
        raise TypeError(f"a name must be a text, got {value!r}")
    return value


@dataclass(frozen=True)
class Published:
    """An architecture that is known by a name: its text, and the options its space needs for it.

    Example: `Published("mb3_3x3 skip ...", {"layout": "mobilenetv2"})`
    """

    text: str
    options: Mapping[str, Any] = field(default_factory=dict)
