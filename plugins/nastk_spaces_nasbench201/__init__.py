"""The cell space of NAS-Bench-201 (Dong and Yang 2020): one cell, six edges, five operations.

space.py        `NasBench201Space`: edges, and what each question is answered with
options.py      its options
text.py         the benchmark's string, `|nor_conv_3x3~0|+|none~0|...`, written and read
isomorphism.py  which architectures the benchmark counts as one
size.py         parameters and multiply-adds in closed form, as the benchmark counts them
operations.py   the operations, and the ways in which they read a state
skeleton.py     what supernet and network share: stem, stages, reduction blocks, head
supernet.py     every operation at once
leaving.py      all operations that leave a state, on a CPU; source.py what they share of it,
                returning.py the gradients, plain.py the same written out
stacking.py     several mixtures in one pass
network.py      the stand-alone network of one architecture
"""

from nastk import Offer, hookimpl


@hookimpl
def search_spaces() -> list[Offer]:
    """The NAS-Bench-201 space."""
    summary = "NAS-Bench-201: one cell of 4 nodes, 6 edges, 5 operations; 15,625 networks"
    return [Offer("nasbench201", summary, "nastk_spaces_nasbench201.space:NasBench201Space")]
