"""The searches on ImageNet as their authors' scripts set them: sizes, shares, rates."""

import math

import pytest

from nastk import Schedule, resolve

PHOTOS = 1_281_167
SCRIPTS = [
    # updater, preset, K, channels, cells, batch, rate of alpha, epochs before alpha learns
    ("pcdarts", "paper", 2, 16, 8, 1024, 6e-3, 35),
    ("drnas", "first-stage", 6, 48, 14, 512, 6e-3, 10),
]


def imagenet(updater, preset):
    return resolve({"space": "darts", "updater": updater, "data": "imagenet", "preset": preset})


@pytest.mark.parametrize(
    ("updater", "preset", "parts", "channels", "cells", "batch", "rate", "frozen"), SCRIPTS
)
def test_the_search_on_imagenet_is_the_script_s(
    updater, preset, parts, channels, cells, batch, rate, frozen
):
    config = imagenet(updater, preset)
    space, method, trainer = config.space.options, config.updater.options, config.trainer
    assert [space[name] for name in ("partial_channels", "channels", "cells")] == [
        parts,
        channels,
        cells,
    ]
    assert (method["learning_rate"], method["warmup"]) == (rate, frozen)
    assert (trainer.batch_size, trainer.epochs, trainer.weight_decay) == (batch, 50, 3e-4)
    data = config.data.options
    train = round(data["limit"] * data["train_fraction"])
    assert train == pytest.approx(PHOTOS / 10, abs=1)
    assert data["limit"] - train == pytest.approx(PHOTOS / 40, abs=1)


@pytest.mark.parametrize(
    ("updater", "preset", "scaled"), [(*one[:2], one[0] == "drnas") for one in SCRIPTS]
)
def test_its_rate_is_one_cosine_whose_first_epochs_are_overwritten(updater, preset, scaled):
    one = imagenet(updater, preset).trainer
    schedule = Schedule(
        one.learning_rate,
        one.minimum_learning_rate,
        0,
        one.epochs,
        one.warmup_epochs,
        one.warmup_cosine,
        int(one.cosine_ahead),
    )
    heights = [(1 + math.cos(math.pi * epoch / 50)) / 2 for epoch in range(50)]
    # With torch's recursive scheduler it goes on from the rate of the last epoch of warm-up.
    factor = 1 / heights[4] if scaled else 1.0
    expected = [0.1, 0.2, 0.3, 0.4, 0.5, *(0.5 * factor * one for one in heights[5:])]
    assert [schedule.rate(epoch) for epoch in range(50)] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("updater", ["drnas", "darts-pt"])
@pytest.mark.parametrize("data", ["cifar10", "cifar100", "imagenet16-120"])
def test_searches_whose_code_takes_all_three_sets_of_the_benchmark_do_so(updater, data):
    config = resolve({"space": "nasbench201", "updater": updater, "data": data, "preset": "paper"})
    assert config.data.options["train_fraction"] == 0.5
