import json
from typing import ClassVar

import pytest
import torch
from core_kit import WISHES, Still, with_classes

import nastk
from nastk import (
    ConfigurationError,
    Evaluation,
    Evaluator,
    Mixture,
    PluginError,
    assemble,
    catalogue,
    resolve,
)
from nastk.nn import memory
from nastk.runs import preflight
from nastk.runs.peak import MOST, _candidate_epochs
from nastk.runs.preflight import rehearse
from nastk.testing import ToySpace, fingerprint

HEAVY = {
    "shapley": {"samples": 1, "warmup": 1},
    "evnas": {"population": 3, "tournament": 2},
    "gm": {"splits": [1], "batches": 1},
    "fewshot": {"splits": [1]},
    "isdarts": {"batches": 1},
    "random-search": {"evaluator": "retrain,epochs=1,batch_size=16"},
    "local-search": {"evaluator": "size"},
    "regularized-evolution": {"evaluator": "size", "population": 10},
    "optuna": {"evaluator": "size"},
}


def forecast(installed=None, memory=False, **request):
    trainer = {**WISHES["trainer"], **request.pop("trainer", {})}
    config = resolve(
        {**WISHES, "device": "cpu", "evaluators": [], **request, "trainer": trainer}, installed
    )
    return rehearse(assemble(config, installed=installed), memory)


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


def test_judging_is_forecast_as_a_run_is_charged_for_it(tmp_path):
    retrain = nastk.use("retrain", epochs=3, batch_size=16, baseline=1)
    judges = [retrain, "supernet", "size"]
    found = forecast(updater="darts", evaluators=judges).evaluating
    held_out = 48 + 48  # the valid and the test split; 48 others train
    assert found == {
        "retrain": {"images_forward": 2 * (3 * 48 + held_out), "images_backward": 2 * 3 * 48},
        "supernet": {"images_forward": held_out, "images_backward": 0},
        "size": {"images_forward": 0, "images_backward": 0},
    }
    request = {**WISHES, "updater": "darts", "evaluators": judges}
    spent = nastk.search(**request, out=tmp_path / "run").cost.phases["evaluate"]
    for name in ("images_forward", "images_backward"):
        assert getattr(spent, name) == sum(one[name] for one in found.values())


def test_an_evaluator_that_does_not_say_is_said_to_be_unknown():
    class Silent(Evaluator):
        name, summary = "silent", "does not say"

        def evaluate(self, architecture, probe):
            return Evaluation("silent", {"x": 1})

    installed = with_classes(updater=Still, evaluator=Silent)
    assert forecast(installed, updater="still", evaluators=["silent"]).evaluating == {
        "silent": None
    }


@pytest.mark.parametrize("updater", ["darts", "gm", "isdarts", "shapley", "random"])
def test_any_number_of_epochs_is_forecast_without_counting_them(updater):
    """A loop over them would not end in this test's lifetime."""
    options = {"gm": {"inner": "random"}}.get(updater, {})
    found = forecast(updater=nastk.use(updater, **options), trainer={"epochs": 10**15})
    assert found.steps == 3 * 10**15


def test_the_first_measuring_is_looked_for_in_early_epochs_and_at_parts_of_the_run():
    assert _candidate_epochs(1) == [] and _candidate_epochs(5) == [1, 2, 3, 4]
    many = _candidate_epochs(10**15)
    assert (
        len(many) < 1000 and {1, 599, 10**15 // 4, 10**15 // 2} <= set(many) and max(many) < 10**15
    )


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


# ---------------------------------------------------------------------- memory


QUICK = {"darts", "shapley", "gm", "toy-split"}
"""One method of each kind; the others are slow."""


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in catalogue().names("updater")
    ],
)
def test_the_largest_things_of_every_method_can_be_rehearsed(name):
    """Epochs are asked out of their order: every installed updater has to bear it."""
    use = nastk.use(name, **HEAVY.get(name, {}))
    found = forecast(updater=use, trainer={"epochs": 16}, memory=True)
    assert found.peak_memory > 0


class Asking(Still):
    """Asks nothing for two epochs, then a great deal, of a batch of its own size."""

    name, summary = "asking", "asks"
    asked: ClassVar[list] = []

    def before_step(self, probe, batch):
        self.asked.append(("step", probe.epoch, probe.step))

    def after_epoch(self, probe):
        self.asked.append(("epoch", probe.epoch, probe.step))
        if probe.epoch >= 3:
            batch = probe.train.view("own", 40).at(0)
            for _ in range(100):
                probe.loss(Mixture.uniform(probe.subspace), batch)
                self.asked.append(("question", probe.epoch, len(batch.labels)))
        return super().after_epoch(probe)


def test_first_and_last_measuring_and_a_late_step_are_rehearsed_and_cut_short():
    Asking.asked = []
    forecast(with_classes(updater=Asking), True, updater="asking", trainer={"epochs": 7})
    asked = [each for each in Asking.asked if each[0] != "question"]
    late = [("step", 6, 18 + step) for step in range(3)]
    assert asked[:5] == [("step", 0, 0), ("step", 0, 1), *(("epoch", n, 3 * n) for n in (1, 2, 3))]
    assert set(asked[5:-1]) <= set(late) and asked[5] == late[0]
    assert asked[-1] == ("epoch", 7, 21)
    questions = [each for each in Asking.asked if each[0] == "question"]
    assert {each[1:] for each in questions} == {(3, 40), (7, 40)}
    assert 4 <= len(questions) <= 2 * MOST


def test_without_memory_only_two_steps_are_taken():
    Asking.asked = []
    forecast(with_classes(updater=Asking), updater="asking", trainer={"epochs": 7})
    assert Asking.asked == [("step", 0, 0), ("step", 0, 1)]


@pytest.mark.parametrize(
    ("batch_size", "most", "message"),
    [
        (16, 5, r"A weight step of 16 images does not fit.*micro_batch=4 it does, as was tried"),
        (16, 8, r"micro_batch=8 it does, as was tried.*norms see 8 images at a time"),
        (24, 3, r"A weight step of 24 images.*micro_batch=3 it does"),
        (16, 1, r"not even with -t micro_batch=2: the supernet is too large.*describe still"),
    ],
)
def test_what_does_not_fit_is_said_with_the_micro_batch_that_does(
    monkeypatch, batch_size, most, message
):
    """A supernet that gets no memory for more than `most` images with a gradient."""

    class Large(ToySpace):
        name, summary = "large", "large"

        def supernet(self, task):
            network = super().supernet(task)
            inner = network.forward

            def forward(images, mixture):
                if torch.is_grad_enabled() and len(images) > most:
                    raise RuntimeError("DefaultCPUAllocator: can't allocate memory: too large")
                return inner(images, mixture)

            network.forward = forward
            return network

    with pytest.raises(ConfigurationError, match=message):
        forecast(
            with_classes(updater=Still, space=Large),
            True,
            space="large",
            updater="still",
            trainer={"batch_size": batch_size},
        )


def test_another_failure_is_said_as_what_it_is(monkeypatch):
    def broken(assembly):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(preflight, "exercise_peak", broken)
    message = r"^Updater 'toy-split' .* was rehearsed: RuntimeError: shapes do not match\."
    with pytest.raises(PluginError, match=message):
        forecast(memory=True)


def test_what_was_free_is_said():
    assert forecast().available_memory is None
    assert forecast(memory=True).to_json()["available_memory"] == pytest.approx(
        memory.available(torch.device("cpu")) or 0, rel=0.5
    )
