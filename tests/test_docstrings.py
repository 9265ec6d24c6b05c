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
