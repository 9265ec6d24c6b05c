"""What is built and published: every list of plugins names all of them, and types come along."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PLUGINS = {folder.name for folder in (ROOT / "plugins").glob("nastk_*")}
LINTER = PROJECT["tool"]["importlinter"]
CONTRACTS = {contract["type"]: contract for contract in LINTER["contracts"]}
LISTS = {
    "entry points": set(PROJECT["project"]["entry-points"]["nastk"].values())
    - {"nastk.testing.plugin"},
    "packages of the wheel": {
        Path(package).name
        for package in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
        if package.startswith("plugins/")
    },
    "packages that import-linter reads": set(LINTER["root_packages"]) - {"nastk"},
    "plugins that do not import each other": set(CONTRACTS["independence"]["modules"]),
    "plugins that import public names": set(CONTRACTS["forbidden"]["source_modules"]),
}


@pytest.mark.parametrize("name", LISTS)
def test_every_list_in_pyproject_names_every_plugin(name):
    assert LISTS[name] == PLUGINS


@pytest.mark.parametrize("package", ["nastk", *sorted(f"plugins/{name}" for name in PLUGINS)])
def test_every_package_tells_type_checkers_that_it_is_typed(package):
    assert (ROOT / package / "py.typed").is_file()


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["project"]["version"]
    assert citation["license"] == PROJECT["project"]["license"]
    authors = [author["name"] for author in PROJECT["project"]["authors"]]
    assert [author["name"] for author in citation["authors"]] == authors
    required = {"cff-version", "message", "title", "authors"}  # of the format's version 1.2.0
    assert required <= set(citation)
    assert re.match(r"nastk\b", citation["title"])
