"""Numbers, summaries and tables as people read them."""

import enum
import io
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field
from report_kit import BENCH, DARTS_V2
from rich.cells import cell_len
from rich.console import Console

from nastk import Options
from nastk.base import EXPERIMENTAL
from nastk.report.curves import branch_tree, sparkline
from nastk.report.numbers import count, metric, percent, seconds, size
from nastk.report.options import (
    default_words,
    option_rows,
    options_markdown,
    options_table,
    type_name,
)
from nastk.report.summary import summary
from nastk.report.tables import components_table, runs_table


def shown(renderable, width, encoding="utf-8"):
    bytes_written = io.BytesIO()
    with io.TextIOWrapper(bytes_written, encoding=encoding, write_through=True) as file:
        Console(file=file, width=width).print(renderable)
        return "\n".join(
            line.rstrip() for line in bytes_written.getvalue().decode(encoding).splitlines()
        )


@pytest.mark.parametrize(
    "words, value, expected",
    [
        (count, 0, "0"),
        (count, 999, "999"),
        (count, 999.9, "1.00 k"),
        (count, 12_300, "12.3 k"),
        (count, 999_600, "1.00 M"),
        (count, 3_603_400, "3.60 M"),
        (count, 558.2e6, "558 M"),
        (count, 2.5e9, "2.50 G"),
        (seconds, 0, "0 s"),
        (seconds, 0.0123, "12.3 ms"),
        (seconds, 0.5, "0.5 s"),
        (seconds, 9.94, "9.9 s"),
        (seconds, 42.4, "42 s"),
        (seconds, 59.6, "1 min"),
        (seconds, 80, "1 min 20 s"),
        (seconds, 3599.7, "1 h"),
        (seconds, 4_800, "1 h 20 min"),
        (seconds, 90_000, "1 d 1 h"),
        (size, 0, "0 B"),
        (size, 2**20, "1.00 MiB"),
        (size, 9.5 * 2**30, "9.50 GiB"),
        (percent, 1.0, "100.00 %"),
    ],
)
def test_numbers_in_words(words, value, expected):
    assert words(value) == expected


@given(st.floats(0, 1e14))
def test_counts_are_true_to_three_digits(value):
    text = count(value)
    number, _, sign = text.partition(" ")
    assert float(number) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[sign] == pytest.approx(
        value, rel=6e-3, abs=0.6
    )


@pytest.mark.parametrize(
    "name, value, expected",
    [
        ("test_accuracy", 0.9733, "97.33 %"),
        ("parameters", 3.6e6, "3.60 M"),
        ("multiply_adds", 5.582e8, "558 M"),
        ("latency_seconds", 0.0021, "2.1 ms"),
        ("kendall_tau", 0.5, "0.5"),
        ("loss", float("nan"), "nan"),
    ],
)
def test_metrics_in_words(name, value, expected):
    assert metric(name, value) == expected


RESULT = {
    "run": "runs/a",
    "state": "finished",
    "config": {
        "space": {"name": "nasbench201", "options": {"channels": 16}},
        "updater": {
            "name": "shapley",
            "options": {"samples": 10, "momentum": 0.8, "antithetic": True},
        },
        "data": {"name": "digits", "options": {}},
        "trainer": {"epochs": 4, "gradient_clip": None, "learning_rate": 0.025},
        "evaluators": [{"name": "supernet", "options": {}}, {"name": "size", "options": {}}],
        "preset": None,
        "seed": 0,
        "deterministic": False,
    },
    "architecture": BENCH.to_json(),
    "text": "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|",
    "evaluations": [
        {
            "evaluator": "supernet",
            "metrics": {"valid_accuracy": 0.8812},
            "notes": ["Norms use batch statistics."],
        },
        {
            "evaluator": "size",
            "metrics": {"parameters": 3_603_400.0, "multiply_adds": 558.2e6},
            "notes": [],
        },
    ],
    "cost": {
        "train": {
            "images_forward": 12_300,
            "images_backward": 12_300,
            "seconds": 80.0,
            "peak_memory": 3 * 2**29,
        },
        "updater": {
            "images_forward": 4_000,
            "images_backward": 0,
            "seconds": 20.0,
            "peak_memory": 0,
        },
    },
}


def epoch(branch, number, loss, accuracy):
    return {
        "kind": "epoch-done",
        "branch": branch,
        "epoch": number,
        "loss": loss,
        "accuracy": accuracy,
    }


HISTORY = [
    {"kind": "run-started", "branch": "0", "epoch": 0},
    epoch("0", 1, 2.0, 0.25),
    epoch("0", 2, 1.0, 0.5),
    epoch("0.0", 3, 0.5, 0.75),
    epoch("0.1", 3, 0.75, 0.625),
    epoch("0.1", 4, 0.25, 0.875),
]

SHOWN = f"""\
run         runs/a  finished
space       nasbench201  channels=16
updater     shapley  samples=10 momentum=0.8 antithetic=true
data        digits
trainer     epochs=4 gradient_clip=null learning_rate=0.025
evaluators  supernet, size
seed        0

Training
  branch  epochs  loss         accuracy
  0          1–2  █▁    1.000  ▁█        50.00 %
  ├─ 0.0       3  ▁     0.500  ▁         75.00 %
  └─ 0.1     3–4  █▁    0.250  ▁█        87.50 %

Architecture
  ╭─ cell ───────────────────────────╮
  │ input ─ nor_conv_3x3 ───▶ 1      │
  │ input ─ none ─────────┬─▶ 2      │
  │     1 ─ nor_conv_3x3 ─╯          │
  │ input ─ skip_connect ─╮          │
  │     1 ─ nor_conv_1x1 ─┼─▶ output │
  │     2 ─ avg_pool_3x3 ─╯          │
  ╰──────────────────────────────────╯
  id    {BENCH.id}
  text  |nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|

Evaluation
  supernet  valid accuracy  88.12 %
  size      parameters       3.60 M
            multiply adds     558 M
  supernet: Norms use batch statistics.

Cost
  phase    images forward  images backward        time  peak memory
  train            12.3 k           12.3 k  1 min 20 s     1.50 GiB
  updater          4.00 k                0        20 s            -
  total            16.3 k           12.3 k  1 min 40 s     1.50 GiB"""


def test_a_finished_run():
    assert shown(summary(RESULT, HISTORY), 80) == SHOWN


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("width", [60, 80, 120])
def test_nothing_is_lost_in_narrow_or_simple_terminals(width, encoding):
    text = shown(summary({**RESULT, "architecture": DARTS_V2.to_json()}, HISTORY), width, encoding)
    assert max(map(cell_len, text.splitlines())) <= width
    for words in (
        "88.12 %",
        "3.60 M",
        "558 M",
        "1 min 40 s",
        "87.50 %",
        DARTS_V2.id,
        "dil_conv_3x3",
        "runs/a",
    ):
        assert words in text


@pytest.mark.parametrize("state", ["running", "interrupted", "failed"])
def test_an_unfinished_run_shows_what_there_is(state):
    text = shown(
        summary({"run": "runs/b", "state": state, "error": "the loss is nan"}, HISTORY[:2]), 80
    )
    assert state in text
    assert "the loss is nan" in text
    assert "Training" in text
    assert "Cost" not in text


def test_a_run_that_has_not_begun():
    assert shown(summary({"run": "runs/b", "state": "running"}, []), 80) == "run  runs/b  running"


def test_brackets_in_a_run_are_no_markup():
    result = {
        "run": "runs/[a]",
        "text": "[('sep', 0)]",
        "architecture": "[bold]x",
        "config": {"device": "[red]"},
    }
    text = shown(summary(result, []), 80)
    assert all(words in text for words in ("runs/[a]", "[('sep', 0)]", "[bold]x", "[red]"))


@pytest.mark.parametrize(
    "values, width, expected",
    [
        ([], 24, ""),
        ([3.0], 24, "▁"),
        ([2.0, 2.0], 24, "▁▁"),
        ([0.0, 7.0, float("nan")], 24, "▁█"),
        ([0.0, float("inf")], 24, "??"),
        ([0.0, 0.0, 1.0, 1.0], 2, "▁█"),
        ([1.0, 2.0], 0, ""),
    ],
)
def test_sparklines(values, width, expected):
    assert sparkline(values, width) == expected


def test_long_curves_are_shortened():
    assert len(sparkline([float(value) for value in range(600)])) == 24


def test_branches_make_a_tree():
    names = ["0.10", "0", "0.2.0", "0.2", "1"]
    assert branch_tree(names) == [
        ("0", ""),
        ("0.2", "├─ "),
        ("0.2.0", "│  └─ "),
        ("0.10", "└─ "),
        ("1", ""),
    ]
    assert branch_tree(["0.0", "0.1"]) == [("0.0", ""), ("0.1", "")]


ROWS = [
    {
        "path": "runs/darts-001",
        "state": "finished",
        "space": "darts",
        "updater": "shapley",
        "data": "cifar10",
        "seed": 0,
        "epoch": 50,
        "epochs": 50,
        "accuracy": 0.8812,
        "metric": "table_test_accuracy",
        "architecture": "0123456789ab",
        "started": "yesterday",
    },
    {
        "path": "runs/b",
        "state": "running",
        "space": "toy",
        "updater": "darts",
        "data": "digits",
        "epoch": 3,
        "epochs": 8,
        "accuracy": None,
        "architecture": None,
        "started": None,
    },
]


def test_runs():
    assert shown(runs_table(ROWS), 120) == (
        "run             state     epochs  accuracy            updater, space, data, seed  "
        "started    architecture\n"
        "runs/darts-001  finished   50/50  88.12 % table test  shapley darts cifar10 #0    "
        "yesterday  0123456789ab\n"
        "runs/b          running      3/8  -                   darts toy digits            "
        "-          -"
    )


def test_narrow_terminals_see_fewer_columns_of_runs():
    text = shown(runs_table(ROWS), 60)
    assert max(map(cell_len, text.splitlines())) <= 60
    assert "runs/darts-001  finished   50/50  88.12 % table test" in text
    assert "0123456789ab" not in text


def test_times_of_runs_are_local():
    from datetime import datetime

    moment = datetime(2026, 3, 4, 5, 6).timestamp()
    assert "2026-03-04 05:06" in shown(runs_table([{**ROWS[0], "started": moment}]), 140)


def test_components():
    rows = [
        {
            "kind": "updater",
            "name": "shapley",
            "summary": "Shapley values",
            "distribution": "nastk",
            "version": "0.1",
        },
        {
            "kind": "space",
            "name": "darts",
            "summary": "two cells",
            "distribution": None,
            "version": None,
        },
        {
            "kind": "updater",
            "name": "coin",
            "summary": "tosses [a] coin",
            "distribution": "acme",
            "version": "2",
        },
    ]
    assert shown(components_table(rows), 80) == (
        "updater\n"
        "  shapley  Shapley values   nastk 0.1\n"
        "  coin     tosses [a] coin  acme 2\n"
        "\n"
        "space\n"
        "  darts    two cells"
    )


class Colour(enum.Enum):
    RED = "red"


class Sample(Options):
    samples: int = Field(10, ge=1, le=50, description="removal orders for each estimate")
    rate: float | None = Field(3e-4, gt=0, lt=1, description="step | size")
    mode: Literal["auto", "cpu"] = Field("auto", description="where")
    sizes: tuple[int, ...] = Field((1, 2), min_length=1, description="sizes")
    path: str = Field(description="a folder")
    colour: Colour = Field(Colour.RED, description="a colour")
    fast: bool = Field(False, json_schema_extra=EXPERIMENTAL, description="hurry")
    seeds: list[int] = Field(default_factory=list, description="seeds")
    limit: float | None = Field(None, description="none by default")
    even: Annotated[int, Field(multiple_of=2)] = Field(4, description="an even number")
    extra: dict[str, int] = Field(default_factory=dict, description="more")


def test_option_rows():
    rows = [(*row.values(), default_words(row)) for row in option_rows(Sample)]
    assert rows == [
        ("samples", "int", 10, False, ">= 1, <= 50", [], "removal orders for each estimate", "10"),
        ("rate", "float or null", 3e-4, False, "> 0, < 1", [], "step | size", "0.0003"),
        ("mode", "auto, cpu", "auto", False, "", ["auto", "cpu"], "where", "auto"),
        ("sizes", "list of int", [1, 2], False, "at least 1 long", [], "sizes", "1, 2"),
        ("path", "text", None, True, "", [], "a folder", "required"),
        ("colour", "red", "red", False, "", ["red"], "a colour", "red"),
        ("fast", "true or false", False, False, "", [True, False], "experimental: hurry", "false"),
        ("seeds", "list of int", [], False, "", [], "seeds", "empty"),
        ("limit", "float or null", None, False, "", [], "none by default", "null"),
        ("even", "int", 4, False, "multiple of 2", [], "an even number", "4"),
        ("extra", "mapping", {}, False, "", [], "more", "empty"),
    ]
    names = ["name", "type", "default", "required", "bounds", "choices", "description"]
    assert list(option_rows(Sample)[0]) == names


def test_options_in_markdown():
    lines = options_markdown(Sample).splitlines()
    assert lines[0] == "| option | type | default | bounds | description |"
    assert lines[2] == "| `samples` | `int` | `10` | ≥ 1, ≤ 50 | removal orders for each estimate |"
    assert lines[3] == r"| `rate` | `float or null` | `0.0003` | > 0, < 1 | step \| size |"
    assert len(lines) == 2 + 11
    assert options_markdown(Options) == "It has no options.\n"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_options_in_the_terminal(width):
    text = shown(options_table("sample", option_rows(Sample)), width)
    assert max(map(cell_len, text.splitlines())) <= width
    for words in (
        "samples",
        ">= 1, <= 50",
        "removal orders for each estimate",
        "0.0003",
        "required",
    ):
        assert words in text
    assert shown(options_table("random", []), width) == "random has no options."


@pytest.mark.parametrize(
    "annotation, expected",
    [
        (str | None, "text or null"),
        (list[str], "list of text"),
        (list, "list"),
        (dict, "mapping"),
        (Annotated[int, "x"], "int"),
        (Colour, "red"),
        (Literal[1, 2], "1, 2"),
        (set[bool], "list of true or false"),
    ],
)
def test_types_in_words(annotation, expected):
    assert type_name(annotation) == expected


# ---------------------------------------------------------------- decisions and rankings


def watched(epoch, free, entropy, *names):
    warnings = [{"name": name, "message": f"{name} it is."} for name in names]
    return {"kind": "watched", "branch": "0", "epoch": epoch, "parameter_free": free,
            "entropy": entropy, "warnings": warnings}  # fmt: skip


def decided(epoch, architecture):
    return {"kind": "epoch-done", "branch": "0", "epoch": epoch, "loss": 1.0, "accuracy": 0.5,
            "architecture": architecture}  # fmt: skip


def ranked(epoch, tau, kinds=("scores", "supernet")):
    one = {"value": tau, "low": tau - 0.1, "high": tau + 0.1}
    found = {"architectures": 60, "kendall": one, "spearman": one,
             "regret": {"1": 0.5, "5": 0.02, "10": 0.0}}  # fmt: skip
    more = {"best_kendall": 0.3, "precision": {"10": 0.6}, "ndcg": 0.87, "halves": 0.62}
    by = {kind: found if kind in kinds else None for kind in ("scores", "supernet")}
    if by["supernet"]:
        by["supernet"] = {**found, **more, "images": 4000}
    by |= {"multiply_adds": found, "one_training": found}
    return {"kind": "ranked", "branch": "0", "epoch": epoch, "evaluator": "table",
            "metric": "table_test_accuracy", "by": by}  # fmt: skip


@pytest.mark.parametrize("width", [60, 80, 120])
def test_decisions_and_rankings_have_sections_of_their_own(width):
    history = [
        decided(1, "a"), watched(1, 0.25, 0.99), ranked(1, 0.5),
        decided(2, "b"), watched(2, 0.75, 0.5), ranked(2, 0.25, ["scores"]),
        decided(3, "b"), watched(3, 0.5, None, "collapsed"),
    ]  # fmt: skip
    result = {"evaluations": [{"evaluator": "ranking", "metrics": {"kendall_by_scores": 0.25}}]}
    text = shown(summary(result, history), width)
    assert max(map(cell_len, text.splitlines())) <= width
    lines = text.splitlines()
    assert any("without parameters" in line and "50.00 %" in line for line in lines)
    assert any("entropy" in line and "0.5000" in line for line in lines)
    assert any("decision stands" in line and line.endswith(" 2") for line in lines)
    assert "warning collapsed: collapsed it is." in text
    assert "Evaluation" not in text
    if width >= 80:
        rows = [line.split() for line in lines]
        assert ["scores", "1", "+0.50", "[+0.40,", "+0.60]", "50.0/2.0/0.0"] in rows
        assert ["scores", "2", "+0.25", "[+0.15,", "+0.35]", "50.0/2.0/0.0"] in rows
        supernet = ["supernet", "1", "+0.50", "[+0.40,", "+0.60]", "+0.30", "0.87", "60"]
        assert [*supernet, "50.0/2.0/0.0"] in rows
        # What knows nothing of the search has one row.
        assert ["multiply", "adds", "+0.25", "[+0.15,", "+0.35]", "50.0/2.0/0.0"] in rows
        assert [row[:2] for row in rows].count(["multiply", "adds"]) == 1
        assert [row[:2] for row in rows].count(["one", "training"]) == 1
        words = " ".join(text.split())
        assert "one training: of each architecture, against the mean of the others" in words
        assert "architectures: 60 by scores, against table test accuracy of table" in text


def test_what_two_halves_of_the_images_say_of_each_other_is_shown():
    text = " ".join(shown(summary({}, [ranked(1, 0.5)]), 100).split())
    assert "two halves of the 4,000 images agree with tau +0.62" in text


def test_a_history_without_them_has_no_such_sections():
    text = shown(summary({}, [decided(1, "a")]), 80)
    assert "Decision" not in text and "Ranking" not in text


def test_of_several_leaves_the_one_that_was_found_is_shown():
    history = [
        {**ranked(2, 0.25), "branch": "0.0"}, {**watched(2, 0.5, None), "branch": "0.0"},
        {**ranked(2, 0.75), "branch": "0.1"}, {**watched(2, 1.0, None), "branch": "0.1"},
    ]  # fmt: skip
    assert "+0.75" in shown(summary({}, history), 80)
    text = shown(summary({}, [*history, {"kind": "run-finished", "branch": "0.0"}]), 80)
    assert "+0.25" in text and "+0.75" not in text and "50.00 %" in text


@pytest.mark.parametrize(("accuracy", "said"), [(0.3333, True), (0.9, False)])
def test_an_accuracy_of_chance_is_a_caution(accuracy, said):
    evaluated = [{"evaluator": "supernet", "metrics": {"valid_accuracy": accuracy}}]
    text = shown(summary({"evaluations": evaluated, "task": {"classes": 3}}, []), 100)
    words = "warning chance: 33.33 % of the valid images is about what guessing gives (3 classes)"
    assert (words in text) is said
    assert "chance" not in shown(summary({"evaluations": evaluated}, []), 100)
