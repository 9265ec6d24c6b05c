import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from nastk.base.seeds import generator, seed_of, seeded, set_seed

# Golden: a change of these numbers changes every run that anybody has made.
GOLDEN = {
    (0, "data"): 736872305540241488,
    (0, "weights"): 133441691874178746,
    (7, "updater", "0.1"): 760239334238139698,
}


@pytest.mark.parametrize(("name", "seed"), GOLDEN.items())
def test_seeds_stay_the_same_between_versions(name, seed):
    assert seed_of(*name) == seed


@given(some.integers(0, 2**62), some.text(max_size=10))
def test_seeds_fit_torch(seed, name):
    number = seed_of(seed, name)
    assert 0 <= number < 2**63
    torch.Generator().manual_seed(number)


def test_streams_are_independent_and_leave_the_global_one_alone():
    before = torch.manual_seed(987654).get_state()
    first, again, other = (
        torch.rand(8, generator=generator(0, name)) for name in ("data", "data", "weights")
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


@given(some.integers(0, 2**63 - 1))
def test_what_is_begun_draws_as_after_torch_s_own_seeding(seed):
    set_seed(seed, torch.device("cpu"))
    ours = torch.rand(4)
    torch.manual_seed(seed)
    assert torch.equal(ours, torch.rand(4))


def test_what_is_seeded_ends_where_the_streams_were():
    before = torch.manual_seed(987654).get_state()
    with seeded(3, torch.device("cpu")):
        inside = torch.rand(4)
    assert torch.equal(torch.get_rng_state(), before)
    set_seed(3, torch.device("cpu"))
    assert torch.equal(torch.rand(4), inside)
