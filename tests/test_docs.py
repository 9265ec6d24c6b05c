"""The documentation says what the code says: hooks, components, options, help, links, commands."""

import ast
import html
import importlib.util
import inspect
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

import nastk
from nastk import catalogue, resolve
from nastk.base import hookspecs
from nastk.cli.app import build
from nastk.runs.problem import problems

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
FOLDERS = {
    "space": "spaces",
    "updater": "updaters",
    "evaluator": "evaluators",
    "data": "data",
    "tracker": "trackers",
    "executor": "executors",
}
# What is for tests alone is described in testing-a-plugin.md.
OURS = [
    one
    for one in catalogue().all()
    if one.distribution == "nastk" and not one.offer.name.startswith("toy")
]
FENCE = re.compile(r"^````?(\w*)[^\n]*\n(.*?)^````?$", re.DOTALL | re.MULTILINE)
# Pages of components quote lines of code; these ones hold whole programs.
PROGRAMS = [page for page in PAGES if page.parent in (ROOT, DOCS)]


def identify(value):
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else None


def module_of(name):
    """A module that is part of the documentation."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(page, language):
    return [code for found, code in FENCE.findall(page.read_text()) if found == language]


def headings(page):
    """The anchors of a page, as mkdocs makes them."""
    text = FENCE.sub("", page.read_text())
    titles = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {
        re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles
    }


# ---------------------------------------------------------------- what comes from the code


def hooks():
    tree = ast.parse(inspect.getsource(hookspecs))
    marked = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list
    ]
    return [
        f"{node.name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns)}".replace("'", "")
        for node in marked
    ]


def test_there_are_nine_hooks():
    assert len(hooks()) == 9


@pytest.mark.parametrize("signature", hooks())
def test_each_hook_is_a_heading_with_its_exact_signature(signature):
    assert f"\n## {signature}\n" in (DOCS / "plugin-hooks.md").read_text()


@pytest.mark.parametrize("one", OURS, ids=lambda one: f"{one.kind}-{one.offer.name}")
def test_each_component_has_its_page_with_its_options_and_is_in_the_index(one):
    folder = DOCS / FOLDERS[one.kind]
    page = folder / f"{one.offer.name}.md"
    assert page.is_file()
    if catalogue().load(one.kind, one.offer.name).Options.model_fields:
        shared = one.kind == "data" and "](digits.md#options)" in page.read_text()
        assert shared or f"<!-- options: {one.kind} {one.offer.name} -->" in page.read_text()
    assert f"[`{one.offer.name}`]({page.name})" in (folder / "index.md").read_text()


def test_option_tables_help_and_descriptions_are_current():
    generate = module_of("generate")
    stale = [str(page.relative_to(ROOT)) for page in generate.stale()]
    assert not stale, "run `python docs/generate.py`"


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_each_option_table_ends_once(page):
    text = page.read_text()
    markers = re.findall(r"^<!-- (?:options: [\w -]+|/options) -->$", text, re.MULTILINE)
    assert [marker[5:12] for marker in markers] == ["options", "/option"] * (len(markers) // 2)


def test_the_glossary_names_only_what_exists():
    named = re.findall(r"Class `(\w+)`", (DOCS / "glossary.md").read_text())
    assert len(named) > 15
    assert set(named) <= set(nastk.__all__)


def test_the_page_on_spaces_gives_the_signature_of_an_edge():
    (shown,) = re.findall(r"^nastk\.Edge(\(.+\))$", page_text("writing-a-space.md"), re.MULTILINE)
    assert shown == str(inspect.signature(nastk.Edge)).replace(" -> None", "")


def test_hooks_say_who_uses_them():
    text = page_text("plugin-hooks.md")
    for one in OURS:
        assert f"`{one.offer.name}`" in text


def page_text(name):
    return (DOCS / name).read_text()


def test_formulas_become_mathml():
    pytest.importorskip("latex2mathml")
    hook = module_of("mathml")
    shown = hook.on_page_content(
        '<p>a <span class="arithmatex">\\(x &lt; 1\\)</span></p>'
        '<div class="arithmatex">\\[\n\\frac{1}{n}\n\\]</div>'
    )
    assert 'display="inline"' in shown and 'display="block"' in shown
    assert "<mfrac>" in shown and "arithmatex" not in shown
    assert "<mo><</mo>" in html.unescape(shown)


# ---------------------------------------------------------------- what a reader follows


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_links_lead_somewhere(page):
    text = FENCE.sub("", page.read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{target} does not exist"
        assert ROOT in linked.parents or linked == ROOT
        assert not anchor or anchor in headings(linked), f"{target} has no such heading"


@pytest.mark.parametrize("page", PROGRAMS, ids=identify)
def test_python_in_pages_is_python_and_names_what_nastk_has(page):
    for code in blocks(page, "python"):
        if "--8<--" in code:
            for included in re.findall(r'--8<-- "(.+)"', code):
                assert (ROOT / included).is_file()
            continue
        for node in ast.walk(ast.parse(code)):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "nastk"
            ):
                assert node.attr in nastk.__all__
            if isinstance(node, ast.ImportFrom) and node.module == "nastk":
                assert {alias.name for alias in node.names} <= set(nastk.__all__)


@pytest.mark.parametrize("page", PROGRAMS, ids=identify)
def test_yaml_in_pages_is_a_configuration(page):
    for code in blocks(page, "yaml"):
        request = yaml.safe_load(code)
        own = request.pop("problems", None)
        if own is None:
            assert resolve(request)
            continue
        for problem in problems(request["space"], request["data"], own):
            assert resolve({**problem.request(request), "updater": "random"})


def commands(page):
    """Every nastk command of a page, as a list of words."""
    lines = [line for code in blocks(page, "bash") for line in code.splitlines()]
    lines += re.findall(r"`(nastk [^`]+)`", FENCE.sub("", page.read_text()))
    return [
        words[1:] for line in lines if (words := re.sub(r" #.*", "", line).split())[:1] == ["nastk"]
    ]


@cache
def command_line():
    return get_command(build()).commands


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_commands_in_pages_exist_with_their_flags(page):
    known = command_line()
    for name, *words in commands(page):
        if name.startswith("-") or name.isupper():
            continue
        assert name in known, f"nastk {name}"
        command = getattr(known[name], "commands", {}).get(words[0] if words else "", known[name])
        flags = {flag for parameter in command.params for flag in parameter.opts} | {
            "--help",
            "-h",
        }
        assert {word for word in words if re.match(r"--?[a-z]", word)} <= flags, " ".join(
            [name, *words]
        )


# ---------------------------------------------------------------- setting up


def test_each_page_is_in_the_navigation():
    text = (ROOT / "mkdocs.yml").read_text()
    shown = re.findall(r"^ +- (?:[^:\n]+: )?(\S+\.md)$", text[text.index("\nnav:") :], re.MULTILINE)
    assert sorted(shown) == [str(page.relative_to(DOCS)) for page in sorted(DOCS.rglob("*.md"))]


def test_readme_has_exactly_two_set_up_commands_on_a_line_each():
    found = blocks(ROOT / "README.md", "bash")
    start = "python3 -m venv .venv && . .venv/bin/activate && pip install -e "
    assert found == [
        start + ". && nastk search --space darts --updater shapley\n",
        start + "'.[dev]' && OMP_NUM_THREADS=1 pytest -n 2\n",
    ]


def test_ci_takes_its_commands_from_the_readme_and_runs_what_pre_commit_runs():
    script = (ROOT / ".ci" / "run").read_text()
    assert "grep '^python3 -m venv .venv && ' README.md" in script
    assert subprocess.run(["bash", "-n", ROOT / ".ci" / "run"]).returncode == 0
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert [hook["entry"] for hook in hooks] == [
        "ruff check",
        "ruff format",
        "mypy",
        "lint-imports",
    ]
    for hook in hooks:
        assert f"\nstep {hook['entry']}" in script


def test_no_file_names_a_folder_of_somebodys_machine():
    path = re.compile(r"(?<![\w.~}])/(?:work|root|home|Users|tmp)/\w")
    kinds = {".py", ".pyi", ".md", ".toml", ".yml", ".yaml", ".txt", ".js"}
    places = [ROOT / name for name in ("nastk", "plugins", "docs", "examples", "tests", ".ci")]
    files = [
        file
        for place in places
        for file in place.rglob("*")
        if file.is_file() and file.suffix in kinds
    ]
    files += [file for file in ROOT.iterdir() if file.suffix in kinds]
    assert len(files) > 100
    found = [
        f"{file.relative_to(ROOT)}: {match[0]}"
        for file in files
        for match in path.finditer(file.read_text())
    ]
    assert not found
