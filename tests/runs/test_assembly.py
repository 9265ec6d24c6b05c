import pytest
import torch
from core_kit import WISHES, Still, with_classes
from torch import nn

import nastk
from nastk import (
    ComponentSpec,
    ConfigurationError,
    DataError,
    Plan,
    UnknownNameError,
    assemble,
    resolve,
)
from nastk.runs.assembly import evaluator
from nastk.testing import ToySpace

TOY = {**WISHES, "device": "cpu"}


class Pairs(torch.utils.data.Dataset):
    """Grey images of 8 x 8 pixels with their class, as torchvision gives them."""

    def __init__(self, count=24, classes=3):
        self.count, self.classes = count, classes

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        rng = torch.Generator().manual_seed(index)
        return torch.randint(0, 255, (1, 8, 8), generator=rng).to(torch.uint8), index % self.classes


def assembled(installed=None, **request):
    return assemble(resolve({**TOY, **request}, installed), installed=installed)


def trainer(**options):
    return {**TOY["trainer"], **options}


def test_a_run_is_put_together():
    found = assembled(seed=4)
    assert (found.space.name, found.task.classes, found.execution.device.type) == ("toy", 3, "cpu")
    assert [one.name for one in found.evaluators] == ["supernet", "size"]
    assert found.plan == Plan(2, 3, 16, 48, 48)
    assert found.trainer.seed == 4
    assert found.trainer.ledger.cost().phases == {}
    assert evaluator(found, "size", {}).context.splits is found.splits


@pytest.mark.parametrize("batch_size", [2, 5, 7, 16, 47, 48, 49, 1000])
@pytest.mark.parametrize("images", [8, 30, 94, 96])
def test_the_plan_counts_the_steps_that_are_taken(batch_size, images):
    found = assembled(data=nastk.use("toy", images=images), trainer=trainer(batch_size=batch_size))
    assert found.plan.steps_per_epoch == len(found.trainer.train)
    assert found.plan.train_images == found.trainer.train.images == images // 2


def test_putting_together_leaves_the_random_state_alone():
    before = torch.manual_seed(987654).get_state()
    assembled()
    assert torch.equal(torch.get_rng_state(), before)


def test_one_seed_is_one_run_and_another_is_not():
    first, again, other = (
        assembled(seed=seed).trainer.root().supernet.stem.weight for seed in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("updater", ["darts", "shapley", "random"])
def test_an_updater_that_learns_on_valid_needs_one(updater):
    message = (
        rf"Updater '{updater}' learns on the validation split, which is empty \(train_fraction = "
        r"1\.0\)\. Set -d train_fraction=0\.5"
    )
    with pytest.raises(ConfigurationError, match=message):
        assembled(updater=updater, data=nastk.use("toy", train_fraction=1.0))


def test_without_a_valid_split_a_single_level_updater_runs():
    found = assembled(
        with_classes(updater=Still), updater="still", data=nastk.use("toy", train_fraction=1.0)
    )
    assert found.trainer.valid is None and found.plan.valid_images == 0
    assert len(found.trainer.train) == 6


def test_a_plan_that_cannot_work_is_refused_in_the_updater_s_words():
    with pytest.raises(
        ConfigurationError,
        match=r"shapley: warmup=15 leaves none of 2 epochs for alpha to move in\. Use",
    ):
        assembled(updater="shapley")


def test_a_space_without_an_architecture_is_refused():
    class Empty(ToySpace):
        name, summary = "empty", "holds nothing"

        def why_empty(self, subspace):
            return "every edge is a wall"

    with pytest.raises(
        ConfigurationError,
        match="Space 'empty' with these options holds no architecture: every edge is a wall",
    ):
        assembled(with_classes(space=Empty), space="empty")


class Narrow(nn.Module):
    """Answers with `shape`, or raises it."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape

    def forward(self, images, mixture):
        if isinstance(self.shape, Exception):
            raise self.shape
        return torch.zeros(self.shape)


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (
            (2, 5),
            ConfigurationError,
            r"The supernet of space 'odd' \(test 0\) answered logits of shape \(2, 5\), expected",
        ),
        (
            RuntimeError("size mismatch"),
            ConfigurationError,
            "cannot take images of 3 x 8 x 8: size mismatch",
        ),
        (DataError("too small"), DataError, "^too small$"),
    ],
)
def test_shapes_that_do_not_fit_show_before_the_first_step(answer, error, message):
    class Odd(ToySpace):
        name, summary = "odd", "answers oddly"

        def supernet(self, task):
            return Narrow(answer)

    with pytest.raises(error, match=message):
        assembled(with_classes(space=Odd), space="odd")


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigurationError, match="this machine has 0 CUDA devices"):
        assembled(device="cuda")


# ---------------------------------------------------------------------- data sets from Python


@pytest.mark.parametrize("sets", [1, 2, 3])
def test_data_sets_from_python(sets, tmp_path):
    result = nastk.search(
        "toy", "toy-split", [Pairs(), Pairs(12), Pairs(6)][:sets], **_quick(), out=tmp_path / "run"
    )
    assert result.architecture.space == "toy"
    assert ("test_accuracy" in result.evaluation) is (sets == 3)


def _quick():
    return {"epochs": 1, "trainer": {"batch_size": 8}}


def test_data_sets_from_python_must_be_given_again(tmp_path):
    config = resolve({**TOY, "data": "pair"})
    assert config.data == resolve({**TOY, "data": ComponentSpec("pair")}).data
    for data in (None, (), (Pairs(),) * 4):
        with pytest.raises(
            ConfigurationError,
            match=r"only Python can give them again: use nastk\.search\(data=\(train, valid\)\)",
        ):
            assemble(config, data)
    assert assemble(config, (Pairs(), Pairs(12))).plan.valid_images == 12


@pytest.mark.parametrize(("fraction", "images"), [(0.1, 1), (0.05, 0)])
def test_a_train_split_too_small_to_train_on(fraction, images):
    with pytest.raises(
        ConfigurationError,
        match=rf"The train split holds {images} images; training needs at least 2\.",
    ):
        assembled(data=nastk.use("toy", images=8, train_fraction=fraction))


def test_more_toy_images_than_memory_holds_are_refused_before_they_are_drawn():
    with pytest.raises(ConfigurationError, match=r"toy: images must be at most 1,?000,?000"):
        assembled(data=nastk.use("toy", images=10**9))


def test_evaluators_are_made_from_their_names():
    found = assembled(evaluators=["size"])
    assert [one.name for one in found.evaluators] == ["size"]
    with pytest.raises(UnknownNameError, match="No evaluator is named 'retrian'"):
        evaluator(found, "retrian", {})
    with pytest.raises(ConfigurationError, match="supernet: batch_size must be at least 2"):
        evaluator(found, "supernet", {"batch_size": 1})
