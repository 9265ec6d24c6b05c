"""The space `table`: what its supernet answers, against plain sums over a table; who can use it."""

import os
from itertools import combinations, product
from math import comb
from pathlib import Path

import numpy as np
import pytest
import torch
from tables_kit import TEXTS, toy_table

import nastk
from nastk import ConfigurationError, Mixture, Subspace, catalogue, use
from nastk.testing import DataSourceContract, Harness, SearchSpaceContract, ToySpace
from nastk.testing.toy import EDGES
from nastk_shapley.measuring import Measuring
from nastk_shapley.options import EstimateOptions
from nastk_tables.column import Column
from nastk_tables.importing import import_files
from nastk_tables.numbered import Numbered, read
from nastk_tables.space import TableSpace
from nastk_tables.storage import write
from nastk_tables.supernet import hashed

BESIDE = Path(__file__).parents[3] / "shared" / "data"
OFFICIAL = Path(os.environ.get("NASTK_SHARED", BESIDE)) / "nas_bench_macro_cifar10.json.gz"
COUNTS = [len(edge.operations) for edge in EDGES]
TRUTH = np.random.default_rng(0).uniform(20, 90, COUNTS).astype(np.float32)
VALID = Column("accuracy", "%", "cifar10", "valid", 200)
IMAGES = {"images": 4000, "size": 8, "train_fraction": 0.1, "classes": 3}
MEASURING = {
    "random": {"candidates": 5},
    "fair": {"candidates": 5, "choice": "sample"},
    "evnas": {"population": 3, "batches": 1},
    "shapley": {"warmup": 0, "samples": 2},
    "shapley-select": {"inner": "random", "inner_options": {"candidates": 1}, "samples": 2},
    "darts-pt": {"inner": "random", "inner_options": {"candidates": 1}, "interval": 0, "final": 0},
    "fewshot": {"inner": "random", "inner_options": {"candidates": 3}},
    "toy-split": {},
}
REFUSED = {
    name: {} for name in ("darts", "drnas", "gdas", "isdarts", "proxyless", "smooth", "snas")
}
REFUSED |= {"pcdarts": {"warmup": 0}, "proxyless": {"warmup": 0, "every": 1}}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A table of the toy's 576 paths with random valid accuracies."""
    place = tmp_path_factory.mktemp("tables") / "toy.table"
    columns = {"columns": (VALID,), "values": TRUTH.reshape(1, -1)}
    write(place, toy_table(**columns))
    return place


def space_of(file, **options):
    return TableSpace(TableSpace.parse_options({"of": "toy", "table": str(file), **options}))


def images_of(**options):
    return Numbered(Numbered.parse_options({**IMAGES, **options}))


def measured(file, updater="random", options=None, epochs=1, **space):
    """(harness, its root branch, that one's probe) on the table's space."""
    found = catalogue().load("updater", updater)
    harness = Harness(
        found,
        MEASURING.get(updater, {}) if options is None else options,
        space_of(file, **space),
        images_of(),
        {"epochs": epochs, "batch_size": 200},
    )
    branch = harness.trainer.root()
    return harness, branch, harness.trainer.probe(branch)


class TestTableSpace(SearchSpaceContract):
    space, task = TableSpace, images_of().task

    @pytest.fixture(autouse=True)
    def table(self, file):
        type(self).options = {"of": "toy", "table": str(file), "noise": 1.0, "luck": 0.5}

    def test_gradient_reaches_the_mixture_and_the_weights(self):
        space = self.made()
        supernet = space.supernet(self.task)
        mixture = Mixture.uniform(space.full())
        supernet(self.images(), mixture).square().sum().backward()
        assert [weight.grad for weight in supernet.parameters()] == [torch.zeros(())]
        with pytest.raises(ConfigurationError, match="asks for gradients"):
            supernet(self.images(), Mixture(mixture.weights.requires_grad_(), mixture.active))


class TestNumbered(DataSourceContract):
    source, options = Numbered, {"images": 30, "size": 4}


# ---------------------------------------------------------------- what is answered


def mean_of(shares):
    """The mean of the table over paths, each path's probability multiplied out."""
    return sum(
        np.prod([shares[row][column] for row, column in enumerate(path)]) * TRUTH[path]
        for path in product(*(range(count) for count in COUNTS))
    )


def test_a_mixture_has_the_mean_accuracy_of_its_paths(file):
    supernet, full = space_of(file).supernet(images_of().task), ToySpace().full()
    rng = torch.Generator().manual_seed(0)
    mixtures = [Mixture.softmax(torch.randn(5, 4, generator=rng), full), Mixture.uniform(full)]
    mixtures.append(mixtures[0].without_all([(0, 1), (2, 3), (4, 0), (4, 2)]))
    found = supernet.accuracies_under(mixtures)
    for accuracy, mixture in zip(found.tolist(), mixtures, strict=True):
        rows = (mixture.weights * mixture.active).double()
        shares = (rows / rows.sum(1, keepdim=True)).tolist()
        assert 100 * accuracy == pytest.approx(mean_of(shares), abs=1e-4)


def test_an_edge_without_operation_takes_none_and_a_path_its_own_value(file):
    space = space_of(file)
    supernet = space.supernet(images_of().task)
    path = space.from_text("conv,skip,pool,skip,conv")
    without = Mixture.of(path).without(1, 1)
    whole, less = (100 * supernet.accuracies_under([Mixture.of(path), without])).tolist()
    assert whole == pytest.approx(TRUTH[2, 1, 3, 1, 2]) and less == pytest.approx(
        TRUTH[2, 0, 3, 1, 2]
    )


def test_what_a_probe_measures_is_that_accuracy_and_the_loss_falls_with_it(file):
    _, _, probe = measured(file)
    space = space_of(file)
    paths = [Mixture.of(space.from_text(text)) for text in TEXTS[100:112]]
    batches = list(probe.valid.epoch(0))
    found = list(probe.scores(paths, batches))
    losses = list(probe.scores(paths, batches, of="loss"))
    truth = TRUTH.reshape(-1)[100:112] / 100
    assert found == pytest.approx(truth.tolist(), abs=0.01)
    assert np.argsort(losses).tolist() == np.argsort(-truth).tolist()


def test_noise_has_its_size_and_belongs_to_a_supernet(file):
    space, task = space_of(file, noise=2.0), images_of().task
    supernets = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        supernets.append(space.supernet(task).accuracies.reshape(-1))
    truth = torch.from_numpy(TRUTH).double().reshape(-1) / 100
    assert torch.equal(supernets[0], supernets[1]) and not torch.equal(supernets[0], supernets[2])
    assert float((supernets[0] - truth).std()) == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("luck", [0.0, 1.0])
def test_with_luck_equally_accurate_paths_are_right_on_other_images(luck, file):
    _, _, probe = measured(file, luck=luck)
    space = space_of(file)
    pair = [Mixture.of(space.from_text(text)) for text in ("none,none,none,none,none", TEXTS[7])]
    hits = torch.cat([probe.hits(pair, batch) for batch in probe.valid.epoch(0)], 1)
    low, high = sorted(hits.double().mean(1).tolist())
    apart = float((hits[0] != hits[1]).double().mean())
    expected = low * (1 - high) + high * (1 - low) if luck else high - low
    assert apart == pytest.approx(expected, abs=0.03)


def test_hashes_are_spread_evenly_and_images_say_which_they_are():
    drawn = hashed(torch.arange(10_000), 12345)
    assert float(drawn.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(drawn.std()) == pytest.approx(12**-0.5, abs=0.02)
    source = images_of(images=70_000)
    test = source.splits(0).test
    labels, numbers = read(test.images[-3:].float() / 255)
    assert labels.tolist() == test.labels[-3:].tolist()
    assert numbers.tolist() == [83_997, 83_998, 83_999]


# ---------------------------------------------------------------- against brute force


def coalition_value(kept, undecided):
    """The mean over paths of kept operations; an empty edge takes `undecided`, by edge."""
    columns = [
        [column for edge, column in kept if edge == row] or undecided[row] for row in range(5)
    ]
    return float(TRUTH[np.ix_(*columns)].mean()) / 100


def shapley_values(players, undecided):
    """By the definition: the mean marginal over all coalitions of the others."""
    count, values, worth = len(players), [], {}
    for size in range(count + 1):
        for kept in combinations(range(count), size):
            worth[kept] = coalition_value([players[number] for number in kept], undecided)
    for player in range(count):
        others = [number for number in range(count) if number != player]
        total = 0.0
        for size in range(count):
            for kept in combinations(others, size):
                joined = tuple(sorted((*kept, player)))
                total += (worth[joined] - worth[kept]) / (count * comb(count - 1, size))
        values.append(total)
    return values


@pytest.mark.parametrize("game", ["mixtures", "paths"])
def test_exact_shapley_values_without_noise_are_those_of_the_table(game, file):
    _, branch, probe = measured(file)
    branch.subspace = Subspace.of(torch.tensor([[0, 1, 1, 0]] * 3 + [[0, 1, 1, 0]] * 2).bool())
    options = {"game": game, "exact": "always", "batch_size": 4000, "augment": False}
    measuring = Measuring(space_of(file), EstimateOptions(**options))
    found = measuring.estimate(probe, Mixture.uniform(branch.subspace)).values
    undecided = [[0]] * 5 if game == "mixtures" else [[1, 2]] * 5
    wanted = shapley_values(branch.subspace.alive_operations(), undecided)
    assert found.tolist() == pytest.approx(wanted, abs=0.001)


@pytest.mark.parametrize(
    "limit",
    [600, pytest.param(450, marks=pytest.mark.slow), pytest.param(900, marks=pytest.mark.slow)],
)
def test_a_decision_under_a_limit_is_the_best_of_the_whole_table_within_it(limit, file, tmp_path):
    result = nastk.search(
        space=use("table", of="toy", table=str(file)),
        updater=use("random", candidates=500, batch_size=4000),
        data=use("numbered", **IMAGES),
        limits=[f"params={limit}"],
        evaluators=["size"],
        trainer={"epochs": 1, "batch_size": 200},
        out=tmp_path / "run",
    )
    space, task = ToySpace(), images_of().task
    best = max(
        value
        for text, value in zip(TEXTS, TRUTH.reshape(-1), strict=True)
        if "none" not in text and parameters(space, text, task) <= limit
    )
    chosen = TRUTH.reshape(-1)[TEXTS.index(result.text)]
    assert result.evaluation["parameters"] <= limit
    assert chosen == pytest.approx(best, abs=0.05)  # what 3,600 images tell apart


def parameters(space, text, task):
    with torch.device("meta"):
        network = space.network(space.from_text(text), task)
    return sum(weight.numel() for weight in network.parameters())


# ---------------------------------------------------------------- who can use it


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("updater", MEASURING)
def test_an_updater_that_only_measures_searches_it(updater, file):
    harness, branch, _ = measured(file, updater, epochs=2)
    for each in harness.run([branch]):
        probe = harness.trainer.probe(each)
        assert harness.space.check(each.updater.architecture(probe))
        assert fresh(each) == fresh(each, harness.trainer.restore(each.state_dict()))


def fresh(branch, other=None):
    """The accuracies of a branch's supernet, or of another one's, as a list."""
    return (other or branch).supernet.accuracies.reshape(-1)[:9].tolist()


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("updater", REFUSED)
def test_an_updater_that_needs_gradients_or_outputs_is_told_so(updater, file):
    harness, branch, _ = measured(file, updater, REFUSED[updater], epochs=2)
    with pytest.raises(ConfigurationError, match="looks accuracies up and computes no operation"):
        harness.run([branch])


def test_gradient_matching_finds_no_weights_to_compare(file):
    harness, branch, _ = measured(file, "gm", {"inner": "random"}, epochs=9)
    with pytest.raises(ConfigurationError, match="no weights"):
        harness.run([branch])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"of": "table"}, "other than 'table'"),
        ({"of": "tooy"}, "No search space is named 'tooy'"),
        ({"of_options": {"chanels": 3}}, "no option 'chanels'"),
        ({"of": "darts", "of_options": {}}, "table answers for 1,048,576 at most"),
        ({"table": "nowhere"}, "No table is named 'nowhere'"),
        ({"of": "nasbench201"}, "is of space 'toy', not of 'nasbench201'"),
        ({"split": "test"}, "no column 'cifar10_test_200'"),
        ({"dataset": "cifar100"}, "no column 'cifar100_valid_200'"),
        ({"epochs": 12}, "no column 'cifar10_valid_12'"),
        ({"run": 3}, "no column 'cifar10_valid_200_seed3'"),
    ],
)
def test_what_cannot_answer_is_refused_before_a_step(options, message, file):
    with pytest.raises(ConfigurationError, match=message):
        space_of(file, **options).supernet(images_of().task)


def test_tables_with_gaps_and_other_images_are_refused(file, tmp_path):
    gap = TRUTH.reshape(1, -1).copy()
    gap[0, 5] = np.nan
    write(tmp_path / "gap.table", toy_table(columns=(VALID,), values=gap))
    short = {"columns": (VALID,), "values": TRUTH.reshape(1, -1)[:, :500]}
    write(tmp_path / "short.table", toy_table(TEXTS[:500], **short))
    task = images_of().task
    for name, message in (("gap", "no value of 1 of the 576"), ("short", "lacks 76 of the 576")):
        with pytest.raises(ConfigurationError, match=message):
            space_of(tmp_path / f"{name}.table").supernet(task)
    with pytest.raises(ConfigurationError, match="--data numbered"):
        space_of(file).supernet(nastk.Task(3, 3, 8))
    with pytest.raises(ConfigurationError, match="crop_padding would change"):
        images_of(crop_padding=2)


@pytest.mark.slow
def test_a_decision_on_nas_bench_macro_is_the_best_of_all_within_the_limit(tmp_path):
    if not OFFICIAL.exists():
        pytest.skip(f"{OFFICIAL.name} is not here (its folder: NASTK_SHARED, or ../shared/data)")
    table, place = import_files([OFFICIAL], "nasbench-macro").table, tmp_path / "macro.table"
    write(place, table)
    values = {"game": "paths", "samples": 5, "warmup": 0, "discretise_by": "phi"}
    result = nastk.search(
        space=use("table", of="nasbench-macro", table=str(place), noise=0.5),
        updater=use("shapley", **values),
        data=use("numbered", **{**IMAGES, "classes": 10}),
        limits=[f"table_parameters=1.5M:table,table={place}"],
        evaluators=[use("table", table=str(place))],
        trainer={"epochs": 2, "batch_size": 200},
        out=tmp_path / "run",
    )
    reports = [event for event in result.folder.events() if event.get("topic") == "shapley"]
    scores = np.array(reports[-1]["values"]["values"], dtype=float)
    sizes = table.numbers("cifar10_parameters")
    sums = np.array(
        [scores[range(8), [int(digit) for digit in text]].sum() for text in table.texts]
    )
    within = sizes <= 1.5
    best = sums[within].max()
    assert 0 < within.sum() < len(table)
    assert result.evaluation["table_parameters"] <= 1_500_000
    assert sums[table.index_of(result.text)] == pytest.approx(best, abs=1e-9)
    assert result.text != table.texts[int(sums.argmax())]  # the limit decided
