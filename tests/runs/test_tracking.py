"""Trackers of a run: each event once, in whatever parts it runs; one that fails is left out."""

import json
from typing import ClassVar

import pytest
from cli_kit import called
from run_kit import CONFIG
from run_kit import EVENTS as HISTORY

import nastk
from nastk import ConfigurationError, Edge, Offer, Tracker, UnknownNameError, catalogue
from nastk.base import MissingExtraError
from nastk.base.plugins import Installed
from nastk.report.entries import entry
from nastk.runs.folder import EVENTS, RunFolder
from nastk.runs.stored import event_of, read_events
from nastk.runs.trackers import TRACKERS
from nastk.runs.tracking import Tracking

EDGES = (Edge("a", ("conv", "skip"), "cell", 0, 1),)
LINES, _ = read_events("".join(json.dumps(line) + "\n" for line in HISTORY).encode())
TOLD = [found for line in LINES if (found := entry(line, EDGES)) is not None]
TOY = {"space": "toy", "updater": "darts", "data": "toy", "epochs": 2}


class Notes(Tracker):
    """Keeps what it is told; fails at what it is told to fail at."""

    name = "notes"
    summary = "keeps what it is told"
    told: ClassVar[list] = []
    failing: ClassVar[set] = set()

    class Options(nastk.Options):
        colour: str = "red"

    def __init__(self, options=None):
        super().__init__(options)
        if "making" in self.failing:
            raise MissingExtraError("The tracker notes needs paper.")

    def begin(self, run):
        self._may("begin")
        self.told.append(("begin", run.name, dict(run.memory), self.options.colour))
        assert run.settings["space.name"]
        return {"number": 1 + run.memory.get("number", 0)}

    def write(self, entry):
        self._may(f"step {entry.step}")
        self.told.append(entry)

    def end(self, finished):
        self._may("end")
        self.told.append(("end", finished))

    def _may(self, what):
        if what in self.failing:
            raise OSError(f"no paper at {what}")


@pytest.fixture
def notes(monkeypatch):
    """What the tracker `notes` is told."""
    offer = Offer("notes", Notes.summary, "")
    one = Installed("tracker", offer, "this-test", "0", Notes)
    monkeypatch.setitem(catalogue().installed["tracker"], "notes", [one])
    monkeypatch.setattr(Notes, "told", [])
    monkeypatch.setattr(Notes, "failing", set())
    return Notes.told


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a").mkdir()
    return RunFolder(tmp_path / "a")


def process(folder, begins, ends, asked=()):
    """A process that resumes the run at one event and leaves it before another."""
    log = folder.path / EVENTS
    log.write_text("".join(json.dumps(line) + "\n" for line in LINES[:begins]))
    tracking = Tracking.of(folder, asked)
    tracking.begin(CONFIG, EDGES)
    for line in LINES[begins:ends]:
        with open(log, "a") as file:
            file.write(json.dumps(line) + "\n")
        tracking.hear(event_of(line), line)
    tracking.end()
    return tracking


ENDED = ("end", True)
PARTS = [
    [(0, 8)],  # each process: the events of its checkpoint, and where it ends
    [(0, 5), (5, 8)],
    [(0, 6), (3, 8)],  # events after the checkpoint come again
    [(0, 6), (0, 8)],  # it had no checkpoint
    [(0, 7), (2, 4), (3, 8)],
]


@pytest.mark.parametrize("parts", PARTS)
def test_each_event_is_told_once_however_often_the_run_is_resumed(notes, folder, parts):
    for number, (begins, ends) in enumerate(parts):
        process(folder, begins, ends, ["notes"] if number == 0 else ())
    assert [each for each in notes if not isinstance(each, tuple)] == TOLD
    began = [each for each in notes if isinstance(each, tuple) and each[0] == "begin"]
    memories = [{}, *({"number": count} for count in range(1, len(parts)))]
    assert began == [("begin", "a", memory, "red") for memory in memories]
    assert notes[-1] == ENDED


def test_one_that_is_turned_on_late_is_told_what_it_missed(notes, folder):
    process(folder, 0, 4)
    assert notes == []
    assert not (folder.path / TRACKERS).exists()
    process(folder, 4, 8, [nastk.use("notes", colour="blue")])
    assert notes == [("begin", "a", {}, "blue"), *TOLD, ENDED]


@pytest.mark.parametrize("failing", ["begin", "step 1", "end"])
def test_one_that_fails_is_left_out_and_it_is_said_once(notes, folder, failing):
    Notes.failing.add(failing)
    said = rf"Tracker 'notes' \(this-test 0\) failed .*OSError: no paper at {failing}\. The run"
    with pytest.warns(RuntimeWarning, match=said) as heard:
        process(folder, 0, 8, ["notes"])
    assert len(heard) == 1
    Notes.failing.clear()
    process(folder, 8, 8)
    assert [each for each in notes if not isinstance(each, tuple)] == TOLD, "it catches up"


def test_names_come_from_the_environment_too(notes, folder, monkeypatch):
    monkeypatch.setenv("NASTK_TRACK", " notes, ")
    process(folder, 0, 1)
    assert notes[0] == ("begin", "a", {}, "red")


REFUSED = [
    ("nots", UnknownNameError, r"No tracker is named 'nots'\. Did you mean 'notes'"),
    ("notes,color=blue", ConfigurationError, r"color"),
    ("notes,blue", ConfigurationError, r"A tracker is named as NAME\[,OPTION=VALUE"),
    ("colour=blue", ConfigurationError, r"A tracker is named as NAME"),
]


@pytest.mark.parametrize(("asked", "error", "said"), REFUSED)
def test_what_cannot_be_tracked_is_refused_before_there_is_a_folder(
    notes, tmp_path, asked, error, said
):
    with pytest.raises(error, match=said):
        nastk.search(**TOY, out=tmp_path / "run", trackers=[asked])
    assert not (tmp_path / "run").exists()


def test_a_missing_library_is_an_error_where_it_is_asked_for_and_else_a_notice(notes, folder):
    process(folder, 0, 4, ["notes,colour=blue"])
    Notes.failing.add("making")
    with pytest.raises(MissingExtraError, match="notes needs paper"):
        Tracking.of(folder, ["notes"])
    left = Tracking.of(folder, [])
    assert left.trackers.tracked == []
    assert left.notices == [
        "The run goes on without its tracker 'notes'. The tracker notes needs paper."
    ]


@pytest.mark.parametrize("content", ["", "[]", '{"notes": 3}', '{"notes": {"memory": 3}}'])
def test_a_damaged_memory_begins_anew(notes, folder, content):
    (folder.path / TRACKERS).write_text(content)
    process(folder, 0, 8, ["notes"])
    assert notes == [("begin", "a", {}, "red"), *TOLD, ENDED]


def test_a_search_that_is_stopped_and_resumed_is_the_same_with_a_tracker(notes, tmp_path):
    alone = nastk.search(**TOY, out=tmp_path / "alone")
    with nastk.stream(
        {"space": "toy", "updater": "darts", "data": "toy", "trainer": {"epochs": 2}},
        out=tmp_path / "run",
        trackers=["notes"],
    ) as events:
        next(event for event in events if event.kind == "epoch-done")
    assert notes[-1] == ("end", False)
    result = nastk.resume(tmp_path / "run")
    assert notes[-1] == ENDED
    assert result.architecture == alone.architecture
    edges = nastk.catalogue().load("space", "toy")().edges
    found = [entry(line, edges) for line in result.history]
    assert [each for each in notes if not isinstance(each, tuple)] == [
        each for each in found if each is not None
    ]


@pytest.mark.slow  # of two runs
def test_each_run_of_a_study_has_its_own(notes, tmp_path):
    nastk.compare(
        "toy", ["darts"], "toy", seeds=[3], trainer={"epochs": 1}, out=tmp_path, trackers=["notes"]
    )
    began = [each for each in notes if isinstance(each, tuple) and each[0] == "begin"]
    assert [(name, memory) for _, name, memory, _ in began] == [
        ("darts-seed3", {}), ("random-seed3", {})
    ]  # fmt: skip


def test_the_command_line_turns_one_on(notes, workplace):
    words = ["search", "--space", "toy", "--updater", "random", "--data", "toy", "--epochs", "1"]
    Notes.failing.add("begin")
    with pytest.warns(RuntimeWarning, match="no paper at begin"):
        code, _, _ = called(*words, "--out", "a", "--track", "notes,colour=blue", "--quiet")
    assert code == 0
    Notes.failing.clear()
    code, _, err = called("resume", "a", "--track", "notes")
    assert code == 0 and "finished already" in err
