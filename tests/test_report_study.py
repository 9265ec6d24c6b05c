"""The table of a study in the terminal: short headings, options below, no ends of intervals."""

import io

import pytest
from rich.console import Console

from nastk.report.study import study_table


def spread(mean, std=None):
    return {"mean": mean, "std": std, "values": [mean]}


def shown(rows, width=80):
    file = io.StringIO()
    Console(file=file, width=width).print(study_table(rows))
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
    assert [line.strip() for line in rest[-2:]] == [
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


@pytest.mark.parametrize("width", [60, 80, 120])
def test_it_fits_its_width(width):
    rows = [row(name, table_test_accuracy=spread(0.9)) for name in ("darts", "evnas", "random")]
    assert max(map(len, shown(rows, width).splitlines())) <= width
