"""The examples in docstrings that show their answers give these answers."""

import doctest
import importlib

import pytest

MODULES = ["errors", "component", "seeds", "subspace", "architecture", "cost", "training"]


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name):
    module = importlib.import_module(f"nastk.{name}")
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_the_test_process_checks_shapes_and_types():
    """The hook of `conftest.py` is on: what a user's process would let through is refused here."""
    import torch

    from nastk import Mixture, Schedule

    with pytest.raises(TypeError, match=r"(?i)type-check"):
        Mixture(torch.ones(2, 3), torch.ones(2, 2, dtype=torch.bool))
    with pytest.raises(TypeError, match=r"(?i)type-check"):
        Schedule(0.1, 0.0, 0, 5).rate("first")
