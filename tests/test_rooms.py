"""House rules that readers rely on: imports point down, trainer without methods, light plugins."""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest

from nastk import catalogue

ROOT = Path(__file__).parent.parent
CORE = ROOT / "nastk"
ROOMS = sorted(path.parent.name for path in CORE.glob("*/__init__.py"))
TRAINER = ROOT / "nastk" / "train" / "trainer.py"
OURS = [point for point in entry_points(group="nastk") if point.dist and point.dist.name == "nastk"]
SOURCES = sorted([*(ROOT / "nastk").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])

COMPONENTS = {
    name
    for offers in catalogue().installed.values()
    for name, installed in offers.items()
    if any(one.distribution == "nastk" for one in installed)
}
ENGLISH = {
    "csv", "digits", "fair", "folder", "latency", "processes", "random", "size", "smooth",
    "supernet", "table",
}  # fmt: skip
EXAMPLE = r"(?:such as|e\.g\.|Default:|one that does not, as|--\w+|-e) "
OTHER_MEANING = {
    ("base/study_settings.py", "size"): "an option of data: the side of an image",
    ("base/environment.py", "torchvision"): "a library",
    ("cli/doctor.py", "torchvision"): "the library",
    ("cli/evaluate.py", "size"): "the side of an image, of `Task`",
    ("cli/run.py", "size"): "an option of data: the side of an image",
    ("data/task.py", "size"): "the side of an image, of `Task`",
    ("limits/limit.py", "latency"): "a metric",
    ("report/numbers.py", "latency"): "a metric",
    ("report/quality.py", "supernet"): "a kind of ranking",
    ("train/ranking.py", "supernet"): "a kind of ranking",
    ("train/branch.py", "supernet"): "a key of checkpoints",
    ("runs/describing.py", "processes"): "the number of those that compute a run",
}


def test_imports_point_down():
    linter = Path(sys.executable).with_name("lint-imports")
    if not linter.exists():
        pytest.skip("import-linter is not installed")
    done = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_no_modules_import_each_other_in_a_circle():
    names = {
        path: ".".join(path.relative_to(ROOT).with_suffix("").parts).removeprefix("plugins.")
        for path in SOURCES
    }
    modules = set(names.values())
    imported = {name: imports(path) & modules - {name} for path, name in names.items()}
    assert "nastk.runs.session" in imported["nastk.runs.lightning_session"]
    TopologicalSorter(imported).prepare()  # raises CycleError, which names the circle


def imports(source):
    """The names that a file imports anywhere, within functions and for type checkers included."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
    return found


@pytest.mark.parametrize("word", ["isinstance", "hasattr", "getattr", "type"])
def test_the_trainer_asks_nobody_what_it_is(word):
    called = [
        node.func for node in ast.walk(ast.parse(TRAINER.read_text())) if isinstance(node, ast.Call)
    ]
    assert word not in {function.id for function in called if isinstance(function, ast.Name)}


@pytest.mark.parametrize(
    "source", sorted((ROOT / "plugins").rglob("*.py")), ids=lambda path: path.stem
)
def test_a_plugin_takes_public_names_and_never_the_trainer(source):
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "nastk":
            names = {alias.name for alias in node.names}
            assert names <= set(import_module(node.module).__all__), node.module
            assert not names & {"Trainer", "Branch", "assemble", "Assembly"}
        if isinstance(node, ast.Import):
            assert not [alias for alias in node.names if alias.name.startswith("nastk.")]


@pytest.mark.parametrize("kind", ["space", "updater"])
def test_the_trainer_names_no_plugin(kind):
    tree = ast.parse(TRAINER.read_text())
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(
            node
        ):
            node.body[0] = ast.Pass()
    # `random` is also a module of torch's, and an ordinary word in docstrings and comments.
    code = ast.unparse(tree).lower().replace("torch.random", "torch")
    assert "nastk_" not in code
    assert not [
        name for name in catalogue().names(kind) if re.search(rf"\b{re.escape(name)}\b", code)
    ]


def test_the_core_names_no_plugin():
    """Nor any component, but for the defaults: docstrings and comments apart."""
    assert {
        (str(source.relative_to(CORE)), line, name)
        for source in sorted(CORE.rglob("*.py"))
        if CORE / "testing" not in source.parents and source.name != "defaults.py"
        for line, name in components_named(source)
        if (str(source.relative_to(CORE)), name) not in OTHER_MEANING
    } == set()


def components_named(source):
    """Components of ours in the strings of a module: (line, name).

    Names that are words of English too (`size`) count as a whole string and where a sentence gives
    an example, all others anywhere.
    """
    tree = ast.parse(source.read_text())
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            for name in COMPONENTS:
                before = EXAMPLE if name in ENGLISH else r"(?<![\w-])"
                found = re.search(rf"{before}{re.escape(name)}(?![\w-])", node.value)
                if found or node.value == name:
                    yield node.lineno, name


@pytest.mark.parametrize("point", OURS, ids=lambda point: point.name)
def test_a_plugin_announces_itself_with_hooks_alone(point):
    tree = ast.parse(Path(find_spec(point.value).origin).read_text())
    at_once = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert {ast.unparse(node).split()[1] for node in at_once} <= {"nastk", "typing"}
    checked = [node for node in tree.body if isinstance(node, ast.If)]
    assert all(ast.unparse(node.test) == "TYPE_CHECKING" for node in checked)
    light = (ast.ImportFrom, ast.FunctionDef, ast.If)
    assert all(isinstance(node, light) for node in tree.body[1:])


def test_everything_ours_comes_in_through_entry_points():
    folders = {folder.name for folder in (ROOT / "plugins").glob("nastk_*")}
    assert folders | {"nastk.testing.plugin"} == {point.value for point in OURS}
    assert not catalogue().problems


@pytest.mark.parametrize("room", ROOMS)
def test_the_architecture_page_names_every_module_in_the_row_of_its_room(room):
    page = (ROOT / "docs" / "architecture.md").read_text()
    (row,) = re.findall(rf"^\| `{room}/` \|.*$", page, re.MULTILINE)
    named = set(re.findall(r"`(\w+)/?`", row)) - {room}
    inside = [path.relative_to(CORE / room) for path in (CORE / room).rglob("*.py")]
    assert named == {part.removesuffix(".py") for path in inside for part in path.parts} - {
        "__init__"
    }


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_short_begins_with_what_it_is_for_and_postpones_nothing(source):
    text = source.read_text()
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text))
    assert "from __future__" not in text
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", text)


def test_the_walk_through_the_house_meets_no_module_twice():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    walk = page.split("## Through the house\n")[1].split("\n## ")[0]
    stops = re.findall(r"`(\w+/\w+)`", walk)
    assert len(stops) > 30 and {stop.split("/")[0] for stop in stops} >= {
        "cli", "runs", "report", "limits", "train", "spaces", "nn", "data", "base"
    }  # fmt: skip
    assert len(stops) == len(set(stops))
    missing = [stop for stop in stops if not (CORE / f"{stop}.py").exists()]
    assert missing == []
