"""Architectures to draw: published cells, a bench cell, a chain, toys; strategies for any cell."""

from hypothesis import strategies as st

from nastk import Architecture, Edge

DARTS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
NB201 = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
MOBILE = tuple(f"mbconv_{k}x{k}_e{e}" for k in (3, 5, 7) for e in (3, 6))


def darts(normal, reduce):
    """An architecture from two lists of (operation, source), two for each of four nodes."""
    edges, choices = [], []
    for group, cell in (("normal", normal), ("reduce", reduce)):
        for node in range(2, 6):
            chosen = cell[2 * (node - 2) : 2 * (node - 2) + 2]
            for source in range(node):
                edges.append(Edge(f"{group}:{source}->{node}", DARTS, group, source, node))
                choices.append(tuple(operation for operation, place in chosen if place == source))
    return Architecture("darts", tuple(edges), tuple(choices))


def cell(space, operations, chosen):
    """A cell of one group from {(source, node): operations chosen}."""
    edges = tuple(Edge(f"cell:{a}->{b}", operations, "cell", a, b) for a, b in chosen)
    return Architecture(space, edges, tuple(chosen.values()))


SEP3, SEP5, DIL3, DIL5, MAX, SKIP = (
    "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5", "max_pool_3x3", "skip_connect",
)  # fmt: skip

DARTS_V2 = darts(
    [(SEP3, 0), (SEP3, 1), (SEP3, 0), (SEP3, 1), (SEP3, 1), (SKIP, 0), (SKIP, 0), (DIL3, 2)],
    [(MAX, 0), (MAX, 1), (SKIP, 2), (MAX, 1), (MAX, 0), (SKIP, 2), (SKIP, 2), (MAX, 1)],
)
DEEP = darts(
    [(SKIP, 0), (SEP3, 1), (SEP3, 1), (SEP5, 2), (SEP3, 0), (SEP5, 3), (DIL3, 1), (SEP3, 4)],
    [(MAX, 0), (SEP3, 1), (MAX, 0), (DIL5, 2), (SKIP, 2), (DIL3, 3), (SKIP, 2), (SEP5, 4)],
)
ISDARTS = darts(
    [(SEP5, 0), (SEP3, 1), (DIL5, 0), (SEP5, 1), (SEP5, 0), (SEP5, 1), (SEP3, 0), (SEP5, 2)],
    [(SEP5, 0), (MAX, 1), (DIL5, 2), (SEP5, 2), (SEP5, 0), (SEP5, 2), (DIL5, 0), (SEP5, 2)],
)
BENCH = cell(
    "nasbench201",
    NB201,
    {(0, 1): ("nor_conv_3x3",), (0, 2): ("none",), (1, 2): ("nor_conv_3x3",),
     (0, 3): ("skip_connect",), (1, 3): ("nor_conv_1x1",), (2, 3): ("avg_pool_3x3",)},
)  # fmt: skip
CHAIN = Architecture(
    "mobilenet",
    tuple(Edge(f"layer:{i}", MOBILE, f"stage{i // 4}", i, i + 1) for i in range(12)),
    tuple((MOBILE[i % 6],) for i in range(12)),
)
TOY = cell("toy", ("conv", "skip"), {(0, 1): ("conv",)})
BOTH = cell("toy", ("conv", "skip"), {(0, 1): ("conv", "skip")})

SAMPLES = {
    "darts-v2": DARTS_V2, "deep": DEEP, "isdarts": ISDARTS, "bench": BENCH,
    "chain": CHAIN, "toy": TOY, "both": BOTH,
}  # fmt: skip


@st.composite
def cells(draw):
    """Any cell: one or two inputs, one to four more nodes, up to two operations on an edge."""
    inputs = draw(st.integers(1, 2))
    nodes = draw(st.integers(1, 4))
    chosen = {}
    for node in range(inputs, inputs + nodes):
        for source in range(node):
            chosen[source, node] = tuple(
                draw(st.lists(st.sampled_from(DARTS), max_size=2, unique=True))
            )
    return cell("any", DARTS, chosen)


@st.composite
def chains(draw):
    """Any chain of one to fourteen layers, up to three operations on a layer."""
    layers = draw(
        st.lists(st.lists(st.sampled_from(DARTS), max_size=3, unique=True), min_size=1, max_size=14)
    )
    return cell(
        "chain", DARTS, {(place, place + 1): tuple(each) for place, each in enumerate(layers)}
    )
