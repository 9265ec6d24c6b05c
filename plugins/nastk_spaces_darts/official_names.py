"""`own_name` translates the names of weights in the authors' code to the names in our supernet.

The supernets of DARTS (Liu et al. 2019) and of the methods built on its code (RobustDARTS,
PC-DARTS, Shapley-NAS and others) name their modules in the same way.
"""

import re
from collections.abc import Callable

EDGE = re.compile(r"cells\.(?P<cell>\d+)\._ops\.(?P<edge>\d+)\._ops\.(?P<column>\d+)\.(?P<rest>.+)")
INPUT = re.compile(r"cells\.(?P<cell>\d+)\.preprocess(?P<input>[01])\.(?P<rest>(op|conv_|bn).*)")
STEM = re.compile(r"stem\.(?P<place>[01])\.(?P<rest>\w+)")

HALVES = {"conv_1": "first", "conv_2": "second", "bn": "norm"}
"""The parts of a factorised reduction: their names, and ours."""

SEPARABLE = ("depthwise", "pointwise", "norm")
"""Our names of the parts of a separable convolution, in the order of theirs, after its ReLU."""


def own_name(name: str, pool_norm: Callable[[int, int, int], str]) -> str:
    """Returns our name of the tensor that the authors' code, or ours, calls `name`.

    `pool_norm` names the norm of a pooling, from the numbers of its cell, edge and operation.
    """
    if match := STEM.fullmatch(name):
        return f"stem.layers.0.{match['place']}.{match['rest']}"
    if match := INPUT.fullmatch(name):
        part, _, last = match["rest"].rpartition(".")
        # In their module op.1 is the convolution and op.2 the norm; ours numbers them alike.
        layer = part.removeprefix("op.") if part.startswith("op.") else f"1.{HALVES[part]}"
        return f"cells.{match['cell']}.preprocess{match['input']}.{layer}.{last}"
    if match := EDGE.fullmatch(name):
        part, _, last = match["rest"].rpartition(".")
        edge = f"cells.{match['cell']}.edges.{match['edge']}.{match['column']}"
        if part.startswith("op."):
            # They number ReLU, depthwise, pointwise and norm of all stages in a row.
            stage, layer = divmod(int(part.removeprefix("op.")), 4)
            return f"{edge}.stages.{stage}.{SEPARABLE[layer - 1]}.{last}"
        if part in HALVES:
            return f"{edge}.stages.0.{HALVES[part]}.{last}"
        cell, edge_number, column = (int(match[word]) for word in ("cell", "edge", "column"))
        return f"{pool_norm(cell, edge_number, column)}.{last}"
    return name
