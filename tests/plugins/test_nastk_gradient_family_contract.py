"""The gradient family keeps the contracts on the toy, on ragged tables and on the real spaces."""

from typing import Any, ClassVar

import pytest
from core_kit import ShortContract

import nastk_gradient
from nastk import ArchitectureUpdater, SearchSpace, Subspace, catalogue
from nastk.testing import Harness, fingerprint
from nastk_gradient.darts_pt import DartsPt
from nastk_gradient.drnas import DrNas
from nastk_gradient.gdas import Gdas
from nastk_gradient.pcdarts import PcDarts
from nastk_gradient.proxyless import Proxyless
from nastk_gradient.smooth import Smooth
from nastk_gradient.snas import Snas


@pytest.mark.slow
class TestSnasJoint(ShortContract):
    updater, options = Snas, {"learning_rate": 0.05}


@pytest.mark.slow
class TestSnasAlternating(ShortContract):
    updater, options = Snas, {"learning_rate": 0.05, "loss": "alternating", "warmup": 1}


class TestGdas(ShortContract):
    updater, options = Gdas, {"learning_rate": 0.05}


class TestDrNas(ShortContract):
    updater, options = DrNas, {"learning_rate": 0.05}


@pytest.mark.slow
class TestDrNasByDivergence(ShortContract):
    updater = DrNas
    options: ClassVar = {"learning_rate": 0.05, "regulariser": "kl", "ranking": "softmax"}


class TestPcDarts(ShortContract):
    updater, options = PcDarts, {"learning_rate": 0.05, "warmup": 1}


class TestProxyless(ShortContract):
    updater, options = Proxyless, {"learning_rate": 0.05, "every": 2}


@pytest.mark.slow
class TestSmooth(ShortContract):
    updater, options = Smooth, {"learning_rate": 0.05}


class TestDartsPt(ShortContract):
    updater = DartsPt
    options: ClassVar = {
        "inner_options": {"learning_rate": 0.05},
        "interval": 1,
        "final": 0,
        "batches": 1,
    }


@pytest.mark.slow
class TestDartsPtOverSnas(ShortContract):
    updater = DartsPt
    options: ClassVar = {
        "inner": "snas",
        "interval": 0,
        "final": 1,
        "mixing": "uniform",
        "batches": 1,
    }


CASES: list[tuple[type[ArchitectureUpdater], dict[str, Any]]] = [
    (Snas, {}),
    (Snas, {"loss": "alternating"}),
    (Gdas, {}),
    (DrNas, {"regulariser": "kl"}),
    (PcDarts, {"warmup": 0}),
    (Proxyless, {"warmup": 0, "every": 1}),
    (Smooth, {}),
    (DartsPt, {"interval": 0, "final": 1, "batches": 1}),
]
SPACES: dict[str, dict[str, Any]] = {
    "darts": {
        "channels": 4,
        "cells": 3,
        "nodes": 2,
        "partial_channels": 2,
        "edge_weights": True,
        "include_none": True,
    },
    "nasbench201": {"channels": 2, "cells": 1},
}


def real(name: str) -> SearchSpace:
    found = catalogue().load("space", name)
    return found(found.parse_options(SPACES[name]))


@pytest.mark.slow
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(("updater", "options"), CASES, ids=lambda each: str(each)[:40])
def test_searches_in_a_real_space_and_resumes_bit_for_bit(
    updater: type[ArchitectureUpdater], options: dict[str, Any], space: str
) -> None:
    def harness() -> Harness:
        return Harness(
            updater, options, real(space), trainer_options={"epochs": 2, "batch_size": 48}
        )

    straight, stopped = harness(), harness()
    (branch,) = straight.run()
    (resumed,) = stopped.run(stopped.resumed(stopped.run(steps=1)))
    assert fingerprint(resumed.state_dict()) == fingerprint(branch.state_dict())
    architecture = branch.updater.architecture(straight.trainer.probe(branch))
    assert straight.space.check(architecture) == architecture
    assert branch.subspace.contains(Subspace(architecture.table()))


@pytest.mark.parametrize(("updater", "options"), CASES, ids=lambda each: str(each)[:40])
def test_answering_mixtures_does_not_learn(
    updater: type[ArchitectureUpdater], options: dict[str, Any]
) -> None:
    harness = Harness(updater, options)
    (branch,) = harness.run(steps=4)
    before = fingerprint(branch.updater.state_dict())
    for _ in range(3):
        branch.updater.mixtures(harness.trainer.probe(branch))
    assert fingerprint(branch.updater.state_dict()) == before


@pytest.mark.parametrize(("updater", "options"), CASES, ids=lambda each: str(each)[:40])
def test_alpha_moves_and_scores_and_decisions_draw_nothing(
    updater: type[ArchitectureUpdater], options: dict[str, Any]
) -> None:
    harness = Harness(updater, options)
    branch = harness.trainer.root()
    start = fingerprint(branch.updater.state_dict())
    harness.run([branch], steps=4)
    probe, stream = harness.trainer.probe(branch), branch.rng.get_state().clone()
    assert fingerprint(branch.updater.state_dict()) != start
    branch.updater.scores(probe)
    branch.updater.architecture(probe)
    assert (branch.rng.get_state() == stream).all()


def test_the_offers_are_the_classes() -> None:
    for offer in nastk_gradient.updaters():
        module, _, name = offer.load.partition(":")
        found = getattr(__import__(module, fromlist=[name]), name)
        assert (offer.name, offer.summary) == (found.name, found.summary)


@pytest.mark.parametrize("updater", [Snas, Gdas, DrNas, PcDarts, Proxyless, Smooth, DartsPt])
def test_presets_are_valid_and_one_is_quick(updater: type[ArchitectureUpdater]) -> None:
    trainer = Harness(updater).trainer.options
    for preset in updater.presets:
        updater.parse_options(preset.updater_options)
        type(trainer).model_validate(dict(preset.trainer_options))
        for space in preset.space:
            catalogue().load("space", space).parse_options(preset.space_options)
    assert [one.name for one in updater.presets if one.fits("toy", "toy")] == ["quick"]
    places = [
        (one.name, space, data)
        for one in updater.presets
        for space in one.space or ("",)
        for data in one.data or ("",)
    ]
    assert len(set(places)) == len(places)
