"""Optional libraries: every extra is asked for somewhere, and a missing one says its command."""

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from nastk import ConfigurationError
from nastk.base import MissingExtraError, library

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
BY_PURPOSE = sorted(set(EXTRAS) - {"all", "dev"})


def plain(name):
    """A distribution's name as it is compared: `scikit_learn` and `Scikit-Learn` are one."""
    return re.sub(r"[-_.]+", "-", name).lower()


def distribution(requirement):
    return plain(re.match(r"[\w.-]+", requirement)[0])


def calls():
    """(module, extra) of every call of `library` in the code."""
    for source in [*(ROOT / "nastk").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]:
        text = source.read_text(encoding="utf-8")
        # Most files have none, and parsing all of them takes seconds.
        for node in ast.walk(ast.parse(text)) if "library(" in text else ():
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "library":
                given = [one.value for one in node.args[:2] if isinstance(one, ast.Constant)]
                assert len(given) == 2, f"{source.name}: name module and extra as they are"
                yield tuple(given)


CALLS = sorted(set(calls()))
DISTRIBUTIONS = cache(packages_distributions)


def test_every_extra_is_asked_for_in_the_code_and_no_other():
    assert {extra for _, extra in CALLS} == set(BY_PURPOSE)


@pytest.mark.parametrize(("module", "extra"), CALLS)
def test_the_extra_brings_the_library(module, extra):
    package = module.partition(".")[0]
    installed = {plain(name) for name in DISTRIBUTIONS().get(package, [])}
    if not installed:
        pytest.skip(f"{package} is not installed")
    assert installed & {distribution(requirement) for requirement in EXTRAS[extra]}


@pytest.mark.parametrize(("module", "extra"), CALLS)
def test_a_missing_library_is_an_error_with_its_command(module, extra, monkeypatch):
    package = module.partition(".")[0]
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError) as caught:
        library(module, extra, "what was asked")
    assert str(caught.value) == (
        f"what was asked needs {package}. Install it with `pip install 'nastk[{extra}]'`."
    )
    assert isinstance(caught.value, ConfigurationError)


def test_all_brings_every_extra_and_developers_have_them_too():
    (everything,) = EXTRAS["all"]
    assert everything == f"nastk[{','.join(BY_PURPOSE)}]"
    assert "nastk[all]" in EXTRAS["dev"]


def test_the_installation_page_has_a_row_for_each_extra():
    page = (ROOT / "docs" / "installation.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `pip install -e '\.\[([\w-]+)\]'` \|", page, re.MULTILINE))
    assert rows == set(EXTRAS)


BROKEN = [
    ("import no_such_part_of_it", r"does not load \(ModuleNotFoundError: No module named"),
    ("raise AttributeError('of  another\\nversion')", r"\(AttributeError: of another version\)"),
]


@pytest.mark.parametrize(("code", "said"), BROKEN)
def test_a_library_that_does_not_load_says_why(code, said, tmp_path, monkeypatch):
    (tmp_path / "half_there.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtraError, match=said):
        library("half_there", "networkx", "a test")


def test_a_way_around_the_library_is_said():
    with pytest.raises(MissingExtraError, match=r"'nastk\[hub\]'`, or leave it\.$"):
        library("no_such_library", "hub", "a test", "leave it")
