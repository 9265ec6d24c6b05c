"""The 12 cells that GM-NAS published (skhu101/GM-NAS, WS-GM/sota/cnn/genotypes.py), as facts.

Each is (method, seed): normal cell, reduction cell; a node is its two `operation<input`.
"""

import pytest
import torch

from nastk import Task
from nastk_spaces_darts.space import DartsSpace

CELLS = {
    ("GM+DARTS (1st)", 0): (
        "sep_conv_3x3<0 + sep_conv_5x5<1 | sep_conv_5x5<0 + sep_conv_3x3<2 | "
        "sep_conv_5x5<2 + dil_conv_5x5<3 | skip_connect<0 + dil_conv_3x3<1",
        "max_pool_3x3<0 + sep_conv_5x5<1 | max_pool_3x3<0 + skip_connect<2 | "
        "max_pool_3x3<0 + sep_conv_5x5<3 | sep_conv_5x5<3 + sep_conv_5x5<4",
    ),
    ("GM+DARTS (1st)", 1): (
        "sep_conv_3x3<0 + sep_conv_5x5<1 | sep_conv_3x3<1 + sep_conv_5x5<2 | "
        "sep_conv_3x3<2 + dil_conv_5x5<3 | skip_connect<0 + sep_conv_3x3<1",
        "max_pool_3x3<0 + max_pool_3x3<1 | max_pool_3x3<0 + max_pool_3x3<1 | "
        "max_pool_3x3<0 + skip_connect<2 | max_pool_3x3<0 + skip_connect<3",
    ),
    ("GM+DARTS (1st)", 2): (
        "sep_conv_3x3<0 + sep_conv_3x3<1 | sep_conv_5x5<1 + dil_conv_3x3<2 | "
        "sep_conv_3x3<1 + dil_conv_5x5<3 | skip_connect<0 + dil_conv_3x3<2",
        "max_pool_3x3<0 + max_pool_3x3<1 | sep_conv_3x3<0 + dil_conv_5x5<2 | "
        "skip_connect<1 + dil_conv_3x3<3 | sep_conv_5x5<3 + dil_conv_5x5<4",
    ),
    ("GM+DARTS (1st)", 3): (
        "sep_conv_3x3<0 + sep_conv_5x5<1 | sep_conv_3x3<0 + sep_conv_3x3<2 | "
        "sep_conv_3x3<1 + dil_conv_3x3<3 | sep_conv_5x5<1 + dil_conv_3x3<2",
        "max_pool_3x3<0 + sep_conv_5x5<1 | max_pool_3x3<0 + dil_conv_5x5<2 | "
        "max_pool_3x3<0 + skip_connect<2 | max_pool_3x3<0 + dil_conv_3x3<2",
    ),
    ("GM+DARTS (2nd)", 0): (
        "sep_conv_3x3<0 + sep_conv_5x5<1 | sep_conv_3x3<0 + sep_conv_3x3<1 | "
        "skip_connect<1 + dil_conv_5x5<3 | skip_connect<0 + sep_conv_3x3<1",
        "max_pool_3x3<0 + max_pool_3x3<1 | max_pool_3x3<0 + skip_connect<2 | "
        "skip_connect<2 + dil_conv_5x5<3 | dil_conv_5x5<3 + dil_conv_5x5<4",
    ),
    ("GM+DARTS (2nd)", 1): (
        "sep_conv_3x3<0 + sep_conv_3x3<1 | sep_conv_3x3<0 + dil_conv_3x3<2 | "
        "sep_conv_5x5<0 + dil_conv_5x5<3 | skip_connect<0 + sep_conv_3x3<1",
        "max_pool_3x3<0 + max_pool_3x3<1 | sep_conv_3x3<0 + max_pool_3x3<1 | "
        "max_pool_3x3<1 + skip_connect<3 | max_pool_3x3<1 + skip_connect<3",
    ),
    ("GM+DARTS (2nd)", 2): (
        "sep_conv_3x3<0 + sep_conv_3x3<1 | sep_conv_3x3<1 + dil_conv_5x5<2 | "
        "sep_conv_3x3<1 + dil_conv_5x5<2 | skip_connect<0 + dil_conv_3x3<1",
        "max_pool_3x3<0 + sep_conv_5x5<1 | max_pool_3x3<0 + skip_connect<2 | "
        "skip_connect<2 + skip_connect<3 | skip_connect<2 + sep_conv_5x5<4",
    ),
    ("GM+DARTS (2nd)", 3): (
        "sep_conv_3x3<0 + sep_conv_3x3<1 | sep_conv_3x3<0 + sep_conv_3x3<2 | "
        "dil_conv_5x5<2 + dil_conv_5x5<3 | skip_connect<0 + dil_conv_3x3<1",
        "max_pool_3x3<0 + max_pool_3x3<1 | max_pool_3x3<0 + skip_connect<2 | "
        "max_pool_3x3<0 + skip_connect<2 | skip_connect<2 + skip_connect<3",
    ),
    ("GM+SNAS", 0): (
        "sep_conv_5x5<0 + sep_conv_5x5<1 | sep_conv_5x5<0 + sep_conv_5x5<2 | "
        "sep_conv_5x5<1 + sep_conv_5x5<3 | sep_conv_5x5<1 + dil_conv_5x5<2",
        "max_pool_3x3<0 + sep_conv_5x5<1 | max_pool_3x3<0 + max_pool_3x3<1 | "
        "max_pool_3x3<0 + max_pool_3x3<1 | max_pool_3x3<0 + max_pool_3x3<1",
    ),
    ("GM+SNAS", 1): (
        "sep_conv_3x3<0 + sep_conv_3x3<1 | sep_conv_3x3<1 + sep_conv_3x3<2 | "
        "sep_conv_5x5<1 + sep_conv_3x3<3 | skip_connect<0 + sep_conv_3x3<2",
        "max_pool_3x3<0 + skip_connect<1 | max_pool_3x3<0 + skip_connect<2 | "
        "max_pool_3x3<0 + sep_conv_5x5<2 | skip_connect<2 + dil_conv_3x3<4",
    ),
    ("GM+SNAS", 2): (
        "skip_connect<0 + sep_conv_3x3<1 | sep_conv_3x3<1 + dil_conv_3x3<2 | "
        "sep_conv_3x3<2 + dil_conv_3x3<3 | sep_conv_3x3<1 + skip_connect<2",
        "max_pool_3x3<0 + skip_connect<1 | max_pool_3x3<0 + skip_connect<2 | "
        "skip_connect<2 + skip_connect<3 | max_pool_3x3<0 + dil_conv_5x5<4",
    ),
    ("GM+SNAS", 3): (
        "sep_conv_3x3<0 + sep_conv_5x5<1 | sep_conv_3x3<1 + sep_conv_3x3<2 | "
        "sep_conv_3x3<1 + dil_conv_5x5<3 | skip_connect<0 + dil_conv_3x3<2",
        "max_pool_3x3<0 + sep_conv_3x3<1 | max_pool_3x3<0 + skip_connect<2 | "
        "skip_connect<2 + dil_conv_5x5<3 | skip_connect<2 + dil_conv_3x3<3",
    ),
}
PRINTED = {("GM+DARTS (1st)", 2): 3.66, ("GM+DARTS (2nd)", 1): 3.66, ("GM+SNAS", 3): 3.72}
"""Millions of parameters that the authors' logs print, on CIFAR-10 with C=36 and 20 cells."""


def links(cell):
    return [tuple(link.split("<")) for node in cell.split(" | ") for link in node.split(" + ")]


def genotype(normal, reduce):
    """The text that the authors exchange."""
    parts = [[(name, int(source)) for name, source in links(cell)] for cell in (normal, reduce)]
    return (
        f"Genotype(normal={parts[0]}, normal_concat=range(2, 6), "
        f"reduce={parts[1]}, reduce_concat=range(2, 6))"
    )


@pytest.mark.parametrize("case", CELLS, ids=lambda case: f"{case[0]}-{case[1]}")
def test_the_darts_space_reads_a_published_cell_and_writes_it_again(case):
    space = DartsSpace()
    architecture = space.check(space.from_text(genotype(*CELLS[case])))
    assert space.from_text(space.to_text(architecture)) == architecture
    found = {(edge.group, name, edge.head, edge.tail) for edge, name in architecture.links()}
    assert found == {
        (group, name, 2 + number // 2, int(source))
        for group, cell in zip(("normal", "reduce"), CELLS[case], strict=True)
        for number, (name, source) in enumerate(links(cell))
    }


def test_all_published_cells_differ():
    space = DartsSpace()
    assert len({space.from_text(genotype(*cells)).id for cells in CELLS.values()}) == 12


@pytest.mark.parametrize("case", PRINTED, ids=lambda case: f"{case[0]}-{case[1]}")
def test_the_network_of_a_published_cell_has_the_parameters_that_were_printed(case):
    space = DartsSpace(DartsSpace.parse_options({"network_channels": 36, "network_cells": 20}))
    with torch.device("meta"):
        network = space.network(space.from_text(genotype(*CELLS[case])), Task(10, 3, 32))
    count = sum(weight.numel() for weight in network.parameters())
    assert round(count / 1e6, 2) == PRINTED[case]
