"""The cell spaces of DARTS (Liu et al. 2019): two cell types, each node keeps two operations.

space.py           `DartsSpace`: 7 or 8 operations on every edge
robust.py          `S1` to `S4` of RobustDARTS (Zela et al. 2020): two or three operations per edge
cells.py           `CellSpace`: the base class of these spaces
options.py         their options
choice.py          the rule from scores to a cell, empty subspaces, uniform sampling
genotype.py        the `Genotype(...)` text, written and read; spelling.py knows its spellings
published.py       the cells of the papers, as texts
official_names.py  names of weights in the authors' code
skeleton.py        the parts that supernet and network share: stem, widths, preprocessing
operations.py      the operations, and the views of a state that they read
supernet.py        the supernet: every operation at once (with PC-DARTS's partial channels)
prefix_cache.py    results that consecutive measurements have in common
mixing.py          the sum at a node, in one pass over memory: terms.py has its summands,
                   projections.py folds norms into it, mixing_backward.py has the gradients
network.py         the stand-alone network of one architecture
"""

from nastk import Offer, hookimpl


@hookimpl
def search_spaces() -> list[Offer]:
    """Returns the offers of the DARTS space, and of S1 to S4."""
    module = "nastk_spaces_darts.robust"
    cells = "DARTS cells"
    return [
        Offer(
            "darts",
            "DARTS cells: a normal and a reduction cell, two inputs a node, 7 or 8 operations",
            "nastk_spaces_darts.space:DartsSpace",
        ),
        Offer(
            "s1",
            f"RobustDARTS S1: {cells} with two operations an edge, other ones on each edge",
            f"{module}:S1",
        ),
        Offer("s2", f"RobustDARTS S2: {cells} of skip_connect and sep_conv_3x3", f"{module}:S2"),
        Offer(
            "s3", f"RobustDARTS S3: {cells} of none, skip_connect and sep_conv_3x3", f"{module}:S3"
        ),
        Offer("s4", f"RobustDARTS S4: {cells} of noise and sep_conv_3x3", f"{module}:S4"),
    ]
