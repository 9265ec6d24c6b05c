"""What a study says, in the terminal: its headline says what was shown, and what was not."""

import io

import pytest
from rich.console import Console

from nastk.report.comparison import comparison_table, headline
from nastk.runs.comparison import compared


def comparison(metric="test_accuracy", **values):
    runs = {
        label: {seed: {metric: value} for seed, value in enumerate(each)}
        for label, each in values.items()
    }
    return compared(runs, "random").to_json()


RANDOM = [0.90, 0.91, 0.92, 0.90, 0.91, 0.92, 0.90, 0.91]
BETTER = [value + gain for value, gain in zip(RANDOM, [0.01, 0.015] * 4, strict=True)]
EITHER = [value + gain for value, gain in zip(RANDOM, [0.01, -0.009] * 4, strict=True)]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"darts": BETTER}, "darts beats random by +1.25 points [+1."),
        ({"darts": BETTER}, "of test accuracy over 8 seeds (p = 0.0078)."),
        ({"darts": RANDOM, "random": BETTER}, "darts falls behind random by -1.25 points"),
        ({"darts": EITHER}, "No difference is shown: darts has +0.05 points"),
        ({"darts": RANDOM}, "No difference is shown: darts has +0.00 points"),
        (
            {"darts": BETTER[:4], "random": RANDOM[:4]},
            "which shows nothing: 4 pairs can give no less",
        ),
        ({}, "random is the only updater"),
    ],
)
def test_the_headline(values, words):
    assert words in headline(comparison(**{"random": RANDOM, **values}))


def test_other_metrics_are_not_points():
    assert "darts beats random by +1 [+1.00, +1.00] of rank" in headline(
        comparison("rank", random=list(range(8)), darts=list(range(1, 9)))
    )


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_table_has_a_row_for_each_updater_the_best_first(width):
    file = io.StringIO()
    values = {"random": RANDOM, "darts": BETTER, "snas": EITHER}
    Console(file=file, width=width).print(comparison_table(comparison(**values)))
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    if width >= 80:
        rows = [line.split() for line in lines]
        labels = [row[0] for row in rows if row and row[0] in values and "%" in row]
        assert labels == ["darts", "snas", "random"]
        darts = next(row for row in rows if row[:1] == ["darts"] and "%" in row)
        assert darts[-3:] == ["8:0", "0.016", "1.25"]
    text = " ".join(file.getvalue().split())
    assert "after Holm's correction for 2 comparisons" in text
    assert "Friedman's test" in text


def test_few_seeds_are_said_to_show_nothing():
    file = io.StringIO()
    few = comparison(random=RANDOM[:5], darts=BETTER[:5])
    Console(file=file, width=200).print(comparison_table(few))
    assert (
        "5 pairs cannot show a difference at the level of 0.05: the smallest p is 0.062. 6 seeds "
        "can." in file.getvalue()
    )


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"darts": 8}, ""),
        ({"darts": 5}, "Over the 5 seeds that every updater has: darts lacks 3 seeds."),
        (
            {"darts": 7, "snas": 5, "gdas": 6, "evnas": 7, "fair": 7},
            "Over the 5 seeds that every updater has: snas lacks 3 seeds, gdas lacks 2 seeds, "
            "darts lacks 1 seed, 2 others lack some.",
        ),
    ],
)
def test_updaters_with_fewer_seeds_than_others_are_named(counts, said):
    file = io.StringIO()
    found = comparison(random=RANDOM, **{name: BETTER[:count] for name, count in counts.items()})
    Console(file=file, width=300).print(comparison_table(found))
    assert said in file.getvalue() and ("Over the" in file.getvalue()) is bool(said)


@pytest.mark.parametrize(("seeds", "said"), [(6, True), (7, False)])
def test_what_few_seeds_can_show_depends_on_the_number_of_comparisons(seeds, said):
    """Six pairs give 1/32, which Holm's correction doubles for two comparisons; seven give 1/64."""
    values = {"random": RANDOM, "darts": BETTER, "snas": EITHER}
    few = comparison(**{name: each[:seeds] for name, each in values.items()})
    file = io.StringIO()
    Console(file=file, width=200).print(comparison_table(few))
    note = (
        "6 pairs of each of 2 comparisons cannot show a difference at the level of 0.05: the "
        "smallest p is 0.062. 7 seeds can."
    )
    assert (note in file.getvalue()) is said
    assert few["differences"]["darts"]["shown"] is not said
    nothing = "which shows nothing: 6 pairs of each of 2 comparisons can give no less than p = 0.06"
    assert (nothing in headline(few)) is said
