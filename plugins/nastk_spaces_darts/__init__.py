"""The cell space of DARTS (Liu et al. 2019): two cell types, two inputs a node, 7 or 8 operations.

space.py       `DartsSpace`: options, edges, and what each question is answered with
choice.py      the rule from scores to a cell, which subspaces hold one, uniform sampling
genotype.py    the `Genotype(...)` text, written and read
published.py   the cells of the papers, as texts
skeleton.py    what supernet and network share: stem, widths, reductions, preprocessing
operations.py  the operations, and the ways in which they read a state
supernet.py    every operation at once (with PC-DARTS's partial channels)
network.py     the stand-alone network of one architecture
"""

from nastk.hookspecs import Offer, hookimpl


@hookimpl
def search_spaces() -> list[Offer]:
    """The DARTS space."""
    summary = "DARTS cells: a normal and a reduction cell, two inputs a node, 7 or 8 operations"
    return [Offer("darts", summary, "nastk_spaces_darts.space:DartsSpace")]
