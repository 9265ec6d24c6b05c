"""Pictures and reports of studies, of several problems too: what they say, and what is refused."""

import json
import shutil
from pathlib import Path

import pytest
from cli_kit import called
from pages_kit import write_problems, write_study

from nastk.cli import fronts, run_records
from nastk_drawing import study_runs, write_report
from nastk_drawing.charts import anytime, ranks
from nastk_drawing.charts.fronts import COSTS
from nastk_drawing.charts.fronts import panel as front_panel
from nastk_drawing.charts.panel import round_time, single
from nastk_drawing.report import study_settings


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The folder of a study of two problems."""
    return write_problems(tmp_path_factory.mktemp("studies") / "s")


# ---------------------------------------------------------------- made again


def repeat_it(folder):
    """The parts of the section on how to repeat a study."""
    return study_settings.sections(folder, run_records(folder))[0].parts


def test_a_study_says_how_to_make_it_again(tmp_path):
    folder = write_study(tmp_path / "study")
    said, code = repeat_it(folder)
    assert said.words.startswith("With the folder at hand, this command makes the study again")
    own = folder / "gm-seed0" / "config.json"
    words = "--updater gm --updater random --seeds 0,1,2 --out runs/again"
    assert code.text == f"nastk compare --config {own} {words}"


def test_a_study_of_several_problems_is_made_again_with_a_file(study):
    said, code, file = repeat_it(study)
    assert said.words.startswith("With the file again.json, this command makes the study again")
    assert code.text.startswith("nastk compare --config again.json --updater ")
    assert code.text.endswith(" --seeds 0,1 --out runs/again")
    assert file.summary == "Save this as again.json"
    kept = json.loads(file.parts[0].text)
    paths = [Path(data["options"]["path"]).name for data in kept["data"]]
    assert paths == ["place0", "place1"]
    assert kept["space"]["name"] == "nasbench201" and kept["trainer"]["batch_size"] == 16


def test_a_study_that_no_command_makes_again_says_why(tmp_path):
    folder = write_study(tmp_path / "study")
    path = folder / "random-seed0" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "trainer": {"epochs": 9}}))
    said, more, code = repeat_it(folder)
    assert "No single command makes this study again: No config file gives" in said.words
    assert more.words == "Each run can be repeated by its own settings, such as:"
    assert code.text.startswith("nastk search --config")


# ---------------------------------------------------------------- problems


def test_runs_are_sorted_by_problem_with_and_without_the_list(study, tmp_path):
    records = run_records(study)
    listed = study_runs.by_problem(study, records)
    assert list(listed) == ["nasbench201 on folder:place0", "nasbench201 on folder:place1"]
    assert study_runs.by_problem(tmp_path, records) == listed
    names = [group.name for group in study_runs.groups(records[:8])]
    assert names == ["fair", "gm(inner=darts)", "random", "shapley"]


def test_updaters_have_the_names_of_the_study_also_while_it_is_under_way(study, tmp_path):
    shutil.copytree(study, tmp_path / "s")
    (tmp_path / "s" / "study.json").unlink()
    row = {"updater": "gm(inner=darts)"}
    rows = {f"nasbench201-on-folder-place{number}--gm-inner=darts": row for number in (0, 1)}
    (tmp_path / "s" / "protocol.json").write_text(json.dumps({"rows": rows}))
    names = [group.name for group in study_runs.groups(run_records(tmp_path / "s")[:8])]
    assert names == ["fair", "gm(inner=darts)", "random", "shapley"]
    (tmp_path / "s" / "protocol.json").write_text("[")
    names = [group.name for group in study_runs.groups(run_records(tmp_path / "s")[:8])]
    assert names == ["fair", "gm-inner=darts", "random", "shapley"]


def test_a_finished_study_shows_the_runs_that_it_lists_and_those_without_a_result(study, tmp_path):
    shutil.copytree(study, tmp_path / "s")
    rows = json.loads((tmp_path / "s" / "study.json").read_text())
    (tmp_path / "s" / "study.json").write_text(
        json.dumps([row for row in rows if row["updater"] != "fair"])
    )
    (failed,) = (tmp_path / "s").glob("*place1--fair-seed1")
    (failed / "result.json").unlink()
    records = run_records(tmp_path / "s")
    kept = {record.path.name for record in study_runs.shown(tmp_path / "s", records)}
    left_out = {record.path.name for record in records} - kept
    assert {name.partition("--")[2] for name in left_out} == {"fair-seed0", "fair-seed1"}
    assert len(left_out) == 3 and failed.name in kept
    (tmp_path / "s" / "study.json").unlink()
    assert study_runs.shown(tmp_path / "s", records) == records


@pytest.mark.parametrize(
    ("longest", "ticks"),
    [(160.0, ["0", "1 min", "2 min"]), (400.0, ["0", "2 min", "4 min", "6 min"]),
     (9_000.0, ["0", "1 h", "2 h"]), (40.0, ["0", "10 s", "20 s", "30 s", "40 s"])],
)  # fmt: skip
def test_ticks_of_times_are_round(longest, ticks):
    step = round_time(longest, 4)
    places = [step * number for number in range(1 + int(longest / step))]
    assert [anytime._cost_words(anytime.CPU, place) for place in places] == ticks


@pytest.mark.slow
def test_the_report_has_ranks_over_all_and_a_section_for_each_problem(study, tmp_path):
    text = write_report(study, tmp_path / "a.html").read_text(encoding="utf-8")
    for words in ("study s: 2 problems", "best mean rank over 2 problems", "Over all problems",
                  "nasbench201 on folder:place1", "2 problems cannot tell two of 4 updaters",
                  "Mean ranks over 2 problems", "Difference to random", "At every cost",
                  "Size and accuracy", "belongs to their problem", "nastk search"):  # fmt: skip
        assert words in text, words
    assert text.count("<h2") > 4


# ---------------------------------------------------------------- ranks


@pytest.mark.parametrize(
    ("places", "critical", "expected"),
    [
        ([1.0, 2.0, 3.0], 3.0, [(0, 2)]),
        ([1.0, 2.0, 3.0], 1.0, []),
        ([1.0, 1.0, 3.0, 3.5], 1.0, [(0, 1), (2, 3)]),
        ([1.0, 1.5, 2.5, 4.0], 1.2, [(0, 1), (1, 2)]),
    ],
)
def test_bars_join_ranks_that_are_not_told_apart(places, critical, expected):
    assert ranks.together(places, critical) == expected


@pytest.mark.parametrize(("critical", "shown"), [(1.9, ""), (2.5, ": longer than the axis")])
def test_a_diagram_of_ranks_says_what_it_shows(critical, shown):
    found = {"blocks": 8, "critical": critical, "ranks": {"fair": 2.0, "gm": 1.0, "random": 3.0}}
    panel = ranks.ranks(found, "problem")
    assert "Mean ranks over 8 problems: gm 1.00, fair 2.00, random 3.00." in panel.words
    assert "Not told apart: gm to fair; fair to random." in panel.words or shown
    written = texts(single(panel))
    assert f"critical difference {critical:.2f}{shown}" in written
    assert {"gm  1.00", "fair  2.00", "3.00  random"} <= set(written)


def test_ranks_are_drawn_into_a_file(study, tmp_path):
    code, _, said = called("draw", study, "--ranks", "-o", tmp_path / "a.svg")
    assert code == 0 and "drawn to" in said and (tmp_path / "a.svg").stat().st_size > 1_000


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--ranks"], "drawn as a picture, so name a file"),
        (["--ranks", "-o", "a.txt"], "A picture is written as svg, png, pdf"),
        (["--ranks", "--curves"], "got --curves, --ranks. Choose one"),
    ],
)
def test_a_wrong_request_is_said(flags, words, study):
    code, _, said = called("draw", study, *flags)
    assert code == 2 and words in said


def test_what_has_no_ranks_is_said(tmp_path):
    folder = write_study(tmp_path / "study")
    code, _, said = called("draw", folder, "--ranks", "-o", tmp_path / "a.svg")
    assert code == 2 and "has no ranks: they take at least three updaters and two seeds" in said
    code, _, said = called("draw", tmp_path / "nowhere", "--ranks", "-o", tmp_path / "a.svg")
    assert code == 2 and "holds no study" in said


# ---------------------------------------------------------------- at every cost


Course = anytime.Course


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        ([Course([1.0, 2.0], [0.5, 0.7])], [(1.0, 0.5, 0.5, 0.5), (2.0, 0.7, 0.7, 0.7)]),
        ([Course([1.0, 3.0], [0.5, 0.75]), Course([2.0], [0.25])],
         [(2.0, 0.375, 0.25, 0.5), (3.0, 0.5, 0.25, 0.75)]),
        ([Course([1.0, 1.0], [0.5, 0.75])], [(1.0, 0.75, 0.75, 0.75)]),
    ],
)  # fmt: skip
def test_a_band_holds_each_value_until_the_next(series, expected):
    assert anytime.band(series) == expected


def test_every_quantity_has_a_panel_for_images_and_one_for_seconds(study):
    (runs, _) = study_runs.by_problem(study, run_records(study)).values()
    by_updater = {group.name: group.runs for group in study_runs.groups(runs)}
    found = anytime.panels(by_updater, "digits")
    assert len(found) == 8 and found[0].heading == "True accuracy: digits"
    assert found[0].below == "images forward and backward" and found[1].below == "CPU seconds"
    assert "random 60.50 % after 600" in found[0].words
    lines = single(found[0]).axes[0].lines
    # Two seeds of `fair`: 400 images an epoch, the first decision is looked up after them.
    assert list(lines[0].get_xdata()) == [400.0, 800.0, 1200.0]
    earlier = [dict(runs[0].history[0], cpu_seconds=0.0), *runs[0].history[1:]]
    by_updater["random"] = [type(runs[0])(runs[0].path, "finished", runs[0].config, earlier)]
    assert anytime.panels(by_updater)[1].below == "seconds"


def test_curves_at_every_cost_are_drawn_into_a_file(study, tmp_path):
    code, _, said = called("draw", study, "--anytime", "-o", tmp_path / "a.svg")
    assert code == 0 and "drawn to" in said and (tmp_path / "a.svg").stat().st_size > 1_000
    folder = write_study(tmp_path / "study")
    code, _, said = called("draw", folder, "--anytime", "-o", tmp_path / "b.svg")
    assert code == 2 and "With `-e table` each epoch's decision is looked up" in said


# ---------------------------------------------------------------- fronts


def test_a_front_has_a_dot_for_each_run(study):
    (runs, _) = study_runs.by_problem(study, run_records(study)).values()
    (found,) = fronts({group.name: group.runs for group in study_runs.groups(runs)}, COSTS)
    panel = front_panel(found, "digits")
    assert (
        panel.heading == "Parameters: digits"
        and "1 of 8 runs: shapley 69.00 % with 300 k" in panel.words
    )
    assert len(single(panel).axes[0].collections) == 4


def test_fronts_are_drawn_into_a_file_and_shown_in_the_terminal(study, tmp_path):
    code, _, said = called("draw", study, "--front", "-o", tmp_path / "a.svg")
    assert code == 0 and "drawn to" in said and (tmp_path / "a.svg").stat().st_size > 1_000
    folder = write_study(tmp_path / "study")
    code, _, said = called("draw", folder, "--front", "-o", tmp_path / "b.svg")
    assert code == 2 and "no size and no latency" in said
