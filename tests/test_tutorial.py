"""The plugin tutorial works as typed; `.ci/run` types it too, and installs it with pip."""

import sys
import tomllib
from pathlib import Path

import pytest
import tutorial_kit

import nastk
from nastk import catalogue


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The tutorial typed into an empty folder, and known to Python as pip would make it known."""
    folder = tmp_path / "nastk-coin"
    tutorial_kit.type_into(folder)
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    points = project["entry-points"]["nastk"]
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    (info / "entry_points.txt").write_text(
        "\n".join(["[nastk]", *(f"{name} = {value}" for name, value in points.items())])
    )
    monkeypatch.syspath_prepend(folder)
    catalogue.cache_clear()
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] in points]:
        del sys.modules[name]
    catalogue.cache_clear()


def test_the_listing_names_every_file_that_is_shown_and_no_other():
    assert sorted(tutorial_kit.listed()) == sorted(tutorial_kit.files())


def test_what_is_shown_is_the_finished_package():
    finished = tutorial_kit.ROOT / "examples" / "third_party_plugin"
    for path, text in tutorial_kit.files().items():
        assert (finished / path).read_text() == text


def test_the_project_file_names_only_files_that_a_reader_has_typed(package):
    whole = tomllib.loads((package / "pyproject.toml").read_text())
    assert (package / whole["project"]["readme"]).is_file()
    for name in whole["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        assert (package / name / "__init__.py").is_file()


@pytest.mark.parametrize("name", ["coin", "lucky-coin"])
def test_its_updaters_search(package, tmp_path, name):
    assert catalogue().find("updater", name).distribution == "nastk-coin"
    trainer = {"epochs": 1, "batch_size": 16}
    result = nastk.search("toy", name, "toy", trainer=trainer, out=tmp_path / "run")
    assert result.architecture.space == "toy"
    assert Path(sys.modules["nastk_coin"].__file__).is_relative_to(package)


def test_the_commands_install_what_they_run():
    words = tutorial_kit.commands()
    assert words[0] == "pip install -e ." and "pytest" in words
    ci = (tutorial_kit.ROOT / ".ci" / "run").read_text()
    assert "tests/tutorial_kit.py" in ci
