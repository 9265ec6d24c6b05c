"""Every preset that anything installed brings resolves, for each space and data it names."""

import re
from collections import Counter
from itertools import product
from math import ceil
from pathlib import Path

import pytest

from nastk import Plan, Preset, catalogue, resolve
from nastk.base import EXPERIMENTAL
from nastk.base.seeds import generator

PAGES = Path(__file__).parents[2] / "docs" / "updaters"
IMAGES = 50_000
KINDS = ("space", "updater", "data", "evaluator")
OURS = [
    (kind, name, preset)
    for kind in KINDS
    for name in catalogue().names(kind)
    if catalogue().find(kind, name).distribution == "nastk" and not name.startswith("toy")
    for preset in catalogue().load(kind, name).presets
]


def cases() -> list[tuple[str, str, str, Preset]]:
    """(updater, space, data, preset) for each combination that an updater's presets name.

    A folder has a path, which is not looked at before the images are.
    """
    found = []
    for updater in catalogue().names("updater"):
        for preset in catalogue().load("updater", updater).presets:
            for space in preset.space or ("darts",):
                for data in preset.data or ("digits", "cifar10"):
                    name = "folder:photos" if data == "folder" else data
                    found.append((updater, space, name, preset))
    return found


@pytest.mark.parametrize(
    ("updater", "space", "data", "preset"), cases(), ids=lambda case: getattr(case, "name", case)
)
def test_a_preset_fills_in_what_it_says_and_gives_way_to_what_was_asked(
    updater, space, data, preset
):
    request = {"updater": updater, "space": space, "data": data, "preset": preset.name}
    config = resolve({**request, "trainer": {"epochs": 60}})
    assert config.preset == preset.name
    for section in ("space", "updater", "data"):
        options = getattr(config, section).options
        for name, value in getattr(preset, f"{section}_options").items():
            if options[name] != value:  # a name of a component stands for its options as well
                assert options[name]["name"] == value, f"{section}: {name}"
    for name, value in preset.trainer_options.items():
        if name != "epochs":
            assert getattr(config.trainer, name) == value
    assert config.trainer.epochs == 60
    assert resolve(config.model_dump(mode="json")) == config


def test_presets_of_runs_that_left_zeros_as_gradients_do_not_let_weights_rest() -> None:
    """Path by path on torch before 2.0; ProxylessNAS's own code sets None."""
    moving = {
        (updater, preset.name, *preset.space)
        for updater in catalogue().names("updater")
        for preset in catalogue().load("updater", updater).presets
        if not preset.trainer_options.get("resting", True)
    }
    assert moving == {
        ("gdas", "paper", "nasbench201"),
        ("gdas", "paper", "darts"),
        ("random", "paper", "nasbench201"),
        ("gm", "paper-rsps", "nasbench201"),
        ("gm", "official-rsps", "nasbench201"),
    }


@pytest.mark.parametrize(
    ("updater", "space", "data", "preset"), cases(), ids=lambda case: getattr(case, "name", case)
)
def test_a_preset_is_a_plan_that_its_updater_accepts(updater, space, data, preset):
    config = resolve({"updater": updater, "space": space, "data": data, "preset": preset.name})
    found = catalogue().load("space", space)
    searched = found(found.parse_options(config.space.options))
    method = catalogue().load("updater", updater)
    options = method.parse_options(config.updater.options)
    made = method(searched, options, generator(0, "check"), "cpu")
    images = config.data.options.get("limit") or IMAGES
    train = round(images * config.data.options.get("train_fraction", 0.5))
    batch = config.trainer.batch_size
    plan = Plan(config.trainer.epochs, ceil(train / batch), batch, train, images - train)
    assert made.incompatibility(plan) is None
    assert "valid" not in made.needs or images > train


@pytest.mark.parametrize(
    ("kind", "name", "preset"), OURS, ids=lambda each: getattr(each, "name", each)
)
def test_a_preset_says_where_it_is_from_and_stands_on_its_page(kind, name, preset):
    published = re.search(r"(19|20)\d\d|the authors' code|[\w-]+/[\w-]+", preset.citation)
    ours = re.search(r"not (a )?published|nastk", preset.citation)
    assert published or ours, preset.citation
    assert (preset.name == "quick") <= bool(ours)
    if kind == "updater":
        page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
        assert re.search(rf"\b{preset.name}\b", page)


@pytest.mark.parametrize("kind", KINDS)
def test_presets_name_what_is_installed_and_one_of_a_name_fits(kind):
    installed = catalogue()
    for name in installed.names(kind):
        presets = installed.load(kind, name).presets
        for preset in presets:
            assert set(preset.space) <= set(installed.names("space"))
            assert set(preset.data) <= set(installed.names("data"))
        for space, data in product(installed.names("space"), installed.names("data")):
            named = Counter(
                one.name for one in presets if one.fits(space, data) and (one.space or one.data)
            )
            assert not named or max(named.values()) == 1, f"{name} on {space}, {data}: {named}"


@pytest.mark.parametrize(
    ("kind", "name", "preset"), OURS, ids=lambda case: getattr(case, "name", case)
)
def test_no_preset_names_an_experimental_option(kind, name, preset):
    options = getattr(preset, f"{kind}_options")
    fields = catalogue().load(kind, name).Options.model_fields
    assert not [one for one in options if fields[one].json_schema_extra == EXPERIMENTAL]
