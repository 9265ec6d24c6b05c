"""Zero-cost scores of whole networks: five that are known, all spaces, a search ranked by them."""

import pytest
import torch

import nastk
from nastk import EvaluationContext, Split, Splits, Task, catalogue
from nastk.base import generator
from nastk.testing import ToyData
from nastk_spaces_nasbench201.space import NasBench201Space
from nastk_zero_cost.gradients import GradientNorm, Snip
from nastk_zero_cost.jacobian import JacobianCovariance
from nastk_zero_cost.naswot import Naswot
from nastk_zero_cost.synflow import Synflow
from nastk_zero_cost.zico import Zico

EVERY = [Synflow, GradientNorm, Snip, Zico, JacobianCovariance, Naswot]
TINY = {"network_channels": 4, "network_cells": 1}
GOLDEN = """
(2,2,2,2,2,2) 20.9505748 19.2127666 19.7401584 218.342217 -18.6104296 118.663513
(0,3,2,1,4,2) 15.2981337 9.28823536 9.68933692 128.674126 -18.0822529 111.08066
(2,1,0,4,3,3) 16.0987443 12.5347271 13.4592797 122.666832 -18.6985107 110.026298
(1,0,3,2,1,4) 11.7916561 7.87231938 8.58744019 80.6861274 -18.3800621 102.325884
(4,4,0,0,4,0) 12.8047637 4.56398039 4.65624923 61.6350794 -32.1224832 92.101551
"""
"""Scores of five cells of NAS-Bench-201 (4 channels, 1 cell) on toy images, in the order of EVERY.

Processors agree to 1e-6, of zico, whose quotients may be of close numbers, to 2e-4; naswot changes
where rounding changes the sign of a number.
"""
CLOSE = {Synflow: 1e-6, Zico: 2e-3, Naswot: 1e-3}


def made(evaluator, context, batch_size):
    options = {} if evaluator is Synflow else {"batch_size": batch_size}
    return evaluator(context, evaluator.parse_options(options))


def test_scores_stay_what_they_are():
    data, space = ToyData(), NasBench201Space(NasBench201Space.Options(**TINY))
    context = EvaluationContext(space, data.task, data.splits(0))
    uses = [made(evaluator, context, 16) for evaluator in EVERY]
    for line in GOLDEN.strip().splitlines():
        cell, *expected = line.split()
        for evaluator, value in zip(uses, map(float, expected), strict=True):
            (score,) = evaluator.evaluate(space.from_text(cell), None).metrics.values()
            assert score == pytest.approx(value, rel=CLOSE.get(type(evaluator), 1e-4))


SPACES = {
    "nasbench201": TINY,
    "darts": {"network_channels": 4, "network_cells": 3, "auxiliary": True},
    "s4": {"network_channels": 4, "network_cells": 3},
    "mobilenet": {"widths": [8, 12], "depths": [2, 2], "strides": [1, 2], "stem_channels": 8},
    "nasbench-macro": {"network_channels": 4},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("evaluator", EVERY)
def test_every_space_of_convolutions_is_scored(evaluator, name):
    found = catalogue().load("space", name)
    space, task = found(found.parse_options(SPACES[name])), Task(3, 3, 32)
    images = torch.randint(256, (16, 3, 32, 32), generator=generator(0, "test")).byte()
    train = Split(images, torch.arange(16) % 3, ToyData().splits(0).train.augmentation)
    context = EvaluationContext(space, task, Splits(train, train, train))
    scorer = made(evaluator, context, 8)
    rng = generator(0, "test")
    scores = {
        value
        for _ in range(4)
        for value in scorer.evaluate(space.sample(space.full(), rng), None).metrics.values()
    }
    assert len(scores) == 4


@pytest.mark.slow
def test_a_search_is_ranked_by_a_score_and_beside_others(tmp_path):
    result = nastk.search(
        "toy",
        "random",
        "toy",
        trainer={"epochs": 1},
        ranking={"evaluator": "synflow", "sample": 12, "counter": ["size", "snip,batch_size=8"]},
        evaluators=["naswot,batch_size=8"],
        out=tmp_path / "run",
    )
    (event,) = (each for each in result.history if each["kind"] == "ranked")
    assert event["metric"] == "synflow" and {"parameters", "snip"} <= set(event["by"])
    assert "naswot" in result.evaluation
    assert result.cost.phases["watch"].images_backward >= 12 + 12 * 8
    assert result.cost.phases["evaluate"].images_forward == 8
