"""Candidates that are raced: by `random` and `fair`, and by `evnas` in its last generation."""

from typing import Any, ClassVar

import pytest
import torch
from core_kit import ShortContract

from nastk import Mixture
from nastk.base.events import UpdaterReported, UpdaterWorking
from nastk.testing import Harness, fingerprint
from nastk_evnas.updater import EvNAS
from nastk_sampling.candidates import RacingScorer, sample_distinct
from nastk_sampling.fair import Fair
from nastk_sampling.paths import Sampler
from nastk_sampling.random_path import RandomPath

FEW: dict[str, Any] = {"candidates": 6, "batch_size": 8, "race_images": 8}


class TestRacing(ShortContract):
    updater: ClassVar = RandomPath
    options: ClassVar = {**FEW, "race": 0.2}


@pytest.mark.slow
class TestRacingEvolution(ShortContract):
    updater: ClassVar = Fair
    options: ClassVar = {
        "population": 4,
        "generations": 2,
        "batch_size": 8,
        "race_images": 8,
        "race": 0.2,
    }


@pytest.mark.slow
class TestRacingGenomes(ShortContract):
    updater: ClassVar = EvNAS
    options: ClassVar = {
        "population": 2,
        "tournament": 1,
        "batch_size": 8,
        "race": 0.2,
        "race_images": 8,
    }


def ranking(**options: Any) -> tuple[list[dict[str, Any]], int, Harness]:
    """What `random` reports of its candidates, the images it took, and the harness."""
    harness = Harness(RandomPath, {**FEW, **options})
    harness.run()
    (report,) = [one for one in harness.events if isinstance(one, UpdaterReported)]
    return (
        report.values["ranking"],
        harness.trainer.ledger.cost().phases["updater"].images_forward,
        harness,
    )


def test_candidates_that_no_image_tells_apart_are_ranked_as_without_a_race() -> None:
    plain, images, _ = ranking()
    raced, as_many, _ = ranking(race=1e-12)
    assert images == as_many == 6 * 48
    assert [row["id"] for row in raced] == [row["id"] for row in plain]
    assert [row["accuracy"] for row in raced] == pytest.approx([row["accuracy"] for row in plain])
    assert [row["images"] for row in raced] == [48] * 6 and "images" not in plain[0]


class Knowing(RacingScorer):
    """A scorer whose first three candidates get everything right, and the others little."""

    def _hits(self, architectures: Any, portion: int, message: str) -> Any:
        found = super()._hits(architectures, portion, message)
        known = [one.id for one in self.known[:3]] or [one.id for one in architectures[:3]]
        good = torch.tensor([one.id in known for one in architectures])
        return torch.zeros_like(found) | good[:, None]


def test_only_leaders_see_more_images_and_stand_first() -> None:
    harness = Harness(RandomPath, FEW)
    (branch,) = harness.until("epoch")
    probe = harness.trainer.probe(branch)
    sampler = Sampler(harness.space, probe.subspace)
    architectures = sample_distinct(sampler, probe.rng, 6)
    scorer = Knowing(probe, 8, 0, 16, 0.3)
    assert scorer.sizes == [2, 2, 2]
    before = harness.trainer.ledger.cost().total.images_forward
    first = scorer(architectures)
    assert [one.accuracy for one in first] == [1.0] * 3 + [0.0] * 3
    found = scorer.finish()
    # 16 of 16 images: 2^-16 is below 0.3 / (5 * 3).
    assert [one.images for one in found] == [48] * 3 + [16] * 3
    assert [one.architecture for one in found] == architectures
    spent = harness.trainer.ledger.cost().total.images_forward - before
    assert spent == 3 * 48 + 3 * 16


def test_a_raced_ranking_survives_a_checkpoint_and_costs_no_more_than_forecast() -> None:
    _, images, harness = ranking(race=0.5)
    (branch,) = harness.run()
    other = Harness(RandomPath, {**FEW, "race": 0.5}, seed=7).trainer.root().updater
    other.load_state_dict(branch.updater.state_dict())
    assert other.ranking == branch.updater.ranking
    assert fingerprint(other.state_dict()) == fingerprint(branch.updater.state_dict())
    assert images <= branch.updater.max_cost(harness.plan).images_forward
    messages = {one.message for one in harness.events if isinstance(one, UpdaterWorking)}
    assert messages <= {"scoring candidates", "racing candidates"}


def test_the_last_generation_is_the_same_where_no_genome_is_told_apart() -> None:
    few = {"population": 3, "tournament": 2, "batch_size": 8, "race_images": 8}
    made = [
        Harness(EvNAS, {**few, "race": race}, trainer_options={"batch_size": 8})
        for race in (0.0, 1e-12)
    ]
    (one,), (two,) = (each.run() for each in made)
    assert [each.number for each in one.updater.population] == [
        each.number for each in two.updater.population
    ]
    assert [each.fitness for each in one.updater.population] == pytest.approx(
        [each.fitness for each in two.updater.population]
    )
    costs = [each.trainer.ledger.cost().phases["updater"].images_forward for each in made]
    assert costs[0] == costs[1] <= two.updater.max_cost(made[1].plan).images_forward


def test_a_genome_that_falls_behind_early_is_no_leader(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {"population": 3, "tournament": 2, "batch_size": 24, "race_images": 24, "race": 0.3}
    harness = Harness(EvNAS, few)
    seen: list[int] = []

    def hits(self: Any, mixtures: list[Mixture], batch: Any) -> torch.Tensor:
        seen.append(len(mixtures))
        rows = torch.zeros(len(mixtures), len(batch.labels), dtype=torch.bool)
        rows[0] = True
        return rows

    monkeypatch.setattr("nastk.train.probe.Probe.hits", hits)
    (branch,) = harness.run()
    assert seen in ([2], [3]) and branch.updater.leader.fitness == 1.0
    assert {one.number for one in branch.updater.population} >= {branch.updater.leader.number}
