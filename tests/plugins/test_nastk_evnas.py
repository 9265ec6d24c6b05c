"""EvNAS's operators on plain matrices and the updater on the toy: every invariant of the method."""

import math
import re
from collections import Counter
from dataclasses import replace
from itertools import islice
from math import comb
from pathlib import Path

import pytest
import torch

import nastk_evnas
from nastk import ConfigurationError, Mixture, Plan, Subspace, TrainerOptions
from nastk.base.events import UpdaterReported, UpdaterWorking
from nastk.testing import Harness, ToyData, UpdaterContract, fingerprint
from nastk_evnas.decoding import Decoder, decoded, distinct
from nastk_evnas.fitness import FitnessScorer
from nastk_evnas.genetics import (
    Individual,
    Rules,
    crossover,
    evolve,
    first_generation,
    mutate,
    next_generation,
    random_genome,
    ranked,
    tournament,
)
from nastk_evnas.updater import EvNAS
from nastk_spaces_darts.space import DartsSpace
from nastk_spaces_nasbench201.space import NasBench201Space

# The toy's epoch has three weight steps, so its population has at most three genomes.
SMALL = {"population": 3, "tournament": 2, "batch_size": 16}
VARIANT = {
    **SMALL,
    "decode": "hard",
    "fitness_decode": "raw",
    "assignment": "shuffled",
    "elites": 0,
    "augment": True,
    "batches": 2,
}
DARTS = DartsSpace(DartsSpace.Options(include_none=True))


class TestEvNAS(UpdaterContract):
    updater, options = EvNAS, SMALL


@pytest.mark.slow
class TestEvNASVariant(UpdaterContract):
    updater, options = EvNAS, VARIANT


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def generation(fitness, shape=(3, 4)):
    """A ranked generation with this fitness."""
    return ranked(
        first_generation(shape, len(fitness), rng(9)), [float(value) for value in fitness]
    )


def harness(**options):
    return Harness(EvNAS, {**SMALL, **options})


def wide(population=12, images=384, **options):
    """A toy run whose epochs have 12 weight steps, two epochs long."""
    return Harness(
        EvNAS,
        {"population": population, "tournament": 3, "batch_size": 64, **options},
        data=ToyData(ToyData.Options(images=images)),
        trainer_options={"epochs": 2},
    )


@pytest.fixture(scope="module")
def finished():
    """A toy run of two generations of twelve, and its branch."""
    run = wide()
    (branch,) = run.run()
    return run, branch


def reports(run):
    return [each for each in run.events if isinstance(each, UpdaterReported)]


# ---------------------------------------------------------------- decoding: DARTS


def by_hand(genome, edges):
    """The published rule, written out a second time: edge by edge, then node by node."""
    table = torch.zeros(genome.shape)
    for group in ("normal", "reduce"):
        for node in {edge.head for edge in edges}:
            found = []
            for row, edge in enumerate(edges):
                if (edge.group, edge.head) == (group, node):
                    shares = torch.softmax(genome[row], 0)
                    best, second = shares.topk(2).indices.tolist()
                    if edge.operations[best] == "none":
                        best = second
                    found.append((-float(shares[best]), row, best))
            for _, row, operation in sorted(found)[:2]:
                table[row, operation] = 1.0
    return table


@pytest.mark.parametrize("seed", range(20))
def test_a_darts_genome_decodes_by_the_published_rule(seed):
    genome = random_genome((28, 8), rng(seed))
    found = torch.tensor(decoded(genome, DARTS, DARTS.full()).table())
    assert torch.equal(found.float(), by_hand(genome, DARTS.edges))


def test_a_decoded_darts_cell_has_eight_ones_two_edges_a_node_and_no_none():
    architecture = decoded(random_genome((28, 8), rng()), DARTS, DARTS.full())
    table = torch.tensor(architecture.table()).int()
    assert table[:14].sum() == table[14:].sum() == 8
    assert table.sum(1).max() == 1
    assert (table.sum(1) == 0).sum() == 12
    assert table[:, DARTS.edges[0].operations.index("none")].sum() == 0
    inputs = Counter((edge.group, edge.head) for edge, _ in architecture.links())
    assert set(inputs.values()) == {2} and len(inputs) == 8


def test_decoding_what_was_decoded_changes_nothing():
    for seed in range(20):
        architecture = decoded(random_genome((28, 8), rng(seed)), DARTS, DARTS.full())
        again = decoded(torch.tensor(architecture.table()).double(), DARTS, DARTS.full())
        assert again == architecture


def test_edges_are_ranked_by_the_softmax_of_their_row_not_by_the_gene():
    genome = torch.zeros(28, 8, dtype=torch.float64)
    # Node 3 has the edges 2, 3 and 4. Edge 2 has the largest gene, in a row of large genes.
    genome[2] = 5.0
    genome[2, 1], genome[3, 1], genome[4, 1] = 6.0, 4.0, 4.0
    kept = [row for row in (2, 3, 4) if any(decoded(genome, DARTS, DARTS.full()).table()[row])]
    assert kept == [3, 4]


@pytest.mark.parametrize(
    ("sharpness", "chosen", "other"),
    [(1.0, 0.2797, 0.1029), (5.0, math.exp(5) / (math.exp(5) + 7), 1 / (math.exp(5) + 7))],
)
def test_the_soft_weights_on_darts_have_their_closed_form(sharpness, chosen, other):
    genome = random_genome((28, 8), rng())
    mixture = Decoder(DARTS, "soft", sharpness).mixture(genome, DARTS.full())
    table = torch.tensor(decoded(genome, DARTS, DARTS.full()).table())
    kept = table.any(1)
    weights = mixture.weights
    torch.testing.assert_close(weights.sum(1), torch.ones(28))
    assert weights[table].tolist() == pytest.approx([chosen] * 16, abs=5e-5)
    assert weights[kept][~table[kept]].tolist() == pytest.approx([other] * 16 * 7, abs=5e-5)
    assert weights[~kept].flatten().tolist() == [0.125] * 12 * 8
    assert mixture.active.all() and not weights.requires_grad
    assert weights.dtype == torch.float32


# ---------------------------------------------------------------- decoding: one operation an edge


def test_one_operation_an_edge_decodes_to_the_argmax_with_the_golden_weights():
    space = NasBench201Space()
    for seed in range(20):
        genome = random_genome((6, 5), rng(seed))
        table = torch.tensor(decoded(genome, space, space.full()).table())
        assert table.int().sum(1).tolist() == [1] * 6
        assert table.int().argmax(1).tolist() == genome.argmax(1).tolist()
        weights = Decoder(space, "soft").mixture(genome, space.full()).weights
        assert weights[table].tolist() == pytest.approx([0.4046] * 6, abs=5e-5)
        assert weights[~table].tolist() == pytest.approx([0.1488] * 24, abs=5e-5)


def test_hard_decoding_is_the_path_and_raw_the_softmax_of_the_genome():
    space, genome = NasBench201Space(), random_genome((6, 5), rng())
    path = Decoder(space, "hard").mixture(genome, space.full())
    assert torch.equal(path.active, torch.tensor(decoded(genome, space, space.full()).table()))
    assert torch.equal(path.weights, path.active.float())
    raw = Decoder(space, "raw").mixture(genome, space.full())
    torch.testing.assert_close(raw.weights, torch.softmax(genome, 1).float())


@pytest.mark.parametrize("decoding", ["soft", "hard", "raw"])
def test_a_smaller_subspace_is_obeyed(decoding):
    space = NasBench201Space()
    subspace = space.full().only(0, [1, 3]).only(4, [0])
    genome = random_genome((6, 5), rng(3))
    mixture = Decoder(space, decoding).mixture(genome, subspace)
    assert not (mixture.active & ~subspace.mask).any()
    torch.testing.assert_close(mixture.weights.sum(1), torch.ones(6))
    assert mixture.weights[4].tolist() == [1, 0, 0, 0, 0]
    assert subspace.contains(Subspace(decoded(genome, space, subspace).table()))


def test_decoding_leaves_the_genome_as_it_is():
    genome = random_genome((28, 8), rng())
    before = genome.clone()
    for decoding in ("soft", "hard", "raw"):
        Decoder(DARTS, decoding).mixture(genome, DARTS.full())
    assert torch.equal(genome, before)


def test_genomes_that_decode_alike_are_one_mixture_with_the_same_logits():
    run = harness()
    space, branch = run.space, run.trainer.root()
    first = random_genome((5, 4), rng())
    second = first * 0.5
    other = random_genome((5, 4), rng(1))
    mixtures = [Decoder(space, "soft").mixture(one, space.full()) for one in (first, other, second)]
    found, where = distinct(mixtures)
    assert (len(found), where) == (2, [0, 1, 0])
    batch = run.trainer.train.at(0)
    logits = [branch.supernet(batch.images, mixture) for mixture in mixtures]
    assert torch.equal(logits[0], logits[2]) and not torch.equal(logits[0], logits[1])
    raw = [Decoder(space, "raw").mixture(one, space.full()) for one in (first, other, second)]
    assert distinct(raw)[1] == [0, 1, 2]


# ---------------------------------------------------------------- operators


def test_the_first_generation_is_uniform_and_numbered():
    found = first_generation((14, 8), 50, rng())
    values = torch.stack([one.genome for one in found])
    assert [one.number for one in found] == list(range(50))
    assert all(one.parents == one.fresh == () and one.fitness is None for one in found)
    assert float(values.min()) >= 0 and float(values.max()) < 1
    assert float(values.mean()) == pytest.approx(0.5, abs=4 / (12 * values.numel()) ** 0.5)


def test_ranking_is_descending_stable_and_takes_nan_for_the_worst():
    found = ranked(first_generation((2, 2), 5, rng()), [0.1, math.nan, 0.7, 0.1, -2.0])
    assert [one.number for one in found] == [2, 0, 3, 4, 1]
    assert [one.fitness for one in found[:4]] == [0.7, 0.1, 0.1, -2.0]


@pytest.mark.parametrize("size", [1, 4, 12])
def test_a_tournament_is_won_by_rank_as_often_as_it_should(size):
    members, draws = 12, 3000
    fittest = generation(range(members, 0, -1))
    stream = rng(size)
    wins = Counter(
        next(rank for rank, one in enumerate(fittest, 1) if one is winner)
        for winner in (tournament(fittest, size, stream) for _ in range(draws))
    )
    for rank in range(1, members + 1):
        chance = 1 - comb(members - rank, size) / comb(members, size)
        share = sum(count for place, count in wins.items() if place <= rank) / draws
        assert share == pytest.approx(chance, abs=4 * (chance * (1 - chance) / draws) ** 0.5 + 1e-9)


def test_equals_win_equally_often():
    fittest = generation([1.0] * 5)
    stream = rng()
    wins = Counter(tournament(fittest, 3, stream).number for _ in range(2000))
    assert all(abs(count - 400) < 4 * (400 * 0.8) ** 0.5 for count in wins.values())
    assert len(wins) == 5


def test_crossover_takes_whole_rows_from_either_parent_with_equal_chance():
    first, second = random_genome((1000, 3), rng(1)), random_genome((1000, 3), rng(2))
    before = first.clone(), second.clone()
    child = crossover(first, second, rng())
    from_first = (child == first).all(1)
    assert torch.equal(from_first, ~(child == second).all(1))
    assert abs(int(from_first.sum()) - 500) < 4 * 250**0.5
    child.zero_()
    assert torch.equal(first, before[0]) and torch.equal(second, before[1])


def test_crossover_of_a_parent_with_itself_is_that_parent():
    parent = random_genome((28, 8), rng())
    assert torch.equal(crossover(parent, parent.clone(), rng(1)), parent)


@pytest.mark.parametrize("rate", [0.0, 0.1, 1.0])
def test_mutation_draws_rows_anew_at_its_rate(rate):
    genome = random_genome((5000, 4), rng(1)) + 1.0
    child, hit = mutate(genome, rate, rng())
    assert torch.equal(child[~hit], genome[~hit])
    assert (child[hit] < 1).all() and (child[hit] >= 0).all()
    assert float(hit.float().mean()) == pytest.approx(
        rate, abs=4 * (rate * (1 - rate) / 5000) ** 0.5
    )
    assert (genome >= 1).all()


def test_a_generation_is_the_elite_and_children_of_their_parents():
    rules = Rules(population=40, tournament=5)
    old = generation(range(40), (28, 8))
    before = [one.genome.clone() for one in old]
    new = next_generation(old, rules, rng())
    assert len(new) == 40
    assert new[0].genome is old[0].genome and new[0].number == old[0].number
    assert new[0].fitness is None
    assert [one.number for one in new[1:]] == list(range(40, 79))
    by_number = {one.number: one.genome for one in old}
    fresh = 0
    for child in new[1:]:
        mother, father = (by_number[number] for number in child.parents)
        for row in range(28):
            kept = [torch.equal(child.genome[row], parent[row]) for parent in (mother, father)]
            assert any(kept) != (row in child.fresh)
        fresh += len(child.fresh)
        assert float(child.genome.min()) >= 0 and float(child.genome.max()) < 1
    rows = 39 * 28
    assert fresh / rows == pytest.approx(0.1, abs=4 * (0.09 / rows) ** 0.5)
    assert all(torch.equal(one.genome, copy) for one, copy in zip(old, before, strict=True))


def test_without_mutation_children_recombine_and_a_full_tournament_copies_the_best():
    old = generation(range(10))
    rows = {tuple(row.tolist()) for one in old for row in one.genome}
    mixed = next_generation(old, Rules(10, 3, mutation=0.0), rng())
    assert {tuple(row.tolist()) for one in mixed for row in one.genome} <= rows
    same = next_generation(old, Rules(10, 10, mutation=0.0), rng())
    assert all(torch.equal(one.genome, old[0].genome) for one in same)


def test_full_mutation_without_elites_is_a_new_random_population():
    old = generation(range(10))
    new = next_generation(old, Rules(10, 3, elites=0, mutation=1.0), rng())
    rows = {tuple(row.tolist()) for one in old for row in one.genome}
    assert not rows & {tuple(row.tolist()) for one in new for row in one.genome}
    assert all(one.fresh == (0, 1, 2) for one in new)


def test_without_crossover_a_child_has_one_parent():
    old = generation(range(10))
    by_number = {one.number: one.genome for one in old}
    for child in next_generation(old, Rules(10, 3, crossover=0.0, mutation=0.0), rng())[1:]:
        (parent,) = child.parents
        assert torch.equal(child.genome, by_number[parent])


@pytest.mark.parametrize("elites", [0, 1, 4])
def test_elites_are_the_fittest_in_their_order(elites):
    old = generation(range(10))
    new = next_generation(old, Rules(10, 3, elites=elites, mutation=1.0), rng())
    assert [one.number for one in new[:elites]] == [one.number for one in old[:elites]]
    assert all(one.parents for one in new[elites:])


def test_the_operators_climb_a_smooth_fitness_and_never_lose_their_best():
    target = random_genome((6, 5), rng(5))

    def closeness(genomes):
        return [-float((genome - target).square().sum()) for genome in genomes]

    best = [each[0].fitness for each in islice(evolve(closeness, (6, 5), Rules(), rng()), 30)]
    assert best == sorted(best)
    assert best[-1] > best[0] / 3


def test_evolve_refuses_rules_at_odds():
    with pytest.raises(ConfigurationError, match=r"tournament must be at most population \(5\)"):
        next(evolve(lambda genomes: [0.0] * 5, (2, 2), Rules(5, 10), rng()))


# ---------------------------------------------------------------- training


def test_steps_train_the_population_in_turn_and_start_again_each_epoch():
    run = wide(population=5)
    branch = run.trainer.root()
    seen = []
    for moment in run.trainer.run([branch]):
        if moment == "step":
            # Asked again for the step that was just taken.
            branch.step -= 1
            (mixture,) = branch.updater.mixtures(run.trainer.probe(branch))
            branch.step += 1
            decoder = Decoder(run.space, "soft")
            seen.append(
                [
                    torch.equal(
                        mixture.weights, decoder.mixture(one.genome, branch.subspace).weights
                    )
                    for one in branch.updater.population
                ]
            )
            assert not mixture.weights.requires_grad
    assert len(seen) == 24
    assert all(flags[number % 12 % 5] for number, flags in enumerate(seen))


@pytest.mark.parametrize("assignment", ["in-order", "offset", "shuffled"])
def test_everybody_has_as_many_steps_up_to_one(assignment):
    run = wide(population=5, assignment=assignment)
    (branch,) = run.run(steps=12)
    order = branch.updater.order
    assert sorted(order) == list(range(5))
    turns = Counter(order[step % 5] for step in range(12))
    assert sum(turns.values()) == 12 and max(turns.values()) - min(turns.values()) == 1


def test_the_assignment_decides_whose_turn_is_first():
    def orders(name):
        runs = (Harness(EvNAS, {**SMALL, "assignment": name}, seed=seed) for seed in range(12))
        return {tuple(run.trainer.root().updater.order) for run in runs}

    assert orders("in-order") == {(0, 1, 2)}
    assert orders("offset") == {(0, 1, 2), (1, 2, 0), (2, 0, 1)}
    assert len(orders("shuffled")) > 3


# ---------------------------------------------------------------- fitness


def test_fitness_is_the_accuracy_over_one_pass_shared_by_all():
    run = wide(images=300)
    branch = run.trainer.root()
    probe = run.trainer.probe(branch)
    mixtures = [
        Decoder(run.space, "soft").mixture(one.genome, branch.subspace)
        for one in branch.updater.population[:3]
    ]
    batches = list(probe.valid.view("fitness", 64, False).epoch(0))
    assert [len(batch.labels) for batch in batches] == [64, 64, 22]
    before = fingerprint(branch.supernet.state_dict())
    found = FitnessScorer(64).accuracies(probe, mixtures)
    assert found == pytest.approx(list(probe.scores(mixtures, batches)))
    assert fingerprint(branch.supernet.state_dict()) == before
    working = [each for each in run.events if isinstance(each, UpdaterWorking)]
    assert [(each.done, each.total) for each in working] == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(("epoch", "augment"), [(0, False), (1, False), (1, True)])
def test_each_generation_is_judged_on_a_pass_of_its_own(epoch, augment):
    run = wide()
    branch = run.trainer.root()
    probe = run.trainer.probe(branch)
    mixture = [Mixture.uniform(branch.subspace)]
    batches = list(islice(probe.valid.view("fitness", 64, augment).epoch(epoch), 2))
    branch.epoch = epoch
    found = FitnessScorer(64, 2, augment).accuracies(probe, mixture)
    assert found == list(probe.scores(mixture, batches))
    seen = torch.cat([batch.images for batch in batches])
    others = islice(probe.valid.view("fitness", 64, not augment).epoch(epoch), 2)
    assert not torch.equal(seen, torch.cat([batch.images for batch in others]))


def test_equal_decodings_are_measured_once_and_have_the_same_fitness():
    run = wide(population=6)
    (branch,) = run.run(steps=12)
    updater = branch.updater
    one = updater.population[0]
    updater.population = [replace(one, number=number) for number in range(5)] + [
        updater.population[5]
    ]
    before = run.trainer.ledger.cost().total.images_forward
    updater.after_epoch(run.trainer.probe(branch))
    (report,) = reports(run)
    rows = report.values["individuals"]
    assert report.values["measured"] == 2
    assert len({row["fitness"] for row in rows if row["number"] < 5}) == 1
    assert run.trainer.ledger.cost().total.images_forward - before == 2 * 192


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize(
    ("options", "images", "each"),
    [
        ({}, 384, 192),
        ({"batches": 2}, 384, 128),
        ({"batches": 9}, 384, 192),
        ({"batch_size": 1024, "batches": 1}, 384, 192),
        # 193 images in batches of 64: a last batch of one image is dropped.
        ({}, 386, 192),
        ({"batches": 4}, 386, 192),
    ],
)
def test_the_forecast_is_what_the_ledger_measures(options, images, each):
    run = wide(population=4, images=images, **options)
    (branch,) = run.run()
    measured = [report.values["measured"] for report in reports(run)]
    spent = run.trainer.ledger.cost().phases["updater"]
    forecast = branch.updater.max_cost(run.plan)
    assert spent.images_forward == sum(measured) * each
    assert forecast.images_forward == 2 * 4 * each
    assert (spent.images_backward, forecast.images_backward) == (0, 0)


def test_the_forecast_is_exact_where_all_decode_differently():
    # Undecoded genomes are all different; without crossover and elites they stay so.
    run = wide(population=4, decode="raw", elites=0, mutation=1.0)
    (branch,) = run.run()
    spent = run.trainer.ledger.cost().phases["updater"]
    assert spent.images_forward == branch.updater.max_cost(run.plan).images_forward == 2 * 4 * 192


def test_training_and_fitness_may_decode_differently():
    run = wide(population=3, decode="hard", fitness_decode="soft")
    (branch,) = run.until("epoch")
    probe = run.trainer.probe(branch)
    (trained,) = branch.updater.mixtures(probe)
    assert trained.active.sum(1).tolist() == [1] * 5
    population = branch.updater.population
    branch.updater.after_epoch(probe)
    soft = [Decoder(run.space, "soft").mixture(one.genome, branch.subspace) for one in population]
    expected = FitnessScorer(64).accuracies(probe, soft)
    rows = {row["number"]: row["fitness"] for row in reports(run)[0].values["individuals"]}
    assert [rows[one.number] for one in population] == expected


# ---------------------------------------------------------------- generations


def test_the_answer_is_the_fittest_genome_of_the_last_generation(finished):
    run, branch = finished
    updater, last = branch.updater, reports(run)[-1].values
    answer = updater.architecture(run.trainer.probe(branch))
    assert run.space.to_text(answer) == last["best"]
    assert answer.id == last["individuals"][0]["architecture"]
    assert updater.population[0].number == updater.leader.number == last["individuals"][0]["number"]
    fitness = [row["fitness"] for row in last["individuals"]]
    assert fitness == sorted(fitness, reverse=True) and fitness[0] > fitness[-1]
    assert last["best_fitness"] == fitness[0]
    assert last["mean_fitness"] == pytest.approx(sum(fitness) / 12)


def test_the_elite_is_measured_again_and_nothing_is_bred_after_the_last_generation(finished):
    run, branch = finished
    first, last = (report.values["individuals"] for report in reports(run))
    elite = first[0]["number"]
    assert elite in [row["number"] for row in last]
    assert max(row["number"] for row in last) == 12 + 11 - 1
    born = [one.number for one in branch.updater.population]
    assert sorted(born) == sorted(row["number"] for row in last)
    assert all(one.fitness is not None for one in branch.updater.population)


def test_lineage_can_be_followed_through_the_reports(finished):
    run, _ = finished
    first, last = (report.values["individuals"] for report in reports(run))
    assert [report.topic for report in reports(run)] == ["generation", "generation"]
    assert all(row["parents"] == [] for row in first)
    known = {row["number"] for row in first}
    children = [row for row in last if row["number"] not in known]
    assert len(children) == 11
    assert all(set(row["parents"]) <= known and len(row["parents"]) == 2 for row in children)


def test_the_answer_does_not_need_an_elite():
    run = wide(elites=0)
    (branch,) = run.until("epoch")
    probe = run.trainer.probe(branch)
    first = branch.updater.population
    assert branch.updater.architecture(probe) == decoded(first[0].genome, run.space, probe.subspace)
    branch.epoch += 1
    branch.updater.after_epoch(run.trainer.probe(branch))
    leader = branch.updater.leader
    assert leader.number not in [one.number for one in branch.updater.population]
    assert branch.updater.architecture(probe) == decoded(leader.genome, run.space, probe.subspace)


def test_state_round_trip_keeps_genomes_lineage_fitness_and_turns():
    run = wide(population=5, assignment="shuffled")
    (branch,) = run.until("epoch")
    branch.epoch += 1
    branch.updater.after_epoch(run.trainer.probe(branch))
    state = branch.updater.state_dict()
    other = Harness(EvNAS, {**SMALL, "population": 5}, seed=7).trainer.root().updater
    other.load_state_dict(state)
    assert fingerprint(other.state_dict()) == fingerprint(state)
    assert other.leader.fitness == branch.updater.leader.fitness
    assert [(one.number, one.parents, one.fresh, one.fitness) for one in other.population] == [
        (one.number, one.parents, one.fresh, one.fitness) for one in branch.updater.population
    ]
    other.population[1].genome.zero_()
    assert state["genomes"][1].any()


# ---------------------------------------------------------------- plan, presets, offer


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population": 4}, "epoch of 3 weight steps cannot train a population of 4"),
        ({"population": 4}, "population=3` or less"),
        ({"tournament": 5}, r"tournament must be at most population \(3\), got 5"),
        ({"elites": 3}, "3 elites leave no room"),
    ],
)
def test_plans_that_cannot_work_are_refused(options, message):
    run = harness(**options)
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(run.trainer.root().updater.incompatibility(run.plan))


@pytest.mark.parametrize("options", [{"mutation": 1.5}, {"population": 1}, {"decode": "firm"}])
def test_options_have_bounds(options):
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        EvNAS.parse_options(options)


PUBLISHED_OR_QUICK = [preset for preset in EvNAS.presets if preset.name != "study"]


@pytest.mark.parametrize("preset", PUBLISHED_OR_QUICK, ids=lambda one: f"{one.name}-{one.space}")
def test_presets_are_valid_and_their_rules_agree(preset):
    options = EvNAS.parse_options(preset.updater_options)
    trainer = TrainerOptions(**preset.trainer_options)
    assert options.rules().conflict() is None
    spaces = {("darts",): (DartsSpace, 8), ("nasbench201",): (NasBench201Space, 5)}
    if preset.space:
        space, operations = spaces[preset.space]
        made = space(space.parse_options(preset.space_options))
        assert len(made.edges[0].operations) == operations
        assert made.options.channels == 16
    if preset.name != "quick":
        assert (options.population, options.tournament, options.elites) == (50, 10, 1)
        assert (options.mutation, options.batch_size, trainer.epochs) == (0.1, 1024, 50)
        assert trainer.nesterov == (preset.space == ("nasbench201",))
        assert options.augment == (preset.name == "official")


def test_the_paper_preset_costs_what_the_paper_says():
    """25,000 images each: 391 steps an epoch, and 62.5 million images forward for fitness."""
    paper = next(one for one in EvNAS.presets if one.name == "paper")
    updater = EvNAS(DARTS, EvNAS.parse_options(paper.updater_options), rng())
    plan = Plan(50, 391, 64, 25_000, 25_000)
    assert updater.incompatibility(plan) is None
    assert updater.max_cost(plan).images_forward == 62_500_000
    turns = Counter(updater.order[step % 50] for step in range(391))
    assert [turns[place] for place in range(50)] == [8] * 41 + [7] * 9


def test_the_offer_is_the_class():
    (offer,) = nastk_evnas.updaters()
    assert (offer.name, offer.summary) == (EvNAS.name, EvNAS.summary)
    assert offer.load == f"{EvNAS.__module__}:{EvNAS.__name__}"


def test_an_individual_is_not_compared_by_its_genome():
    genome = random_genome((2, 2), rng())
    assert Individual(0, genome) != Individual(0, genome)


def test_every_line_of_code_on_the_page_is_in_the_plugin():
    root = Path(__file__).parents[2]
    page = (root / "docs/updaters/evnas.md").read_text(encoding="utf-8")
    files = (root / "plugins/nastk_evnas").glob("*.py")
    code = "".join(file.read_text(encoding="utf-8") for file in files)
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    quoted = [line for block in blocks for line in block.splitlines()]
    assert len(quoted) >= 8
    assert [line for line in quoted if line not in code] == []
