"""The runs of a study: a folder that is a queue, executors, runs that fail."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest
from cli_kit import called
from core_kit import answering
from test_kills import ending

import nastk
from nastk import ConfigurationError, Continuation, JobReport, NastkError, StopRequested, catalogue
from nastk.base.hookspecs import Offer
from nastk.base.plugins import Installed
from nastk.runs import executing, executor
from nastk.runs.folder import RunFolder
from nastk.runs.job import Job
from nastk.runs.study import plan

TOY = {"data": "toy", "trainer": {"epochs": 1, "batch_size": 48, "threads": 1}}
RANDOM = nastk.use("random", candidates=2)


def study(out, updaters=(RANDOM,), **changes):
    return nastk.compare("toy", updaters, out=out, **{**TOY, "seeds": [0, 1], **changes})


def installed(monkeypatch, kind, component):
    offer = Offer(component.name, component.summary, "nowhere:Class")
    one = Installed(kind, offer, "this-test", "0", component)
    monkeypatch.setitem(catalogue().installed[kind], component.name, [one])


@pytest.fixture
def failing(monkeypatch):
    """A list of errors: runs of the updater `answering` raise and remove the first one each."""
    errors = []

    def after_epoch(probe):
        if errors:
            raise errors.pop(0)
        return [Continuation(probe.subspace)]

    installed(monkeypatch, "updater", answering(after_epoch=after_epoch))
    return errors


def states(out):
    return {path.name: RunFolder(path).state() for path in sorted(out.glob("*-seed*"))}


def test_a_run_that_fails_is_kept_with_its_reason_and_the_others_go_on(tmp_path, failing):
    failing.append(ValueError("no idea"))
    heard = []
    found = study(tmp_path, ["answering", RANDOM], hear=heard.append)
    assert [(cell.label, cell.seed) for cell in found.cells] == [
        ("answering", 1),
        ("random(candidates=2)", 0),
        ("random(candidates=2)", 1),
    ]
    (failure,) = found.failures
    assert (failure.label, failure.seed) == ("answering", 0)
    assert "failed: ValueError: no idea" in failure.reason
    assert [report.job for report in heard if report.kind == "failed"] == ["answering, seed 0"]
    rows = json.loads((tmp_path / "study.json").read_text())
    assert rows[0]["seeds"] == [1]
    assert (
        rows[0]["failed"] == [{"seed": 0, "run": "answering-seed0", "reason": failure.reason}]
        and "failed" not in rows[1]
    )
    assert nastk.Study.load(tmp_path).failures == [failure]
    # The same command leaves it alone; asked to, it goes on from the checkpoint.
    assert study(tmp_path, ["answering", RANDOM]).failures == [failure]
    heard.clear()
    again = study(tmp_path, ["answering", RANDOM], retry_failed=True, hear=heard.append)
    assert again.failures == [] and len(again.cells) == 4
    assert {report.job for report in heard} == {"answering, seed 0"}


def test_the_command_says_what_failed_and_ends_with_1(workplace, failing):
    failing.extend([ValueError("no idea")] * 2)
    words = "compare --space toy --updater answering --data toy --epochs 1 --seeds 0-1 --out s -q"
    code, out, err = called(*words.split(), "-t", "batch_size=48", "-u", "random.candidates=2")
    assert code == 1
    assert "answering, seed 0 failed: " in err
    assert "error: 2 of 4 runs of the study failed, the first of them answering, seed 0:" in err
    assert "--retry-failed" in err
    assert out.count("ValueError: no idea") == 2 and "random" in out
    code, shown, _ = called("compare", "--show", "s")
    assert code == 0 and shown.count("ValueError: no idea") == 2
    code, values, _ = called("compare", "--show", "s", "--json")
    rows = {row["updater"]: row for row in json.loads(values)["rows"]}
    assert [each["seed"] for each in rows["answering"]["failed"]] == [0, 1]


def test_a_study_ends_once_too_many_runs_have_failed(tmp_path, failing):
    failing.extend([ValueError("no idea")] * 3)
    with pytest.raises(
        NastkError, match=r"as 2 runs failed \(--max-failures 2\), the last one, an"
    ):
        study(tmp_path, ["answering", RANDOM], seeds=[0, 1, 2], max_failures=2)
    assert states(tmp_path) == {
        "answering-seed0": "failed",
        "answering-seed1": "failed",
        "random-candidates=2-seed0": "finished",
    }
    with pytest.raises(NastkError, match="2 runs failed"):
        study(tmp_path, ["answering", RANDOM], seeds=[0, 1, 2], max_failures=2)
    assert len(states(tmp_path)) == 3


def test_all_updaters_have_a_seed_before_the_next_begins(tmp_path):
    began = []
    study(tmp_path, ["darts", RANDOM], seeds=[5, 2], hear=lambda report: began.append(report.job))
    assert list(dict.fromkeys(began)) == [
        "darts, seed 5",
        "random(candidates=2), seed 5",
        "darts, seed 2",
        "random(candidates=2), seed 2",
    ]


def test_a_run_that_cannot_even_begin_has_failed_and_is_begun_anew(tmp_path, monkeypatch):
    begins = Job._begun
    monkeypatch.setattr(Job, "_begun", lambda self, *given: 1 / 0)
    found = study(tmp_path)
    assert [failure.reason for failure in found.failures] == [
        "ZeroDivisionError: division by zero"
    ] * 2
    assert found.rows[0]["metrics"] == {}
    monkeypatch.setattr(Job, "_begun", begins)
    assert len(study(tmp_path, retry_failed=True).cells) == 2


@pytest.mark.parametrize("channels", [(2, 6), (6, 2)])
def test_the_memory_of_a_workload_is_that_of_its_largest_run_on_any_problem(
    channels, tmp_path, monkeypatch
):
    def peak(config):
        return 100 * json.loads(config)["space"]["options"]["channels"]

    monkeypatch.setattr(executor, "_peak", peak)
    spaces = [nastk.use("toy", channels=each) for each in channels]
    cells = plan({"space": spaces, **TOY}, [RANDOM], [0, 1], tmp_path)
    assert executor.Workload(Job.of(cells)).memory() == 600


def test_a_failure_that_cannot_be_written_ends_the_study(tmp_path, monkeypatch):
    def failed(self, reason):
        return JobReport(self.title, "failed", reason=reason)

    monkeypatch.setattr(Job, "_begun", lambda self, *given: 1 / 0)
    monkeypatch.setattr(Job, "failed", failed)
    with pytest.raises(NastkError, match="could not be written into its folder: ZeroDivisionError"):
        study(tmp_path)


def test_who_stops_the_study_from_an_observer_fails_no_run(tmp_path):
    def stop(event):
        if event.kind == "epoch-done":
            raise StopRequested("enough")

    def mistaken(event):
        raise ValueError("my own mistake")

    with pytest.raises(StopRequested, match="enough"):
        study(tmp_path, observers=[stop])
    with pytest.raises(nastk.PluginError, match="An observer of the run failed"):
        study(tmp_path, observers=[mistaken])
    assert set(states(tmp_path).values()) == {"interrupted"}


def test_runs_that_others_have_taken_are_left_to_them_and_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(executing, "PAUSE", 0.0)
    cells = plan({"space": "toy", **TOY}, [RANDOM], [0, 1, 2], tmp_path)
    others, waited, heard = ExitStack(), [], []
    for cell in cells[:2]:
        others.enter_context(cell.folder.locked())

    def wait(number):
        waited.append(number)
        if len(waited) == 3:
            others.close()  # as the system does where a process is killed

    found = study(tmp_path, seeds=[0, 1, 2], hear=heard.append, wait=wait)
    assert waited == [2, 2, 2]
    finished = [report.job for report in heard if report.kind == "finished"]
    assert [job[-1] for job in finished] == ["2", "0", "1"]
    assert len(found.cells) == 3


def test_what_another_process_has_finished_meanwhile_is_not_done_again(tmp_path):
    cells = plan({"space": "toy", **TOY}, [RANDOM], [0], tmp_path)
    study(tmp_path, seeds=[0])
    assert [report.kind for report in Job(cells[0], "random").carry_out()] == ["taken"]


class Here(nastk.Executor):
    """Carries out jobs in this process, as other processes would: from pickles."""

    name, summary = "here", "this process"
    left = 0

    def carry_out(self, work):
        try:
            for job in pickle.loads(pickle.dumps(list(work.jobs))):
                yield from job.carry_out()
        finally:
            Here.left += 1


def test_an_executor_is_named_and_its_reports_are_heard(tmp_path, monkeypatch):
    installed(monkeypatch, "executor", Here)
    heard, observed = [], []
    found = study(tmp_path, executor="here", hear=heard.append, observers=[observed.append])
    assert [report.kind for report in heard if report.kind != "event"] == ["began", "finished"] * 2
    assert [event.kind for event in observed].count("run-finished") == 2
    assert len(found.cells) == 2 and Here.left == 1

    def stop(report):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study(tmp_path, seeds=[2], executor="here", hear=stop)
    assert Here.left == 2


@pytest.mark.parametrize(
    ("executor", "message"),
    [
        ("proceses", "No executor is named 'proceses'. Did you mean 'processes'"),
        ("processes,wokers=2", "Did you mean 'workers'"),
        ("processes,workers=0", "workers must be at least 1, got 0"),
        ("workers=2", "An executor is named as NAME"),
    ],
)
def test_an_executor_that_cannot_be_is_refused_before_anything(executor, message, tmp_path):
    with pytest.raises(ConfigurationError, match=message):
        study(tmp_path / "out", executor=executor)
    assert not (tmp_path / "out").exists()


PROGRAM = """
import json, sys, nastk
request = json.loads(sys.argv[1])
if __name__ == "__main__":
    nastk.compare(**request, hear=lambda report: print(report.job, report.kind, flush=True))
"""


def started(request):
    line = [sys.executable, "-c", PROGRAM, json.dumps(request)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, text=True, start_new_session=True)


@pytest.mark.slow
def test_two_processes_killed_and_continued_by_an_executor_equal_one(tmp_path):
    """Both are killed in the middle; then two workers go on, one of which is killed too."""
    trainer = {"epochs": 8, "batch_size": 16, "threads": 1, "log_every": 1}
    request = {"space": "toy", "data": "toy", "updaters": ["darts"], "seeds": [0, 1, 2]}
    request |= {"trainer": trainer | {"checkpoint_minutes": 0.001}}
    nastk.compare(**request, out=tmp_path / "serial")
    shared = {**request, "out": str(tmp_path / "shared")}
    both = [started(shared), started(shared)]
    begun = [next(line for line in each.stdout if "began" in line) for each in both]
    assert begun[0] != begun[1]
    time.sleep(0.3)
    for each in both:
        os.killpg(each.pid, signal.SIGKILL)
        each.wait()
        each.stdout.close()
    assert "finished" not in states(tmp_path / "shared").values()
    heard, killed = [], []

    def hear(report):
        heard.append(report)
        at_work = {"began": 1, "finished": -1}
        if not killed and sum(at_work.get(each.kind, 0) for each in heard) == 2:
            killed.extend(number for number in os.listdir("/proc") if is_worker(number))
            os.kill(int(killed[0]), signal.SIGKILL)

    executor = {"name": "processes", "options": {"workers": 2, "threads": 1}}
    found = nastk.compare(**shared, executor=executor, hear=hear)
    assert [report.kind for report in heard].count("lost") == 1
    assert len(found.cells) == 6 and not found.failures
    for cell in found.cells:
        name = cell.folder.path.name
        pairs = zip(ending(cell.folder.path), ending(tmp_path / "serial" / name), strict=True)
        for one, other in pairs:
            assert one == other, name


def is_worker(number):
    """True for the number of a child of this process that is a worker."""
    if not number.isdecimal():
        return False
    try:
        with open(f"/proc/{number}/status") as status, open(f"/proc/{number}/cmdline") as line:
            ours = f"PPid:\t{os.getpid()}\n" in status.read()
            return ours and "spawn_main" in line.read()
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_processes_and_the_study_can_go_on(number, workplace):
    words = "compare --space toy --data toy --updater darts --epochs 400 --seeds 0-1 --out s"
    line = [sys.executable, "-m", "nastk", *words.split(), "-t", "batch_size=16"]
    line += ["--executor", "processes,workers=2,threads=1"]
    done = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, start_new_session=True)
    told = []
    for each in done.stderr:
        told.append(each)
        if sum("epoch 2/400" in one for one in told) == 2:
            break
    (os.killpg if number == signal.SIGINT else os.kill)(done.pid, number)
    told.append(done.stderr.read())
    assert done.wait() == 130
    done.stderr.close()
    assert "stopped: Everything is kept in s. Type the same command" in told[-1]
    found = states(workplace / "s")
    assert found == {"darts-seed0": "interrupted", "darts-seed1": "interrupted"}
    assert all(list((workplace / "s" / name / "checkpoints").iterdir()) for name in found)
