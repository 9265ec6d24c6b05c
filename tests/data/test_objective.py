"""The loss that is minimised and the loss that is reported: closed forms, weights from where."""

import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from data_kit import random_split
from pydantic import Field
from torch import Tensor

import nastk
from nastk import ConfigurationError, Objective
from nastk.data.objective import objective_for
from nastk.data.splits import Splits, nothing
from nastk.testing import ToyData

LOGITS = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 2, 0, 1, 2])
CASES = [(0.0, None), (0.1, None), (0.0, (0.5, 1.0, 4.0)), (0.3, (2.0, 0.25, 1.0))]
NAMES = ("cat", "dog", "owl")


def by_hand(logits: Tensor, labels: Tensor, smoothing: float, weights: tuple[float, ...]) -> float:
    """The formula of `Objective`, image by image."""
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        away = torch.logsumexp(torch.tensor(row, dtype=torch.float64), 0).item()
        costs = [away - value for value in row]
        own = (1 - smoothing) * costs[label] + smoothing / len(costs) * sum(costs)
        total += weights[label] * own
    return total / len(labels)


@pytest.mark.parametrize(("smoothing", "weights"), CASES)
def test_the_loss_is_that_of_the_formula_and_reports_are_plain(
    smoothing: float, weights: tuple[float, ...] | None
) -> None:
    objective = Objective(smoothing, weights)
    expected = by_hand(LOGITS, LABELS, smoothing, weights or (1.0,) * 3)
    assert float(objective.loss(LOGITS, LABELS)) == pytest.approx(expected, rel=1e-12)
    assert objective.loss(LOGITS, LABELS).dtype == torch.float64
    plain = by_hand(LOGITS, LABELS, 0.0, (1.0,) * 3)
    assert float(objective.reported(LOGITS, LABELS)) == pytest.approx(plain, rel=1e-12)
    assert float(objective.total(LOGITS, LABELS, "loss")) == pytest.approx(7 * plain, rel=1e-12)
    right = [int(row.argmax()) == int(label) for row, label in zip(LOGITS, LABELS, strict=True)]
    assert objective.hits(LOGITS, LABELS).tolist() == right
    assert float(objective.total(LOGITS, LABELS, "accuracy")) == sum(right)
    assert objective.is_plain == (smoothing == 0 and weights is None)
    assert Objective.from_json(json.loads(json.dumps(objective.to_json()))) == objective


def test_by_default_it_is_torchs_cross_entropy_to_the_bit() -> None:
    logits = LOGITS.float()
    assert torch.equal(Objective().loss(logits, LABELS), F.cross_entropy(logits, LABELS))
    smoothed = F.cross_entropy(logits, LABELS, label_smoothing=0.1)
    assert torch.equal(Objective(0.1).loss(logits, LABELS), smoothed)


@pytest.mark.parametrize(("smoothing", "weights"), CASES)
def test_pieces_of_a_batch_add_up_to_it(
    smoothing: float, weights: tuple[float, ...] | None
) -> None:
    objective = Objective(smoothing, weights)
    pieces = [(slice(0, 3), 3), (slice(3, 7), 4)]
    total = sum(size * float(objective.loss(LOGITS[at], LABELS[at])) for at, size in pieces)
    assert total / 7 == pytest.approx(float(objective.loss(LOGITS, LABELS)), rel=1e-12)


@pytest.mark.parametrize(
    ("given", "labels", "weights"),
    [
        (None, [0, 0, 1, 2], None),
        ("balanced", [0, 0, 0, 0, 1, 1, 2], (7 / 12, 7 / 6, 7 / 3)),  # images / (3 * of the class)
        ("balanced", [0, 1, 2, 2, 1, 0], None),  # all alike: the same bits as without
        ((2.0, 2.0, 2.0), [0, 1, 2, 2], None),
        ((1.0, 2.0, 4.0), [0, 0, 1, 2], (0.5, 1.0, 2.0)),
        ((0.1, 0.2, 0.4), [0, 0, 1, 2], (0.5, 1.0, 2.0)),  # only their proportions count
    ],
)
def test_weights_have_mean_one_over_the_train_images(
    given: object, labels: list[int], weights: tuple[float, ...] | None
) -> None:
    found = objective_for(0.0, given, torch.tensor(labels), NAMES, "toy").class_weights  # type: ignore[arg-type]
    assert (found is None) == (weights is None)
    if found is not None and weights is not None:
        assert found == pytest.approx(weights, rel=1e-12)
        assert sum(found[label] for label in labels) == pytest.approx(len(labels), rel=1e-12)


@pytest.mark.parametrize(
    ("given", "labels", "message"),
    [
        ((1.0, 2.0), [0, 1, 2], r"toy: class_weights has 2 numbers for 3 classes \(cat, dog, owl"),
        ((1.0, 2.0, 1.0, 1.0), [0, 1, 2], "has 4 numbers for 3 classes"),
        ("balanced", [0, 0, 1], "balanced needs train images of every class, and class 'owl'"),
        ("balanced", [0, 0, 2], "balanced needs train images of every class, and class 'dog'"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    given: object, labels: list[int], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        objective_for(0.0, given, torch.tensor(labels), NAMES, "toy")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    ["balance", [], [1, 0, 1], [1, -2, 1], [1, True, 1], ["1", 1, 1], 2, {"a": 1}, [1e9, 1]],
)
def test_what_is_no_weights_is_refused_by_the_options(given: object) -> None:
    with pytest.raises(ConfigurationError, match=r"class_weights.*balanced, or a list of numbers"):
        ToyData.parse_options({"class_weights": given})


@pytest.mark.parametrize("value", [-0.1, 1.0])
def test_smoothing_lies_below_one(value: float) -> None:
    with pytest.raises(ConfigurationError, match="label_smoothing must be"):
        ToyData.parse_options({"label_smoothing": value})


def test_balanced_weights_come_from_train_labels_alone() -> None:
    source = ToyData(ToyData.parse_options({"class_weights": "balanced", "label_smoothing": 0.2}))
    train = random_split(6)
    train = replace(train, labels=torch.tensor([0, 0, 0, 1, 1, 2]))
    found = []
    for others in (
        nothing(),
        random_split(9),
        replace(random_split(9), labels=torch.zeros(9).long()),
    ):
        found.append(source.task_of(Splits(train, others, others)).objective)
    assert found[0] == found[1] == found[2]
    assert found[0].label_smoothing == 0.2
    assert found[0].class_weights == pytest.approx((2 / 3, 1.0, 2.0))
    assert source.task.objective == Objective()


class Bare(ToyData):
    """A source whose options are not those of every source."""

    name = "bare"

    class Options(nastk.Options):
        images: int = Field(24, description="how many")
        train_fraction: float = Field(0.5, description="how many train")


def test_a_source_without_the_common_options_has_the_usual_objective() -> None:
    source = Bare(Bare.parse_options({}))
    assert source.task_of(source.splits(0)) == source.task


def test_words_say_what_is_trained_on() -> None:
    assert Objective().words() == "cross-entropy"
    words = "cross-entropy, label smoothing 0.1, class weights from 0.5 to 2"
    assert Objective(0.1, (0.5, 2.0)).words() == words
