"""The cell spaces of DARTS (Liu et al. 2019): two cell types, two inputs a node.

space.py       `DartsSpace`: 7 or 8 operations on every edge
robust.py      `S1` to `S4` of RobustDARTS (Zela et al. 2020): two or three, other ones on each edge
cells.py       `CellSpace`: what they share, and what each question of a space is answered with
options.py     their options
choice.py      the rule from scores to a cell, which subspaces hold one, uniform sampling
genotype.py    the `Genotype(...)` text, written and read
published.py   the cells of the papers, as texts
skeleton.py    what supernet and network share: stem, widths, reductions, preprocessing
operations.py  the operations, and the ways in which they read a state
supernet.py    every operation at once (with PC-DARTS's partial channels)
mixing.py      the sum at a node in one pass over memory; `terms.py` says of what, `projections.py`
               how norms are taken over, `mixing_backward.py` is the way back
network.py     the stand-alone network of one architecture
"""

from nastk import Offer, hookimpl


@hookimpl
def search_spaces() -> list[Offer]:
    """The DARTS space, and S1 to S4."""
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
