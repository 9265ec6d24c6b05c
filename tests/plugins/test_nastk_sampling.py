"""Uniform paths, distinct candidates, the choice after the last epoch, and the contract."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from core_kit import ShortContract

import nastk_sampling
from nastk import Architecture, Batch, Mixture, Probe, Subspace, TrainerOptions
from nastk.base.events import UpdaterReported
from nastk.testing import Harness, ToySpace, fingerprint
from nastk_sampling.candidates import PATIENCE, CandidateScorer, sample_distinct, scoring_batches
from nastk_sampling.paths import Sampler
from nastk_sampling.random_path import RandomPath


class TestRandomPath(ShortContract):
    updater, options = RandomPath, {"candidates": 5, "batch_size": 16}


SPACE = ToySpace()


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def harness(**options: Any) -> Harness:
    return Harness(RandomPath, {"candidates": 4, "batch_size": 16, **options})


class Fake(Probe):
    """A probe that is its own valid stream, whose supernet likes convolutions (0.1 each)."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, int, int]] = []
        self.asked: list[tuple[str, int, bool]] = []

    @property
    def valid(self) -> "Fake":
        return self

    def view(self, name: str, batch_size: int, augment: bool) -> "Fake":
        self.asked.append((name, batch_size, augment))
        return self

    def epoch(self, number: int) -> Iterator[Batch]:
        yield Batch(torch.zeros(2, 3, 8, 8), torch.zeros(2, dtype=torch.int64))

    def scores(self, mixtures: Iterator[Mixture], batches: Sequence[Batch]) -> Iterator[float]:
        return (float(mixture.weights[:, 2].sum()) / 10 for mixture in mixtures)

    def working(self, message: str, done: int, total: int) -> None:
        self.messages.append((message, done, total))


# ---------------------------------------------------------------- paths


def test_every_step_trains_one_path_of_the_subspace() -> None:
    run = harness()
    branch = run.trainer.root()
    branch.subspace = branch.subspace.drop(0, 2)
    probe = run.trainer.probe(branch)
    for _ in range(20):
        (mixture,) = branch.updater.mixtures(probe)
        assert torch.equal(mixture.weights.bool(), mixture.active)
        assert mixture.active.sum(1).tolist() == [1] * 5
        assert not (mixture.active & ~branch.subspace.mask).any()


def test_paths_are_uniform() -> None:
    run = harness()
    branch = run.trainer.root()
    probe = run.trainer.probe(branch)
    drawn = sum(branch.updater.mixtures(probe)[0].weights for _ in range(900))
    # The toy space never takes `none`: three operations on the first edges, two on the others.
    for counts, choices in zip(drawn[:, 1:], (3, 3, 3, 2, 2), strict=True):
        expected = 900 / choices
        assert torch.all(
            (counts[:choices] - expected).abs() < 4 * (expected * (1 - 1 / choices)) ** 0.5
        )


def test_another_seed_trains_other_paths() -> None:
    paths = []
    for seed in (0, 1):
        run = Harness(RandomPath, seed=seed)
        branch = run.trainer.root()
        paths.append(
            [branch.updater.mixtures(run.trainer.probe(branch))[0].weights for _ in range(8)]
        )
    assert not torch.equal(torch.stack(paths[0]), torch.stack(paths[1]))


# ---------------------------------------------------------------- candidates


@pytest.mark.parametrize("wanted", [1, 7, 30])
def test_candidates_are_distinct_and_repeatable(wanted: int) -> None:
    sampler = Sampler(SPACE, SPACE.full())
    found = sample_distinct(sampler, rng(), wanted)
    assert len({each.id for each in found}) == len(found) == wanted
    assert found == sample_distinct(sampler, rng(), wanted)


def test_a_small_subspace_gives_all_it_has() -> None:
    subspace = SPACE.full()
    for edge, kept in enumerate([(1,), (2,), (1, 2, 3), (1,), (1, 2)]):
        subspace = subspace.only(edge, kept)
    draws = Counter()

    class Counting(ToySpace):
        def sample(self, subspace: Subspace, rng: torch.Generator) -> Architecture:
            draws["all"] += 1
            return super().sample(subspace, rng)

    found = sample_distinct(Sampler(Counting(), subspace), rng(), 50)
    assert len(found) == 6
    assert PATIENCE < draws["all"] < PATIENCE + 60


def test_the_best_comes_first_and_ties_keep_their_order() -> None:
    texts = [
        "skip,skip,skip,skip,skip",
        "conv,skip,skip,skip,skip",
        "conv,conv,conv,conv,conv",
        "skip,conv,skip,skip,skip",
    ]
    probe = Fake()
    ranked = CandidateScorer(probe, 32, 0, total=4)([SPACE.from_text(text) for text in texts])
    assert [SPACE.to_text(each.architecture) for each in ranked] == [
        texts[2],
        texts[1],
        texts[3],
        texts[0],
    ]
    assert [each.accuracy for each in ranked] == pytest.approx([0.5, 0.1, 0.1, 0.0])
    assert probe.messages == [("scoring candidates", done, 4) for done in (1, 2, 3, 4)]
    assert probe.asked == [("candidates", 32, False)]


@pytest.mark.parametrize(("batches", "images"), [(0, 48), (1, 20), (2, 40), (9, 48)])
def test_candidates_are_scored_on_so_many_images(batches: int, images: int) -> None:
    run = harness()
    probe = run.trainer.probe(run.trainer.root())
    found = scoring_batches(probe, 20, batches)
    assert sum(len(batch.labels) for batch in found) == images


# ---------------------------------------------------------------- the decision


def test_before_the_last_epoch_the_answer_is_a_fixed_random_one() -> None:
    run = harness()
    (branch,) = run.run(steps=4)
    probe = run.trainer.probe(branch)
    state = branch.rng.get_state()
    first = branch.updater.architecture(probe)
    branch.updater.mixtures(probe)
    assert branch.updater.architecture(probe) == first
    assert branch.updater.ranking == []
    branch.rng.set_state(state)
    branch.updater.architecture(probe)
    assert torch.equal(branch.rng.get_state(), state)
    answers = {Harness(RandomPath, seed=seed).trainer.root().updater.guess for seed in range(5)}
    assert len(answers) == 5


def test_after_the_last_epoch_the_answer_is_the_most_accurate_candidate() -> None:
    run = Harness(RandomPath, {"candidates": 12, "batch_size": 16}, trainer_options={"epochs": 20})
    (branch,) = run.run()
    probe = run.trainer.probe(branch)
    ranking = branch.updater.ranking
    batches = list(probe.valid.view("candidates", 16, False).epoch(0))
    again = list(probe.scores([Mixture.of(each.architecture) for each in ranking], batches))
    assert [each.accuracy for each in ranking] == again == sorted(again, reverse=True)
    assert len({each.architecture.id for each in ranking}) == 12
    assert again[0] > again[-1]
    assert branch.updater.architecture(probe) == ranking[0].architecture


def test_the_table_of_candidates_is_on_record() -> None:
    run = harness()
    (branch,) = run.run()
    (report,) = [each for each in run.events if isinstance(each, UpdaterReported)]
    assert (report.topic, report.epoch) == ("candidates", 3)
    rows = report.values["ranking"]
    assert [row["id"] for row in rows] == [each.architecture.id for each in branch.updater.ranking]
    assert [row["accuracy"] for row in rows] == [each.accuracy for each in branch.updater.ranking]
    assert SPACE.from_text(rows[0]["architecture"]) == branch.updater.ranking[0].architecture


def test_the_answer_stays_inside_a_subspace_that_shrank() -> None:
    run = harness(candidates=12)
    (branch,) = run.run()
    best = branch.updater.ranking[0].architecture
    column = best.edges[0].operations.index(best.choices[0][0])
    branch.subspace = branch.subspace.drop(0, column)
    answer = branch.updater.architecture(run.trainer.probe(branch))
    assert answer != best
    assert branch.subspace.contains(Subspace(answer.table()))
    inside = [
        each
        for each in branch.updater.ranking
        if branch.subspace.contains(Subspace(each.architecture.table()))
    ]
    assert answer == inside[0].architecture


def test_state_round_trip_keeps_the_ranking() -> None:
    run = harness()
    (branch,) = run.run()
    state = branch.updater.state_dict()
    other = Harness(RandomPath, seed=7).trainer.root().updater
    other.load_state_dict(state)
    assert other.ranking == branch.updater.ranking
    assert other.guess == branch.updater.guess
    assert fingerprint(other.state_dict()) == fingerprint(state)


# ---------------------------------------------------------------- cost, offer


@pytest.mark.parametrize(
    ("options", "images"),
    [({}, 4 * 48), ({"candidates": 2}, 2 * 48), ({"batches": 2}, 4 * 32), ({"batches": 9}, 4 * 48)],
)
def test_the_forecast_is_what_the_ledger_measures(options: dict[str, int], images: int) -> None:
    run = harness(**options)
    (branch,) = run.run()
    forecast = branch.updater.max_cost(run.plan)
    spent = run.trainer.ledger.cost().phases["updater"]
    assert (spent.images_forward, spent.images_backward) == (images, 0)
    assert (forecast.images_forward, forecast.images_backward) == (images, 0)


def test_the_offer_is_the_class_and_the_preset_is_valid() -> None:
    offer, _ = nastk_sampling.updaters()
    assert (offer.name, offer.summary) == (RandomPath.name, RandomPath.summary)
    assert offer.load == f"{RandomPath.__module__}:{RandomPath.__name__}"
    paper, quick, *ours = RandomPath.presets
    assert [preset.name for preset in ours] == ["study", "study"]
    assert (quick.name, RandomPath.parse_options(quick.updater_options).candidates) == ("quick", 10)
    assert RandomPath.parse_options(paper.updater_options).candidates == 100
    assert TrainerOptions(**paper.trainer_options).epochs == 250
    assert paper.fits("nasbench201", "cifar10") and not paper.fits("darts", "cifar10")
