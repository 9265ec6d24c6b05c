"""`nastk_evaluators`: sizes by hand and as published, supernet accuracy by torch, the contract."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from evaluators_kit import Even
from torch import Tensor, nn

import nastk_evaluators
from nastk import (
    Architecture,
    Batch,
    ConfigurationError,
    DataError,
    EvaluationContext,
    Mixture,
    Probe,
    Split,
    Task,
)
from nastk.data.opening import stream
from nastk.nn import multiply_adds, parameters, without_auxiliary
from nastk.testing import EvaluatorContract, Harness, ToyData, ToySpace
from nastk_evaluators.size import Size
from nastk_evaluators.supernet import SupernetAccuracy
from nastk_spaces_darts.space import DartsSpace


class TestSize(EvaluatorContract):
    evaluator, updater = Size, Even


class TestSupernetAccuracy(EvaluatorContract):
    evaluator, options, updater = SupernetAccuracy, {"batch_size": 16}, Even


def setting(**changes: object) -> EvaluationContext:
    data = ToyData()
    return replace(EvaluationContext(ToySpace(), data.task, data.splits(0)), **changes)


# ---------------------------------------------------------------- size

STEM, CONV, HEAD = 4 * 3 * 9 + 4, 4 * 4 * 9, 3 * 4 + 3  # weights; the toy's norms have none
STEM_WORK, CONV_WORK, HEAD_WORK = 64 * 4 * 3 * 9, 64 * CONV, 3 * 4  # on 8x8 pixels


@pytest.mark.parametrize(
    ("text", "convolutions"),
    [
        ("skip,skip,skip,skip,skip", 0),
        ("pool,pool,pool,skip,skip", 0),
        ("skip,skip,skip,conv,skip", 1),  # the second cell type comes once
        ("conv,skip,skip,skip,skip", 2),  # the first comes twice
        ("conv,conv,conv,conv,conv", 8),
    ],
)
def test_size_equals_the_count_by_hand(text: str, convolutions: int) -> None:
    evaluation = Size(setting()).evaluate(ToySpace().from_text(text), None)
    assert evaluation.metrics == {
        "parameters": STEM + HEAD + convolutions * CONV,
        "multiply_adds": STEM_WORK + HEAD_WORK + convolutions * CONV_WORK,
    }
    assert evaluation.notes == ("Counted for one image of 3 x 8 x 8, without an auxiliary head.",)


@pytest.mark.parametrize(("channels", "size", "classes"), [(1, 8, 3), (3, 16, 3), (3, 8, 100)])
def test_size_follows_the_task(channels: int, size: int, classes: int) -> None:
    task = Task(classes, channels, size)
    metrics = (
        Size(setting(task=task))
        .evaluate(ToySpace().from_text("skip,skip,skip,skip,skip"), None)
        .metrics
    )
    assert metrics["parameters"] == 4 * channels * 9 + 4 + 5 * classes
    assert metrics["multiply_adds"] == size * size * 4 * channels * 9 + 4 * classes


class WithAuxiliary(nn.Module):
    """A network whose auxiliary head would count for more than all the rest."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.auxiliary: nn.Module | None = nn.Linear(192, 1000)

    def forward(self, images: Tensor) -> Tensor:
        if self.auxiliary is not None:
            self.auxiliary(images.flatten(1))
        return self.network(images)  # type: ignore[no-any-return]


def test_an_auxiliary_head_does_not_count() -> None:
    class Space(ToySpace):
        def network(self, architecture: Architecture, task: Task) -> nn.Module:
            return WithAuxiliary(super().network(architecture, task))

    architecture = ToySpace().from_text("conv,skip,pool,conv,skip")
    plain, dressed = (
        Size(setting(space=space)).evaluate(architecture, None) for space in (ToySpace(), Space())
    )
    assert dressed.metrics == plain.metrics


def test_without_auxiliary_leaves_other_networks_alone() -> None:
    network = nn.Sequential(nn.Linear(2, 2))
    assert without_auxiliary(network) is network
    network.register_module("auxiliary", None)
    assert without_auxiliary(network).auxiliary is None


def test_frozen_weights_are_no_parameters_and_depthwise_convolutions_are_cheap() -> None:
    with torch.device("meta"):
        network = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False),
            nn.BatchNorm2d(8),
            nn.Conv2d(8, 16, 1, stride=2),
        )
    network[0].requires_grad_(False)
    assert parameters(network) == 16 + 8 * 16 + 16
    assert multiply_adds(network, Task(2, 8, 10).shape) == 100 * 8 * 9 + 25 * 8 * 16
    assert not network.training


def test_counting_draws_no_random_numbers() -> None:
    state = torch.get_rng_state()
    Size(setting()).evaluate(ToySpace().from_text("conv,conv,conv,conv,conv"), None)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.empty(1).device.type == "cpu"


CIFAR, IMAGENET = Task(10, 3, 32), Task(1000, 3, 224)
# The tests of the space count these networks too, in the quick suite.
COUNTED_THERE = pytest.mark.slow


@pytest.mark.parametrize(
    ("cell", "task", "millions", "work"),
    [
        ("SHAPLEY_CIFAR10", CIFAR, 3.6034, 558.2),
        pytest.param("SHAPLEY_CIFAR10", IMAGENET, 5.1388, 565.5, marks=COUNTED_THERE),
        pytest.param("SHAPLEY_IMAGENET", IMAGENET, 5.4239, 598.0, marks=COUNTED_THERE),
        pytest.param("ISDARTS", CIFAR, 4.7162, 746.1, marks=COUNTED_THERE),
        pytest.param("ISDARTS", IMAGENET, 6.4348, 724.3, marks=COUNTED_THERE),
        ("EVNAS_A", IMAGENET, 5.1, 570),
        ("EVNAS_C", IMAGENET, 4.9, 547),
    ],
)
def test_size_of_published_cells(cell: str, task: Task, millions: float, work: float) -> None:
    """Shapley-NAS and IS-DARTS as counted on the authors' networks, EvNAS as its paper prints."""
    space = DartsSpace(
        DartsSpace.parse_options({"auxiliary": True, "distinct_inputs": cell != "ISDARTS"})
    )
    metrics = Size(setting(space=space, task=task)).evaluate(space.from_text(cell), None).metrics
    digits = [len(str(number).partition(".")[2]) for number in (millions, work)]
    assert round(metrics["parameters"] / 1e6, digits[0]) == millions
    assert round(metrics["multiply_adds"] / 1e6, digits[1]) == work


@pytest.mark.parametrize("evaluator", [Size, SupernetAccuracy])
def test_refuses_an_architecture_of_another_space(
    evaluator: type[Size] | type[SupernetAccuracy],
) -> None:
    harness = Harness(Even)
    probe = harness.trainer.probe(harness.trainer.root())
    stranger = replace(ToySpace().from_text("conv,skip,pool,conv,skip"), space="other")
    with pytest.raises(DataError, match="Expected an architecture of space 'toy'"):
        evaluator(setting()).evaluate(stranger, probe)


# ---------------------------------------------------------------- supernet


@pytest.fixture(scope="module")
def trained() -> tuple[Harness, Probe]:
    harness = Harness(Even)
    (branch,) = harness.run()
    return harness, harness.trainer.probe(branch)


ARCHITECTURE = ToySpace().from_text("conv,skip,pool,conv,skip")


@pytest.mark.parametrize("batch_size", [16, 20, 250])
def test_accuracy_is_that_of_the_path(trained: tuple[Harness, Probe], batch_size: int) -> None:
    harness, probe = trained
    evaluator = SupernetAccuracy(
        setting(splits=harness.splits), SupernetAccuracy.parse_options({"batch_size": batch_size})
    )
    metrics = evaluator.evaluate(ARCHITECTURE, probe).metrics
    assert list(metrics) == ["valid_accuracy", "test_accuracy"]
    supernet, path = probe._branch.supernet, Mixture.of(ARCHITECTURE)
    for name in ("valid", "test"):
        batches = stream(
            getattr(harness.splits, name),
            batch_size,
            0,
            f"evaluator/{name}",
            torch.device("cpu"),
            augment=False,
        )
        with torch.no_grad():
            hits = sum(int((supernet(x, path).argmax(1) == y).sum()) for x, y in batches.epoch(0))
        assert metrics[f"{name}_accuracy"] == hits / 48


def test_notes_say_what_the_number_depends_on(trained: tuple[Harness, Probe]) -> None:
    harness, probe = trained
    notes = SupernetAccuracy(setting(splits=harness.splits)).evaluate(ARCHITECTURE, probe).notes
    assert any("each batch of 250 images" in note for note in notes)


def test_images_stored_class_by_class_are_mixed(
    trained: tuple[Harness, Probe], monkeypatch: pytest.MonkeyPatch
) -> None:
    harness, probe = trained
    test = harness.splits.test
    order = test.labels.argsort(stable=True)
    sorted_test = Split(test.images[order], test.labels[order], test.augmentation)
    seen: list[int] = []
    original = probe.scores

    def scores(mixtures: list[Mixture], batches: list[Batch]) -> Iterator[float]:
        seen.extend(len(batch.labels.unique()) for batch in batches)
        return original(mixtures, batches)

    monkeypatch.setattr(probe, "scores", scores)
    evaluator = SupernetAccuracy(
        setting(splits=replace(harness.splits, test=sorted_test)),
        SupernetAccuracy.parse_options({"batch_size": 16}),
    )
    evaluator.evaluate(ARCHITECTURE, probe)
    assert seen == [3] * 6


def test_an_empty_valid_split_is_left_out(trained: tuple[Harness, Probe]) -> None:
    harness, probe = trained
    valid = harness.splits.valid
    none = Split(valid.images[:0], valid.labels[:0], valid.augmentation)
    metrics = (
        SupernetAccuracy(setting(splits=replace(harness.splits, valid=none)))
        .evaluate(ARCHITECTURE, probe)
        .metrics
    )
    assert list(metrics) == ["test_accuracy"]
    evaluator = SupernetAccuracy(setting(splits=replace(harness.splits, valid=none, test=none)))
    with pytest.raises(ConfigurationError, match="valid and the test split are both empty"):
        evaluator.evaluate(ARCHITECTURE, probe)


def test_every_image_is_charged() -> None:
    harness = Harness(Even)
    probe = harness.trainer.probe(harness.trainer.root())
    with harness.trainer.ledger.phase("evaluate"):
        SupernetAccuracy(setting(splits=harness.splits)).evaluate(ARCHITECTURE, probe)
    spent = harness.trainer.ledger.cost().phases["evaluate"]
    assert (spent.images_forward, spent.images_backward) == (48 + 48, 0)


def test_needs_a_supernet() -> None:
    assert SupernetAccuracy.needs_supernet
    assert not Size.needs_supernet
    with pytest.raises(
        ConfigurationError,
        match=r"'supernet' measures the weights .* got none\. Point it at a run folder",
    ):
        SupernetAccuracy(setting()).evaluate(ARCHITECTURE, None)


# ---------------------------------------------------------------- what is offered


@pytest.mark.parametrize("component", [SupernetAccuracy, Size])
def test_the_offer_is_the_class(component: type[Size] | type[SupernetAccuracy]) -> None:
    offers = {offer.name: offer for offer in nastk_evaluators.evaluators()}
    assert offers[component.name].summary == component.summary
    assert offers[component.name].load == f"{component.__module__}:{component.__name__}"
