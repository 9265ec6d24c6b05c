"""Recipes of `retrain`: rates, smoothed labels, other networks, random rivals, weights kept."""

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import nastk
from nastk import (
    Architecture,
    ConfigurationError,
    EvaluationContext,
    Execution,
    Objective,
    SearchSpace,
    Split,
    Splits,
    Task,
    catalogue,
    resolve,
)
from nastk.base.seeds import generator
from nastk.limits.limit import LimitOptions, read
from nastk.limits.space import ConstrainedSpace
from nastk.runs.config import evaluator_config
from nastk.runs.evaluating import evaluator_use
from nastk.testing import ToyData, ToySpace
from nastk_evaluators.size import Size
from nastk_spaces_darts.space import DartsSpace
from nastk_training.presets import PRESETS
from nastk_training.rates import rate
from nastk_training.recipe import Recipe
from nastk_training.retrain import Retrain
from nastk_training.training import Training

TOY = ToySpace()
ARCHITECTURE = TOY.from_text("conv,skip,pool,conv,skip")
SMALL = {"epochs": 2, "batch_size": 16, "learning_rate": 0.1}


def setting(space: SearchSpace = TOY) -> EvaluationContext:
    data = ToyData()
    return EvaluationContext(space, data.task, data.splits(0))


def retrain(made: EvaluationContext | None = None, **options: object) -> Retrain:
    return Retrain(made or setting(), Retrain.parse_options({**SMALL, **options}))


# ---------------------------------------------------------------- the rate


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"epochs": 4}, [1.0, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5]),
        ({"epochs": 6, "warmup_epochs": 2}, [0.5, 1.0, 1.0, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5]),
        ({"epochs": 4, "schedule": "exponential", "rate_decay": 0.5}, [1.0, 0.5, 0.25, 0.125]),
        ({"epochs": 2, "schedule": "linear"}, [1.0, 0.5]),
        (
            {"epochs": 10, "schedule": "linear", "warmup_epochs": 2},
            [0.5, 1.0, 0.6, 0.4, 0.2, 0.2, 0.16, 0.12, 0.08, 0.04],
        ),
    ],
)
def test_the_rate_of_each_epoch(options: dict[str, Any], expected: list[float]) -> None:
    recipe = Recipe(learning_rate=0.3, **options)
    found = [rate(recipe, epoch) / 0.3 for epoch in range(recipe.epochs)]
    assert found == pytest.approx(expected)


def test_the_rates_of_published_imagenet_training() -> None:
    """Of PC-DARTS's rule at 250 epochs, written out: lines to 245 and beyond, five of warm-up."""
    recipe = Recipe(
        epochs=250, learning_rate=0.5, schedule="linear", warmup_epochs=5, batch_size=1024
    )
    for epoch in range(250):
        if epoch < 5:
            written = 0.5 * (epoch + 1) / 5
        elif 250 - epoch > 5:
            written = 0.5 * (245 - epoch) / 245
        else:
            written = 0.5 * (250 - epoch) / (245 * 5)
        assert rate(recipe, epoch) == pytest.approx(written, rel=1e-12)


def test_a_warm_up_is_shorter_than_the_training() -> None:
    with pytest.raises(ConfigurationError, match=r"fewer warmup_epochs \(2\) than epochs \(2\)"):
        retrain(warmup_epochs=2)


# ---------------------------------------------------------------- the loss


class Two(nn.Module):
    """A linear network with an auxiliary head."""

    def __init__(self) -> None:
        super().__init__()
        self.main, self.auxiliary = nn.Linear(192, 3), nn.Linear(192, 3)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        flat = images.flatten(1)
        return (self.main(flat), self.auxiliary(flat)) if self.training else self.main(flat)


class TwoSpace(ToySpace):
    """The toy with that network."""

    def network(self, architecture: Architecture, task: Task) -> nn.Module:
        return Two()


@pytest.mark.parametrize(
    ("data", "asked", "smoothing"),
    [
        (Objective(), 0.1, 0.1),
        (Objective(0.3), None, 0.3),
        (Objective(0.3), 0.1, 0.1),
        (Objective(0.3), 0.0, 0.0),
        (Objective(0.0, (0.5, 1.0, 1.5)), 0.1, 0.1),
        (Objective(), None, 0.0),
    ],
)
def test_smoothed_labels_are_those_of_the_authors_formula(
    data: Objective, asked: float | None, smoothing: float
) -> None:
    """What is minimised is the data's objective, with the recipe's own smoothing if it has one."""
    made = setting(TwoSpace())
    made = replace(made, task=replace(made.task, objective=data))
    recipe = Recipe(**{**SMALL, "label_smoothing": asked, "auxiliary_weight": 0.4})
    one = retrain(made)
    training = Training(
        ARCHITECTURE,
        made,
        recipe,
        Execution(torch.device("cpu")),
        one.setup.batches("train", made.splits.train),
    )
    images, labels = one.setup.batches("train", made.splits.train).at(0)
    logits, extra = training.network.train()(images)
    _, loss, minimised = training._losses((logits, extra), labels)
    targets = (1 - smoothing) * F.one_hot(labels, 3).float() + smoothing / 3
    weights = torch.tensor(data.class_weights or (1.0, 1.0, 1.0))[labels]

    def smoothed(answer: Tensor) -> Tensor:
        return -(weights * (targets * answer.log_softmax(1)).sum(1)).mean()

    torch.testing.assert_close(loss, F.cross_entropy(logits, labels))
    torch.testing.assert_close(minimised, smoothed(logits) + 0.4 * smoothed(extra))


# ---------------------------------------------------------------- another network


def cells(**options: object) -> EvaluationContext:
    """A tiny run on DARTS cells, whose search knows of no auxiliary head."""
    space = DartsSpace(
        DartsSpace.parse_options({"network_channels": 2, "network_cells": 3, "nodes": 2, **options})
    )
    images = torch.randint(0, 256, (24, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    treat = ToyData().splits(0).train.augmentation
    part = Split(images.to(torch.uint8), torch.arange(24) % 3, treat)
    return EvaluationContext(space, Task(3, 3, 32), Splits(part, part, part.select([])))


def test_an_auxiliary_head_can_be_had_after_any_search() -> None:
    made = cells()
    found = made.space.sample(made.space.full(), torch.Generator().manual_seed(0))
    options = {**SMALL, "epochs": 1, "batch_size": 12}
    plain, helped = (
        Retrain(made, Retrain.parse_options({**options, "network": network})).evaluate(found, None)
        for network in ({}, {"auxiliary": True})
    )
    assert plain.metrics["parameters"] == helped.metrics["parameters"]
    assert plain.metrics["train_loss"] != helped.metrics["train_loss"]


def test_a_network_of_another_size_is_that_of_such_a_search() -> None:
    made, wider = cells(), cells(network_channels=4)
    found = made.space.sample(made.space.full(), torch.Generator().manual_seed(0))
    options = {**SMALL, "epochs": 1, "batch_size": 12}
    here = Retrain(made, Retrain.parse_options({**options, "network": {"network_channels": 4}}))
    there = Retrain(wider, Retrain.parse_options(options))
    assert here.evaluate(found, None) == there.evaluate(found, None)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"auxilary": True}, "retrain: network: darts has no option 'auxilary'. Did you mean 'aux"),
        ({"network_cells": 2}, "retrain: network: darts: network_cells must be at least 3, got 2"),
        ({"include_none": True}, "include_none would change what space 'darts' decides on"),
        ({"nodes": 3}, "nodes would change what space 'darts' decides on"),
    ],
)
def test_what_a_network_cannot_be_is_said_before_anything_is_trained(
    network: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        retrain(cells(), batch_size=12, network=network)


def test_limits_bind_what_is_drawn_and_not_what_is_built() -> None:
    limited = ConstrainedSpace(TOY, [(LimitOptions(**read("params=1M")), Size(setting()))])
    changed = limited.with_options({"channels": 5})
    assert type(changed) is ToySpace and changed.options.channels == 5


# ---------------------------------------------------------------- beside random ones


def test_random_architectures_are_trained_in_the_same_way() -> None:
    made = setting()
    found = retrain(made, baseline=2).evaluate(ARCHITECTURE, None)
    rng = generator(0, "retrain", "baseline")
    drawn = [TOY.sample(TOY.full(), rng) for _ in range(2)]
    alone = [retrain(made).evaluate(each, None).metrics for each in (ARCHITECTURE, *drawn)]
    for name in ("valid_accuracy", "test_accuracy"):
        assert found.metrics[name] == alone[0][name]
        mean = (alone[1][name] + alone[2][name]) / 2
        assert found.metrics[f"baseline_{name}"] == pytest.approx(mean)
    own, *others = (100 * each["test_accuracy"] for each in alone)
    said = f"Trained 2 epochs: test {own:.1f} %; 2 random ones, trained in the same way: "
    assert found.notes[-1] == said + ", ".join(f"{each:.1f} %" for each in others) + "."
    assert [name for name in alone[0] if name.startswith("baseline")] == []


def test_the_seed_draws_them() -> None:
    by_seed = {
        seed: [each.id for each in retrain(replace(setting(), seed=seed), baseline=3)._baseline()]
        for seed in (0, 1)
    }
    again = [each.id for each in retrain(baseline=3)._baseline()]
    assert by_seed[0] == again != by_seed[1]


# ---------------------------------------------------------------- kept


def test_the_weights_that_are_kept_give_the_accuracy_that_was_measured(tmp_path: Path) -> None:
    made, file = setting(TwoSpace()), tmp_path / "network.pt"
    found = retrain(made, save=str(file)).evaluate(ARCHITECTURE, None)
    assert f"The weights are in {file}" in " ".join(found.notes)
    network = Two()
    weights = torch.load(file)
    assert not any(name.startswith("auxiliary") for name in weights)
    network.load_state_dict(weights, strict=False)
    one = retrain(made)
    hits = [
        (network.eval()(batch.images).argmax(1) == batch.labels).float()
        for batch in one.setup.batches("test", made.splits.test).once()
    ]
    assert float(torch.cat(hits).mean()) == pytest.approx(found.metrics["test_accuracy"])


@pytest.mark.parametrize("place", ["", "nowhere/network.pt"])
def test_a_place_that_cannot_hold_a_file_is_refused_first(place: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="save must be a file in a folder that is there"):
        retrain(save=str(tmp_path / place))


def test_it_advises_a_longer_training_after_a_look() -> None:
    ((command, use),) = retrain(preset="quick").advice("runs/a")
    assert command == "nastk train runs/a --preset quick -o epochs=8"
    assert use and retrain().advice("runs/a") == ()


# ---------------------------------------------------------------- presets


def recipe(written: str, space: str = "darts", data: str = "cifar10") -> dict[str, Any]:
    config = resolve({"space": space, "updater": "random", "data": data})
    return evaluator_config(evaluator_use(written), config).options


@pytest.mark.parametrize("preset", PRESETS, ids=lambda one: f"{one.name} {one.space} {one.data}")
def test_every_preset_is_a_recipe_on_what_it_is_for(preset: nastk.Preset) -> None:
    for space in preset.space or ("toy",):
        for data in preset.data or ("digits",):
            found = recipe(f"retrain,preset={preset.name}", space, data)
            expected = Recipe(preset=preset.name, **preset.evaluator_options)
            assert found == expected.model_dump(mode="json")
            kind = catalogue().load("space", space)
            kind(kind.parse_options()).with_options(found["network"])


@pytest.mark.parametrize(
    ("written", "data", "values"),
    [
        ("retrain,preset=paper", "cifar10", {"batch_size": 96, "drop_path": 0.2, "cutout": 16}),
        ("retrain,preset=shapley", "cifar100", {"batch_size": 64, "drop_path": 0.3}),
        ("retrain,preset=isdarts", "cifar10", {"nesterov": True, "warmup_epochs": 5}),
        ("retrain,preset=paper", "imagenet", {"schedule": "exponential", "batch_size": 128}),
        ("retrain,preset=shapley", "imagenet", {"schedule": "linear", "learning_rate": 0.5}),
        ("retrain,preset=evnas", "imagenet", {"warmup_epochs": 0, "learning_rate": 0.1}),
        ("retrain,epochs=3,preset=paper", "cifar10", {"epochs": 3, "batch_size": 96}),
        ("retrain,preset=paper,gradient_clip=null", "cifar10", {"gradient_clip": None}),
    ],
)
def test_what_is_given_wins_over_a_preset(written: str, data: str, values: dict[str, Any]) -> None:
    found = recipe(written, data=data)
    assert {name: found[name] for name in values} == values


def test_a_preset_is_named_in_a_configuration_in_any_way_and_written_out() -> None:
    base = {"space": "darts", "updater": "random", "data": "cifar10"}
    for one in (
        "retrain,preset=paper",
        nastk.use("retrain", preset="paper"),
        {"name": "retrain", "options": {"preset": "paper"}},
    ):
        config = resolve({**base, "evaluators": [one], "leaf_evaluator": one})
        assert config.leaf_evaluator == config.evaluators[0]
        assert config.evaluators[0].options["network"] == {"auxiliary": True}
        assert resolve(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("written", "data", "message"),
    [
        ("retrain,preset=papr", "cifar10", r"no preset 'papr' .*Did you mean 'paper'\?"),
        ("retrain,preset=paper", "digits", "no preset 'paper' for space 'darts' with data 'dig"),
        ("retrain,preset=3", "cifar10", "no preset '3'"),
    ],
)
def test_a_preset_that_is_not_there_lists_what_is(written: str, data: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^Evaluator 'retrain' has {message}.*It has: "):
        recipe(written, data=data)


@pytest.mark.parametrize("space", ["darts", "s1", "nasbench201", "mobilenet"])
def test_a_first_look_ends_with_a_training_beside_a_random_one(space: str) -> None:
    config = resolve({"space": space, "updater": "random"})
    judges = {one.name: one.options for one in config.evaluators}
    assert list(judges) == ["supernet", "size", "retrain"]
    assert (judges["retrain"]["preset"], judges["retrain"]["baseline"]) == ("quick", 1)
    named = resolve({"space": space, "updater": "random", "evaluators": ["size"]})
    assert [one.name for one in named.evaluators] == ["size"]


@pytest.mark.slow
def test_the_recipe_of_a_look_learns_the_digits() -> None:
    """On a third of the epochs, so that it is quick; chance is 10 %."""
    found = recipe("retrain,preset=quick,epochs=5", "nasbench201", "digits")
    kind, data = catalogue().load("space", "nasbench201"), catalogue().load("data", "digits")
    source = data(data.parse_options())
    space = kind(kind.parse_options())
    made = EvaluationContext(space, source.task, source.splits(0))
    text = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
    evaluated = Retrain(made, Retrain.parse_options(found)).evaluate(space.from_text(text), None)
    assert evaluated.metrics["test_accuracy"] > 0.7
    assert math.isfinite(evaluated.metrics["train_loss"])
