"""The contract of trackers, as tests to inherit.

    class TestMine(TrackerContract):
        tracker = Mine

pytest collects the inherited tests. They take milliseconds, beside the tracker's library.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from nastk.report.entries import Entry
from nastk.runs.tracker import TrackedRun, Tracker
from nastk.testing.updater_contract import check_component

ENTRIES = (
    Entry(1, 10, 1.0, {"train/loss": 2.5, "train/accuracy": 0.25}, {}),
    Entry(2, 20, 2.0, {"train/loss": 1.5, "train/accuracy": 0.5}, {"branches": "a split"}),
    Entry(2, 20, 3.0, {"evaluation/size/parameters": 1e6}, {"architecture": "conv,skip"}),
)


class TrackerContract:
    """The contract of trackers.

    Set `tracker`, and `options` with which it needs no server.
    """

    tracker: ClassVar[type[Tracker]]
    options: ClassVar[Mapping[str, Any]] = {}

    def made(self) -> Tracker:
        """Returns a new tracker with the options of this test."""
        return self.tracker(self.tracker.parse_options(self.options))

    def run(self, folder: Path, memory: Mapping[str, Any] | None = None) -> TrackedRun:
        """Returns the run in `folder`, which exists; `memory` is what an earlier `begin` gave."""
        folder.mkdir(exist_ok=True)
        return TrackedRun(folder, {"seed": 0, "updater.options.samples": 10}, memory or {})

    def test_component(self) -> None:
        """Name, summary and options are as every component's."""
        check_component(self.tracker)

    def test_it_is_told_of_a_whole_run(self, tmp_path: Path) -> None:
        """It takes numbers and texts, and nothing of the run's folder is changed that was there."""
        run = self.run(tmp_path / "run")
        (run.folder / "events.jsonl").write_text("{}\n")
        tracker = self.made()
        memory = tracker.begin(run)
        assert json.loads(json.dumps(dict(memory))) == dict(memory), "`begin` must return JSON"
        for entry in ENTRIES:
            tracker.write(entry)
        tracker.end(True)
        assert (run.folder / "events.jsonl").read_text() == "{}\n"

    def test_another_process_goes_on_with_the_same_record(self, tmp_path: Path) -> None:
        """What the first `begin` returned is returned again when it is given back."""
        tracker = self.made()
        memory = dict(tracker.begin(self.run(tmp_path / "run")))
        tracker.write(ENTRIES[0])
        tracker.end(False)
        again = self.made()
        assert dict(again.begin(self.run(tmp_path / "run", memory))) == memory
        for entry in ENTRIES[1:]:
            again.write(entry)
        again.end(True)

    def test_two_runs_have_a_tracker_each(self, tmp_path: Path) -> None:
        """They may be told in turns, as those of a study's processes are."""
        first, second = self.made(), self.made()
        first.begin(self.run(tmp_path / "a"))
        second.begin(self.run(tmp_path / "b"))
        for entry in ENTRIES:
            first.write(entry)
            second.write(entry)
        first.end(True)
        second.end(True)
