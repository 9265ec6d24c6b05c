"""`DartsSpace`: the space of DARTS itself, whose edges all offer the same operations."""

from nastk import Preset, Published
from nastk_spaces_darts.cells import CellSpace
from nastk_spaces_darts.operations import OPERATIONS
from nastk_spaces_darts.options import DartsOptions
from nastk_spaces_darts.published import PUBLISHED


class DartsSpace(CellSpace):
    """The cell space of DARTS (Liu et al. 2019, sections 2.1 and 3.1).

    There are two cell types; a node keeps two operations.

    Example:
        space = DartsSpace(DartsSpace.Options(channels=8, cells=5))
        logits = space.supernet(task)(images, Mixture.uniform(space.full()))
        network = space.network(space.from_text("DARTS_V2"), task)
    """

    name = "darts"
    summary = "DARTS cells: a normal and a reduction cell, two inputs a node, 7 or 8 operations"
    presets = (
        Preset(
            "quick",
            "nastk: small enough to search in minutes on two CPU cores",
            space=("darts",),
            space_options={"channels": 8, "cells": 5, "partial_channels": 2},
            evaluators=("supernet", "size", "retrain,preset=quick,baseline=1"),
        ),
    )

    published = {name: Published(text) for name, text in PUBLISHED.items()}  # noqa: RUF012

    class Options(DartsOptions):
        """The options of the space; `options.py` describes them."""

    def candidates(self, group: str, number: int) -> tuple[str, ...]:
        """Called once for each edge: returns the seven operations, the same for every edge."""
        return OPERATIONS
