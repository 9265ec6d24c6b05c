"""`python -m benchmarks`: each work at tiny sizes, parity of both supernets, the arithmetic."""

import json
import sys
from dataclasses import replace

import pytest
import torch
from typer.testing import CliRunner

from benchmarks import gpu, parity
from benchmarks.__main__ import main
from benchmarks.gpu import VARIANTS, Check, for_a_while
from benchmarks.growth import Axis, lines, slope
from benchmarks.isolated import Job, here
from benchmarks.pairing import Pair, matched
from benchmarks.reference.measuring import freeze, losses
from benchmarks.reference.operations import shuffled
from benchmarks.rows import Row, table
from benchmarks.sizes import QUICK
from benchmarks.timing import Ratio, Spent, interleaved, ratio
from benchmarks.works import WORKS
from benchmarks.works.setting import Measured, Setting, Work, compared
from nastk import Mixture, NastkError

TINY = Setting(replace(QUICK, stride=10), runs=1, threads=1, isolated=False, warm=False)

NETS = {
    "darts": Pair("darts", {"channels": 4, "cells": 3, "nodes": 2}, 8, 3),
    "partial": Pair(
        "darts",
        {"channels": 8, "cells": 3, "nodes": 2, "partial_channels": 4, "pool_norm": False},
        8,
        3,
    ),
    "nasbench201": Pair("nasbench201", {"channels": 4, "cells": 1}, 8, 3),
}

NAMES = [
    "darts-train",
    "darts-eval",
    "darts-shapley",
    "pcdarts-shapley",
    "darts-shapley-frozen",
    "nb201-train",
    "nb201-train-bf16",
    "nb201-path",
    "nb201-path-small",
    "macro-path",
    "nb201-shapley",
    "nb201-shapley-bf16",
    "nb201-fitness",
    "darts-second-order",
    "data",
    "darts-memory",
]


# ---------------------------------------------------------------- works


def test_the_works_have_the_names_that_the_goals_name():
    assert list(WORKS) == NAMES


QUICK = {"darts-train", "darts-shapley-frozen", "nb201-train-bf16", "nb201-fitness", "data"}
"""One work of each kind; the others are slow."""


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NAMES],
)
def test_every_work_gives_a_row(name):
    row = WORKS[name].row(TINY)
    assert row.failed is None
    shown = json.loads(json.dumps(row.to_json()))
    assert list(shown)[:5] == ["work", "ratio", "low", "high", "runs"]
    assert {"unit", "at_least", "aim", "lower_is_better", "threads", "date", "torch"} <= set(shown)
    assert shown["work"] == name
    assert 0 <= shown["low"] <= shown["ratio"] <= shown["high"]
    # In a process that is large already, a tiny step may take no new memory.
    assert shown["ratio"] > 0 or name == "darts-memory"
    assert shown["parity"]


def test_a_work_without_parity_has_no_ratio_and_fails_the_command(monkeypatch):
    def apart(setting):
        parity.Report().check("logits, float64", 0.5, parity.DOUBLE)
        return Measured(Ratio(1.0, 1.0, 1.0))

    broken = Work("darts-eval", 2.4, 4.0, "times as fast", apart)
    row = broken.row(TINY)
    assert "ratio" not in row.to_json()
    assert (
        row.to_json()["failed"] == "no parity: logits, float64 differ by 5.0e-01, more than 1e-10"
    )
    monkeypatch.setitem(WORKS, "darts-eval", broken)
    done = _command("darts-eval", "--json", "--quick", "--threads", "1")
    assert done.exit_code == 1
    assert "no parity" in json.loads(done.stdout)["failed"]


def test_a_defect_in_one_work_is_a_failed_row(capsys):
    def defect(setting):
        raise ValueError("negative size")

    assert Work("mine", 1.0, 1.0, "x", defect).row(TINY).failed == "ValueError: negative size"
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("error", [float("nan"), 2e-10])
def test_an_error_that_is_no_number_or_too_large_is_no_parity(error):
    with pytest.raises(parity.ParityError, match="logits differ"):
        parity.Report().check("logits", error, parity.DOUBLE)


def test_gradients_in_single_precision_are_judged(monkeypatch):
    monkeypatch.setattr(parity, "SINGLE_GRADIENTS", 1e-12)
    with pytest.raises(parity.ParityError, match="our gradients, float32 differ by"):
        parity.training(NETS["nasbench201"], 2)


# ---------------------------------------------------------------- the textbook and ours


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("removed", [0, 9])
def test_the_textbook_computes_what_ours_computes(name, removed):
    pair = NETS[name]
    ours, reference = pair.both(dtype=torch.float64)
    mixture = pair.mixture(1).without_all(pair.order(1)[:removed])
    mixture = Mixture(mixture.weights.double(), mixture.active)
    batch = pair.batch(1, torch.float64)
    found = ours.probe.logits(mixture, batch.images).detach()
    expected = reference(pair.images(1, torch.float64).images, mixture.weights).detach()
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert expected.std() > 1e-3


def test_weights_are_paired_by_what_they_belong_to():
    pair = NETS["darts"]
    ours, reference = pair.both()
    pairs = matched(ours.branch.supernet, reference)
    assert len(pairs) == len(list(reference.parameters()))
    assert all(torch.equal(one, other) for _, one, other in pairs)
    narrow = NETS["partial"].reference()
    with pytest.raises(NastkError, match="different weights"):
        matched(ours.branch.supernet, narrow)


def test_frozen_norms_keep_the_statistics_of_the_first_mixture():
    pair = NETS["darts"]
    reference = pair.reference()
    images, mixings = pair.images(0), [pair.mixture(0).weights, pair.mixture(1).weights]
    as_trained = losses(reference, mixings, images)
    freeze(reference, mixings[0], images)
    frozen = losses(reference, mixings, images)
    assert frozen[0] == pytest.approx(as_trained[0], rel=1e-5)
    assert abs(frozen[1] - as_trained[1]) > 1e-4


def test_a_shuffle_deals_the_channels_in_turn():
    channels = torch.arange(6.0).reshape(1, 6, 1, 1)
    assert shuffled(channels, 3).flatten().tolist() == [0, 2, 4, 1, 3, 5]


# ---------------------------------------------------------------- arithmetic


@pytest.mark.parametrize(
    "above, below, expected",
    [
        ([4.0, 6.0, 5.0], [2.0, 2.0, 2.0], (2.5, 2.0, 3.0)),
        ([1.0, 9.0, 2.0], [1.0, 3.0, 4.0], (2.0 / 3.0, 0.5, 3.0)),
        ([3.0], [6.0], (0.5, 0.5, 0.5)),
    ],
)
def test_a_ratio_is_of_medians_and_its_range_of_pairs(above, below, expected):
    assert ratio(above, below) == pytest.approx(expected)


def test_actions_take_turns_and_the_warm_up_is_not_counted():
    calls = []
    actions = {name: lambda run, name=name: calls.append((name, run)) for name in "ab"}
    taken = interleaved(actions, runs=2)
    assert calls == [("a", 2), ("b", 2), ("a", 0), ("b", 0), ("b", 1), ("a", 1)]
    assert {name: len(runs) for name, runs in taken.items()} == {"a": 2, "b": 2}


def test_time_of_a_part_is_divided_by_its_share(monkeypatch):
    made_up = {"reference": [Spent(1.0, 2.0), Spent(3.0, 2.0)], "ours": [Spent(1.0, 1.0)] * 2}
    monkeypatch.setattr("benchmarks.works.setting.interleaved", lambda *given: made_up)
    share = (0.25, 0.5).__getitem__
    measured, _ = compared(TINY, print, print, share=share)
    assert measured.ratio == Ratio(5.0, 4.0, 6.0)
    assert measured.extra["wall_ratio"] == 6.0


@pytest.mark.parametrize(
    "value, lower, reached",
    [
        (3.0, False, "aim"),
        (1.7, False, "at least"),
        (1.6, False, "no"),
        (0.3, True, "aim"),
        (0.6, True, "at least"),
        (0.7, True, "no"),
    ],
)
def test_a_row_says_which_bound_it_reached(value, lower, reached):
    bounds = (0.65, 0.4) if lower else (1.7, 3.0)
    row = Row("mine", 5, "unit", *bounds, lower, Ratio(value, value, value))
    assert row.reached == reached
    assert table([row]).row_count == 1


def test_the_exponent_of_a_power_law_is_found():
    assert slope([1, 2, 4], [3.0, 12.0, 48.0]) == pytest.approx(2.0)
    axis = Axis("batch", "images", (2, 4), Job("train", "darts"), lambda job, value: job, 1, 1)
    points = [{"cpu": 1.0, "peak": 2.0**20}, {"cpu": 2.0, "peak": 2.0**21}]
    header, _, time, memory = lines(axis, points)
    assert header == "| batch (images) | 2 | 4 | exponent | at most |"
    assert time == "| CPU seconds | 1 | 2 | 1.00 | 1 |"
    assert memory == "| peak memory, MiB | 1 | 2 | 1.00 | 1 |"


@pytest.mark.slow
@pytest.mark.parametrize("action, space", [("order", "darts"), ("population", "nasbench201")])
def test_jobs_of_the_growth_tables_measure_something(action, space):
    options = NETS[space].options
    assert here(Job(action, space, dict(options), 8, 3, alive=1, count=2))["cpu"] > 0


# ---------------------------------------------------------------- the command


def _command(*arguments):
    from typer import Typer

    app = Typer()
    app.command()(main)
    return CliRunner().invoke(app, list(arguments))


def test_an_unknown_work_is_one_line_and_exit_status_2():
    done = _command("darts-trian")
    assert done.exit_code == 2
    assert "No work is named 'darts-trian'. Did you mean 'darts-train'?" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_table_names_works_and_bounds():
    done = _command("data", "--quick", "--runs", "1", "--threads", "1")
    assert done.exit_code == 0
    assert "data" in done.stdout
    assert "times as fast" in done.stdout


# ---------------------------------------------------------------- the GPU check


@pytest.mark.slow
def test_the_gpu_check_runs_whole_in_miniature_and_goes_on_at_a_second_call(tmp_path):
    found = Check(tmp_path, None, minutes=3, device="cpu").run()
    assert found["tests"]["exit_status"] in (0, 5)
    for apart in found["parity"].values():
        assert set(apart) == {"logits", "gradients", "textbook_logits"}
        assert max(apart.values()) == 0  # this device is the CPU
    assert [(row["space"], row["variant"]) for row in found["speed"]] == [
        (space, variant) for space in ("darts", "nasbench201") for variant in VARIANTS
    ]
    for row in found["speed"]:
        assert row["images_per_second"] > 0 if "graphs" not in row["variant"] else row["skipped"]
    assert found["search"]["epochs"] == 2 and found["search"]["finished"]
    assert json.loads((tmp_path / "gpu.json").read_text()) == found
    assert (tmp_path / "gpu.md").read_text().count("| nasbench201 |") == len(VARIANTS)
    again = Check(tmp_path, None, minutes=3, device="cpu").search(60.0)
    assert again["architecture"] == found["search"]["architecture"]


def test_a_part_of_the_gpu_check_that_fails_leaves_the_others_their_figures(tmp_path, monkeypatch):
    monkeypatch.setattr(Check, "tests", lambda check: {"exit_status": 0})
    monkeypatch.setattr(Check, "speed", lambda check: [])
    monkeypatch.setattr(Check, "search", lambda check, seconds: {"epochs": 0})
    monkeypatch.setattr(gpu, "apart", lambda pair, device: 1 / 0)
    found = Check(tmp_path, None, minutes=1, device="cpu").run()
    assert "ZeroDivisionError" in found["parity"]["failed"]
    assert found["search"] == {"epochs": 0}


@pytest.mark.parametrize(("images", "message"), [("nowhere", "is no folder of images")])
def test_the_gpu_check_says_what_is_wrong_before_it_begins(tmp_path, images, message):
    with pytest.raises(NastkError, match=message):
        Check(tmp_path / "out", tmp_path / images, minutes=1, device="cpu").run()


def test_a_command_is_stopped_when_its_time_is_over():
    # Where the tests run in the background, SIGINT is ignored unless a program asks for it.
    program = (
        "import signal, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "try: time.sleep(60)\nexcept KeyboardInterrupt: print('stopped')"
    )
    assert for_a_while([sys.executable, "-c", program], 1.5).strip() == "stopped"
