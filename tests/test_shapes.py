"""The pass of the suite that checks shapes does check them (`shapes.py`)."""

import pytest
import torch

import nastk
from nastk.base.seeds import generator


@pytest.fixture(autouse=True)
def only_where_asked(pytestconfig):
    if not pytestconfig.getoption("jaxtyping_packages"):
        pytest.skip("checks calls where --jaxtyping-packages=…,shapes.checked is given")


def test_an_argument_of_another_type_is_refused():
    with pytest.raises(TypeError):
        generator("seed", "data")
    with pytest.raises(TypeError):
        nastk.Schedule(0.1, 0.0, 0, 5).rate("first")


def test_axes_of_one_name_have_one_size():
    with pytest.raises(TypeError):
        nastk.Mixture(torch.ones(2, 3), torch.ones(2, 2, dtype=torch.bool))
