"""Successive halving: on made-up learning curves it keeps the right one and spends the rungs."""

import pytest

from nastk_training.halving import halve


class Runner:
    """Knows its accuracy after each epoch, and writes down how it was trained."""

    def __init__(self, curve):
        self.curve, self.epochs, self.asked = curve, 0, []

    def trained(self, epochs):
        assert epochs > self.epochs, "it goes on from where it is"
        self.epochs = epochs
        self.asked.append(epochs)
        return self.curve[epochs]


def flat(*accuracies):
    return [Runner([0.0] + [accuracy] * 8) for accuracy in accuracies]


def stood(runners, rungs):
    return halve(runners, rungs, Runner.trained)


@pytest.mark.parametrize(
    ("accuracies", "outlasted"),
    [
        ([0.1, 0.4, 0.3, 0.2], [0, 3, 2, 1]),
        ([0.5, 0.5, 0.5, 0.5], [3, 2, 1, 0]),  # of equals the earlier stays
        ([0.2, 0.3, 0.3], [0, 2, 1]),
        ([0.2, 0.1], [1, 0]),
    ],
)
def test_the_better_outlast_the_worse(accuracies, outlasted):
    standings = stood(flat(*accuracies), [1, 2, 4])
    assert [each.outlasted for each in standings] == outlasted
    assert [each.accuracy for each in standings] == accuracies


@pytest.mark.parametrize(
    ("count", "rungs", "epochs"),
    [
        (8, [1, 2, 4, 8], [4, 4, 2, 2, 1, 1, 1, 1]),  # the fourth rung is not needed
        (16, [1, 2, 4, 8], [8] * 2 + [4] * 2 + [2] * 4 + [1] * 8),
        (5, [1, 2, 4], [4, 4, 2, 1, 1]),  # the smaller half of an odd number leaves
        (8, [30, 100, 600], [600, 600, 100, 100, 30, 30, 30, 30]),  # the paper's, on DARTS's space
        (4, [6], [6] * 4),  # no halving: the last rung leaves one
        (1, [1, 2], [0]),
    ],
)
def test_exactly_the_epochs_of_the_rungs_are_spent(count, rungs, epochs):
    runners = [Runner(dict.fromkeys(range(601), 1 - 0.01 * number)) for number in range(count)]
    stood(runners, rungs)
    assert [runner.epochs for runner in runners] == epochs
    for runner in runners:
        assert runner.asked == rungs[: len(runner.asked)]


def test_a_late_bloomer_wins_where_the_rungs_let_it_live():
    slow, fast, dull = [0, 0.2, 0.4, 0.9], [0, 0.5, 0.6, 0.7], [0, 0.1, 0.1, 0.1]
    places = [each.outlasted for each in stood([Runner(c) for c in (slow, fast, dull)], [1, 3])]
    assert places == [2, 1, 0]
    places = [each.outlasted for each in stood([Runner(c) for c in (slow, fast)], [1, 3])]
    assert places == [0, 1]  # stopped before it bloomed


def test_one_that_left_keeps_what_was_last_seen_of_it():
    first, second = Runner([0, 0.3, 0.9, 0.9]), Runner([0, 0.4, 0.1, 0.1])
    standings = stood([first, second, *flat(0.35)], [1, 2, 3])
    assert [each.accuracy for each in standings] == [0.3, 0.1, 0.35]
    assert [each.outlasted for each in standings] == [0, 1, 2]


def test_a_single_one_has_nothing_to_show():
    (standing,) = stood(flat(0.5), [1, 2])
    assert (standing.outlasted, standing.accuracy) == (0, None)
