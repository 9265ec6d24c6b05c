"""The cell space of NAS-Bench-201 (Dong and Yang 2020): one cell, six edges, five operations.

space.py           `NasBench201Space`: the edges and the methods of a search space
options.py         the options of the space
text.py            the benchmark's string, `|nor_conv_3x3~0|+|none~0|...`, written and read
isomorphism.py     which architectures the benchmark counts as one
size.py            parameters and multiply-adds in closed form, as the benchmark counts them
operations.py      the operations, and the views of a state that they read
skeleton.py        the parts that supernet and network share: stem, stages, reductions, head
supernet.py        the supernet: every operation at once
fused_forward.py   all operations that leave a state, computed together on a CPU; node_state.py
                   holds the results that they share, fused_backward.py computes the gradients,
                   reference.py is the same function written out
stacking.py        several mixtures in one pass
network.py         the stand-alone network of one architecture
"""

from nastk import Offer, hookimpl


@hookimpl
def search_spaces() -> list[Offer]:
    """Returns the offer of the NAS-Bench-201 space."""
    summary = "NAS-Bench-201: one cell of 4 nodes, 6 edges, 5 operations; 15,625 networks"
    return [Offer("nasbench201", summary, "nastk_spaces_nasbench201.space:NasBench201Space")]
