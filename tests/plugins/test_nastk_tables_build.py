"""`nastk table build`: each network once, shared among processes, gone on with after a kill."""

import json
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from cli_kit import called
from pydantic import Field
from torch import nn

import nastk
from nastk import (
    ConfigurationError,
    DataError,
    Evaluation,
    EvaluationContext,
    Evaluator,
    NastkError,
    PhaseCost,
    RankingOptions,
    StopRequested,
    catalogue,
)
from nastk.train.evaluator import RunHandle
from nastk.train.ranking import Ranking
from nastk_tables import expecting
from nastk_tables.evaluator import TableAccuracy
from nastk_tables.networks import listed, sampled, whole
from nastk_tables.request import BuildRequest
from nastk_tables.storage import read

OPERATIONS = ("wide", "narrow", "skip")


class Row(nn.Module):
    """Three layers, each wide, narrow or nothing"""

    def __init__(self, task):
        super().__init__()
        self.layers = nn.ModuleList(
            nastk.Choice(
                wide=nn.Conv2d(task.channels, task.channels, 3, padding=1, bias=False),
                narrow=nn.Conv2d(task.channels, task.channels, 1, bias=False),
                skip=nn.Identity(),
            )
            for _ in range(3)
        )
        self.head = nn.Linear(task.channels, task.classes)

    def forward(self, images):
        for layer in self.layers:
            images = layer(images)
        return self.head(images.mean((2, 3)))


class RowSpace(nastk.ModularSpace):
    """The order of the layers does not matter here: 27 architectures, 10 networks."""

    name, summary, build = "row", "three layers", Row

    def canonical(self, architecture):
        return "+".join(sorted(name for (name,) in architecture.choices))


class Pretend(Evaluator):
    """Says an accuracy by the number of wide layers and the seed; `fail` names what fails."""

    name, summary = "pretend", "an accuracy at once"
    trained: ClassVar[list] = []

    class Options(nastk.Options):
        """What goes wrong."""

        fail: tuple[str, ...] = Field((), description="architectures that fail")
        seeds: tuple[int, ...] = Field((0, 1, 2), description="the seeds with which they do")
        blind: bool = Field(False, description="measures no accuracy")
        seed: int | None = Field(None, description="as retrain has it")

    def max_cost(self):
        return PhaseCost(30, 10)

    def evaluate(self, architecture, probe):
        text = self.context.space.to_text(architecture)
        Pretend.trained.append((text, self.context.seed))
        self.context.run.check()
        self.context.run.charge(30, 10)
        if text in self.options.fail and self.context.seed in self.options.seeds:
            raise ValueError("a loss of NaN\nand more")
        wide = text.count("wide")
        if self.options.blind:
            return Evaluation(self.name, {"parameters": wide})
        valid, test = 0.5 + 0.1 * wide + 0.01 * self.context.seed, 0.4 + 0.1 * wide
        return Evaluation(
            self.name,
            {"valid_accuracy": valid, "test_accuracy": test, "epochs": 7},
            seconds=2.0,
        )


@pytest.fixture(autouse=True)
def registered():
    Pretend.trained = []
    nastk.register(RowSpace)
    nastk.register(Pretend)
    yield
    del catalogue().installed["space"]["row"]
    del catalogue().installed["evaluator"]["pretend"]


def asked(path, **changes):
    return BuildRequest(
        **{"space": "row", "data": "toy", "evaluator": "pretend", "to": path, "quiet": True}
        | changes
    )


def built(request, **how):
    building = request.building()
    request.train(building, **how)
    return request.written(building)


def text(*names):
    return " ".join(f"layers.{place}={name}" for place, name in enumerate(names))


# ---------------------------------------------------------------- which networks


def test_a_whole_space_has_each_network_once_and_each_architecture_a_row():
    selection = whole(RowSpace())
    assert (len(selection.networks), len(selection.texts)) == (10, 27)
    assert len({network.key for network in selection.networks}) == 10
    assert sorted(each for network in selection.networks for each in network.texts) == sorted(
        selection.texts
    )
    assert selection == whole(RowSpace())
    order = [network.key for network in whole(RowSpace(), seed=1).networks]
    assert order != [network.key for network in selection.networks]
    assert set(order) == {network.key for network in selection.networks}


@pytest.mark.slow
def test_the_benchmarks_spaces_have_their_number_of_networks():
    for name, networks in (("nasbench-macro", 3969), ("nasbench201", 6466)):
        assert len(whole(catalogue().load("space", name)()).networks) == networks


def test_a_smaller_sample_is_the_beginning_of_a_larger_one():
    three, six = sampled(RowSpace(), 3, seed=4), sampled(RowSpace(), 6, seed=4)
    assert three.networks == six.networks[:3]
    assert not six.whole and "sample of 6 (seed 4)" in six.how
    assert len(sampled(RowSpace(), 10).networks) == 10
    with pytest.raises(ConfigurationError, match="only 10 are different networks"):
        sampled(RowSpace(), 11)


def test_a_space_too_large_or_without_a_list_asks_for_a_sample():
    with pytest.raises(ConfigurationError, match=r"more than 100,000 .*--sample"):
        whole(catalogue().load("space", "mobilenet")())
    with pytest.raises(ConfigurationError, match=r"'darts' cannot list its .*--sample 200"):
        whole(catalogue().load("space", "darts")())


def test_a_file_lists_architectures(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text(f"{text('wide', 'skip', 'skip')}\n\n{text('skip', 'wide', 'skip')}\n")
    selection = listed(RowSpace(), path)
    assert [len(network.texts) for network in selection.networks] == [2]
    path.write_text(f"{text('wide', 'skip', 'skip')}\nnothing\n")
    with pytest.raises(DataError, match=r"mine\.txt, line 2: Expected choice=operation"):
        listed(RowSpace(), path)
    path.write_text("\n")
    with pytest.raises(ConfigurationError, match="holds no architecture"):
        listed(RowSpace(), path)


# ---------------------------------------------------------------- training


def test_a_table_has_rows_for_all_and_trainings_for_each_network(tmp_path):
    table = built(asked(tmp_path / "a.table", seeds=[0, 2]))
    assert len(Pretend.trained) == 20 == len(set(Pretend.trained))
    assert [seed for _, seed in Pretend.trained] == [0] * 10 + [2] * 10
    assert len(table) == 27
    wide = np.array([each.count("wide") for each in table.texts])
    np.testing.assert_allclose(table.numbers("toy_valid_7"), 51 + 10 * wide, rtol=1e-6)
    np.testing.assert_allclose(table.numbers("toy_valid_7_seed2"), 52 + 10 * wide, rtol=1e-6)
    np.testing.assert_allclose(table.numbers("toy_test_7"), 40 + 10 * wide, rtol=1e-6)
    assert table.scores("toy", "valid", 7).column.seeds == (0, 2)
    assert set(table.numbers("toy_train_seconds_7").tolist()) == {2.0}
    widest = table.index_of(text("wide", "wide", "wide"))
    channels, classes = 3, 3
    parameters = 3 * 9 * channels**2 + channels * classes + classes
    assert table.numbers("toy_parameters")[widest] == np.float32(parameters / 1e6)
    multiply_adds = 3 * 9 * channels**2 * 64 + channels * classes
    assert table.numbers("toy_multiply_adds")[widest] == np.float32(multiply_adds / 1e6)


def test_a_table_says_where_it_comes_from(tmp_path):
    found = built(asked(tmp_path / "a.table", data_options=["train_fraction=0.25"])).provenance
    assert found["whole"] and found["networks"] == 10 and found["failed"] == []
    assert found["architectures"] == "the whole space"
    assert found["evaluator"]["name"] == "pretend" and found["seeds"] == [0]
    assert found["data"]["name"] == "toy" and found["data"]["options"]["train_fraction"] == 0.25
    assert set(found["data"]["digests"]) == {"train", "valid", "test"}
    assert found["environments"][0]["torch"] and found["seconds"] == 20.0


def test_what_is_trained_is_not_trained_again(tmp_path):
    request = asked(tmp_path / "a.table")
    first = built(request)
    content = request.out.read_bytes()
    request.out.unlink()
    assert built(request).provenance == first.provenance
    assert len(Pretend.trained) == 10
    assert request.out.read_bytes() == content
    built(replace(request, seeds=[0, 1]))
    assert len(Pretend.trained) == 20


def test_a_stop_keeps_what_is_finished(tmp_path):
    request = asked(tmp_path / "a.table")
    building, count = request.building(), 0

    def stopping():
        nonlocal count
        count += 1
        return count > 7  # asked before each training and within it

    context = replace(building.subject.context, run=RunHandle(stopping=stopping))
    with pytest.raises(StopRequested):
        building.train(context)
    assert building.progress().done == 3
    table = request.written(building)
    assert table.is_sample
    assert table.provenance["architectures"] == "those trained so far of the whole space"
    assert {each for network in building.selection.networks[:3] for each in network.texts} == set(
        table.texts
    )
    assert len(built(request)) == 27


def test_the_training_of_another_process_is_left_to_it(tmp_path):
    request = asked(tmp_path / "a.table")
    building = request.building()
    taken = building.selection.networks[4]
    with building.trainings.claimed(taken.key, 0) as mine:
        assert mine
        progress = request.train(request.building())
        assert (progress.done, progress.total) == (9, 10)
        assert not any(each in taken.texts for each, _ in Pretend.trained)
    assert request.train(request.building()).done == 10
    assert not list(request.folder.glob("*.lock"))


def test_a_failed_training_is_kept_with_its_reason(tmp_path):
    failing = text("wide", "wide", "wide")
    evaluator = f'pretend,fail=["{failing}"],seeds=[1]'
    request = asked(tmp_path / "a.table", evaluator=evaluator, seeds=[0, 1])
    table = built(request)
    reason = "ValueError('a loss of NaN\\nand more')"
    assert table.provenance["failed"] == [{"architecture": failing, "seed": 1, "reason": reason}]
    assert table.scores("toy", "valid", 7).of(failing) == pytest.approx(80)
    assert np.isnan(table.numbers("toy_valid_7_seed1")[table.index_of(failing)])
    trained = len(Pretend.trained)
    built(request)
    assert len(Pretend.trained) == trained
    built(request, retry_failed=True)
    assert Pretend.trained[trained:] == [(failing, 1)]


def test_too_many_failures_end_it(tmp_path):
    every = json.dumps(list(whole(RowSpace()).texts))
    request = asked(tmp_path / "a.table", evaluator=f"pretend,fail={every}")
    building = request.building()
    with pytest.raises(NastkError, match=r"3 of 3 trainings failed. The first: ValueError"):
        request.train(building, max_failures=2)
    with pytest.raises(ConfigurationError, match=r"No network .*\(3 trainings failed\)"):
        request.written(building)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"evaluator": "pretend,blind=true"}, "another evaluator: options blind is True, was Fal"),
        ({"data_options": ["train_fraction=0.25"]}, "another data: digests test|another data: .*"),
    ],
)
def test_a_folder_holds_trainings_of_one_kind(tmp_path, changes, words):
    request = asked(tmp_path / "a.table")
    built(request)
    with pytest.raises(ConfigurationError, match=words):
        replace(request, **changes).building()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"evaluator": "supernet"}, "needs a trained supernet, and a table is built of networks"),
        ({"evaluator": "pretend,seed=3", "seeds": [0, 1]}, "seed=3 would train all .*--seeds"),
        ({"evaluator": "pretend,fial=1"}, "has no option 'fial'. Did you mean 'fail'"),
        ({"evaluator": "=1"}, "such as retrain,epochs=20; got '=1'"),
        ({"sample": 3, "architectures": Path("a")}, "--sample and --architectures both say"),
        ({"space": "rwo"}, "No search space is named 'rwo'. Did you mean 'row'"),
    ],
)
def test_what_cannot_be_built_is_refused_before(tmp_path, changes, words):
    with pytest.raises(NastkError, match=words):
        asked(tmp_path / "a.table", **changes).building()
    assert not (tmp_path / "a.trainings").exists()


def test_an_evaluator_without_accuracy_is_refused_after_the_first(tmp_path):
    request = asked(tmp_path / "a.table", evaluator="pretend,blind=true")
    with pytest.raises(ConfigurationError, match="'pretend' measures parameters, and a table nee"):
        request.train(request.building())
    assert len(Pretend.trained) == 1


# ---------------------------------------------------------------- what it will cost


def test_the_forecast_multiplies_a_training(tmp_path):
    request = asked(tmp_path / "a.table", seeds=[0, 1])
    found = expecting.expected(request.building())
    assert (found.networks, found.trainings, found.done) == (10, 20, 0)
    assert (found.images_forward, found.images_backward) == (30, 10)
    assert not request.folder.exists()
    table = built(replace(request, seeds=[0]))
    found = expecting.expected(request.building())
    assert (found.done, found.seconds) == (10, 2.0)
    assert found.folder_bytes == 20 * 4096
    assert len(table) * 20 < found.table_bytes < 20_000


def test_a_moment_of_training_tells_the_pace():
    times = iter([0.0, 0.0, 10.0, 10.0, 11.0, 11.0, 12.0, 12.0, 14.0])
    clock = expecting._Clock(now=lambda: next(times))
    assert not clock.is_over()
    clock.charge(4, 4)  # begins at 0, ends at 0
    clock.charge(4, 4)  # ends at 10
    assert clock.is_over()
    assert clock.pace() == pytest.approx(10 / 12)


# ---------------------------------------------------------------- the command and what reads tables


def test_the_command_builds_and_says_what(tmp_path):
    out = tmp_path / "mine.table"
    words = ["table", "build", "--space", "row", "--data", "toy", "-e", "pretend", "-o", out]
    code, said, err = called(*words, "--dry-run")
    assert code == 0, err
    assert "10 different ones, the whole space" in said and "at most 300 forward, 100 back" in said
    code, said, err = called(*words, "--sample", 4, "--seeds", "0-1", "--json")
    assert code == 0, err
    found = json.loads(said)
    assert found["provenance"]["networks"] == 4 and not found["provenance"]["whole"]
    assert "4 networks (a random sample of 4 (seed 0)) of row, seeds 0-1, by pretend on toy" in err
    code, said, _ = called("table", "info", out)
    assert "a random sample of 4 (seed 0): 4 different networks, seeds 0, 1" in said
    assert "by pretend" in said
    code, said, err = called(*words, "--so-far")
    assert code == 0 and "those trained so far of the whole space: 4 different" in said
    code, _, err = called(*words, "-e", "supernet")
    assert code == 2 and "needs a trained supernet" in err


def test_a_process_that_is_not_the_last_writes_no_table(tmp_path):
    out = tmp_path / "mine.table"
    request = asked(out)
    building = request.building()
    with building.trainings.claimed(building.selection.networks[0].key, 0):
        code, said, err = called(
            "table", "build", "--space", "row", "--data", "toy", "-e", "pretend", "-o", out
        )
    assert (code, said) == (0, "") and "9 of 10 trainings are done; other processes" in err
    assert not out.exists()


def looked_up(path, **options):
    space = RowSpace()
    subject = asked(path).building().subject
    context = EvaluationContext(space, subject.context.task, subject.context.splits)
    return TableAccuracy(context, TableAccuracy.Options(table=str(path), **options))


def test_a_table_of_ones_own_is_looked_up_without_naming_data_or_epochs(tmp_path):
    path = tmp_path / "a.table"
    built(asked(path, seeds=[0, 1]))
    table = looked_up(path, split="valid")
    found = table.evaluate(RowSpace().from_text(text("wide", "skip", "skip")), None)
    assert found.metrics["table_valid_accuracy"] == pytest.approx(0.605)
    assert found.trainings["table_valid_accuracy"] == pytest.approx((0.6, 0.61))
    assert found.metrics["table_multiply_adds"] == 9 * 9 * 64 + 9
    assert "on toy after 7 epochs, mean over the runs with seeds 0, 1" in found.notes[0]
    assert found.recorded_seconds == table.max_cost().seconds == 2.0
    assert table.known() is None
    with pytest.raises(ConfigurationError, match="no column 'cifar100_test"):
        looked_up(path, dataset="cifar100")


def test_a_sample_is_ranked_by_those_that_it_has(tmp_path):
    path = tmp_path / "a.table"
    lines = tmp_path / "mine.txt"
    space = RowSpace()
    lines.write_text("\n".join(list(whole(space).texts)[:14]))
    table = built(asked(path, architectures=lines))
    evaluator = looked_up(path)
    assert [space.to_text(each) for each in evaluator.known()] == list(table.texts)
    ranking = Ranking(RankingOptions(sample=12), space, evaluator)
    assert len(ranking.known) == 12
    assert {space.to_text(each.architecture) for each in ranking.known} <= set(table.texts)
    again = Ranking(RankingOptions(sample=12), space, evaluator)
    assert [each.architecture for each in again.known] == [
        each.architecture for each in ranking.known
    ]


def test_what_a_sample_lacks_has_a_note_and_its_twins_are_known(tmp_path):
    path = tmp_path / "a.table"
    lines = tmp_path / "mine.txt"
    lines.write_text(text("wide", "skip", "skip"))
    built(asked(path, architectures=lines))
    evaluator, space = looked_up(path), RowSpace()
    twin = evaluator.evaluate(space.from_text(text("skip", "skip", "wide")), None)
    assert twin.metrics["table_test_accuracy"] == pytest.approx(0.5)
    other = evaluator.evaluate(space.from_text(text("skip", "skip", "skip")), None)
    assert other.metrics == {} and "the 1 of mine.txt, without this architecture" in other.notes[0]


def test_networks_are_really_trained(tmp_path):
    request = asked(
        tmp_path / "a.table", evaluator="retrain,epochs=2,batch_size=8", sample=2, seeds=[0, 1]
    )
    table = built(request)
    assert read(request.out).provenance["evaluator"]["options"]["epochs"] == 2
    values = [table.numbers(f"toy_valid_2_seed{seed}") for seed in (0, 1)]
    np.testing.assert_allclose(np.mean(values, 0), table.numbers("toy_valid_2"), rtol=1e-5)
    training = json.loads(next(request.folder.glob("*-seed0.json")).read_text())
    assert training["images"][1] == 2 * len(request.building().subject.context.splits.train)
    context = replace(request.building().subject.context, seed=0)
    retrain = catalogue().load("evaluator", "retrain")
    alone = retrain(context, retrain.parse_options({"epochs": 2, "batch_size": 8}))
    architecture = RowSpace().from_text(training["architecture"])
    assert alone.evaluate(architecture, None).metrics.items() <= training["metrics"].items()
