"""`retrain`: it learns, repeats, keeps to its recipe, and sees no test image before the end."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
import torch
import torch.nn.functional as F
from evaluators_kit import Even
from torch import Tensor, nn

import nastk_training
from nastk import (
    Architecture,
    ConfigurationError,
    DataError,
    DivergenceError,
    EvaluationContext,
    Execution,
    Split,
    Splits,
    StopRequested,
    Stream,
    Task,
)
from nastk.base.seeds import seed_of
from nastk.data.opening import stream
from nastk.testing import EvaluatorContract, ToyData, ToySpace, fingerprint
from nastk.train.evaluator import RunHandle
from nastk_evaluators.size import Size
from nastk_spaces_darts.space import DartsSpace
from nastk_training.joined import joined
from nastk_training.recipe import Recipe
from nastk_training.retrain import Retrain
from nastk_training.training import Training

CPU = Execution(torch.device("cpu"))
TOY = ToySpace()
ARCHITECTURE = TOY.from_text("conv,skip,pool,conv,skip")
OTHERS = [TOY.from_text(text) for text in ("skip,skip,skip,skip,skip", "conv,conv,conv,conv,conv")]
SMALL = {"epochs": 2, "batch_size": 16, "learning_rate": 0.1}


class TestRetrain(EvaluatorContract):
    evaluator, options, updater = Retrain, SMALL, Even


def setting(**changes: object) -> EvaluationContext:
    data = ToyData()
    return replace(EvaluationContext(TOY, data.task, data.splits(0)), **changes)


def retrain(made: EvaluationContext | None = None, **options: object) -> Retrain:
    return Retrain(made or setting(), Retrain.parse_options({**SMALL, **options}))


def training(made: EvaluationContext, **options: object) -> Training:
    recipe = Recipe(**{**SMALL, **options})
    return Training(ARCHITECTURE, made, recipe, CPU, batches(made.splits.train))


def batches(split: Split, name: str = "train") -> Stream:
    return stream(split, 16, 0, f"retrain/{name}", "cpu", augment=name == "train")


class Unseen:
    """Images that nobody may look at."""

    def __len__(self) -> int:
        return 4

    def read(self, index: int, seed: int | None) -> Tensor:
        raise DataError("looked at")


def without(split: Split) -> Split:
    return split.select([])


# ---------------------------------------------------------------- what it finds


def test_it_learns_and_says_what_it_did() -> None:
    data = ToyData(ToyData.parse_options({"images": 192}))
    made = EvaluationContext(TOY, data.task, data.splits(0))
    found = retrain(made, epochs=10).evaluate(ARCHITECTURE, None)
    assert list(found.metrics) == [
        "valid_accuracy",
        "test_accuracy",
        "train_loss",
        "parameters",
        "epochs",
    ]
    assert found.metrics["test_accuracy"] > 0.6  # a third by chance
    assert found.metrics["valid_accuracy"] > 0.6
    assert found.metrics["train_loss"] < 0.8 < math.log(3)
    assert found.metrics["epochs"] == 10
    assert (
        found.metrics["parameters"] == Size(made).evaluate(ARCHITECTURE, None).metrics["parameters"]
    )
    assert "on 96 images (train), 10 of 10 epochs, batches of 16" in found.notes[0]
    assert found.seconds > 0 and found.to_json()["seconds"] == found.seconds


def test_the_global_stream_neither_matters_nor_moves() -> None:
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        found.append(retrain().evaluate(ARCHITECTURE, None))
        assert torch.equal(torch.get_rng_state(), before)
    assert found[0] == found[1]


def test_its_seed_is_the_runs_unless_it_has_its_own() -> None:
    losses = [
        one.evaluate(ARCHITECTURE, None).metrics["train_loss"]
        for one in (
            retrain(),
            retrain(setting(seed=1)),
            retrain(seed=1),
            retrain(setting(seed=1), seed=0),
        )
    ]
    assert losses[0] == losses[3] != losses[1] == losses[2]


# ---------------------------------------------------------------- the recipe


class Head(nn.Module):
    """A linear network with an auxiliary head and drop path, which keeps a diary."""

    diary: list[float]

    def __init__(self) -> None:
        super().__init__()
        self.main, self.auxiliary = nn.Linear(192, 3), nn.Linear(192, 3)
        self.drop_path, self.diary = 0.5, []

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        flat = images.flatten(1)
        if not self.training:
            return self.main(flat)  # type: ignore[no-any-return]
        self.diary.append(self.drop_path)
        return self.main(F.dropout(flat, 0.5)), self.auxiliary(flat)


class HeadSpace(ToySpace):
    """The toy with that network."""

    def network(self, architecture: Architecture, task: Task) -> nn.Module:
        return Head()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"gradient_clip": None, "weight_decay": 0.1, "auxiliary_weight": 1.0},
        {"gradient_clip": 0.1, "momentum": 0.5, "nesterov": True, "auxiliary_weight": 0.0},
    ],
)
def test_each_step_is_that_of_the_loop_written_out(options: dict[str, object]) -> None:
    made = setting(space=HeadSpace())
    one = training(made, epochs=3, **options)
    recipe = Recipe(**{**SMALL, "epochs": 3, **options})
    network = Head()
    network.load_state_dict(one.network.state_dict())
    optimizer = torch.optim.SGD(
        network.parameters(),
        0.1,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
    )
    for epoch in range(3):
        optimizer.param_groups[0]["lr"] = 0.1 * 0.5 * (1 + math.cos(math.pi * epoch / 3))
        for step, (images, labels) in enumerate(batches(made.splits.train).epoch(epoch), 3 * epoch):
            torch.manual_seed(seed_of(0, "retrain", "noise", step))
            logits, auxiliary = network(images)
            loss = F.cross_entropy(logits, labels)
            loss = loss + recipe.auxiliary_weight * F.cross_entropy(auxiliary, labels)
            optimizer.zero_grad()
            loss.backward()
            if recipe.gradient_clip is not None:
                nn.utils.clip_grad_norm_(network.parameters(), recipe.gradient_clip)
            optimizer.step()
    one.until(3)
    for ours, written in zip(one.network.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(ours, written, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("asked", "expected"), [(0.3, [0.0] * 3 + [0.1] * 3 + [0.2] * 3), (None, [0.5] * 9)]
)
def test_drop_path_rises_linearly_or_is_the_networks_own(
    asked: float | None, expected: list[float]
) -> None:
    one = training(setting(space=HeadSpace()), epochs=3, drop_path=asked)
    one.until(3)
    assert one.network.diary == pytest.approx(expected)


def test_a_drop_path_that_the_network_lacks_is_noted() -> None:
    notes = retrain(drop_path=0.2, epochs=1).evaluate(ARCHITECTURE, None).notes
    assert notes[1] == "The network has no drop path: drop_path=0.2 is unused."
    has = retrain(setting(space=HeadSpace()), drop_path=0.2, epochs=1)
    assert len(has.evaluate(ARCHITECTURE, None).notes) == 1


def test_an_auxiliary_head_is_no_parameter() -> None:
    found = retrain(setting(space=HeadSpace()), epochs=1).evaluate(ARCHITECTURE, None)
    assert found.metrics["parameters"] == 193 * 3


@pytest.mark.parametrize(("cutout", "zeros"), [(None, False), (4, True)])
def test_cutout_is_the_datas_own_unless_it_is_set(cutout: int | None, zeros: bool) -> None:
    one = retrain(cutout=cutout)
    images = one.setup.batches("train", one.context.splits.train).at(0).images
    assert bool((images == 0).flatten(1).any(1).all()) is zeros
    held_out = next(one.setup.batches("valid", one.context.splits.valid).once()).images
    assert not (held_out == 0).any()


def test_training_on_equals_training_at_once_and_measuring_changes_nothing() -> None:
    made = setting()
    straight, paused = training(made, epochs=3), training(made, epochs=3)
    straight.until(3)
    for epochs in (1, 2, 2, 3):
        paused.until(epochs)
        paused.accuracy(batches(made.splits.valid, "valid"))
    assert fingerprint(straight.network.state_dict()) == fingerprint(paused.network.state_dict())
    assert (paused.epochs, paused.loss) == (3, straight.loss)


# ---------------------------------------------------------------- the splits


def test_train_and_valid_together_leave_the_test_split_to_measure() -> None:
    counted: list[tuple[int, int]] = []
    caller = RunHandle(charge=lambda *images: counted.append(images))
    found = retrain(setting(run=caller), split="train+valid", batch_size=20).evaluate(
        ARCHITECTURE, None
    )
    assert next(iter(found.metrics)) == "test_accuracy" and "valid_accuracy" not in found.metrics
    assert "on 96 images (train+valid)" in found.notes[0]
    assert tuple(map(sum, zip(*counted, strict=True))) == (2 * 96 + 48, 2 * 96)


def test_two_splits_are_joined_in_their_order() -> None:
    splits = ToyData().splits(0)
    both = joined(splits.train, splits.valid)
    assert torch.equal(both.images[48:], splits.valid.images)
    assert torch.equal(both.labels[:48], splits.train.labels)


@dataclass
class Numbered:
    """Images that say which they are."""

    numbers: range

    def __len__(self) -> int:
        return len(self.numbers)

    def read(self, index: int, seed: int | None) -> Tensor:
        return torch.full((1, 2, 2), self.numbers[index], dtype=torch.uint8)


def test_so_are_images_that_are_read_when_needed() -> None:
    treat = ToyData().splits(0).train.augmentation
    parts = [
        Split(Numbered(numbers), torch.arange(len(numbers)), treat)
        for numbers in (range(3), range(3, 5))
    ]
    both = joined(*parts)
    assert [int(both.images.read(index, None)[0, 0, 0]) for index in range(len(both))] == [
        0,
        1,
        2,
        3,
        4,
    ]


def test_without_valid_or_test_images_it_measures_the_other() -> None:
    splits = ToyData().splits(0)
    for name, other in (("valid", "test"), ("test", "valid")):
        fewer = replace(splits, **{name: without(getattr(splits, name))})
        metrics = retrain(setting(splits=fewer), epochs=1).evaluate(ARCHITECTURE, None).metrics
        assert f"{other}_accuracy" in metrics and f"{name}_accuracy" not in metrics


# ---------------------------------------------------------------- several at once


def test_comparing_looks_at_no_test_image_and_does_what_training_alone_does() -> None:
    splits = ToyData().splits(0)
    unseen = Split(Unseen(), torch.zeros(4, dtype=torch.long), splits.test.augmentation)
    counted: list[tuple[int, int]] = []
    made = setting(
        splits=replace(splits, test=unseen),
        run=RunHandle(charge=lambda *images: counted.append(images)),
    )
    one = retrain(made, epochs=4, rungs=(1, 2))
    found = one.evaluate_all([ARCHITECTURE, *OTHERS], [None] * 3)
    places = [int(each.metrics["outlasted"]) for each in found]
    epochs = {place: each.metrics["epochs"] for place, each in zip(places, found, strict=True)}
    assert epochs == {0: 1.0, 1: 2.0, 2: 2.0}  # 3 -> 2 -> 1: the third rung is not needed
    trained = 3 * 1 + 2 * 1
    assert tuple(map(sum, zip(*counted, strict=True))) == (trained * 96, trained * 48)
    for architecture, each in zip([ARCHITECTURE, *OTHERS], found, strict=True):
        alone = Training(architecture, setting(), one.recipe, CPU, batches(splits.train))
        alone.until(int(each.metrics["epochs"]))
        assert each.metrics["valid_accuracy"] == alone.accuracy(batches(splits.valid, "valid"))
        assert each.metrics["train_loss"] == alone.loss
    assert [list(each.metrics)[:2] for each in found] == [list(one.criteria)] * 3


def test_without_rungs_all_are_trained_to_the_end() -> None:
    found = retrain().evaluate_all([ARCHITECTURE, *OTHERS], [None] * 3)
    assert {each.metrics["epochs"] for each in found} == {2.0}
    best = max(found, key=lambda each: each.metrics["outlasted"]).metrics
    assert best["valid_accuracy"] == max(each.metrics["valid_accuracy"] for each in found)


def test_a_single_one_is_not_trained() -> None:
    counted: list[int] = []
    made = setting(run=RunHandle(charge=lambda *images: counted.extend(images)))
    (found,) = retrain(made).evaluate_all([ARCHITECTURE], [None])
    assert found.metrics["epochs"] == 0 and not counted


# ---------------------------------------------------------------- who asked


def test_the_caller_hears_how_far_it_is_and_may_stop_it() -> None:
    told: list[tuple[str, int, int]] = []
    caller = RunHandle(tell=lambda *piece: told.append(piece))
    retrain(setting(run=caller), baseline=1).evaluate(ARCHITECTURE, None)
    messages = [re.sub(r"(loss|train) \d+\.\d+", r"\1 N", message) for message, _, _ in told]
    assert messages == [
        "training the network, epoch 1/2, rate 0.1, loss N, train N%",
        "training the network, epoch 2/2, rate 0.05, loss N, train N%",
        "training a random one, 1 of 1, epoch 1/2, rate 0.1, loss N, train N%",
        "training a random one, 1 of 1, epoch 2/2, rate 0.05, loss N, train N%",
    ]
    assert [piece[1:] for piece in told] == [(3, 12), (6, 12), (9, 12), (12, 12)]
    for after in (0, 4, 7):  # before, while it trains, while it measures
        asked = iter([False] * after + [True])
        stopped = setting(run=RunHandle(stopping=lambda asked=asked: next(asked)))
        with pytest.raises(StopRequested, match="while an evaluator was working"):
            retrain(stopped).evaluate(ARCHITECTURE, None)


def test_a_loss_that_is_not_finite_names_epoch_and_rate() -> None:
    with pytest.raises(
        DivergenceError,
        match=r"loss of the network is (nan|inf) in epoch 1 of 2, at learning rate 1e\+30\. Lower",
    ):
        retrain(learning_rate=1e30, gradient_clip=None).evaluate(ARCHITECTURE, None)


def refusals() -> Iterator[object]:
    splits = ToyData().splits(0)
    empty = without(splits.train)
    yield {"batch_size": 49}, {}, r"batch_size 49 is more than the 48 images of the train split"
    yield {"cutout": 8}, {}, "cutout must be less than the image's 8 pixels, got 8. Set cutout=2"
    yield {}, {"train": empty}, "train split, which holds 0 images; it needs at least 2"
    yield {"split": "train+valid"}, {"test": empty}, r"split=train\+valid has nothing to measure"
    yield {}, {"test": empty, "valid": empty}, "nothing to measure: no images are held out"
    yield {"rungs": [2, 1]}, {}, r"rungs that rise and stay below epochs \(2\)"
    yield {"rungs": [2]}, {}, r"rungs that rise and stay below epochs \(2\)"
    yield {"rungs": [0]}, {}, "rungs.0 must be at least 1, got 0"
    yield {"nesterov": True, "momentum": 0.0}, {}, "a momentum above 0 for nesterov"


@pytest.mark.parametrize(("options", "parts", "message"), list(refusals()))
def test_what_cannot_be_done_is_refused_before_anything_is_trained(
    options: dict[str, object], parts: dict[str, Split], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        retrain(setting(splits=replace(ToyData().splits(0), **parts)), **options)


def test_so_is_a_network_that_does_not_fit_the_images() -> None:
    class Narrow(ToySpace):
        def network(self, architecture: Architecture, task: Task) -> nn.Module:
            raise ConfigurationError("The auxiliary head needs 8 to 10 pixels")

    with pytest.raises(ConfigurationError, match="auxiliary head needs"):
        retrain(setting(space=Narrow()))


def test_the_offer_is_the_class() -> None:
    offers = {offer.name: offer for offer in nastk_training.evaluators()}
    assert offers["retrain"].summary == Retrain.summary
    assert offers["retrain"].load == f"{Retrain.__module__}:{Retrain.__name__}"


def test_a_network_of_darts_with_auxiliary_head_and_drop_path() -> None:
    options = {"network_channels": 2, "network_cells": 3, "nodes": 2, "auxiliary": True}
    space = DartsSpace(DartsSpace.parse_options(options))
    images = torch.randint(0, 256, (24, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    treat = ToyData().splits(0).train.augmentation
    part = Split(images.to(torch.uint8), torch.arange(24) % 3, treat)
    made = EvaluationContext(space, Task(3, 3, 32), Splits(part, part, without(part)))
    architecture = space.sample(space.full(), torch.Generator().manual_seed(0))
    found, again = (
        retrain(made, batch_size=12, drop_path=0.5, cutout=16).evaluate(architecture, None)
        for _ in range(2)
    )
    assert found == again and len(found.notes) == 1
    size = Size(made).evaluate(architecture, None)
    assert found.metrics["parameters"] == size.metrics["parameters"]
