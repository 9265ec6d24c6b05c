"""The branches of a run: read from events, synthetic and real, and shown in the terminal."""

import io
import json
from dataclasses import replace

import pytest
from branches_kit import ARCHITECTURE, RUNS, SILENT, continued, divided, epoch, report, run, table
from report_kit import NB201
from rich.cells import cell_len
from rich.console import Console

import nastk
from nastk.report import Tree, lineage
from nastk.testing import Harness
from nastk_fewshot.updater import Gm


def shown(renderable, width, encoding="utf-8"):
    bytes_written = io.BytesIO()
    with io.TextIOWrapper(bytes_written, encoding=encoding, write_through=True) as file:
        Console(file=file, width=width).print(renderable)
        text = bytes_written.getvalue().decode(encoding)
    return "\n".join(line.rstrip() for line in text.splitlines())


# ---------------------------------------------------------------- what the events say


@pytest.mark.parametrize("times, parts", [(1, 2), (2, 2), (3, 2), (1, 5), (2, 3)])
def test_a_run_has_a_branch_for_each_part_of_each_split(times, parts):
    found = lineage(run(times, parts))
    assert len(found.branches) == sum(parts**level for level in range(times + 1))
    assert len(found.leaves) == parts**times
    assert found.root.name == "0" and found.root.origin is None
    for record in found.branches.values():
        assert record.epochs == str(record.name.count(".") + 1)
        for number, child in enumerate(found.children(record)):
            assert child.parent == record.name and child.origin is record.split
            assert list(child.group) == divided(NB201, parts)[number]
            assert child.fresh == (child.name.count(".") == times)
            assert (child.split is None) == child.fresh


def test_what_the_updater_reported_is_kept():
    split = lineage(RUNS["once"]).root.split
    assert (split.epoch, split.edge, split.value, split.within) == (1, "cell:0->1", 1.25, False)
    assert split.operations == NB201
    assert [list(row) for row in split.distances] == table(5)
    assert lineage(run(1, 2, within=True)).root.split.within


def test_accuracies_and_the_chosen_leaf():
    found = lineage(RUNS["twice"])
    leaves = found.leaves
    assert [leaf.train for leaf in leaves] == [0.25, 0.26, 0.27, 0.28]
    assert [leaf.valid for leaf in leaves] == [0.5, 0.51, 0.52, 0.5]
    assert [leaf.name for leaf in leaves if leaf.chosen] == ["0.1.0"]
    assert found.chosen() == ["0", "0.1", "0.1.0"]
    assert found.root.valid is None and found.root.train == 0.5


def test_an_unfinished_run_has_no_chosen_leaf():
    found = lineage(RUNS["unfinished"])
    assert found.chosen() == []
    assert all(leaf.valid is None and leaf.train is not None for leaf in found.leaves)


def test_a_run_of_one_branch_has_no_lineage():
    assert lineage([]) is None
    shrinking = [epoch("0", 1, 0.5), continued("0", 1, [["11", "10"]]), continued("0", 2, [])]
    assert lineage(shrinking) is None


def test_without_a_report_the_subspaces_tell_edge_and_groups():
    rows = [{"name": name, "operations": list("abcd")} for name in ("x", "y")]
    split = lineage(SILENT, {"edges": rows}).root.split
    assert (split.edge, split.groups) == ("x", (("a", "b"), ("c", "d")))
    assert split.operations == tuple("abcd")
    assert split.value is None and split.distances is None


@pytest.mark.parametrize("architecture", [None, "text", {}, {"edges": ARCHITECTURE["edges"]}])
def test_numbers_stand_for_names_that_nobody_tells(architecture):
    split = lineage(SILENT, architecture).root.split
    assert (split.edge, split.groups) == ("edge 0", (("0", "1"), ("2", "3")))


@pytest.mark.parametrize(
    "subspaces, edge",
    [([["10", "10"], ["01", "01"]], "2 edges"), ([["11", "11"], ["11", "11"]], "")],
)
def test_what_is_no_split_of_one_edge_has_no_groups(subspaces, edge):
    found = lineage([continued("0", 1, subspaces)])
    assert (found.root.split.edge, found.root.split.groups) == (edge, ())
    assert [leaf.group for leaf in found.leaves] == [(), ()]
    assert edge in shown(Tree(found), 80)


def test_a_report_that_fits_no_split_is_left_alone():
    history = [report("0", 1, "x", "abc", [["a"], ["b"], ["c"]]), *SILENT]
    assert lineage(history).root.split.edge == "edge 0"
    history = [report("0", 1, None, "abcd", [], value=None), *SILENT]
    assert lineage(history).root.split.edge == "edge 0"


# ---------------------------------------------------------------- the terminal

TWICE = """\
branch       epochs  edge       operations                               distance    train    valid
0                 1                                                                50.00 %
├─ 0.0            2  cell:0->1  none, nor_conv_1x1, avg_pool_3x3  1.25  50.00 %
│  ├─ 0.0.0       3  cell:0->2  none, nor_conv_1x1, avg_pool_3x3  1.25  25.00 %  50.00 %
│  └─ 0.0.1       3  cell:0->2  skip_connect, nor_conv_3x3  1.25  26.00 %  51.00 %
└─ 0.1            2  cell:0->1  skip_connect, nor_conv_3x3  1.25  50.00 %
   ├─ 0.1.0       3  cell:0->2  none, nor_conv_1x1, avg_pool_3x3  1.25  27.00 %  52.00 %  ◀
   └─ 0.1.1       3  cell:0->2  skip_connect, nor_conv_3x3  1.25  28.00 %  50.00 %
◀ the branch of the architecture: the most accurate leaf on the valid split"""

NARROW_ASCII = """\
branch       epochs  distance    train    valid
0                 1            50.00 %
+- 0.0            2      1.25  50.00 %
|  |  cell:0->1  none, nor_conv_1x1, avg_pool_3x3
|  +- 0.0.0       3      1.25  25.00 %  50.00 %
|  |     cell:0->2  none, nor_conv_1x1, avg_pool_3x3
|  +- 0.0.1       3      1.25  26.00 %  51.00 %
|        cell:0->2  skip_connect, nor_conv_3x3
+- 0.1            2      1.25  50.00 %
   |  cell:0->1  skip_connect, nor_conv_3x3
   +- 0.1.0       3      1.25  27.00 %  52.00 %  <
   |     cell:0->2  none, nor_conv_1x1, avg_pool_3x3
   +- 0.1.1       3      1.25  28.00 %  50.00 %
         cell:0->2  skip_connect, nor_conv_3x3
< the branch of the architecture: the most accurate leaf on
the valid split"""


def squeezed(text):
    """Without runs of spaces, which depend on the widest cell of a column."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_a_line_for_each_branch():
    assert squeezed(shown(Tree(lineage(RUNS["twice"])), 120)) == squeezed(TWICE)


def test_edge_and_operations_stand_below_where_it_is_narrow():
    text = shown(Tree(lineage(RUNS["twice"])), 60, "ascii")
    assert squeezed(text) == squeezed(NARROW_ASCII)


def test_a_leaf_chosen_by_something_else_is_not_called_the_most_accurate():
    found = lineage(RUNS["twice"])
    for name, chosen in (("0.1.0", False), ("0.0.1", True)):
        found.branches[name] = replace(found.branches[name], chosen=chosen)
    assert shown(Tree(found), 120).endswith("\n◀ the branch of the architecture")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("width", [60, 70, 80, 100, 120])
@pytest.mark.parametrize("name", RUNS)
def test_nothing_is_lost_at_any_width(name, width, encoding):
    found = lineage(RUNS[name], ARCHITECTURE)
    text = shown(Tree(found), width, encoding)
    assert max(map(cell_len, text.splitlines())) <= width
    words = text.replace(",", " ").split()
    for record in found.branches.values():
        assert record.name in words
        for operation in record.group:
            assert operation in words
        if record.origin:
            assert record.origin.edge in words
    assert words.count("1.25") == (0 if name == "in five" else len(found.branches) - 1)
    mark = "◀" if encoding == "utf-8" else "<"
    assert text.count(mark) == (0 if name == "unfinished" else 2)


def test_columns_that_nobody_filled_are_left_out():
    assert "distance" not in shown(Tree(lineage(RUNS["in five"])), 120)
    assert "valid" not in shown(Tree(lineage(RUNS["unfinished"])), 120)
    assert "within" in shown(Tree(lineage(run(1, 2, within=True))), 120)


# ---------------------------------------------------------------- real runs


def test_the_toy_that_splits_and_shrinks(tmp_path):
    result = nastk.search("toy", "toy-split", "toy", epochs=3, out=tmp_path / "run", device="cpu")
    folder = result.folder
    found = lineage(folder.events(), folder.result()["architecture"])
    assert [leaf.name for leaf in found.leaves] == ["0.0", "0.1"]
    assert found.chosen()[-1] == folder.result()["branch"]
    assert found.root.split.edge == "first:0->1"
    assert found.root.split.groups == (("none", "skip"), ("conv", "pool"))
    assert [leaf.fresh for leaf in found.leaves] == [False, True]
    text = shown(Tree(found), 100)
    assert "first:0->1" in text and "◀" in text


@pytest.mark.parametrize(("rule", "within"), [("largest-cross", False), ("smallest-within", True)])
def test_a_run_of_an_earlier_version_has_the_same_tree(rule, within):
    history = run(2, 2, within=within)
    for event in history:
        if event.get("topic") == "split":
            event["topic"] = "gm"
            event["values"] = {**event["values"], "rule": rule}
            del event["values"]["within"]
    assert lineage(history) == lineage(run(2, 2, within=within))


def test_what_gm_reports_is_understood():
    options = {"inner": "darts", "splits": [1, 2], "batches": 1}
    harness = Harness(Gm, options, trainer_options={"epochs": 3, "batch_size": 12})
    harness.run()
    history = json.loads(json.dumps([event.to_json() for event in harness.events]))
    found = lineage(history)
    assert len(found.leaves) == 4
    for record in found.branches.values():
        if record.split is None:
            continue
        reported = next(
            event["values"]
            for event in history
            if event.get("topic") == "split" and event["branch"] == record.name
        )
        assert record.split.edge == reported["edge"]
        assert record.split.value == reported["value"]
        assert len(record.split.distances) == len(record.split.operations)
        silent = [event for event in history if event.get("topic") != "split"]
        edges = [{"name": edge.name, "operations": edge.operations} for edge in harness.space.edges]
        # What the trainer did is what the updater said.
        told = lineage(silent, {"edges": edges}).branches[record.name].split
        assert (told.edge, told.groups) == (record.split.edge, record.split.groups)
