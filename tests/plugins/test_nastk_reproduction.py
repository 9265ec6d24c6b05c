"""Reproduction cards: every one can be run as it stands; a small one is run, stopped and read."""

import json

import pytest
from typer.testing import CliRunner

import nastk
from nastk import ConfigurationError, NastkError, catalogue
from nastk.cli.app import build
from nastk_reproduction import cards as known
from nastk_reproduction.cards import Card, Outcome, Published, cards, markdown
from nastk_reproduction.running import OWN_AUGMENTATION, interval, reproduced, request

TINY = Card(
    name="tiny",
    title="random search on the toy",
    citation="nobody",
    request={"space": "toy", "updater": "random", "data": "toy"},
    evaluators=("supernet",),
    metric="supernet.valid_accuracy",
    published=Published(value=50.0, spread=1.0, runs=3),
    is_error=True,
    reduced={"trainer": {"epochs": 1, "threads": 1}, "updater": {"candidates": 2}},
)


@pytest.mark.parametrize("reduced", [False, True])
@pytest.mark.parametrize("name", cards())
def test_every_card_resolves(name, reduced):
    card = cards()[name]
    if reduced and not card.reduced:
        with pytest.raises(ConfigurationError, match="no reduced form"):
            request(card, reduced)
        return
    config = nastk.resolve(request(card, reduced))
    assert config.space.name == card.request["space"]
    assert config.updater.name == card.request["updater"]
    assert card.metric.split(".")[0] in [evaluator.name for evaluator in config.evaluators]
    metrics = {"table": "table_test_accuracy", "retrain": "test_accuracy"}
    evaluator, _, metric = card.metric.partition(".")
    assert metric == metrics[evaluator]
    assert (config.trainer.epochs == 20) == reduced


def test_a_published_architecture_is_one_of_its_space():
    (card,) = [card for card in cards().values() if card.architecture]
    space = catalogue().load("space", card.request["space"])
    assert space(space.parse_options()).from_text(card.architecture).connected


def test_full_size_is_the_preset_and_other_images_keep_what_both_sources_have(tmp_path):
    card = cards()["evnas-nasbench201-cifar10"]
    published = nastk.resolve(dict(card.request)).model_dump(mode="json")
    full = request(card)
    assert full["updater"] == published["updater"] and full["trainer"] == published["trainer"]
    moved = request(card, data=f"folder:{tmp_path}")["data"]
    assert moved["name"] == "folder" and moved["options"]["path"] == str(tmp_path)
    fraction = published["data"]["options"]["train_fraction"]
    assert moved["options"]["train_fraction"] == fraction
    assert (moved["options"]["crop_padding"], moved["options"]["flip"]) == (4, True)


def test_other_images_are_cropped_and_mirrored_as_the_published_source_would():
    for name, own in OWN_AUGMENTATION.items():
        source = catalogue().load("data", name)
        if hasattr(source, "mirror"):  # imagenet16-120 says it in its splits alone
            assert own == {"crop_padding": source.crop, "flip": source.mirror}


def test_a_card_is_run_seed_by_seed_and_read_again_without_training(tmp_path):
    first = reproduced(TINY, tmp_path, [0, 1], reduced=True, command="nastk reproduce tiny")
    assert set(first.values) == {0, 1} and first.reduced
    assert all(0 <= value <= 100 for value in first.values.values())
    assert first.mean == pytest.approx(sum(first.values.values()) / 2, abs=1e-3)
    assert first.low is not None and first.low <= first.mean <= first.high
    again = reproduced(TINY, tmp_path, [0, 1], reduced=True)
    assert again.values == first.values and again.architectures == first.architectures
    share = nastk.resume(tmp_path / "seed0").evaluation["valid_accuracy"]
    assert first.values[0] == pytest.approx(100 - 100 * share, abs=1e-3)


def test_a_metric_that_a_run_lacks_is_said(tmp_path):
    other = TINY.model_copy(update={"metric": "retrain.test_accuracy"})
    with pytest.raises(ConfigurationError, match="no test_accuracy by 'retrain'"):
        reproduced(other, tmp_path, [0], reduced=True)


@pytest.mark.parametrize(
    ("values", "ends"),
    [
        ([94.0], (None, None)),
        # mean 2, deviation 1, t(0.975; 2) = 4.302653
        ([1.0, 2.0, 3.0], (2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5)),
    ],
)
def test_the_interval_is_students(values, ends):
    found = interval(values)
    assert found == ends if ends[0] is None else found == pytest.approx(ends, abs=1e-3)


def test_the_table_says_what_was_not_run_and_what_was(monkeypatch):
    name = next(iter(cards()))
    outcome = Outcome(
        card=name, reduced=True, values={0: 90.0}, mean=90.0, low=None, high=None,
        architectures={0: "a"}, seconds=1.0, command="c", date="2026-01-01", versions={},
    )  # fmt: skip
    monkeypatch.setattr(known, "outcomes", lambda: iter([outcome]))
    rows = {row.split("`")[1]: row for row in markdown().splitlines()[2:]}
    assert rows[name].endswith("| not run | 90.00 |")
    assert rows["gm-darts-snas"].endswith("| not run | – |")


def test_the_command_lists_and_prints_what_it_would_run():
    listed = CliRunner().invoke(build(), ["reproduce", "--json"])
    assert [row["name"] for row in json.loads(listed.stdout)] == list(cards())
    shown = CliRunner().invoke(
        build(), ["reproduce", "darts-nasbench201-cifar10", "--reduced", "--dry-run"]
    )
    assert json.loads(shown.stdout)["trainer"]["epochs"] == 20
    assert CliRunner().invoke(build(), ["reproduce"], env={"COLUMNS": "200"}).exit_code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [(["darts-nasbench201"], "Did you mean"), (["gm-darts-snas", "--seeds", "x"], "--seeds takes")],
)
def test_what_cannot_be_run_is_said(words, message):
    done = CliRunner().invoke(build(), ["reproduce", *words])
    assert isinstance(done.exception, NastkError) and message in str(done.exception)
