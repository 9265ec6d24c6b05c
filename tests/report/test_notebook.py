"""A search in a notebook: one display that is drawn anew; elsewhere nothing."""

import os
import sys
from types import SimpleNamespace

import pytest

import nastk
from nastk.base.events import EpochDone, RunStarted, StepDone, UpdaterWorking
from nastk.report import notebook
from nastk.report.notebook import NotebookView, in_notebook, shown


@pytest.fixture
def drawn(monkeypatch):
    """What a stand-in of IPython in a notebook draws: bundles, with None at each new display."""
    bundles = []

    def draw(view):
        bundles.append(view._repr_mimebundle_())

    def display(view, display_id):
        assert display_id is True
        bundles.append(None)
        draw(view)
        return SimpleNamespace(update=draw)

    shell = SimpleNamespace(kernel=object())
    module = SimpleNamespace(get_ipython=lambda: shell, display=SimpleNamespace(display=display))
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", module.display)
    monkeypatch.setattr(notebook, "PAUSE", 0.0)
    return bundles


SHELLS = [
    ({}, False),
    ({"IPython": SimpleNamespace(get_ipython=lambda: None)}, False),
    ({"IPython": SimpleNamespace(get_ipython=lambda: SimpleNamespace())}, False),
    ({"IPython": SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=1))}, True),
]


@pytest.mark.parametrize(("modules", "answer"), SHELLS)
def test_a_notebook_is_known_by_its_kernel(modules, answer, monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    assert in_notebook() is answer


def test_bars_move_and_go_and_lines_stay(drawn):
    with NotebookView(2, 50, "darts, seed 0") as view:
        view(RunStarted("0", 0, 0, 2, 50))
        view(StepDone("0", 0, 25, loss=0.75, accuracy=0.5))
        view(UpdaterWorking("0", 0, 25, "measuring <b>", 3, 60))
        assert drawn[-1]["text/html"].startswith("<pre style=")
        assert "measuring &lt;b&gt;" in drawn[-1]["text/html"]
        during = drawn[-1]["text/plain"]
        view(EpochDone("0", 1, 50, loss=0.5, accuracy=0.75))
    assert "epoch 1/2" in during and "loss 0.750, 50.0%" in during and "3/60" in during
    assert [line.rstrip() for line in drawn[-1]["text/plain"].splitlines()] == [
        "darts, seed 0",
        "2 epochs of 50 steps",
        "epoch 1/2  loss 0.500  accuracy 75.0%  learning rate 0.0000  images 0",
    ]
    assert drawn.count(None) == 1


def test_a_long_search_keeps_its_newest_lines(drawn):
    with NotebookView(300, 1) as view:
        for epoch in range(1, 201):
            view(EpochDone("0", epoch, epoch))
    lines = drawn[-1]["text/plain"].splitlines()
    assert len(lines) == notebook.MOST + 1
    assert lines[0].startswith("... 185 earlier lines")
    assert lines[-1].startswith("epoch 200/300")


def test_it_is_drawn_no_more_often_than_one_can_read(drawn, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(notebook, "PAUSE", 0.25)
    monkeypatch.setattr(notebook, "monotonic", lambda: now[0])
    with NotebookView(1, 100) as view:
        for step in range(100):
            now[0] = step / 16  # sixteen steps a second
            view(StepDone("0", 0, step))
    assert len(drawn) - 3 == 25, "besides the display, its first state and its last"


def test_a_study_shows_each_run_by_its_name(drawn, tmp_path):
    nastk.compare("toy", [], "toy", seeds=[3], trainer={"epochs": 1}, out=tmp_path / "study")
    assert drawn.count(None) == 1
    assert drawn[-1]["text/plain"].startswith("random, seed 3")
    assert "epoch 1/1" in drawn[-1]["text/plain"]


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("there", [True, False])
def test_a_search_shows_itself_only_in_a_notebook_and_where_it_may(
    drawn, monkeypatch, wanted, there
):
    if not there:
        monkeypatch.delitem(sys.modules, "IPython")
    observers = []
    with shown(observers, 2, 50, wanted=wanted):
        assert bool(observers) is (wanted and there)
    assert bool(drawn) is (wanted and there)


CELL = """
import nastk
result = nastk.search("toy", "random", "toy", epochs=2, out="run")
"""


@pytest.mark.slow  # a kernel starts, and imports torch
@pytest.mark.filterwarnings("ignore")  # those of the notebook's packages
def test_an_executed_notebook_shows_the_search_in_one_display(tmp_path, monkeypatch):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    written = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    client = nbclient.NotebookClient(
        written,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    (output,) = written.cells[0].outputs
    assert output.output_type == "display_data"
    assert "2 epochs of" in output.data["text/plain"]
    assert "epoch 2/2" in output.data["text/html"]
    assert "training" not in output.data["text/plain"], "the bars have gone"
