"""`nastk new`: names, files, and packages that work as they were written."""

import importlib.util
import inspect
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import nastk_new
from nastk import ConfigurationError, catalogue
from nastk.base.plugins import KINDS as HOOKED
from nastk.report import descriptions
from nastk_new import writing
from nastk_new.names import KINDS, LONGEST, Names
from nastk_new.writing import contents, write

ROOT = Path(__file__).parents[2]
LONG = "a" * (LONGEST - 2) + "-b"
"""The longest names, and those whose class is in capitals, would lay lines out otherwise."""


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("updater", "my-method", ("nastk-my-method", "nastk_my_method", "MyMethod")),
        ("space", "x2", ("nastk-x2", "nastk_x2", "X2")),
        ("updater", "mixture", ("nastk-mixture", "nastk_mixture", "MixtureUpdater")),
        ("data", "true", ("nastk-true", "nastk_true", "TrueData")),
        ("space", "exception", ("nastk-exception", "nastk_exception", "ExceptionSpace")),
        ("evaluator", "field", ("nastk-field", "nastk_field", "FieldEvaluator")),
    ],
)
def test_a_name_becomes_a_distribution_a_package_and_a_class(
    kind: str, name: str, expected: tuple[str, str, str]
) -> None:
    names = Names.of(kind, name)
    assert (names.distribution, names.package, names.class_name) == expected


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("model", "mine", r"no kind 'model' of plugin\. Expected updater, space, eva"),
        *(
            ("updater", name, r"small letters, digits and single hyphens, .* my-method; got")
            for name in ("", "My", "2fast", "a--b", "a-", "a_b", "ä", "a" * (LONGEST + 1), "../up")
        ),
        ("updater", "shapley", r"The name 'shapley' is of nastk already\. Choose another"),
        ("data", "pair", r"The name 'pair' is a word of nastk itself"),
        ("data", "new", r"package nastk_new is installed already"),
    ],
)  # fmt: skip
def test_names_that_would_not_do_are_refused(kind: str, name: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Names.of(kind, name)


def test_a_name_of_another_kind_is_free() -> None:
    assert Names.of("evaluator", "random").package == "nastk_random"


def test_packages_offer_their_component_by_the_hook_of_its_kind() -> None:
    assert {kind: HOOKED[kind][0] for kind in KINDS} == writing.HOOKS


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_has_the_files_of_a_package(kind: str) -> None:
    texts = contents(Names.of(kind, "my-own"))
    package = "nastk_my_own"
    assert set(texts) == {
        "pyproject.toml", "README.md", "LICENSE", ".gitignore", f"{package}/__init__.py",
        f"{package}/py.typed", f"{package}/{kind}.py", f"tests/test_{kind}.py",
    }  # fmt: skip
    project = tomllib.loads(texts["pyproject.toml"])
    assert project["project"]["entry-points"]["nastk"] == {package: package}
    assert not [path for path, text in texts.items() if "$" in text]


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    names = Names.of("updater", "my-own")
    (tmp_path / "empty").mkdir()
    assert len(write(names, tmp_path / "empty")) == 8
    with pytest.raises(ConfigurationError, match=r"is not empty. Name another one with --out"):
        write(names, tmp_path / "empty")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="is a file"):
        write(names, tmp_path / "file")


def test_lines_are_laid_out_well_whatever_the_name(tmp_path: Path) -> None:
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")
    if ruff is None:
        pytest.skip("ruff is not installed")
    for kind in KINDS:
        for name in ("a", "a1", LONG):
            write(Names.of(kind, name), tmp_path / kind / name)
    for words in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        done = subprocess.run([ruff, *words, "."], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the package of a kind known to Python, as pip would; gives its test module."""

    def made(kind: str) -> Any:
        names = Names.of(kind, "fresh")
        write(names, tmp_path)
        info = tmp_path / "nastk_fresh-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nastk-fresh\nVersion: 0.1.0\n")
        (info / "entry_points.txt").write_text("[nastk]\nnastk_fresh = nastk_fresh\n")
        monkeypatch.syspath_prepend(tmp_path)
        catalogue.cache_clear()
        # By its file: nastk has test modules of the same names.
        file = tmp_path / "tests" / f"test_{kind}.py"
        spec = importlib.util.spec_from_file_location(f"fresh_{file.stem}", file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield made
    for name in [name for name in sys.modules if name.startswith("nastk_fresh")]:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(tmp_path)):
            del sys.modules[name]
    catalogue.cache_clear()


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("updater", marks=pytest.mark.slow),
        pytest.param("space", marks=pytest.mark.slow),
        "evaluator",
        "data",
        pytest.param("tracker", marks=pytest.mark.slow),
    ],
)
def test_its_own_tests_pass(known: Any, kind: str, tmp_path: Path) -> None:
    module = known(kind)
    (offered,) = [one for one in catalogue().all() if one.distribution == "nastk-fresh"]
    assert catalogue().load(kind, "fresh").summary == offered.offer.summary
    (contract,) = [one for name, one in vars(module).items() if name.startswith("TestFresh")]
    tests = [one for name, one in inspect.getmembers(contract()) if name.startswith("test_")]
    tests += [one for name, one in vars(module).items() if name.startswith("test_")]
    for number, test in enumerate(tests):
        given = dict.fromkeys(inspect.signature(test).parameters, tmp_path / f"t{number}")
        for folder in given.values():
            folder.mkdir()
        test(**given)
    assert len(tests) > 3
    assert "fresh" in descriptions._text("nastk_fresh")


def test_the_plugin_adds_the_command_once() -> None:
    import typer

    app = typer.Typer()
    nastk_new.commands(app=app)
    nastk_new.commands(app=app)
    assert [command.callback.__name__ for command in app.registered_commands] == ["new"]


@pytest.mark.slow
def test_packages_install_and_pass_their_tests_ruff_and_mypy(tmp_path: Path) -> None:
    """One of each kind, in an environment that sees the packages of this one."""
    place = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    (site,) = place.glob("lib/python*/site-packages")
    # Also in an environment of its own, this process sees these folders.
    (site / "seen.pth").write_text("\n".join(folder for folder in sys.path if folder))
    environment = {**os.environ, "MYPY_CACHE_DIR": str(tmp_path / "mypy"), "OMP_NUM_THREADS": "1"}
    python = place / "bin" / "python"

    def run(folder: Path, *words: object) -> str:
        done = subprocess.run(
            [str(python), *map(str, words)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    for kind in KINDS:
        run(tmp_path, "-m", "nastk", "new", kind, f"fresh-{kind}")
        folder = tmp_path / f"nastk-fresh-{kind}"
        options = ["--no-deps", "--no-build-isolation", "--quiet"]
        run(folder, "-m", "pip", "install", *options, ".")
        assert "passed" in run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider")
        run(folder, "-m", "ruff", "check", ".")
        run(folder, "-m", "ruff", "format", "--check", ".")
        run(folder, "-m", "mypy")
    listed = run(tmp_path, "-m", "nastk", "plugins", "--json")
    assert all(f"fresh-{kind}" in listed for kind in KINDS)
