import math
import warnings

import pytest
import torch

from nastk import ConfigurationError, Schedule, TrainerOptions
from nastk.base.component import parse


@pytest.mark.parametrize(
    ("base", "minimum", "epochs"), [(0.025, 0.001, 50), (0.1, 0.0, 7), (0.5, 0.5, 3), (1.0, 0.0, 1)]
)
def test_without_warmup_it_is_torch_s_cosine(base, minimum, epochs):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], base)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs, minimum)
    schedule = Schedule(base, minimum, 0, epochs)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # torch wants an optimizer step between two of the scheduler's
        for epoch in range(epochs):
            assert schedule.rate(epoch) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
            cosine.step()


def test_warmup_rises_linearly_to_the_base_and_the_cosine_follows():
    schedule = Schedule(0.4, 0.0, 0, 10, warmup=4)
    assert [schedule.rate(epoch) for epoch in range(5)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])
    assert schedule.rate(7) == pytest.approx(0.2)
    assert schedule.rate(10) == pytest.approx(0.0)


WITHIN = [
    # base, minimum, epochs, warm-up, the cosine is stepped before each epoch
    (0.5, 0.0, 50, 5, True),
    (0.5, 0.0, 50, 5, False),
    (0.1, 0.01, 12, 3, True),
    (0.1, 0.0, 50, 0, True),
    (0.2, 0.0, 4, 3, False),
]


@pytest.mark.parametrize(("base", "minimum", "epochs", "warmup", "early"), WITHIN)
def test_a_scaled_cosine_is_torch_s_scheduler_whose_first_rates_are_overwritten(
    base, minimum, epochs, warmup, early
):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], base)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs, minimum)
    schedule = Schedule(base, minimum, 0, epochs, warmup, "scaled", int(early))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for epoch in range(epochs):
            if early:
                cosine.step()
            if epoch < warmup:
                optimizer.param_groups[0]["lr"] = base * (epoch + 1) / warmup
            theirs = optimizer.param_groups[0]["lr"]
            assert schedule.rate(epoch) == pytest.approx(theirs, rel=1e-9, abs=1e-12)
            if not early:
                cosine.step()


@pytest.mark.parametrize(("base", "minimum", "epochs", "warmup", "early"), WITHIN)
def test_an_overwritten_cosine_is_the_whole_run_s_but_for_the_warmup(
    base, minimum, epochs, warmup, early
):
    schedule = Schedule(base, minimum, 0, epochs, warmup, "overwritten", int(early))
    for epoch in range(warmup):
        assert schedule.rate(epoch) == pytest.approx(base * (epoch + 1) / warmup)
    for epoch in range(warmup, epochs):
        turned = math.cos(math.pi * (epoch + early) / epochs)
        assert schedule.rate(epoch) == pytest.approx(
            minimum + (base - minimum) * (1 + turned) / 2, abs=1e-12
        )


def test_a_schedule_may_start_in_the_middle_of_a_run():
    late = Schedule(0.1, 0.0, 5, 15)
    early = Schedule(0.1, 0.0, 0, 10)
    assert [late.rate(epoch + 5) for epoch in range(10)] == [
        early.rate(epoch) for epoch in range(10)
    ]
    assert Schedule(**late.to_json()) == late
    moved = Schedule(0.1, 0.0, 5, 15, 3, "scaled", 1)
    same = Schedule(0.1, 0.0, 0, 10, 3, "scaled", 1)
    assert [moved.rate(epoch + 5) for epoch in range(10)] == [same.rate(e) for e in range(10)]
    assert Schedule(**moved.to_json()) == moved


def test_a_schedule_stored_before_it_knew_where_a_cosine_begins_is_what_it_was():
    stored = {"base": 0.4, "minimum": 0.0, "start": 0, "end": 10, "warmup": 4}
    assert [Schedule(**stored).rate(epoch) for epoch in (0, 4, 7)] == pytest.approx([0.1, 0.4, 0.2])


def test_a_schedule_may_end_behind_the_run_and_then_stays_at_its_minimum():
    half = Schedule(0.1, 0.02, 0, 10)
    assert half.rate(5) == pytest.approx(0.06)
    assert [half.rate(epoch) for epoch in (10, 11, 25)] == pytest.approx([0.02] * 3)


def test_a_schedule_of_no_length_does_not_divide_by_zero():
    assert Schedule(0.1, 0.0, 5, 5).rate(5) == 0.1
    assert Schedule(0.1, 0.0, 0, 2, warmup=2).rate(1) == 0.1
    assert Schedule(0.1, 0.0, 0, 2, 2, "scaled", 1).rate(2) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "trainer: epochs must be at least 1, got 0"),
        ({"batch_size": 1}, "trainer: batch_size must be at least 2, got 1"),
        ({"momentum": 1.0}, "trainer: momentum must be less than 1"),
        ({"learning_rat": 1}, "trainer has no option 'learning_rat'. Did you mean 'learning_rate'"),
        (
            {"learning_rate": 0.1, "minimum_learning_rate": 0.2},
            r"expected a minimum_learning_rate \(0.2\) not above learning_rate \(0.1\)",
        ),
        (
            {"epochs": 3, "warmup_epochs": 3},
            r"expected fewer warmup_epochs \(3\) than epochs \(3\)",
        ),
        ({"epochs": 3, "warmup_epochs": 4}, "expected fewer warmup_epochs"),
        (
            {"warmup_epochs": 2, "warmup_cosine": "within"},
            "warmup_cosine must be one of 'after', 'overwritten' or 'scaled', got 'within'",
        ),
        ({"nesterov": True, "momentum": 0}, "expected a momentum above 0 for nesterov"),
        ({"resting": False, "momentum": 0}, "expected a momentum above 0 for resting=false"),
    ],
)
def test_settings_that_cannot_work_are_refused(values, message):
    with pytest.raises(ConfigurationError, match=message):
        parse(TrainerOptions, values, "trainer")


BOUNDS = [
    ("epochs", 1, 0),
    ("batch_size", 2, 1),
    ("micro_batch", 2, 1),
    ("learning_rate", 1e-9, 0),
    ("minimum_learning_rate", 0, -1e-9),
    ("warmup_epochs", 0, -1),
    ("momentum", 0, -1e-9),
    ("momentum", 0.999, 1),
    ("weight_decay", 0, -1e-9),
    ("gradient_clip", 1e-9, 0),
    ("log_every", 1, 0),
    ("checkpoint_minutes", 1e-9, 0),
    ("threads", 0, -1),
    ("threads", 1024, 1025),
    ("workers", 0, -1),
    ("workers", 256, 257),
]


@pytest.mark.parametrize(("name", "allowed", "refused"), BOUNDS)
def test_each_number_has_its_bounds(name, allowed, refused):
    lowest = {} if name == "minimum_learning_rate" else {"minimum_learning_rate": 0}
    assert getattr(parse(TrainerOptions, {**lowest, name: allowed}, "trainer"), name) == allowed
    with pytest.raises(ConfigurationError, match=f"trainer: {name} must be .*, got"):
        parse(TrainerOptions, {**lowest, name: refused}, "trainer")


@pytest.mark.parametrize("values", [{"nesterov": True}, {"resting": False}, {"warmup_epochs": 49}])
def test_settings_that_work_together_are_taken(values):
    assert TrainerOptions(**values).model_dump(include=set(values)) == values


def test_every_setting_is_described():
    assert all(field.description for field in TrainerOptions.model_fields.values())
    assert TrainerOptions(gradient_clip=None).gradient_clip is None
