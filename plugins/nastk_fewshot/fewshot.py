"""The updater `fewshot`: a search that splits an edge into its single operations."""

from typing import ClassVar, Literal

from pydantic import Field

from nastk import Preset
from nastk_fewshot.cut import EdgeRule
from nastk_fewshot.options import GmOptions
from nastk_fewshot.presets import cells_darts, darts_cells
from nastk_fewshot.updater import Gm


class FewShot(Gm):
    """Few-shot NAS (Zhao et al., ICML 2021, arXiv 2006.06863) around another updater.

    It is `gm` with `groups=all`: after each of `splits` every branch continues once for each
    operation of one edge. By default this is the first edge with all its operations. Gradients are
    compared only if `edge_rule` compares edges.

    Example: `nastk.search(space="nasbench201", updater=nastk.use("fewshot", inner="random"))`
    """

    name: ClassVar[str] = "fewshot"
    summary: ClassVar[str] = (
        "splits an edge into its single operations; another updater searches in each part"
    )
    presets = (
        darts_cells(
            "paper",
            "the baseline in Hu et al., ICLR 2022, by the authors' scripts: all 7 operations of "
            "the first edge, here after an epoch instead of before the first",
            21,
            {
                **cells_darts(1),
                "splits": [1],
                "restart": "final",
                "cells": ["normal"],
                "edge_rule": "first",
                "frozen_mixture": "uniform",
                "derive": "inner",
            },
        ),
        Preset(
            "quick",
            "small enough to watch; not a published setting",
            updater_options={"inner_preset": "quick"},
        ),
    )

    class Options(GmOptions):
        """The options of `gm`, for single operations."""

        splits: tuple[int, ...] | None = Field(
            (1,),
            description=(
                "epochs after which every branch splits; empty: never; "
                "unset: a quarter and half of all"
            ),
        )
        groups: Literal["all"] = Field("all", description="one part for each operation")
        edge_rule: EdgeRule = Field(
            "first",
            description=(
                "edge to split: the first, a random one, listed, or (measured) most distance "
                "between its operations"
            ),
        )
