"""What the authors' code calls a supernet's weights: `own_name`, from their name to ours.

The supernets of DARTS (Liu et al. 2019) and of what was built on its code (RobustDARTS, PC-DARTS,
Shapley-NAS and others) name their modules alike. Names are facts of that code.
"""

import re
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from nastk_spaces_darts.operations import Operation
    from nastk_spaces_darts.supernet import DartsSupernet, SearchCell

EDGE = re.compile(r"cells\.(?P<cell>\d+)\._ops\.(?P<edge>\d+)\._ops\.(?P<column>\d+)\.(?P<rest>.+)")
INPUT = re.compile(r"cells\.(?P<cell>\d+)\.preprocess(?P<input>[01])\.(?P<rest>(op|conv_|bn).*)")
STEM = re.compile(r"stem\.(?P<place>[01])\.(?P<rest>\w+)")

HALVES = {"conv_1": "first", "conv_2": "second", "bn": "norm"}
"""The parts of a factorised reduction."""

SEPARABLE = ("depthwise", "pointwise", "norm")
"""The parts of a separable convolution, after its ReLU."""


def own_name(name: str, supernet: "DartsSupernet") -> str:
    """Our name of the tensor that the authors' code, or ours, calls `name`."""
    if found := STEM.fullmatch(name):
        return f"stem.layers.0.{found['place']}.{found['rest']}"
    if found := INPUT.fullmatch(name):
        part, _, last = found["rest"].rpartition(".")
        # Theirs: op.1 is the convolution and op.2 the norm; ours has the same places.
        place = part.removeprefix("op.") if part.startswith("op.") else f"1.{HALVES[part]}"
        return f"cells.{found['cell']}.preprocess{found['input']}.{place}.{last}"
    if found := EDGE.fullmatch(name):
        part, _, last = found["rest"].rpartition(".")
        edge = f"cells.{found['cell']}.edges.{found['edge']}.{found['column']}"
        if part.startswith("op."):
            stage, place = divmod(int(part.removeprefix("op.")), 4)
            return f"{edge}.stages.{stage}.{SEPARABLE[place - 1]}.{last}"
        if part in HALVES:
            return f"{edge}.stages.0.{HALVES[part]}.{last}"
        place = (int(found[word]) for word in ("cell", "edge", "column"))
        return f"{_pool_norm(supernet, *place)}.{last}"
    return name


def _pool_norm(supernet: "DartsSupernet", cell: int, edge: int, column: int) -> str:
    """The norm of a pooling: ours belongs to the state that it reads.

    Theirs belong to the edges; they see the same maps, and have the same statistics.
    """
    found = cast("SearchCell", supernet.cells[cell])
    sources = [source for entering in found.entering for _, source in entering]
    reads = cast("Operation", supernet.get_submodule(f"cells.{cell}.edges.{edge}.{column}")).reads
    return f"cells.{cell}.pool_norms.{sources[edge]}.{reads}"
