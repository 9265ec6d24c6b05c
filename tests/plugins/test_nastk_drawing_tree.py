"""The branches of a run as a picture: complete, inside the page, nothing over anything else."""

import hashlib
from itertools import combinations

import pytest
from branches_kit import RUNS, SILENT, continued, run
from report_kit import DARTS, NB201

from nastk import ConfigurationError
from nastk.report import family, lineage
from nastk_drawing import draw_tree, heat
from nastk_drawing import tree_cards as cards
from nastk_drawing.positions import APART, GAPS
from nastk_drawing.tree_layout import placed
from nastk_drawing.tree_picture import CHOSEN, picture


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("name", RUNS)
def test_every_text_of_the_picture_lies_inside_it(name):
    figure = picture(lineage(RUNS[name]), title="A title", subtitle="and more")
    for text in figure.axes[0].texts:
        box = text.get_window_extent()
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("name", RUNS)
def test_no_text_lies_on_another(name):
    figure = picture(lineage(RUNS[name]), title="A title", subtitle="and more")
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    for (one, first), (two, second) in combinations(enumerate(boxes), 2):
        overlap = (
            min(first.x1, second.x1) - max(first.x0, second.x0),
            (min(first.y1, second.y1) - max(first.y0, second.y0)),
        )
        assert min(overlap) < 1.5, (texts(figure)[one], texts(figure)[two])


def test_everything_that_matters_is_drawn():
    found = texts(picture(lineage(RUNS["twice"]), title="A title"))
    assert found[0] == "A title"
    assert {"0", "0.0", "0.1", "0.0.0", "0.1.1", "cell:0→1", "cell:0→2"} <= set(found)
    assert found.count("distance 1.25") == 3
    assert found.count("distance between operations") == 3
    assert found.count("epoch 2 · train 50.00 %") == 2
    assert {"valid accuracy", "52.00 %  chosen", "50.00 %", "51.00 %"} <= set(found)
    assert found.count("skip connect") == 3 + 3  # a tag in every other branch, a row of each table
    assert {"weights inherited", "weights start anew", "to the chosen leaf"} <= set(found)
    assert "distance 0.00 to 0.20" in found


def test_what_was_not_measured_is_not_drawn():
    found = texts(picture(lineage(RUNS["in five"])))
    assert not any("distance" in text for text in found)
    found = texts(picture(lineage(RUNS["unfinished"])))
    assert "train accuracy" in found and "to the chosen leaf" not in found
    assert not any("chosen" in text for text in found)
    silent = texts(picture(lineage([SILENT[1]])))
    assert "not trained yet" in silent and "valid accuracy" not in silent


@pytest.mark.parametrize("subspaces", [[["10", "10"], ["01", "01"]], [["11", "11"], ["11", "11"]]])
def test_what_is_no_split_of_one_edge_is_drawn_without_tags(subspaces):
    found = texts(picture(lineage([continued("0", 1, subspaces)])))
    assert found.count("2 edges") == (3 if subspaces[0] == ["10", "10"] else 0)
    assert found.count("the same operations") == (0 if subspaces[0] == ["10", "10"] else 2)


@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_the_same_branches_give_the_same_bytes(tmp_path, suffix):
    found = lineage(RUNS["twice"])
    digests = {
        hashlib.sha256(draw_tree(found, tmp_path / f"{name}.{suffix}").read_bytes()).hexdigest()
        for name in ("a", "b")
    }
    assert len(digests) == 1


def test_tags_have_the_colours_of_their_families(tmp_path):
    text = draw_tree(lineage(RUNS["darts"]), tmp_path / "deep" / "tree.svg").read_text().lower()
    assert "dc:date" not in text
    for operation in DARTS:
        assert family(operation).colour.lower() in text
    assert CHOSEN.lower() in text


@pytest.mark.parametrize("name", ["tree.gif", "tree"])
def test_other_formats_are_refused(tmp_path, name):
    with pytest.raises(ConfigurationError, match=rf"svg, png, pdf, got the file name '{name}'"):
        draw_tree(lineage(RUNS["once"]), tmp_path / name)


@pytest.mark.parametrize("name", RUNS)
def test_cards_and_tables_keep_their_distance(name):
    found = lineage(RUNS[name])
    layout = placed(found, cards.card_size, cards.hanging_size, cards.label_size)
    boxes = {}
    for record in found.branches.values():
        depth = layout.depth[record.name]
        tall, hanging = cards.card_size(record)[1], cards.hanging_size(record)[1]
        low = layout.y[record.name] - tall / 2 - (hanging + 12.0 if hanging else 0.0)
        boxes[record.name] = depth, low, layout.y[record.name] + tall / 2
        assert low >= -1e-9 and boxes[record.name][2] <= layout.height + 1e-9
        children = [layout.y[child] for child in record.children]
        assert children == sorted(children, reverse=True)
        assert not children or layout.y[record.name] == pytest.approx(
            (children[0] + children[-1]) / 2, abs=0.5
        )
    for (one, first), (two, second) in combinations(boxes.items(), 2):
        if first[0] == second[0]:
            gap = max(first[1] - second[2], second[1] - first[2])
            apart = APART if one.rpartition(".")[0] != two.rpartition(".")[0] else 0.0
            assert gap >= GAPS["card"] + apart - 1e-9
    for left, wide, after in zip(layout.left, layout.wide, layout.left[1:], strict=False):
        assert left + wide < after


# ---------------------------------------------------------------- the table of distances


FAR = [[0.0 if row == column else 1.0 for column in range(5)] for row in range(5)]


def split_of(**changes):
    return lineage(run(1, 2, **changes)).root.split


def test_the_table_is_ordered_by_groups_with_a_gap_between():
    split = split_of(groups=[[NB201[0], NB201[4]], list(NB201[1:4])])
    assert heat._order(split) == [0, 4, 1, 2, 3]
    assert heat._offsets(split, [0, 4, 1, 2, 3], 20.0) == [0.0, 20.0, 45.0, 65.0, 85.0]
    single = lineage(run(1, 5)).root.split
    assert heat._offsets(single, list(range(5)), 20.0) == [0.0, 20.0, 40.0, 60.0, 80.0]


def test_the_scale_spans_what_was_measured_and_never_blows_noise_up():
    split = split_of()
    assert heat.span([split]) == (0.0, heat.SPAN)
    far = lineage(run(1, 2, edges=[{"edge": "cell:0->1", "operations": "abcde", "distances": FAR}]))
    assert heat.span([far.root.split]) == pytest.approx((1.0 - heat.SPAN, 1.0))
    assert heat.span([split, far.root.split]) == pytest.approx((0.1, 1.0))
    ends = (0.0, 1.0)
    shades = [heat.shade(value, ends)[1] for value in (-1.0, 0.0, 0.25, 0.5, 1.0, 2.0)]
    assert shades == sorted(shades)
    assert shades[0] == shades[1] and shades[-1] == shades[-2]
    assert heat.span([]) == (0.0, 1.0)


def test_a_distance_that_is_no_number_is_left_blank():
    history = run(1, 2)
    history[1]["values"]["edges"][0]["distances"][0][1] = float("nan")
    found = texts(picture(lineage(history)))
    assert "nan" not in found
    assert found.count("0.10") == 1
