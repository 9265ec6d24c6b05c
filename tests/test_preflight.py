import json

import pytest
import torch
from core_kit import WISHES, Still, with_classes

import nastk
from nastk.assembly import assemble
from nastk.config import resolve
from nastk.preflight import rehearse
from nastk.testing import fingerprint


def forecast(installed=None, **wishes):
    trainer = {**WISHES["trainer"], **wishes.pop("trainer", {})}
    config = resolve(
        {**WISHES, "device": "cpu", "evaluators": [], **wishes, "trainer": trainer}, installed
    )
    return rehearse(assemble(config, installed=installed))


def test_it_counts_what_a_run_will_take():
    found = forecast(updater=nastk.use("darts", order=2), trainer={"epochs": 5})
    assert (found.epochs, found.steps, found.images_forward, found.images_backward) == (
        5,
        15,
        240,
        240,
    )
    # Second order: a validation batch, and three training batches, for every step.
    assert (found.updater_images_forward, found.updater_images_backward) == (960, 960)
    assert found.seconds > 0 and found.peak_memory > 0
    assert (found.device, found.parameters) == ("cpu", 3 * 4 * 9 + 4 + 8 * 4 * 4 * 9 + 4 * 3 + 3)
    json.dumps(found.to_json())


def test_an_updater_that_does_not_say_is_measured_instead():
    found = forecast()
    assert found.updater_images_forward is None and found.updater_images_backward is None
    assert found.seconds > 0


@pytest.mark.parametrize(
    ("epochs", "batch_size", "before_steps"),
    [(2, 16, 2), (2, 48, 1), (1, 48, 1), (1, 24, 2)],
)
def test_it_takes_two_steps_of_one_pass_at_most(epochs, batch_size, before_steps):
    """A pass of a single step has no second; what comes after a pass must not be timed instead."""
    asked = []

    class Counting(Still):
        name, summary = "counting", "counts"

        def before_step(self, probe, batch):
            asked.append(probe.step)

        def after_epoch(self, probe):
            raise AssertionError("nobody asked for this")

    found = forecast(
        with_classes(updater=Counting),
        updater="counting",
        trainer={"epochs": epochs, "batch_size": batch_size},
    )
    assert asked == list(range(before_steps))
    assert found.steps == epochs * 48 // batch_size
    assert found.seconds > 1e-6


def test_nothing_is_written_and_the_random_state_is_left_alone(workplace):
    before = torch.manual_seed(987654).get_state()
    forecast()
    assert list(workplace.iterdir()) == []
    assert torch.equal(torch.get_rng_state(), before)


def test_a_rehearsed_run_is_forgotten():
    config = resolve({**WISHES, "device": "cpu"})
    assembly = assemble(config)
    before = fingerprint(assembly.trainer.root().state_dict())
    rehearse(assembly)
    assert fingerprint(assembly.trainer.root().state_dict()) == before
