"""The drawing in the terminal: complete, inside the width, and in ASCII where it must be."""

import io

import pytest
from hypothesis import given
from report_kit import BENCH, CHAIN, DARTS_V2, DEEP, ISDARTS, SAMPLES, TOY, cells, chains
from rich.cells import cell_len
from rich.console import Console

from nastk import Architecture, Edge
from nastk.report.ascii import Plain, to_ascii
from nastk.report.graph import graphs
from nastk.report.terminal import cell


def shown(renderable, width, encoding="utf-8", **options):
    """What a console of that width and encoding prints."""
    bytes_written = io.BytesIO()
    with io.TextIOWrapper(bytes_written, encoding=encoding, write_through=True) as file:
        Console(file=file, width=width, **options).print(renderable)
        return bytes_written.getvalue().decode(encoding)


BENCH_DRAWN = """\
╭─ cell ───────────────────────────╮
│ input ─ nor_conv_3x3 ───▶ 1      │
│ input ─ none ─────────┬─▶ 2      │
│     1 ─ nor_conv_3x3 ─╯          │
│ input ─ skip_connect ─╮          │
│     1 ─ nor_conv_1x1 ─┼─▶ output │
│     2 ─ avg_pool_3x3 ─╯          │
╰──────────────────────────────────╯
"""

CHAIN_IN_ASCII = """\
+- layers -----------------------------------------------+
|     input ->                                           |
|  1  mbconv_3x3_e3 -> mbconv_3x3_e6 -> mbconv_5x5_e3 -> |
|  4  mbconv_5x5_e6 -> mbconv_7x7_e3 -> mbconv_7x7_e6 -> |
|  7  mbconv_3x3_e3 -> mbconv_3x3_e6 -> mbconv_5x5_e3 -> |
| 10  mbconv_5x5_e6 -> mbconv_7x7_e3 -> mbconv_7x7_e6 -> |
|     output                                             |
+--------------------------------------------------------+
"""


LINE = Architecture(
    "line",
    tuple(Edge(f"layer:{n}", ("conv3", "skip"), "layers", n, n + 1) for n in range(4)),
    (("conv3",), ("skip",), ("conv3",), ("conv3",)),
)
LINE_DRAWN = """\
╭─ layers ───────────────────────────────────────────╮
│ input ─▶ conv3 ─▶ skip ─▶ conv3 ─▶ conv3 ─▶ output │
╰────────────────────────────────────────────────────╯
"""
LINE_IN_ROWS = """\
╭─ layers ──────────────────────╮
│    input ─▶                   │
│ 1  conv3 ─▶ skip  ─▶ conv3 ─▶ │
│ 4  conv3 ─▶ output            │
╰───────────────────────────────╯
"""


def test_a_short_chain_is_one_line_where_it_fits():
    assert shown(cell(LINE), 60) == LINE_DRAWN
    assert shown(cell(LINE), 40) == LINE_IN_ROWS


def test_a_bench_cell():
    assert shown(cell(BENCH), 60) == BENCH_DRAWN


def test_a_chain_where_the_terminal_is_not_utf8():
    assert shown(cell(CHAIN), 60, "ascii") == CHAIN_IN_ASCII


def test_a_toy():
    assert "input ─ conv ───▶ output" in shown(cell(TOY), 60)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", SAMPLES)
def test_every_choice_is_there_at_every_width(name, width, encoding):
    text = shown(cell(SAMPLES[name]), width, encoding)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    for graph in graphs(SAMPLES[name]):
        assert f" {graph.group} " in text
        for operation in {link.operation for link in graph.links}:
            wanted = sum(
                link.operation == operation for each in graphs(SAMPLES[name]) for link in each.links
            )
            assert text.count(operation) == wanted
        if not graph.chain:
            arrow = "─▶" if encoding == "utf-8" else "->"
            assert all(
                f"{arrow} {graph.name(node)}" in text for node in (*graph.middle, graph.output)
            )


@pytest.mark.parametrize("architecture", [DARTS_V2, DEEP, ISDARTS])
def test_each_row_joins_an_input_and_its_operation(architecture):
    text = shown(cell(architecture), 60)
    for graph in graphs(architecture):
        for link in graph.links:
            assert f"{graph.name(link.source)} ─ {link.operation} ─" in text


def test_cells_stand_side_by_side_where_there_is_room():
    assert "normal" in (line := shown(cell(DARTS_V2), 80).splitlines()[0])
    assert "reduce" in line
    assert "reduce" not in shown(cell(DARTS_V2), 60).splitlines()[0]


@given(cells() | chains())
def test_any_cell_can_be_drawn(architecture):
    text = shown(cell(architecture), 60)
    assert max(cell_len(line) for line in text.splitlines()) <= 60
    for graph in graphs(architecture):
        assert all(link.operation in text for link in graph.links)


def test_dumb_terminals_see_ascii(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert shown(cell(DARTS_V2), 80, force_terminal=True).isascii()
    monkeypatch.setenv("TERM", "xterm")
    assert not shown(cell(DARTS_V2), 80, force_terminal=True).isascii()


def test_ascii_keeps_the_width():
    text = "╭─ 0 ─▶ 3×3 ▁▂▃▄▅▆▇█ 模 … ≥"
    assert to_ascii(text) == "+- 0 -> 3x3 __.:=*## ?? . >"
    assert cell_len(text) == len(to_ascii(text))
    assert shown(Plain(text), 60, "ascii").strip() == to_ascii(text)
