"""What a study of several problems says, in the terminal: who leads, and what few cannot show."""

import io

import pytest
from rich.console import Console

from nastk.report.overall import by_rank, overall_headline, overall_notes, overall_table
from nastk.runs.comparison import compared
from nastk.runs.overall import over_problems


def overall(problems, **means):
    """A study with one seed, where each updater's means on the problems are given."""
    comparisons = {
        f"problem {number}": compared(
            {label: {0: {"accuracy": each[number]}}
             for label, each in means.items()}, "random")
        for number in range(problems)
    }  # fmt: skip
    return over_problems(comparisons).to_json()


ORDERED = {"a": [0.9] * 8, "b": [0.8] * 8, "random": [0.7] * 8}
MIXED = {"a": [0.9, 0.7] * 4, "b": [0.8] * 8, "random": [0.7, 0.9] * 4}


@pytest.mark.parametrize(
    ("problems", "means", "words"),
    [
        (8, ORDERED, "a has the best mean rank over 8 problems, 1.00; by Nemenyi's test a differs "
         "from random."),
        (8, MIXED, "is shown (Friedman's p = 1)."),
        (2, ORDERED, "the last is random with 3.00. No difference is shown (Friedman's p = 0.14)."),
        (2, {"a": [0.9] * 2, "random": [0.7] * 2}, "2 problems: fewer than three updaters"),
    ],
)  # fmt: skip
def test_the_headline(problems, means, words):
    assert words in overall_headline(overall(problems, **means))


@pytest.mark.parametrize(("problems", "said"), [(2, True), (3, False), (8, False)])
def test_few_problems_are_said_to_show_nothing(problems, said):
    notes = " ".join(overall_notes(overall(problems, **ORDERED)))
    assert ("2 problems cannot tell two of 3 updaters apart" in notes) is said
    assert "averaged over" in notes


def test_every_problem_has_its_table_and_the_best_rank_is_first():
    found = overall(2, **ORDERED)
    file = io.StringIO()
    Console(file=file, width=100).print(overall_table(found))
    assert by_rank(found) == ["a", "b", "random"]
    lines = [line.split() for line in file.getvalue().splitlines()]
    assert ["a", "1.00", "90.00", "%", "90.00", "%"] in lines
    assert ["problem", "0"] in lines and ["problem", "1"] in lines
