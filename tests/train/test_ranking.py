"""Ranking quality: two kinds, a fixed sample, off the training's streams, on record."""

import numpy as np
import pytest
import torch
from core_kit import WISHES, answering

import nastk
from nastk import ConfigurationError, Evaluator, Mixture, RankingOptions, catalogue, resolve
from nastk.base.correlation import measured_agreement
from nastk.base.events import Ranked
from nastk.runs import checkpoint
from nastk.testing import Harness, ToySpace, fingerprint
from nastk.train.ranking import Ranking, strength, summary

SPACE = ToySpace()
SMALL = {"evaluator": "size", "metric": "parameters", "sample": 30, "images": 32, "batch_size": 16}


class Sizes(Evaluator):
    """An evaluator that knows the number of convolutions, and nothing of cells without any."""

    name, summary = "sizes", "counts convolutions"

    def __init__(self):
        pass

    def evaluate(self, architecture, probe):
        assert probe is None
        count = [name for _, name in architecture.links()].count("conv")
        if not count:
            raise nastk.DataError("unknown")
        return nastk.Evaluation("sizes", {"convolutions": float(count)})


class Everything(Sizes):
    """An evaluator that knows every architecture."""

    def evaluate(self, architecture, probe):
        return nastk.Evaluation("everything", {"parameters": float(len(architecture.links()))})


def ranked(updater, epochs=2, **options):
    """The events of a run that measures ranking quality against the number of convolutions."""
    ranking = Ranking(RankingOptions(**{**SMALL, "metric": None, **options}), SPACE, Sizes())
    harness = Harness(updater, trainer_options={"epochs": epochs}, watchers=[ranking])
    branches = harness.run()
    return [each for each in harness.events if isinstance(each, Ranked)], branches, harness


def loving(name):
    """An updater that rates the operation `name` 1 and all others 0."""

    def scores(self, probe):
        rows = [[float(each == name) for each in edge.operations] for edge in SPACE.edges]
        return torch.tensor([([*row, 0.0])[:4] for row in rows])

    return answering(scores=scores)


@pytest.mark.parametrize(("name", "sign"), [("conv", 1), ("skip", -1)])
def test_by_scores_an_updater_that_loves_convolutions_ranks_by_their_number(name, sign):
    events, _, _ = ranked(loving(name))
    assert len(events) == 1 and events[0].metric == "convolutions"
    value = events[0].by["scores"]["kendall"]["value"]
    assert value == pytest.approx(1) if sign == 1 else value < 0


def test_by_supernet_the_path_accuracies_are_ranked():
    events, (branch,), harness = ranked(loving("conv"))
    found = events[0].by["supernet"]
    assert (found["architectures"], found["images"]) == (30, 32)
    probe = harness.trainer.probe(branch)
    ranking = harness.trainer.watchers[0]
    view = probe.valid.view("ranking", batch_size=16, augment=False)
    batches = [batch for batch, _ in zip(view.epoch(0), range(2), strict=False)]
    mixtures = [Mixture.of(each.architecture) for each in ranking.known]
    correct = np.stack([probe.correct(each, batches).numpy() for each in mixtures])
    assert correct.mean(1).tolist() == list(probe.scores(mixtures, batches))
    truth = [each.truth for each in ranking.known]
    expected = measured_agreement(correct, truth).to_json()
    assert {**found, "images": 0} == {**expected, "images": 0}


def test_images_are_added_until_two_halves_agree_or_there_are_no_more(monkeypatch):
    from nastk.train import ranking

    monkeypatch.setattr(ranking, "FIRST_IMAGES", 8)
    events, _, harness = ranked(loving("conv"), images=None, batch_size=8)
    assert events[0].by["supernet"]["images"] == len(harness.splits.valid)
    monkeypatch.setattr(ranking, "halves_agreement", lambda correct: correct.shape[1] / 30)
    events, _, harness = ranked(loving("conv"), images=None, batch_size=8)
    assert events[0].by["supernet"]["images"] == 32
    assert harness.trainer.watchers[0].images(2, 48) == 30 * 48


def test_what_knows_nothing_ranks_beside_the_search():
    class Links(Sizes):
        def evaluate(self, architecture, probe):
            skips = [name for _, name in architecture.links()].count("skip")
            return nastk.Evaluation("links", {"skips": skips, "of_one": 1})

    options = RankingOptions(**{**SMALL, "metric": None})
    ranking = Ranking(options, SPACE, Sizes(), Links())
    harness = Harness(loving("conv"), trainer_options={"epochs": 1}, watchers=[ranking])
    harness.run()
    (event,) = (each for each in harness.events if isinstance(each, Ranked))
    assert list(event.by) == ["scores", "supernet", "convolutions", "skips", "of_one"]
    assert event.by["convolutions"]["kendall"]["value"] == pytest.approx(1)
    assert event.by["skips"]["kendall"]["value"] < 0 and event.by["of_one"] is None


def test_several_evaluators_rank_beside_the_search_and_one_that_knows_too_little_is_left_out():
    class Skips(Everything):
        def evaluate(self, architecture, probe):
            skips = [name for _, name in architecture.links()].count("skip")
            return nastk.Evaluation("skips", {"skips": skips})

        def max_cost(self):
            return nastk.PhaseCost(8, 4)

    class Picky(Sizes):
        name, summary = "picky", "knows some"

        def evaluate(self, architecture, probe):
            if architecture.links()[0][1] == "conv":
                raise nastk.DataError("unknown")
            return nastk.Evaluation("picky", {"picked": 1.0})

    options = RankingOptions(**{**SMALL, "metric": None})
    ranking = Ranking(options, SPACE, Everything(), Skips(), Picky())
    assert ranking.max_cost_of_counters() == nastk.PhaseCost(30 * 8, 30 * 4)
    harness = Harness(loving("conv"), trainer_options={"epochs": 1}, watchers=[ranking])
    harness.run()
    (event,) = (each for each in harness.events if isinstance(each, Ranked))
    assert list(event.by) == ["scores", "supernet", "convolutions", "skips"]
    assert RankingOptions(counter=["size", "skips"]).counters == ["size", "skips"]
    assert (RankingOptions(counter=None).counters, RankingOptions().counters) == ([], ["size"])


@pytest.mark.parametrize("trainings", [1, 3])
def test_what_knows_one_training_ranks_against_the_mean_of_the_others(trainings):
    class Trained(Everything):
        """An evaluator whose first training ranks architectures against all the others."""

        def evaluate(self, architecture, probe):
            links = float([name for _, name in architecture.links()].count("conv"))
            runs = (-links, links, 3 * links)[:trainings]
            return nastk.Evaluation("trained", {"accuracy": links}, trainings={"accuracy": runs})

    ranking = Ranking(RankingOptions(**{**SMALL, "metric": None}), SPACE, Trained())
    harness = Harness(loving("conv"), trainer_options={"epochs": 1}, watchers=[ranking])
    harness.run()
    (event,) = (each for each in harness.events if isinstance(each, Ranked))
    found = event.by.get("one_training")
    assert found is None if trainings == 1 else found["kendall"]["value"] == pytest.approx(-1)


def test_strength_is_the_mean_score_of_the_chosen_operations():
    scores = torch.arange(20.0).reshape(5, 4)
    architecture = SPACE.architecture([["conv"], ["none"], ["skip"], ["conv"], ["skip"]])
    assert strength(scores, architecture) == (2 + 4 + 9 + 14 + 17) / 5
    scores[0, 2] = torch.nan
    assert strength(scores, architecture) != strength(scores, architecture)


def test_an_updater_that_rates_nothing_has_no_tau_by_scores():
    events, _, _ = ranked(answering())
    assert events[0].by["scores"] is None and events[0].by["supernet"] is not None


def test_what_is_dead_is_not_ranked():
    """Ten architectures are the fewest; a subspace of one holds less."""
    only = SPACE.sample(SPACE.full(), torch.Generator().manual_seed(0))
    small = nastk.Subspace(only.table())
    updater = answering(
        after_epoch=lambda probe: [nastk.Continuation(small)],
        scores=lambda self, probe: torch.ones(5, 4).masked_fill(~probe.subspace.mask, torch.nan),
    )
    events, _, _ = ranked(updater, every=1)
    assert events[0].by["supernet"] is not None
    assert (events[1].by["scores"], events[1].by["supernet"]) == (None, None)
    assert events[1].by["convolutions"] == events[0].by["convolutions"]


@pytest.mark.parametrize(("every", "epochs"), [(0, [5]), (1, [1, 2, 3, 4, 5]), (2, [2, 4, 5])])
def test_it_is_measured_every_so_often_and_at_the_end(every, epochs):
    events, _, harness = ranked(loving("conv"), 5, every=every, images=16)
    assert [each.epoch for each in events] == epochs
    measured = harness.trainer.ledger.cost().phases["watch"].images_forward
    assert measured == harness.trainer.watchers[0].images(5, 48) == 30 * 16 * len(epochs)


def test_the_sample_is_fixed_distinct_known_and_of_its_seed():
    def ids(seed):
        options = RankingOptions(**{**SMALL, "sample_seed": seed})
        return [each.architecture.id for each in Ranking(options, SPACE, Everything()).known]

    assert len(set(ids(0))) == 30
    assert ids(0) == ids(0) != ids(1)
    known = Ranking(RankingOptions(**{**SMALL, "metric": None}), SPACE, Sizes()).known
    assert all("conv" in [name for _, name in each.architecture.links()] for each in known)


def test_a_file_names_the_sample(tmp_path):
    rng = torch.Generator().manual_seed(3)
    wanted = [SPACE.sample(SPACE.full(), rng) for _ in range(12)]
    file = tmp_path / "sample.txt"
    file.write_text("\n".join(SPACE.to_text(each) for each in wanted) + "\n\n")
    options = RankingOptions(**{**SMALL, "architectures": file})
    known = Ranking(options, SPACE, Everything()).known
    assert {each.architecture for each in known} == set(wanted)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"evaluator": "supernet"}, "evaluator 'supernet' needs it. Use one that does not"),
        ({"evaluator": "tabel"}, "Did you mean 'table'"),
        ({"evaluator_options": {"x": 1}}, "size has no option 'x'"),
        ({"metric": "accuracy"}, "has no metric 'accuracy'. It has: parameters"),
        ({"architectures": "nowhere.txt"}, "nowhere.txt cannot be read"),
        ({"sample": 3}, "ranking: sample must be at least 10, got 3"),
        ({"samples": 30}, "ranking has no option 'samples'"),
        ("table", r"config: ranking is written as \{every: 10, ...\}"),
    ],
)
def test_what_cannot_be_ranked_is_said_before_training(options, message):
    asked = {**SMALL, **options} if isinstance(options, dict) else options
    with pytest.raises(ConfigurationError, match=message):
        nastk.assemble(resolve({**WISHES, "ranking": asked}))


def test_a_judge_that_knows_too_few_is_refused():
    class Knows(Sizes):
        def evaluate(self, architecture, probe):
            raise nastk.DataError("unknown")

    with pytest.raises(ConfigurationError, match="knows 0 of the architectures"):
        Ranking(RankingOptions(), SPACE, Knows())


def test_a_run_that_is_ranked_trains_the_same_bits(tmp_path):
    runs = {}
    for name, ranking in {"with": {**SMALL, "every": 1}, "without": None}.items():
        request = {**WISHES, "updater": "darts", "ranking": ranking, "out": tmp_path / name}
        result = nastk.search(**request)
        stored = checkpoint.newest(result.folder.checkpoints)[0]
        runs[name] = fingerprint(stored.branches), result
    assert runs["with"][0] == runs["without"][0]
    plain, watched = (runs[name][1].cost for name in ("without", "with"))
    assert plain.search.images_forward == watched.search.images_forward
    assert watched.total.images_forward > plain.total.images_forward
    metrics = runs["with"][1].evaluation
    ranked = [each for each in runs["with"][1].history if each["kind"] == "ranked"]
    assert metrics["kendall_by_scores"] == ranked[-1]["by"]["scores"]["kendall"]["value"]
    assert metrics["regret_5_by_supernet"] == ranked[-1]["by"]["supernet"]["regret"]["5"]


def test_a_resumed_run_writes_the_same_rankings(tmp_path):
    request = {**WISHES, "updater": "darts", "ranking": {**SMALL, "every": 1}}
    whole = nastk.search(**request, out=tmp_path / "whole")
    for event in nastk.stream(request, out=tmp_path / "cut"):
        if isinstance(event, Ranked):
            break
    cut = nastk.resume(tmp_path / "cut")

    def rankings(result):
        return [each["by"] for each in result.history if each["kind"] == "ranked"]

    assert rankings(cut) == rankings(whole) and len(rankings(whole)) == 2


def test_the_summary_says_what_there_is_not():
    one = nastk.agreement(range(20), range(20)).to_json()
    event = {"by": {"scores": one, "supernet": None}, "metric": "x", "evaluator": "y", "epoch": 3}
    found = summary(event)
    assert found.metrics["kendall_by_scores"] == 1
    assert not any("supernet" in name for name in found.metrics)
    assert any("none by supernet after epoch 3" in note for note in found.notes)


def test_true_asks_for_the_defaults():
    if "table" not in catalogue().names("evaluator"):
        pytest.skip("the table evaluator is not installed")
    assert resolve({**WISHES, "ranking": True}).ranking.evaluator == "table"
    assert resolve({**WISHES, "ranking": False}).ranking is None
