"""Every preset that anything installed brings resolves, for each space and data it names."""

import pytest

from nastk import catalogue, resolve
from nastk.component import Preset


def cases() -> list[tuple[str, str, str, Preset]]:
    """(updater, space, data, preset) for each combination that an updater's presets name."""
    found = []
    for updater in catalogue().names("updater"):
        for preset in catalogue().load("updater", updater).presets:
            for space in preset.space or ("darts",):
                for data in preset.data or ("digits", "cifar10"):
                    found.append((updater, space, data, preset))
    return found


@pytest.mark.parametrize(
    ("updater", "space", "data", "preset"), cases(), ids=lambda case: getattr(case, "name", case)
)
def test_a_preset_fills_in_what_it_says_and_gives_way_to_what_was_asked(
    updater, space, data, preset
):
    wishes = {"updater": updater, "space": space, "data": data, "preset": preset.name}
    config = resolve({**wishes, "trainer": {"epochs": 60}})
    assert config.preset == preset.name
    for section in ("space", "updater", "data"):
        options = getattr(config, section).options
        for name, value in getattr(preset, f"{section}_options").items():
            assert options[name] == value, f"{section}: {name}"
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
