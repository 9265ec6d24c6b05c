import pytest

from nastk import NastkError, UnknownNameError
from nastk.base import errors
from nastk.base.errors import near_miss

EXIT_CODES = {
    "NastkError": 1,
    "ConfigurationError": 2,
    "UnknownNameError": 2,
    "MissingExtraError": 2,
    "DataError": 2,
    "PluginError": 1,
    "CheckpointError": 1,
    "UnreadableError": 1,
    "WriteError": 1,
    "DivergenceError": 1,
    "LostProcessError": 1,
    "ObserverError": 1,
    "BusyError": 1,
    "StopRequested": 130,
}


def test_every_error_is_in_the_tree_and_in_the_docstring():
    raised = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert raised == set(EXIT_CODES)
    assert all(name in errors.__doc__ for name in raised)
    assert all(issubclass(getattr(errors, name), NastkError) for name in raised)


@pytest.mark.parametrize(("name", "code"), EXIT_CODES.items())
def test_exit_codes(name, code):
    assert getattr(errors, name).exit_code == code


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("dart", ["darts", "nasbench201"], " Did you mean 'darts'?"),
        ("shapely", ["darts", "shapley"], " Did you mean 'shapley'?"),
        ("xyz", ["darts"], ""),
        ("darts", [], ""),
    ],
)
def test_near_miss(name, known, said):
    assert near_miss(name, known) == said


def test_an_unknown_name_lists_the_known_ones_sorted():
    assert (
        str(UnknownNameError.of("updater", "xyz", ["b", "a"]))
        == "No updater is named 'xyz'. Known: a, b."
    )
    assert (
        str(UnknownNameError.of("updater", "xyz", [])) == "No updater is named 'xyz'. Known: none."
    )
