"""The table of contents: what `from nastk import ...` offers is sorted, complete, documented."""

import ast
import inspect
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import nastk
import nastk.testing
from nastk import base, cli, data, limits, nn, report, spaces, train

PACKAGES = [nastk, nastk.testing, base, cli, data, limits, nn, report, spaces, train]


def listed(package):
    """(module, name) of every line of a package's `__init__.pyi`."""
    tree = ast.parse(Path(package.__file__).with_suffix(".pyi").read_text())
    lines = [node for node in tree.body if ast.unparse(node) != "__version__: str"]
    assert all(isinstance(node, ast.ImportFrom) and len(node.names) == 1 for node in lines)
    return [(node.module, node.names[0]) for node in lines]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_all_is_sorted_and_equals_the_list(package):
    names = [alias.name for _, alias in listed(package)]
    assert package.__all__ == sorted(package.__all__)
    assert sorted(names) == package.__all__
    assert dir(package) == package.__all__


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_the_list_is_ordered_by_module_and_exports_each_name_as_itself(package):
    lines = listed(package)
    assert [module for module, _ in lines] == sorted(module for module, _ in lines)
    assert all(alias.asname == alias.name for _, alias in lines)


@pytest.mark.parametrize(
    ("package", "module", "name"),
    [(package, module, alias.name) for package in PACKAGES for module, alias in listed(package)],
)
def test_each_name_loads_from_its_module_and_says_what_it_is(package, module, name):
    found = getattr(package, name)
    assert found is getattr(import_module(f"{package.__name__}.{module}"), name)
    # A name for a type has no docstring of its own.
    assert inspect.getdoc(found) or package not in (nastk, nastk.testing)


def test_a_name_that_nastk_does_not_have_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        nastk.no_such_name  # noqa: B018


def test_the_version_is_that_of_the_installed_package():
    assert nastk.__version__ == version("nastk")
