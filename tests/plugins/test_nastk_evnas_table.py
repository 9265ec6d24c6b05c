"""EvNAS's operators alone, with accuracies of trained networks as fitness: no supernet is involved.

The table is NAS-Bench-201's (15,625 architectures, 200 epochs), which is not part of nastk: the
tests look for `nb201_200ep.csv.gz` in the folder NASTK_SHARED, or in `../shared/data` beside the
repository, and are skipped where it is absent.
"""

import csv
import gzip
import os
from bisect import bisect_left
from itertools import islice
from pathlib import Path

import pytest
import torch

from nastk_evnas.genetics import Rules, evolve

BESIDE = Path(__file__).parents[2].parent / "shared" / "data"
TABLE = Path(os.environ.get("NASTK_SHARED", BESIDE)) / "nb201_200ep.csv.gz"
COLUMNS = [
    "cifar10_test",
    "imagenet16_valid",
    *(
        pytest.param(column, marks=pytest.mark.slow)
        for column in ("cifar10_valid", "cifar100_valid", "cifar100_test", "imagenet16_test")
    ),
]
NAMES = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))]

pytestmark = pytest.mark.skipif(not TABLE.is_file(), reason=f"no NAS-Bench-201 table at {TABLE}")


@pytest.fixture(scope="module")
def rows():
    with gzip.open(TABLE, "rt") as file:
        return list(csv.DictReader(file))


def text(genome):
    """The benchmark's string of a 6 x 5 genome: the best operation of each edge."""
    a, b, c, d, e, f = (NAMES[column] for column in genome.argmax(1).tolist())
    return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"


class LookUp:
    """The table as a fitness, which remembers what it was asked."""

    def __init__(self, rows, column):
        self.accuracy = {row["arch"]: float(row[column]) for row in rows}
        self.falling = sorted(-value for value in self.accuracy.values())
        self.asked = set()

    def __call__(self, genomes):
        names = [text(genome) for genome in genomes]
        self.asked.update(names)
        return [self.accuracy[name] for name in names]

    def rank(self, accuracy):
        """1 for the best of 15,625."""
        return 1 + bisect_left(self.falling, -accuracy)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("seed", SEEDS)
def test_fifty_generations_of_fifty_reach_the_top_percent(rows, column, seed):
    fitness = LookUp(rows, column)
    rng = torch.Generator().manual_seed(seed)
    generations = list(islice(evolve(fitness, (6, 5), Rules(), rng), 50))
    best = [generation[0].fitness for generation in generations]
    assert best == sorted(best)
    assert len(fitness.accuracy) == 15_625
    # The bar is the last generation's best; the operators pass it within ten generations.
    assert fitness.rank(best[9]) <= 156
    assert fitness.rank(best[-1]) <= 156
    middle = generations[-1][25].fitness
    assert fitness.rank(middle) <= 156
    assert len(fitness.asked) < 500


@pytest.mark.slow
def test_selection_is_what_finds_them(rows):
    """As many architectures drawn at random do worse, and so do the operators unselected."""
    ranks = {"evolved": [], "random": [], "unselected": []}
    for seed in range(3):
        fitness = LookUp(rows, "cifar10_test")
        for kind, rules in (("evolved", Rules()), ("unselected", Rules(tournament=1, elites=0))):
            rng = torch.Generator().manual_seed(seed)
            last = list(islice(evolve(fitness, (6, 5), rules, rng), 50))[-1]
            ranks[kind].append(fitness.rank(last[25].fitness))
            if kind == "evolved":
                count = len(fitness.asked)
        rng = torch.Generator().manual_seed(seed)
        drawn = torch.randperm(len(rows), generator=rng)[:count].tolist()
        values = [float(rows[place]["cifar10_test"]) for place in drawn]
        ranks["random"].append(fitness.rank(max(values)))
    mean = {kind: sum(found) / len(found) for kind, found in ranks.items()}
    # The middle of the last generation, beside the best of a random sample.
    assert mean["evolved"] < 10 < mean["random"]
    assert mean["unselected"] > 3000
