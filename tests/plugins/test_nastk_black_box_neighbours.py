"""The architectures that differ in one decision, on chains and in spaces that choose edges."""

import torch

from nastk import Subspace
from nastk.testing import ToySpace
from nastk_black_box.neighbours import fresh_edges, neighbours
from nastk_spaces_darts.space import DartsSpace as Darts
from nastk_spaces_nasbench201.space import NasBench201Space


def test_neighbours_of_a_chain_differ_in_one_operation():
    space = NasBench201Space(NasBench201Space.Options())
    rng = torch.Generator().manual_seed(0)
    one = space.sample(space.full(), rng)
    around = neighbours(one, space, space.full())
    assert len(around) == len(set(around)) == 6 * 4
    assert {len(fresh_edges(other, one)) for other in around} == {1}


def test_neighbours_in_a_space_of_edges_change_or_move_one_operation():
    space = Darts(Darts.Options(nodes=3))
    one = space.sample(space.full(), torch.Generator().manual_seed(0))
    around = neighbours(one, space, space.full())
    # Node k has k + 2 inputs, of which two are chosen.
    operations = len(space.edges[0].operations)
    changed = 2 * 3 * 2 * (operations - 1)
    moved = 2 * sum(2 * (inputs - 2) * operations for inputs in (2, 3, 4))
    assert len(around) == len(set(around)) == changed + moved
    assert all(space.check(other) == other for other in around)
    assert all(len(other.links()) == len(one.links()) for other in around)


def test_neighbours_stay_in_the_subspace():
    subspace = ToySpace().full().drop(0, 1)
    one = ToySpace().sample(subspace, torch.Generator().manual_seed(0))
    around = neighbours(one, ToySpace(), subspace)
    assert around and all(subspace.contains(Subspace(other.table())) for other in around)
