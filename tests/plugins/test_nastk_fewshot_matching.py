"""How much operations disagree: distances of gradients, and the weights they are taken of."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nastk import ConfigurationError, DivergenceError, Mixture, Probe, Task
from nastk.testing import Harness, ToySpace, fingerprint
from nastk_fewshot.matching import Matching, distances, forced
from nastk_fewshot.partition import (
    Partitioner,
)
from nastk_fewshot.updater import Gm
from nastk_spaces_nasbench201.space import NasBench201Space


def gradients(vectors):
    return [{"a": v[:2].reshape(1, 2), "b": v[2:]} for v in vectors]


def test_distances_are_one_minus_the_cosine_of_the_long_vector():
    vectors = torch.tensor(
        [[1.0, 0.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0], [-1.0, 0, 0, 0]]
    )
    diagonal = torch.tensor([[3.0, 0.0, 4.0, 0.0]])
    found = distances(gradients(torch.cat([vectors, diagonal])))
    expected = torch.tensor(
        [
            [0.0, 0.0, 1.0, 2.0, 0.4],
            [0.0, 0.0, 1.0, 2.0, 0.4],
            [1.0, 1.0, 0.0, 1.0, 0.2],
            [2.0, 2.0, 1.0, 0.0, 1.6],
            [0.4, 0.4, 0.2, 1.6, 0.0],
        ],
        dtype=torch.float64,
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_a_gradient_of_zero_agrees_with_nobody():
    found = distances(gradients(torch.tensor([[0.0] * 4, [1.0] * 4, [0.0] * 4])))
    assert found.tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0]]


@given(seed=st.integers(0, 10**6), count=st.integers(2, 6))
def test_a_table_is_symmetric_bounded_and_follows_a_permutation(seed, count):
    rng = torch.Generator().manual_seed(seed)
    vectors = torch.randn(count, 9, generator=rng)
    found = distances(gradients(vectors))
    assert torch.equal(found, found.T)
    assert (found.diagonal() == 0).all() and (found >= 0).all() and (found <= 2).all()
    order = torch.randperm(count, generator=rng)
    torch.testing.assert_close(distances(gradients(vectors[order])), found[order][:, order])


def probe_of(options=None, space=None, steps=2, **changes):
    """A probe on a supernet that took two weight steps, with its harness and branch."""
    harness = Harness(Gm, {"splits": [], **(options or {})}, space or ToySpace(), **changes)
    (branch,) = harness.run(steps=steps)
    return harness.trainer.probe(branch), branch, harness


def measured(probe, matching, edges, first=0, mixture=None):
    subspace = probe.subspace
    mixture = mixture or Mixture.uniform(subspace)
    return matching.distances(probe, subspace, edges, lambda number: mixture, first)


def test_operations_that_compute_the_same_have_no_distance_and_stay_together():
    probe, branch, _ = probe_of()
    for edge, column, module in list(branch.supernet.operations()):
        if (edge, column) == (1, 3):  # pooling becomes another identity
            for cell in branch.supernet.cells:
                for row, modules in zip(cell.edges, cell.operations, strict=True):
                    if row == edge and modules[column] is module:
                        modules[column] = nn.Identity()
    found = measured(probe, Matching(3), [1])[1]
    assert found[1, 3] < 1e-12
    assert found[1, 2] > 1e-3
    groups = Partitioner(2).best(found, ToySpace().edges[1].operations)
    assert any({1, 3} <= set(group) for group in groups)


def test_measuring_changes_nothing_and_repeats():
    probe, branch, _ = probe_of()
    before = fingerprint(branch.state_dict())
    first, second = (measured(probe, Matching(3), [0, 4]) for _ in range(2))
    assert fingerprint(branch.state_dict()) == before and branch.supernet.training
    assert fingerprint(first) == fingerprint(second)
    assert [len(each) for each in first.values()] == [4, 3]
    other = measured(probe, Matching(3), [0, 4], first=3)
    assert fingerprint(first) != fingerprint(other)


def test_more_batches_bring_less_variance():
    probe, *_ = probe_of()
    few = torch.stack([measured(probe, Matching(1), [1], first)[1] for first in range(6)])
    many = torch.stack([measured(probe, Matching(4), [1], 4 * first)[1] for first in range(6)])
    assert many.var(0).sum() < 0.6 * few.var(0).sum()


def test_all_operations_see_one_batch_and_one_mixture_of_the_other_edges():
    probe, *_ = probe_of()
    seen = []
    gradients_of = probe.gradients

    def spy(mixture, batch, of):
        seen.append((mixture, batch, list(of)))
        return gradients_of(mixture, batch, of)

    probe.gradients = spy
    drawn = [Mixture.of(ToySpace().from_text(text)) for text in ("conv,skip,pool,conv,skip",) * 2]
    Matching(2).distances(probe, probe.subspace, [0, 1], lambda number: drawn[number], 0)
    assert len(seen) == 2 * (4 + 4)
    for group, edge in ((seen[0:4], 0), (seen[4:8], 1), (seen[8:12], 0), (seen[12:16], 1)):
        others = [row for row in range(5) if row != edge]
        assert len({batch.images.data_ptr() for _, batch, _ in group}) == 1
        assert [int(mixture.active[edge].nonzero()) for mixture, *_ in group] == [0, 1, 2, 3]
        for mixture, _, _ in group:
            assert mixture.weights[edge].sum() == 1
            assert torch.equal(mixture.weights[others], drawn[0].weights[others])
    assert torch.equal(seen[0][1].images, seen[4][1].images)
    assert not torch.equal(seen[0][1].images, seen[8][1].images)


@pytest.mark.parametrize("scope", ["cells", "all"])
def test_the_weights_of_the_edge_itself_are_left_out_in_all_cells(scope):
    probe, branch, _ = probe_of()
    for edge in range(5):
        own = {
            id(weight)
            for row, _, module in branch.supernet.operations()
            if row == edge
            for weight in module.parameters()
        }
        shared = set(Matching(1, scope=scope).shared(probe, edge))
        live = dict(branch.supernet.named_parameters())
        assert not own & {id(live[name]) for name in shared}
        assert ("stem.weight" in shared) == (scope == "all")
        assert len(shared) == len(live) - len(own) - (0 if scope == "all" else 4)


def test_nas_bench_201_shares_as_many_weights_as_in_the_authors_code():
    probe = Probe.__new__(Probe)  # weights and operations are all that is asked for
    probe._branch = SimpleNamespace(supernet=NasBench201Space().supernet(Task(10, 3, 32)))
    sizes = {name: weight.numel() for name, weight in probe.weights.items()}
    assert sum(sizes.values()) == 1_686_106

    def count(edge, **settings):
        return sum(sizes[name] for name in Matching(1, **settings).shared(probe, edge))

    theirs = {"scope": "all", "leave_out": ("stem", "head")}
    assert {count(edge, **theirs) for edge in range(6)} == {1_416_064}
    assert count(3, scope="all") == 1_417_306
    assert count(3, scope="cells") == 1_344_000  # without the blocks between the stages


def test_a_probe_without_shared_weights_says_so():
    probe, *_ = probe_of()
    with pytest.raises(ConfigurationError, match="no weights with scope=cells are left"):
        Matching(1, leave_out=("cells",)).shared(probe, 0)


def test_soft_forcing_keeps_the_weight_and_falls_back_to_hard_on_a_path():
    subspace = ToySpace().full()
    uniform = Mixture.uniform(subspace)
    columns = [0, 1, 2, 3]
    soft = forced(uniform, 1, 2, columns, "soft")
    assert soft.weights[1].tolist() == [0, 0, 0.25, 0]
    assert forced(uniform, 1, 2, columns, "hard").weights[1].tolist() == [0, 0, 1, 0]
    path = Mixture.of(ToySpace().from_text("conv,skip,pool,conv,skip"))
    assert forced(path, 1, 2, columns, "soft").weights[1].tolist() == [0, 0, 1, 0]
    others = [0, 2, 3, 4]
    assert torch.equal(soft.weights[others], uniform.weights[others])


def test_gradients_that_are_not_finite_are_refused():
    probe, branch, _ = probe_of()
    with torch.no_grad():
        branch.supernet.head.weight.fill_(torch.inf)
    with pytest.raises(DivergenceError, match="gradient is not finite after 0 epochs"):
        measured(probe, Matching(1), [0])
