"""Every search that the documentation prints can be run as it stands; its networks are the papers'.

Nothing is trained: commands are read by the command line itself and resolved, networks are built
without storage.
"""

import re
import shlex
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from nastk import Task, catalogue, resolve
from nastk.cli import evaluate, run
from nastk.cli.app import build
from nastk.nn import parameters, without_auxiliary
from nastk.runs.config import evaluator_config, merge
from nastk.runs.evaluating import evaluator_use

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CODE = re.compile(r"`(nastk (?:search|evaluate) [^`\n]+)`|^(nastk (?:search|evaluate) .+)$", re.M)
# Placeholders, files that are the reader's, and the updaters that a page has its readers write.
OTHERS = re.compile(r"\.\.\.|…|RUN|PATH|PHOTOS|NAME|--config|--updater (coin|my-method)")
TASKS = {
    "cifar10": Task(10, 3, 32),
    "cifar100": Task(100, 3, 32),
    "svhn": Task(10, 3, 32),
    "imagenet": Task(1000, 3, 224),
}
# Millions of parameters of the second-order cell of DARTS, as its authors' networks have.
DARTS_V2 = {"cifar10": 3.3493, "imagenet": 4.7188}


def printed(page):
    """Each line of a page with a search: that, and the evaluation after it or None."""
    found = []
    for line in re.sub(r" \\\n *", " ", page.read_text()).splitlines():
        commands = [one or other for one, other in CODE.findall(line)]
        commands = [one.split(" #")[0] for one in commands if not OTHERS.search(one)]
        searches = [one for one in commands if one.startswith("nastk search")]
        evaluated = [one for one in commands if one.startswith("nastk evaluate")]
        if searches and evaluated:
            found.append((searches[-1], evaluated[-1]))
        else:
            found += [(one, None) for one in searches]
    return found


LINES = [(page, *pair) for page in PAGES for pair in printed(page)]
REPRODUCTIONS = [(search, evaluated) for _, search, evaluated in LINES if evaluated is not None]


@pytest.fixture(scope="module")
def app():
    return build()


@pytest.fixture
def asked(app, monkeypatch):
    """A function that gives what the command line hands on for a command, and runs nothing."""
    heard = []
    monkeypatch.setattr(run, "search", lambda *given: heard.append(given))
    monkeypatch.setattr(evaluate, "evaluate", lambda *given: heard.append(given))

    def ask(command):
        done = CliRunner().invoke(app, shlex.split(command)[1:])
        assert done.exit_code == 0, done.output
        return heard.pop()

    return ask


def config_of(given):
    """The configuration of a search, from what the command line hands on."""
    flags, options, epochs = given[:3]
    return resolve(merge({}, run.request_of(flags, options, epochs)))


def test_many_commands_are_printed_and_some_of_them_reproduce_a_paper():
    assert len(LINES) > 50 and len(REPRODUCTIONS) >= 9


@pytest.mark.parametrize(
    ("page", "search"),
    [pytest.param(page.name, search, id=f"{page.stem}-{search}") for page, search, _ in LINES],
)
def test_every_search_that_is_printed_resolves(page, search, asked):
    config = config_of(asked(search))
    assert config.space.name in search


@pytest.mark.quick_cases(4)
@pytest.mark.parametrize(("search", "evaluated"), REPRODUCTIONS, ids=lambda text: text[6:])
def test_a_reproduction_trains_the_published_network(search, evaluated, asked):
    given = asked(search)
    config = config_of(given)
    word, request, _ = asked(evaluated)
    assert Path(word) == given[4]  # the folder that the search was told to write
    assert config.preset is not None and not request.options
    (use,) = request.uses()
    found = evaluator_config(use, config)
    recipe = found.options
    assert found.name == "retrain" and recipe["preset"] is not None
    assert recipe["split"] == "train+valid"
    kind = catalogue().load("space", config.space.name)
    space = kind(kind.parse_options(config.space.options))
    network = built(space, recipe, config.data.name)
    assert network.auxiliary is not None and recipe["auxiliary_weight"] == 0.4
    if config.data.name == "imagenet":
        assert (recipe["label_smoothing"], recipe["epochs"]) == (0.1, 250)
        assert list(request.data_options) == ["limit=null"]  # the search saw a part of the images
    else:
        assert (recipe["cutout"], recipe["epochs"]) == (16, 600)
        assert recipe["drop_path"] in (0.2, 0.3) and not request.data_options


def built(space, recipe, data):
    """The network of DARTS's second-order cell (or some cell of a space that has it not)."""
    cell = space.sample(space.full(), torch.Generator().manual_seed(0))
    if space.name == "darts":
        cell = space.from_text("DARTS_V2")
    with torch.device("meta"):
        return space.with_options(recipe["network"]).network(cell, TASKS[data])


def retraining():
    """Every preset of `retrain` on the space of DARTS cells, with every data set that it names."""
    presets = catalogue().load("evaluator", "retrain").presets
    return [
        (preset.name, data)
        for preset in presets
        for data in preset.data
        if preset.fits("darts", data)
    ]


@pytest.mark.quick_cases(5)
@pytest.mark.parametrize(("preset", "data"), retraining())
def test_every_preset_for_darts_cells_builds_the_published_network(preset, data):
    config = resolve({"space": "darts", "updater": "random", "data": data})
    recipe = evaluator_config(evaluator_use(f"retrain,preset={preset}"), config).options
    kind = catalogue().load("space", "darts")
    network = built(kind(kind.parse_options(config.space.options)), recipe, data)
    assert network.auxiliary is not None
    if data in DARTS_V2:
        millions = parameters(without_auxiliary(network)) / 1e6
        assert round(millions, 4) == DARTS_V2[data]


@pytest.mark.parametrize("updater", catalogue().names("updater"))
def test_every_published_search_on_darts_cells_can_be_retrained_as_the_paper_did(updater):
    for preset in catalogue().load("updater", updater).presets:
        if preset.name == "quick" or "darts" not in preset.space:
            continue
        for data in preset.data:
            request = {"space": "darts", "updater": updater, "data": data, "preset": preset.name}
            recipe = evaluator_config(evaluator_use("retrain,preset=paper"), resolve(request))
            assert recipe.options["network"] == {"auxiliary": True}
