"""`darts-pt`: its schedule, its decisions against brute force, and what it leaves to others."""

import math
from typing import Any

import pytest
import torch

from nastk import (
    ConfigurationError,
    Continuation,
    Mixture,
    Plan,
    Probe,
    SearchSpace,
    Subspace,
    catalogue,
)
from nastk.base.events import EpochDone, UpdaterReported
from nastk.testing import Harness, ToySpace, fingerprint
from nastk.testing.toy import EDGES
from nastk.train.branch import copied
from nastk.train.wrapper import as_weights
from nastk_gradient.darts import Darts
from nastk_gradient.darts_pt import DartsPt
from nastk_gradient.perturbation import RemovalScorer
from nastk_gradient.selection import (
    admitted,
    most_missed,
    open_edges,
    rounds_left,
    thinned,
    wide_nodes,
)

LEARN = {"learning_rate": 0.05}


def space(name: str, **options: Any) -> SearchSpace:
    found = catalogue().load("space", name)
    return found(found.parse_options(options))


def open_counts(harness: Harness) -> list[int]:
    """How many edges are undecided after each epoch."""
    branches, counts = [harness.trainer.root()], []
    for moment in harness.trainer.run(branches):
        if moment == "epoch" and branches[0].epoch:
            counts.append(undecided(branches[0].subspace))
    return [*counts, undecided(branches[0].subspace)]


def undecided(subspace: Subspace) -> int:
    return sum(len(subspace.operations(row)) > 1 for row in range(len(subspace.alive)))


# ---------------------------------------------------------------- when


@pytest.mark.parametrize(
    ("options", "epochs", "counts"),
    [
        # Three edges in one cell, two in the other: rounds decide 2, 2 and 1.
        ({"interval": 1, "final": 1}, 5, [5, 3, 1, 0, 0]),
        ({"interval": 1, "final": 0}, 3, [3, 1, 0]),
        ({"interval": 2, "final": 1}, 7, [5, 3, 3, 1, 1, 0, 0]),
        ({"interval": 0, "final": 2}, 4, [5, 0, 0, 0]),
    ],
)
def test_rounds_come_at_the_end_so_far_apart(
    options: dict[str, int], epochs: int, counts: list[int]
) -> None:
    harness = Harness(DartsPt, {**options, "batches": 1}, trainer_options={"epochs": epochs})
    assert open_counts(harness) == counts


@pytest.mark.parametrize(
    ("name", "options", "rounds"),
    [
        ("toy", {}, 3),
        ("nasbench201", {}, 6),
        ("darts", {}, 14 + 3),
        ("darts", {"include_none": True}, 14 + 3),
        ("darts", {"nodes": 1}, 2),
    ],
)
def test_rounds_are_the_published_ones(name: str, options: dict[str, Any], rounds: int) -> None:
    found = space(name, **options)
    assert rounds_left(found.edges, found.full(), found.why_empty) == rounds


@pytest.mark.parametrize(("name", "least"), [("nasbench201", 27), ("darts", 82)])
def test_complains_of_too_few_epochs(name: str, least: int) -> None:
    updater = Harness(DartsPt, space=space(name)).trainer.root().updater
    plan = Plan(least, 3, 16, 48, 48)
    assert updater.incompatibility(plan) is None
    short = updater.incompatibility(Plan(least - 1, 3, 16, 48, 48))
    assert short is not None and f"it needs {least} epochs, got {least - 1}" in short
    assert f"--epochs {least}" in short


@pytest.mark.parametrize(
    ("tuning", "rates"),
    [
        # Rounds after the first, second and third epoch of five; SGD begins anew at the first.
        ({}, None),
        ({"tuning_rate": 0.004}, [0.004] * 4),
        (
            {"tuning_rate": 0.004, "tuning_cosine": True},
            [0.001 + 0.0015 * (1 + math.cos(math.pi * epoch / 4)) for epoch in range(4)],
        ),
    ],
)
def test_the_first_round_begins_sgd_anew(tuning: dict[str, Any], rates: list[float] | None) -> None:
    options = {"interval": 1, "final": 2, "batches": 1, "inner_options": LEARN, **tuning}
    harness = Harness(DartsPt, options, trainer_options={"epochs": 5})
    (branch,) = harness.until("epoch")
    trained = fingerprint(branch.supernet.state_dict())
    assert branch.optimizer.state
    harness.trainer.close_epoch(branch)
    assert undecided(branch.subspace) == 3 and branch.updater.tuning
    assert fingerprint(branch.supernet.state_dict()) == trained
    assert bool(branch.optimizer.state) == (rates is None)
    assert (branch.schedule.start, branch.schedule.end) == ((0, 5) if rates is None else (1, 5))
    momentum = branch.optimizer
    harness.run([branch])
    assert undecided(branch.subspace) == 0 and branch.optimizer is momentum
    found = [one.learning_rate for one in harness.events if isinstance(one, EpochDone)]
    whole = [0.001 + 0.0245 * (1 + math.cos(math.pi * epoch / 5)) for epoch in range(5)]
    assert found == pytest.approx([0.05, *rates] if rates else whole)


def test_what_the_authors_tune_with_is_a_tenth_of_the_first_rate() -> None:
    published = [one for one in DartsPt.presets if one.name == "paper"]
    assert len(published) == 2
    for preset in published:
        tenth = preset.trainer_options["learning_rate"] / 10
        assert preset.updater_options["tuning_rate"] == pytest.approx(tenth)


def test_a_search_that_is_tuned_goes_on_as_it_was() -> None:
    options = {"interval": 1, "final": 1, "batches": 1, "tuning_rate": 0.01, "tuning_cosine": True}
    settings: dict[str, Any] = {"trainer_options": {"epochs": 5}}
    straight = Harness(DartsPt, options, **settings)
    branches = [straight.trainer.root()]
    kept = []
    for moment in straight.trainer.run(branches):
        if moment == "epoch":
            kept.append(copied(branches[0].state_dict()))
    expected = fingerprint(branches[0].state_dict())
    assert len(kept) == 5 and not kept[1]["updater"]["tuning"] and kept[2]["updater"]["tuning"]
    for state in kept:
        harness = Harness(DartsPt, options, **settings)
        restored = harness.trainer.restore(state)
        (branch,) = harness.trainer.close_epoch(restored)
        (branch,) = harness.run([branch])
        assert fingerprint(branch.state_dict()) == expected


def test_what_the_inner_updater_complains_of_is_passed_on() -> None:
    options = {"interval": 0, "inner_options": {"warmup": 9}}
    updater = Harness(DartsPt, options).trainer.root().updater
    assert "warmup=9" in str(updater.incompatibility(Plan(3, 3, 16, 48, 48)))


def test_until_the_first_round_it_is_the_inner_updater_bit_for_bit() -> None:
    wrapped = Harness(DartsPt, {"inner_options": LEARN, "interval": 0, "final": 1})
    plain = Harness(Darts, LEARN)
    (one,), (two,) = wrapped.run(steps=6), plain.run(steps=6)
    assert fingerprint(one.supernet.state_dict()) == fingerprint(two.supernet.state_dict())
    assert fingerprint(one.updater.state_dict()["inner"]) == fingerprint(two.updater.state_dict())
    probes = [each.trainer.probe(b) for each, b in ((wrapped, one), (plain, two))]
    assert one.updater.architecture(probes[0]) == two.updater.architecture(probes[1])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"inner": "dart"}, "No updater is named 'dart'. Did you mean 'darts'"),
        ({"inner_options": {"rate": 1}}, "darts has no option 'rate'"),
    ],
)
def test_an_inner_updater_that_cannot_be_is_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigurationError, match=match):
        Harness(DartsPt, options).trainer.root()


@pytest.mark.parametrize("inner", ["random", "gdas", "pcdarts", "isdarts"])
def test_any_updater_may_be_inside(inner: str) -> None:
    quick = next(one for one in catalogue().load("updater", inner).presets if one.name == "quick")
    options = {"inner": inner, "inner_options": dict(quick.updater_options)}
    harness = Harness(
        DartsPt, {**options, "interval": 0, "batches": 1}, trainer_options={"epochs": 6}
    )
    for branch in harness.run():
        architecture = branch.updater.architecture(harness.trainer.probe(branch))
        assert branch.subspace.contains(Subspace(architecture.table()))


def test_a_shrinking_inner_updater_is_left_alone_in_that_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harness = Harness(DartsPt, {"interval": 0, "final": 1}, trainer_options={"epochs": 1})
    (branch,) = harness.until("epoch")
    smaller = [Continuation(branch.subspace.drop(0, 0))]
    monkeypatch.setattr(type(branch.updater.inner), "after_epoch", lambda self, probe: smaller)
    assert branch.updater.after_epoch(harness.trainer.probe(branch)) == smaller


# ---------------------------------------------------------------- what is kept


def ready(**options: Any) -> tuple[DartsPt, Probe, Harness]:
    """An updater two epochs into a search on the toy, before any round."""
    harness = Harness(DartsPt, {"inner_options": LEARN, "batches": 1, "interval": 0, **options})
    (branch,) = harness.run(steps=6)
    branch.epoch = 2
    assert isinstance(branch.updater, DartsPt)
    return branch.updater, harness.trainer.probe(branch), harness


@pytest.mark.parametrize("criterion", ["accuracy", "loss"])
def test_an_edge_keeps_what_brute_force_keeps(criterion: str) -> None:
    updater, probe, _ = ready(criterion=criterion)
    scorer = updater._scorer(probe)
    table = Mixture.softmax(updater.inner.alpha.detach(), probe.subspace)
    for edge, row in enumerate(probe.subspace.alive):
        values = []
        for column in (column for column, alive in enumerate(row) if alive):
            cut = table.weights.clone()
            cut[edge, column] = 0.0
            hits = loss = total = 0.0
            for batch in scorer.batches:
                logits = probe.logits(Mixture(cut, table.active), batch.images).detach()
                hits += float((logits.argmax(1) == batch.labels).sum())
                loss += float(torch.nn.functional.cross_entropy(logits, batch.labels)) * len(logits)
                total += len(logits)
            values.append(hits / total if criterion == "accuracy" else -loss / total)
        best = [column for column, value in enumerate(values) if value == min(values)]
        kept = scorer.decide(edge, probe.subspace).operations(edge)
        # The first of equals, but `none`, which is column 0, only where it is alone.
        assert kept == ((best[1:] or best)[0] if best[0] == 0 else best[0],)


def test_a_decided_edge_gives_its_operation_all_that_the_edge_weighed() -> None:
    _, probe, _ = ready()
    table = torch.tensor([[0.1, 0.2, 0.3, 0.2]] * 3 + [[0.1, 0.2, 0.3, 0.0]] * 2)
    scorer = RemovalScorer(ToySpace(), probe, [], table)
    found = scorer.mixture(probe.subspace.only(0, [2]).only(1, ()))
    expected = table.clone()
    expected[0] = torch.tensor([0.0, 0.0, 0.8, 0.0])
    expected[1] = 0.0
    torch.testing.assert_close(found.weights, expected)
    assert found.active[0].tolist() == [False, False, True, False] and not found.active[1].any()


def test_everything_is_recorded_and_the_rest_is_one_architecture() -> None:
    updater, probe, harness = ready()
    (answer,) = updater.after_epoch(probe)
    assert undecided(answer.subspace) == 0
    topics = [one for one in harness.events if isinstance(one, UpdaterReported)]
    chosen = {one.values["edge"]: one.values["kept"] for one in topics if one.topic == "selection"}
    probe._branch.subspace = answer.subspace
    architecture = updater.architecture(probe)
    assert {edge.name: (chosen[edge.name],) for edge in EDGES} == dict(
        zip([edge.name for edge in EDGES], architecture.choices, strict=True)
    )


def test_edges_are_drawn_at_random_from_the_branchs_own_stream() -> None:
    orders = []
    for seed in (0, 0, 1):
        harness = Harness(DartsPt, {"batches": 1, "interval": 0, "final": 1}, seed=seed)
        harness.run()
        reports = [one for one in harness.events if isinstance(one, UpdaterReported)]
        orders.append([one.values["edge"] for one in reports if one.topic == "selection"])
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders}) > 1


def test_the_forecast_bounds_the_cost() -> None:
    harness = Harness(DartsPt, {"interval": 1, "final": 0})
    (branch,) = harness.run()
    spent = harness.trainer.ledger.cost().phases["updater"]
    forecast = branch.updater.max_cost(harness.plan)
    # 9 steps of alpha, 18 operations taken out, 48 images each; the bound adds every edge.
    assert spent.images_forward == 9 * 16 + 18 * 48
    assert forecast.images_forward == spent.images_forward + 5 * 48
    assert forecast.images_backward == spent.images_backward == 9 * 16


# ---------------------------------------------------------------- nodes with too many inputs


def test_nodes_with_more_than_two_inputs_are_wide_in_the_darts_space_only() -> None:
    darts = space("darts")
    normal, reduce = wide_nodes(darts.edges, darts.full(), darts.why_empty)
    assert [len(rows) for rows in normal] == [len(rows) for rows in reduce] == [3, 4, 5]
    for name in ("toy", "nasbench201"):
        found = space(name)
        assert wide_nodes(found.edges, found.full(), found.why_empty) == []


def test_a_wide_node_keeps_the_two_inputs_that_are_missed_most() -> None:
    darts = space("darts")
    rows = wide_nodes(darts.edges, darts.full(), darts.why_empty)[0][2]
    left = thinned(darts.full(), rows, [0.6, 0.2, 0.6, 0.5, 0.1], darts.why_empty)
    assert [bool(left.operations(row)) for row in rows] == [False, True, False, False, True]
    # Of equals the later one goes.
    left = thinned(darts.full(), rows, [0.5] * 5, darts.why_empty)
    assert [bool(left.operations(row)) for row in rows] == [True, True, False, False, False]


@pytest.mark.slow
@pytest.mark.parametrize("none", [False, True])
def test_a_search_in_the_darts_space_ends_with_two_inputs_a_node(none: bool) -> None:
    darts = space("darts", channels=2, cells=3, nodes=2, include_none=none)
    options = {"interval": 0, "final": 0, "batches": 1, "batch_size": 8}
    harness = Harness(DartsPt, options, darts, trainer_options={"epochs": 1, "batch_size": 48})
    (branch,) = harness.run()
    entering: dict[tuple[str, int], int] = {}
    for row, edge in enumerate(darts.edges):
        used = [darts.edges[row].operations[one] for one in branch.subspace.operations(row)]
        assert len(used) <= 1
        entering[edge.group, edge.head] = entering.get((edge.group, edge.head), 0) + len(used)
    assert set(entering.values()) == {2}
    architecture = branch.updater.architecture(harness.trainer.probe(branch))
    assert architecture.table() == branch.subspace.alive


# ---------------------------------------------------------------- small rules


def test_the_first_of_equals_is_missed_most_and_none_last() -> None:
    assert most_missed(["none", "skip", "conv", "pool"], [0.5, 0.3, 0.3, 0.9]) == 1
    assert most_missed(["none", "skip", "conv"], [0.3, 0.4, 0.3]) == 2
    assert most_missed(["none", "skip", "conv"], [0.2, 0.4, 0.3]) == 0


def test_edges_are_grouped_by_cell_type() -> None:
    assert open_edges(EDGES, Subspace.full(EDGES).only(2, [1])) == [[0, 1], [3, 4]]


def test_an_edge_may_not_keep_what_the_space_objects_to() -> None:
    darts = space("darts", include_none=True)
    # Node 2 has two inputs: neither may become `none`; node 3 has one to spare.
    assert admitted(darts.full(), 0, darts.why_empty) == list(range(1, 8))
    assert admitted(darts.full(), 2, darts.why_empty) == list(range(8))
    assert admitted(darts.full(), 2, lambda subspace: "never") == list(range(8))


@pytest.mark.parametrize(
    ("scores", "used"),
    [
        (torch.tensor([[0.2, 0.3], [0.6, 0.4]]), True),
        (torch.tensor([[0.2, float("nan")], [0.6, 0.4]]), False),
        (torch.tensor([[-0.2, 0.3], [0.6, 0.4]]), False),
        (torch.tensor([[0.9, 0.8], [0.6, 0.4]]), False),
        (torch.zeros(2, 2), False),
        (None, False),
    ],
)
def test_scores_are_weights_only_where_they_look_like_them(
    scores: torch.Tensor | None, used: bool
) -> None:
    found = as_weights(scores, Subspace.of([[True, True], [True, True]]))
    expected = scores if used and scores is not None else torch.full((2, 2), 0.5)
    torch.testing.assert_close(found, expected)
