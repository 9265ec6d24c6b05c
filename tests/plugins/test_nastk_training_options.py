"""Options of a training beyond SGD with a cosine: each against the loop written out, or by hand."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nastk import (
    Augmentation,
    Batch,
    ConfigurationError,
    EvaluationContext,
    Objective,
    StopRequested,
    Task,
)
from nastk.testing import ToyData, ToySpace, fingerprint
from nastk.train.evaluator import RunHandle
from nastk_training.rates import rate
from nastk_training.recipe import Recipe
from nastk_training.setup import TrainingSetup
from nastk_training.treatment import Treatment, hits, losses

SMALL = {"epochs": 2, "batch_size": 16, "learning_rate": 0.1}
DATA = ToyData()


class Linear(nn.Module):
    """A linear network."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(192, 3)

    def forward(self, images):
        return self.layer(images.flatten(1))


class LinearSpace(ToySpace):
    """The toy with that network."""

    def network(self, architecture, task):
        return Linear()


def setup(space=None, every=0, **options):
    context = EvaluationContext(space or LinearSpace(), DATA.task, DATA.splits(0))
    return TrainingSetup(context, Recipe(**{**SMALL, **options}), every)


def trained(space=None, **options):
    made = setup(space, **options)
    training = made.training(architecture(made))
    training.until(made.recipe.epochs)
    return training


def architecture(made):
    return made.context.space.from_text("conv,skip,pool,conv,skip")


def written_out(made, optimizer_of, group=1, average=None):
    """The weights after the loop of a linear network, written with torch alone."""
    recipe, network = made.recipe, Linear()
    network.load_state_dict(made.training(architecture(made)).network.state_dict())
    optimizer = optimizer_of(network.parameters())
    batches = made.batches("train", made.train)
    mean = None
    for epoch in range(recipe.epochs):
        optimizer.param_groups[0]["lr"] = rate(recipe, epoch)
        images_and_labels = list(batches.epoch(epoch))
        for start in range(0, len(images_and_labels), group):
            part = images_and_labels[start : start + group]
            optimizer.zero_grad()
            for images, labels in part:
                (F.cross_entropy(network(images), labels) / len(part)).backward()
            nn.utils.clip_grad_norm_(network.parameters(), recipe.gradient_clip)
            optimizer.step()
            now = [weight.detach().clone() for weight in network.parameters()]
            if average is not None:
                mean = now if mean is None else [
                    average * old + (1 - average) * new for old, new in zip(mean, now, strict=True)
                ]  # fmt: skip
    return mean or now


def assert_same(network, weights):
    for ours, written in zip(network.parameters(), weights, strict=True):
        torch.testing.assert_close(ours.detach(), written, rtol=1e-5, atol=1e-6)


def sgd(weights):
    return torch.optim.SGD(weights, 0.1, momentum=0.9, weight_decay=3e-4)


# ---------------------------------------------------------------- steps


def test_adamw_is_torchs_with_the_recipes_numbers():
    options = {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.1, "momentum": 0.8}
    made = setup(**options)
    expected = written_out(
        made, lambda weights: torch.optim.AdamW(weights, 0.01, betas=(0.8, 0.999), weight_decay=0.1)
    )
    assert_same(trained(**options).network, expected)


def test_accumulated_batches_make_one_step_of_their_mean_gradient():
    options = {
        "batch_size": 10,
        "accumulate": 2,
    }  # 48 images: the last pair is 8
    assert_same(trained(**options).network, written_out(setup(**options), sgd, group=2))
    assert_same(trained(batch_size=10, accumulate=3).network,
                written_out(setup(batch_size=10, accumulate=3), sgd, group=3))  # fmt: skip


def test_the_average_is_what_is_measured_and_kept():
    training = trained(ema=0.7)
    assert_same(training.trained, written_out(setup(ema=0.7), sgd, average=0.7))
    assert_same(training.network, written_out(setup(), sgd))
    accuracies = setup().measured(training)
    training.network.load_state_dict(training.trained.state_dict())
    assert setup().measured(training) == accuracies


def test_the_average_has_the_norms_statistics_too():
    class Normed(Linear):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm2d(3)

        def forward(self, images):
            return super().forward(self.norm(images))

    class Space(ToySpace):
        def network(self, architecture, task):
            return Normed()

    training = trained(Space(), ema=0.5)
    assert not torch.equal(training.trained.norm.running_mean, training.network.norm.running_mean)
    assert training.trained.norm.running_var.ne(1).all()


@pytest.mark.parametrize(
    ("options", "epoch", "step", "expected"),
    [
        ({"epochs": 4}, 1, 2, (1 + math.cos(math.pi * 1.5 / 4)) / 2),
        ({"epochs": 4, "warmup_epochs": 2}, 1, 1, 6 / 8),
        ({"epochs": 4, "warmup_epochs": 2}, 3, 0, 0.5),
        ({"epochs": 4, "schedule": "exponential", "rate_decay": 0.25}, 1, 2, 0.25**1.5),
        ({"epochs": 4, "schedule": "linear"}, 2, 2, 1.5 / 4),
    ],
)
def test_rates_by_the_step(options, epoch, step, expected):
    recipe = Recipe(**options, rate_by="step", learning_rate=2.0)
    assert rate(recipe, epoch, step, 4) == pytest.approx(2 * expected)


def test_each_step_has_its_rate():
    training = trained(rate_by="step")
    assert training._rate == rate(training._recipe, 1, 2, 3) > 0
    assert fingerprint(training.network.state_dict()) != fingerprint(trained().network.state_dict())


def test_channels_first_is_the_same_network_up_to_the_last_digits():
    space = ToySpace()
    first, last = (trained(space, channels_last=layout) for layout in (False, True))
    convolution = next(w for w in first.network.parameters() if w.ndim == 4 and w.shape[1] > 1)
    assert convolution.is_contiguous()
    for one, other in zip(first.network.parameters(), last.network.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


# ---------------------------------------------------------------- images


TASK = Task(3, 3, 8)
PLAIN = Augmentation((0.5,) * 3, (0.25,) * 3, crop_padding=1, cutout=2)


def batch(images=8):
    rng = torch.Generator().manual_seed(0)
    pixels = torch.rand(images, 3, 8, 8, generator=rng)
    return Batch(pixels, torch.arange(images) % 3)


def treatment(**options):
    return Treatment(Recipe(**{**SMALL, **options}), TASK, PLAIN, 0)


def test_without_options_batches_stay_as_they_come():
    assert treatment().is_idle and treatment().before() == PLAIN
    training, plain = setup().training, trained()
    assert training(architecture(setup()))._treatment is None and plain.epochs == 2


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_mixing_gives_each_image_a_share_of_the_one_before_it(name):
    given = batch()
    images, labels = treatment(**{name: 1.0})(given, 3)
    assert labels.shape == (8, 3) and torch.allclose(labels.sum(1), torch.ones(8))
    own = labels.gather(1, given.labels[:, None]).squeeze()
    assert 0 < own.min() < 1 and torch.allclose(own, own[0].expand(8), atol=1e-6)
    partner = given.images.roll(1, 0)
    if name == "mixup":
        expected = own[0] * given.images + (1 - own[0]) * partner
        torch.testing.assert_close(images, expected)
    else:
        pasted = images == partner
        assert pasted.float().mean().item() == pytest.approx(1 - own[0].item(), abs=1e-5)
        assert torch.equal(images[~pasted], given.images[~pasted])


def test_a_batch_depends_on_seed_and_step_alone():
    options = {"mixup": 0.4, "cutmix": 1.0, "randaugment": 2}
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, again, other = (treatment(**options)(batch(), step) for step in (0, 0, 1))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_randaugment_gets_pixels_and_its_images_are_normalised_and_cut_afterwards():
    treat = treatment(randaugment=1, randaugment_magnitude=0)  # many operations then change nothing
    assert treat.before() == replace(PLAIN, mean=(0.0,) * 3, std=(1.0,) * 3, cutout=0)
    images, labels = treat(batch(32), 0)
    assert sorted(labels.tolist()) == sorted(batch(32).labels.tolist())
    assert (images == 0).all(1).flatten(1).any(1).float().mean() > 0.9  # the cutout is there
    assert images.min() >= -2 and images.max() <= 2
    kept = (batch(32).images * 255).round() / 255
    found = [
        ((image * 0.25 + 0.5) - kept).abs().flatten(1).median(1).values.min() for image in images
    ]
    assert sum(float(distance) < 1e-5 for distance in found) > 8


def test_randaugment_is_refused_on_other_channels():
    with pytest.raises(ConfigurationError, match="images of 1 or 3 channels; these have 4"):
        Treatment(Recipe(randaugment=1), Task(3, 4, 8), Augmentation((0.5,) * 4, (1.0,) * 4), 0)


@pytest.mark.parametrize(
    "objective", [Objective(), Objective(0.2), Objective(0.1, (0.5, 1.0, 1.5))]
)
def test_the_loss_of_a_mixed_image_is_the_mean_of_both_by_their_shares(objective):
    rng = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(6, 3, generator=rng), torch.arange(6) % 3
    one_hot = F.one_hot(labels, 3).float()
    other = labels.roll(1)
    shares = 0.7 * one_hot + 0.3 * one_hot.roll(1, 0)
    reported, minimised = losses(objective, logits, shares)
    expected = 0.7 * objective.loss(logits, labels) + 0.3 * objective.loss(logits, other)
    torch.testing.assert_close(minimised, expected.to(minimised.dtype))
    plain = 0.7 * F.cross_entropy(logits, labels) + 0.3 * F.cross_entropy(logits, other)
    torch.testing.assert_close(reported, plain)
    assert hits(objective, logits, shares) == hits(objective, logits, labels)


def test_all_of_it_together_trains():
    training = trained(
        ToySpace(), mixup=0.2, cutmix=1.0, randaugment=2, ema=0.9, accumulate=2, optimizer="adamw",
        learning_rate=0.01, rate_by="step", warmup_epochs=1, label_smoothing=0.1, precision="bf16",
    )  # fmt: skip
    assert [record.epoch for record in training.records] == [1, 2]
    assert math.isfinite(training.loss) and training.images == [96, 96]


# ---------------------------------------------------------------- the epoch that counts


def test_the_best_epoch_is_chosen_by_the_valid_split_alone():
    made = setup(ToySpace(), epochs=6, keep_epoch="best", learning_rate=0.3)
    training = made.training(architecture(made))
    training.until(6)
    training.choose()
    measured = [record.valid_accuracy for record in training.records]
    assert made.measured(training)["valid"] == max(measured) > min(measured)
    assert training._best["epoch"] == 1 + measured.index(max(measured))


@pytest.mark.parametrize(("every", "expected"), [(0, []), (1, [1, 2, 3, 4, 5]), (2, [2, 4, 5])])
def test_the_valid_split_is_measured_so_often_and_that_is_in_the_forecast(every, expected):
    made = setup(epochs=5, measure_every=every)
    training = made.training(architecture(made))
    training.until(5)
    made.measured(training)
    records = training.records
    assert [r.epoch for r in records if r.valid_accuracy is not None] == expected
    assert training.images == [5 * 48 + 48 * len(expected) + 48 + 48, 5 * 48]
    assert training.images[0] <= made.max_cost().images_forward


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_epoch": "best", "split": "train+valid"}, "split=train and measure_every from 1"),
        ({"keep_epoch": "best", "measure_every": 0}, "split=train and measure_every from 1"),
        ({"optimizer": "adamw", "nesterov": True}, "optimizer=sgd for nesterov"),
    ],
)
def test_options_that_contradict_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**options)


def test_the_best_epoch_needs_held_out_images():
    splits = DATA.splits(0)
    empty = replace(splits, valid=splits.valid.select([]))
    with pytest.raises(ConfigurationError, match="chooses by the valid split, which is empty"):
        TrainingSetup(EvaluationContext(ToySpace(), DATA.task, empty),
                      Recipe(**SMALL, keep_epoch="best"))  # fmt: skip


# ---------------------------------------------------------------- stored and gone on with


RICH = {
    "epochs": 3, "ema": 0.9, "mixup": 0.4, "randaugment": 1, "optimizer": "adamw",
    "learning_rate": 0.01, "keep_epoch": "best", "accumulate": 2, "batch_size": 8,
}  # fmt: skip


@pytest.mark.parametrize("options", [{"epochs": 3, "batch_size": 8}, RICH], ids=["plain", "rich"])
@pytest.mark.parametrize("stop", [1, 7, 8])
def test_a_stored_training_goes_on_to_the_same_bits(options, stop, tmp_path):
    """Six batches an epoch; the stop falls between steps, after an epoch, while it is measured."""
    made = setup(ToySpace(), **options)
    straight = made.training(architecture(made))
    straight.until(3)
    asked = iter([False] * stop + [True])
    context = replace(made.context, run=RunHandle(stopping=lambda: next(asked)))
    stopped = TrainingSetup(context, made.recipe).training(architecture(made))
    with pytest.raises(StopRequested):
        stopped.until(3)
    torch.save(stopped.state_dict(), tmp_path / "state.pt")
    again = made.training(architecture(made))
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    again.until(3)
    assert fingerprint(again.trained.state_dict()) == fingerprint(straight.trained.state_dict())
    without_time = [replace(record, seconds=0.0) for record in again.records]
    assert without_time == [replace(record, seconds=0.0) for record in straight.records]
