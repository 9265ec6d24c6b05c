"""The table of a study in the terminal: short headings, options below, no ends of intervals."""

import io

import pytest
from rich.console import Console

from nastk.report.study import study_table


def spread(mean, std=None):
    return {"mean": mean, "std": std, "values": [mean]}


def shown(rows, width=80, every=True):
    file = io.StringIO()
    Console(file=file, width=width).print(study_table(rows, every))
    return file.getvalue()


def row(updater, **metrics):
    return {"updater": updater, "seeds": [0, 1], "architectures": [], "metrics": metrics}


def test_options_stand_below_and_names_that_repeat_are_numbered():
    text = shown(
        [
            row("shapley(samples=2, batch_size=250)", rank=spread(5.0)),
            row("darts", rank=spread(3.0)),
            row("shapley(samples=4)", rank=spread(4.0)),
        ]
    )
    heading, *rest = text.splitlines()
    assert heading.split() == ["shapley", "1", "darts", "shapley", "2"]
    assert [line.strip() for line in rest[-3:-1]] == [
        "shapley 1  samples=2, batch_size=250",
        "shapley 2  samples=4",
    ]


def test_the_usual_metrics_come_first_and_ends_of_intervals_do_not_come():
    metrics = {
        "kendall_by_scores": spread(0.5, 0.25),
        "kendall_by_scores_low": spread(0.4),
        "kendall_by_scores_high": spread(0.6),
        "valid_accuracy": spread(0.9),
    }
    text = shown([row("darts", **metrics), row("random", valid_accuracy=spread(0.8))])
    lines = [line for line in text.splitlines() if line.strip()]
    names = [line[:18].strip() for line in lines[2:]]
    assert names[0] == "valid accuracy" and "kendall by scores" in names
    assert "low" not in text and "± 0.25" in text
    assert any(line.startswith("kendall") and line.rstrip().endswith("-") for line in lines)


def test_unusual_metrics_are_counted_unless_all_are_asked_for():
    metrics = {"valid_accuracy": spread(0.9), "ndcg_by_size": spread(0.5), "layers": spread(3.0)}
    rows = [row("darts", **metrics), row("random", **metrics)]
    assert "2 more metrics with --all." in (text := shown(rows, every=False))
    assert "ndcg" not in text and "valid accuracy" in text
    assert "ndcg" in (text := shown(rows)) and "--all" not in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_it_fits_its_width(width):
    rows = [row(name, table_test_accuracy=spread(0.9)) for name in ("darts", "evnas", "random")]
    assert max(map(len, shown(rows, width).splitlines())) <= width


def lines_of(text, name):
    """The row of a metric and the row of its deviations, as lists of words."""
    lines = text.splitlines()
    (place,) = [n for n, line in enumerate(lines) if line.startswith(name)]
    return lines[place].removeprefix(name).split("  "), lines[place + 1].split("  ")


@pytest.mark.parametrize(
    ("name", "values", "means", "deviations"),
    [
        (
            "rank",
            [(8002.0, 7432.1), (10770.5, 0.5), (13850.0, 12.0)],
            ["8,002", "10,770", "13,850"],
            ["± 7,432", "± 0", "± 12"],
        ),
        (
            "regret_1_by_scores",
            [(0.031, 3.5e-5), (0.5, 0.25)],
            ["3.10 points", "50.00 points"],
            ["± 0.00 points", "± 25.00 points"],
        ),
        (
            "parameters",
            [(587386.0, 1000.0), (1_610_000.0, 20_000.0)],
            ["0.59 M", "1.61 M"],
            ["± 0.00 M", "± 0.02 M"],
        ),
        (
            "seconds",
            [(59.0, 1.0), (600.0, 30.0)],
            ["1.0 min", "10.0 min"],
            ["± 0.0 min", "± 0.5 min"],
        ),
        ("kendall", [(0.5, 0.25), (0.0625, 0.0)], ["0.5000", "0.0625"], ["± 0.2500"]),
    ],
)
def test_a_row_has_one_format(name, values, means, deviations):
    rows = [row(f"u{n}", **{name: spread(*one)}) for n, one in enumerate(values)]
    first, second = lines_of(shown(rows, 100), name.replace("_", " "))
    assert [word.strip() for word in first if word.strip()] == means
    assert [word.strip() for word in second if word.strip()] == deviations


def test_what_is_the_same_in_every_run_is_said_once_and_nothing_deviates_by_nothing():
    metrics = {"architectures": spread(15_625.0, 0.0), "valid_accuracy": spread(0.9, 0.0)}
    text = shown([row("darts", **metrics), row("random", **metrics)])
    assert "±" not in text
    assert "The same in every run: architectures 15,625." in text
    assert any(line.startswith("valid accuracy") for line in text.splitlines())


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        (1, "1 seed: no deviation is known"),
        (2, "2 seeds: a deviation of so few is a guess; a difference may be chance."),
        (5, None),
    ],
)
def test_few_seeds_are_a_caution(seeds, words):
    one = {**row("darts", rank=spread(3.0, 1.0)), "seeds": list(range(seeds))}
    text = shown([one, {**one, "updater": "random"}], 100)
    assert words in text if words else "chance" not in text
