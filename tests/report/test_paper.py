"""Tables of a study for a paper."""

import pytest

from nastk.report.paper import latex_table, markdown_table, what_is_compared

pandas = pytest.importorskip("pandas")
pytest.importorskip("tabulate")


@pytest.fixture
def frame():
    rows = [
        ("drnas(order=2)", 92.8164, 0.275, 0.61, -0.125, 1.0, 9, 0, 0.0019531, 1.333),
        ("a_b", 92.2, None, None, None, None, None, None, None, 2.0),
        ("darts", 76.9, 7.4, -15.306, -19.757, -6.6, 1, 8, 0.25, 3.0),
    ]
    names = ("updater", "mean", "std", "difference", "low", "high", "wins", "losses", "p", "rank")
    return pandas.DataFrame(rows, columns=names)


CELLS = [
    ["drnas(order=2)", "92.82", "0.28", "+0.61", "-0.12", "+1.00", "9", "0", "0.002", "1.33"],
    ["a_b", "92.20", "--", "--", "--", "--", "--", "--", "--", "2.00"],
    ["darts", "76.90", "7.40", "-15.31", "-19.76", "-6.60", "1", "8", "0.25", "3.00"],
]


def test_latex_has_minus_signs_and_escaped_labels_between_title_and_notes(frame):
    lines = latex_table(frame, "toy on toy", ["Over 9 seeds.", "Paired."]).splitlines()
    assert lines[:2] == ["% toy on toy", r"\begin{tabular}{lrrrrrrrrr}"]
    assert lines[-3:] == [r"\end{tabular}", "% Over 9 seeds.", "% Paired."]
    rows = [line.removesuffix(r" \\").split(" & ") for line in lines if " & " in line]
    assert rows[0] == list(frame.columns)
    written = [
        [cell.replace("a_b", r"a\_b").replace("-", "$-$") if cell != "--" else cell for cell in row]
        for row in CELLS
    ]
    assert rows[1:] == written


def test_markdown_is_a_table_between_its_title_and_one_paragraph(frame):
    title, table, notes = markdown_table(frame, "toy on toy", ["Over 9 seeds.", "Paired."]).split(
        "\n\n"
    )
    assert (title, notes) == ("**toy on toy**", "Over 9 seeds. Paired.")
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()]
    assert rows[0] == list(frame.columns) and rows[2:] == CELLS


def test_without_a_title_and_notes_there_is_only_the_table(frame):
    assert latex_table(frame).startswith(r"\begin{tabular}")
    assert latex_table(frame).endswith(r"\end{tabular}")
    assert all(line.startswith("|") for line in markdown_table(frame).splitlines())


@pytest.mark.parametrize(
    ("metric", "seeds", "words"),
    [
        (
            "table_test_accuracy",
            [0, 1],
            "Table test accuracy in percent, differences in points; mean over 2 seeds.",
        ),
        ("parameters", [3], "Parameters; mean over 1 seed."),
    ],
)
def test_what_is_compared_is_a_metric_its_unit_and_the_seeds(metric, seeds, words):
    assert what_is_compared({"metric": metric, "seeds": seeds}) == words
