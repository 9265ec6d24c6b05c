"""The executor `ray`: what a run asks of a node, what is heard of it, a cluster whose node dies."""

import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
import torch

import nastk
from nastk.runs import checkpoint
from nastk.runs.folder import RunFolder
from nastk.runs.job import Job
from nastk.runs.study import plan
from nastk.testing import fingerprint
from nastk_ray import executor, reports
from nastk_ray.executor import Ray
from nastk_ray.needs import missing, needs
from nastk_ray.reports import REPEATED, Heard
from nastk_ray.task import carry_out

GIB = 2**30


@dataclass
class Work:
    """What the executor asks of a workload."""

    device: str = "auto"
    threads: int = 0

    @property
    def jobs(self):
        config = SimpleNamespace(device=self.device)
        return [SimpleNamespace(cell=SimpleNamespace(config=config))]

    def memory(self):
        return 3 * GIB


PLAIN = {"num_cpus": 1, "num_gpus": 0.0, "resources": {}, "max_retries": 3, "memory": 3 * GIB}
ON_GPU = {"num_cpus": 1, "num_gpus": 1.0, "resources": {}, "max_retries": 3}


@pytest.mark.parametrize(
    ("work", "options", "cluster", "asked"),
    [
        (Work(), {}, {"CPU": 8}, PLAIN),
        (Work(threads=2), {}, {"CPU": 8}, PLAIN | {"num_cpus": 2}),
        (Work(threads=2), {"cpus": 4}, {"CPU": 8}, PLAIN | {"num_cpus": 4}),
        (Work(), {}, {"CPU": 8, "GPU": 2}, ON_GPU),
        (Work("cpu"), {}, {"CPU": 8, "GPU": 2}, PLAIN),
        (Work("cuda"), {}, {"CPU": 8}, ON_GPU),
        (Work(), {"gpus": 0.5}, {"GPU": 1}, ON_GPU | {"num_gpus": 0.5}),
        (Work(), {"memory": 2.0}, {"GPU": 1}, ON_GPU | {"memory": 2 * GIB}),
        (Work(), {"memory": 0.0}, {}, {name: PLAIN[name] for name in PLAIN if name != "memory"}),
        (Work(), {"resources": {"large": 1.0}}, {}, PLAIN | {"resources": {"large": 1.0}}),
    ],
)
def test_a_run_asks_for_its_threads_its_device_and_its_memory(work, options, cluster, asked):
    assert needs(work, Ray.parse_options(options), cluster) == asked


@pytest.mark.parametrize(
    ("nodes", "is_missing"),
    [
        ([{"CPU": 1, "memory": 4 * GIB}], False),
        ([{"CPU": 1, "memory": 2 * GIB}, {"memory": 4 * GIB}], True),
        ([], True),
    ],
)
def test_what_no_node_has_is_said(nodes, is_missing):
    said = missing(PLAIN, nodes)
    assert bool(said) == is_missing
    if is_missing:
        assert "has what a run asks for (CPU 1, memory " in said


class RayError(Exception):
    """Stands for the errors of Ray."""


class Queue(list):
    """Stands for a queue of the cluster, and for Ray: nothing is waited for but the last report."""

    def __init__(self):
        self.waited = []
        self.actor = SimpleNamespace(put_nowait=SimpleNamespace(remote=self.put))

    def put(self, message):
        assert not self.waited
        self.append(message)
        return len(self)

    def wait(self, numbers, timeout):
        self.waited += numbers


@pytest.fixture
def job(tmp_path):
    trainer = {"epochs": 1, "batch_size": 48}
    cells = plan({"space": "toy", "data": "toy", "trainer": trainer}, ["random"], [0], tmp_path)
    return Job.of(cells)[0].absolute()


def test_a_folder_that_a_node_does_not_see_fails_the_run_and_says_so(job, tmp_path):
    _, report = carry_out(pickle.dumps(job), 1, Queue())
    assert report.kind == "failed" and f"does not see {tmp_path}" in report.reason
    assert isinstance(report, nastk.JobReport)


def test_a_task_sends_what_is_heard_before_its_end_and_returns_its_end(job, tmp_path, monkeypatch):
    queue = Queue()
    monkeypatch.setattr(reports, "library", lambda *words: queue)
    (tmp_path / "protocol.json").touch()
    attempt, ending = carry_out(pickle.dumps(job), torch.get_num_threads(), queue)
    sent = [pickle.loads(message) for message in queue]
    assert ending == nastk.JobReport("random, seed 0", "finished")
    assert {by for by, _ in sent} == {attempt} and sent[0][1].kind == "began"
    events = [report.event for _, report in sent[1:]]
    stored = (job.folder.path / "events.jsonl").read_text().splitlines()
    assert [event.kind for event in events] == [json.loads(line)["kind"] for line in stored]
    assert queue.waited == [len(queue)]


def say(*kinds, by="first", job="a"):
    """Messages of an attempt."""
    return [(by, nastk.JobReport(job, kind)) for kind in kinds]


@pytest.mark.parametrize(
    ("messages", "kinds"),
    [
        (say("began", "event", "finished"), ["began", "event", "finished"]),
        (
            [*say("began", "event"), *say("began", "finished", by="second")],
            ["began", "event", "lost", "began", "finished"],
        ),
        (
            [*say("began"), *say("taken", by="second"), *say("event")],
            ["began", "taken", "event"],  # the first attempt was only out of sight
        ),
        (
            [*say("began"), *say("began", by="second"), *say("event")],
            ["began", "lost", "began"],
        ),
        (
            [*say("began"), *say("began", by="other", job="b"), *say("event")],
            ["began", "began", "event"],
        ),
    ],
)
def test_each_report_is_heard_once_and_another_attempt_is_told(messages, kinds):
    heard = Heard()
    found = [report for message in messages for report in heard.reports(message)]
    assert [report.kind for report in found] == kinds
    assert all((report.reason == REPEATED) == (report.kind == "lost") for report in found)


class StandIn:
    """Stands for Ray and for the inbox: at each look the next moment of a story happens.

    A moment is a list of messages that tasks sent, and of (task, what it returned or raised).
    """

    exceptions = SimpleNamespace(RayError=RayError)

    def __init__(self, *story):
        self.story, self.queue, self.tasks, self.done = list(story), [], [], []
        self.results, self.arrived = {}, []

    def is_initialized(self):
        return True

    def cluster_resources(self):
        return {"CPU": 2}

    def nodes(self):
        return []

    def remote(self, **asked):
        self.asked = asked
        return lambda function: SimpleNamespace(remote=self.begin)

    def begin(self, pickled, threads, queue):
        assert queue is self.queue
        self.tasks.append(f"task {len(self.tasks)}")
        return self.tasks[-1]

    def wait(self, tasks, num_returns, timeout):
        for one in self.story.pop(0) if self.story else ():
            if one[0] in self.tasks:
                self.results[one[0]] = one[1]
            else:
                self.arrived.append(one)
        return [task for task in tasks if task in self.results], []

    def get(self, task):
        if isinstance(self.results[task], Exception):
            raise self.results[task]
        return self.results[task]

    def messages(self):
        yield from self.arrived
        self.arrived = []

    def cancel(self, task):
        self.done.append(task)
        self.results[task] = None

    def close(self):
        self.done.append("inbox")


@dataclass
class OneOf:
    """A job of a story."""

    title: str

    @property
    def cell(self):
        return SimpleNamespace(config=SimpleNamespace(device="cpu"))

    def failed(self, reason):
        return nastk.JobReport(self.title, "failed", reason=reason)


def heard_of(monkeypatch, ray):
    """The reports of the executor on the jobs `a` and `b` in a story."""
    monkeypatch.setattr(executor, "PAUSE", 0.0)
    monkeypatch.setattr(executor, "library", lambda *words: ray)
    monkeypatch.setattr(executor, "Inbox", lambda ray: ray)
    monkeypatch.setattr(executor, "missing", lambda asked, nodes: "")
    work = SimpleNamespace(jobs=[OneOf("a"), OneOf("b")], threads=1, memory=lambda: GIB)
    return Ray().carry_out(work)


def test_reports_are_heard_while_runs_train(monkeypatch):
    ending = nastk.JobReport("a", "finished")
    ray = StandIn(
        say("began", "event"),
        [*say("event"), *say("began", job="b", by="other")],
        [],
        [*say("event"), ("task 0", ("first", ending))],
        [("task 1", RayError("\n  its node is gone\n  traceback"))],
    )
    found, kinds = heard_of(monkeypatch, ray), []
    for report in found:
        kinds.append((report.job, report.kind))
        assert (len(ray.results) > 0) == (len(kinds) > 4)  # nothing waits for an end
    assert kinds == [("a", "began"), ("a", "event"), ("a", "event"), ("b", "began"),
                     ("a", "event"), ("a", "finished"), ("b", "failed")]  # fmt: skip
    assert report.reason == "Ray lost it: its node is gone" and ray.done == ["inbox"]


def test_a_cluster_that_is_not_found_is_said(monkeypatch):
    def init(**words):
        try:
            raise RayError("The token is missing.\n  Traceback")
        except RayError:
            raise ConnectionError("Failed to connect to Ray cluster") from None

    ray = StandIn()
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init, raising=False)
    with pytest.raises(
        nastk.ConfigurationError, match=r"\(address: none was named\): The token is"
    ):
        list(heard_of(monkeypatch, ray))


def test_who_leaves_the_loop_cancels_the_tasks(monkeypatch):
    ray = StandIn(say("began", "event"))
    found = heard_of(monkeypatch, ray)
    assert next(found).kind == "began"
    found.close()
    assert ray.done == ["task 0", "task 1", "inbox"]


PROGRAM = """
import json, sys, nastk
request = json.loads(sys.argv[1])
def hear(report):
    event = report.event.to_json() if report.event else {}
    seen = report.job, report.kind, event.get("kind"), event.get("epoch")
    print(json.dumps(seen), flush=True)
study = nastk.compare(**request, hear=hear)
print(json.dumps([failure.reason for failure in study.failures]))
"""


def port():
    """A free one."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Cluster:
    """Nodes of Ray on this machine, each in a session of its own, so that it can be killed."""

    def __init__(self):
        self.place = tempfile.mkdtemp(prefix="r", dir="/tmp")  # sockets need a short path
        self.address = f"127.0.0.1:{port()}"
        self.nodes = []

    def start(self, *words):
        ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
        more = ["--num-cpus=1", '--resources={"machine": 1}', "--disable-usage-stats"]
        more += ["--object-store-memory=80000000", "--memory=4000000000"]
        with open(f"{self.place}/log{len(self.nodes)}", "w") as log:
            node = subprocess.Popen(
                [*ray, *words, *more], stdout=log, stderr=log, start_new_session=True
            )
        self.nodes.append(node)

    def kill(self, node):
        """Kill all processes of a node."""
        for number in session(node.pid):
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        node.wait()

    def close(self):
        for node in self.nodes:
            self.kill(node)
        shutil.rmtree(self.place, ignore_errors=True)


def session(leader):
    """The numbers of the processes in a session, and of their children in others."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            found[int(name)] = int(fields[1]), int(fields[3])
    ours = {number for number, (_, its) in found.items() if its == leader}
    while more := {n for n, (parent, _) in found.items() if parent in ours} - ours:
        ours |= more
    return ours


@pytest.fixture
def cluster(monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", uuid4().hex * 2)  # whatever this machine has
    found = Cluster()
    try:
        host, _, number = found.address.partition(":")
        found.start(
            "--head",
            f"--node-ip-address={host}",
            f"--port={number}",
            "--include-dashboard=false",
            f"--temp-dir={found.place}/ray",
        )
        yield found
    finally:
        found.close()


def running(out):
    """The folders of the runs that are being trained, with a checkpoint each."""
    return {
        path.name
        for path in out.glob("*-seed*")
        if list(path.glob("checkpoints/*.safetensors")) and not (path / "result.json").exists()
    }


def states(out):
    return sorted(RunFolder(path).state() for path in out.glob("*-seed*"))


def heard(place):
    """What the program has said so far: (run, kind of report, kind of event, epoch) for each."""
    lines = (place / "said").read_text().splitlines(keepends=True)
    # Ray prints into it as well, where it repeats a task.
    return [json.loads(line) for line in lines if line[0] == "[" and line[-1] == "\n"]


def trained_of(lines):
    """The epochs that were heard of each run, by the names of their folders."""
    found = {}
    for run, _, kind, epoch in lines:
        if kind == "epoch-done":
            found.setdefault(run.replace(", seed ", "-seed"), []).append(epoch)
    return found


def ending(path):
    """What must be equal in runs that were interrupted and in those that were not."""
    stored, complaints = checkpoint.newest(RunFolder(path).checkpoints)
    assert complaints == []
    result = RunFolder(path).result()
    metrics = [one["metrics"] for one in result["evaluations"]]
    return fingerprint(stored.branches), result["architecture"], metrics


@pytest.mark.slow
def test_a_node_that_is_killed_loses_nothing(cluster, tmp_path):
    trainer = {"epochs": 60, "batch_size": 16, "threads": 1, "checkpoint_minutes": 0.01}
    request = {"space": "toy", "data": "toy", "updaters": ["darts"], "seeds": [0, 1]}
    request |= {"trainer": trainer, "evaluators": ["supernet"]}
    nastk.compare(**request, out=tmp_path / "serial")
    time.sleep(5)
    cluster.start(f"--address={cluster.address}")
    options = {"address": cluster.address, "resources": {"machine": 1}, "memory": 0}
    executor = {"name": "ray", "options": options}
    asked = json.dumps({**request, "out": str(tmp_path / "ray"), "executor": executor})
    with open(tmp_path / "said", "w") as said:
        done = subprocess.Popen([sys.executable, "-c", PROGRAM, asked], stdout=said)
    deadline = time.monotonic() + 400
    # Two runs are heard to train while they do.
    while len(set(trained_of(heard(tmp_path))) & running(tmp_path / "ray")) < 2:
        assert time.monotonic() < deadline and done.poll() is None
        time.sleep(0.05)
    cluster.kill(cluster.nodes[1])
    # A worker ends by itself as soon as it notices that its node is gone.
    while states(tmp_path / "ray") != ["interrupted", "running"]:
        assert time.monotonic() < deadline and done.poll() is None
        time.sleep(0.05)
    assert done.wait(400) == 0
    *lines, failures = heard(tmp_path)
    assert failures == []
    assert sum(kind == "finished" for _, kind, *_ in lines) == 4
    assert sum(kind == "lost" for _, kind, *_ in lines) == 1
    for epochs in trained_of(lines).values():
        assert epochs[-1] == 60 and set(epochs) == set(range(1, 61))
        again = [now for before, now in pairwise(epochs) if now != before + 1]
        assert len(again) <= 1  # from its checkpoint on
    for path in (tmp_path / "serial").glob("*-seed*"):
        assert ending(tmp_path / "ray" / path.name) == ending(path), path.name


SLOW_QUEUE = """
import json, sys, time, ray
from nastk_ray.reports import Outbox
ray.init(address=sys.argv[1], log_to_driver=False)

class Actor:
    def put_nowait(self, message):
        time.sleep(10)

class Queue:
    def __init__(self, actor):
        self.actor = actor

def task(queue):
    begin = time.time()
    Outbox(queue).send("message")
    time.sleep(1)
    return begin, time.time()

queue = Queue(ray.remote(Actor).options(num_cpus=0).remote())
tasks = [ray.remote(task).options(num_cpus=1).remote(queue) for _ in range(3)]
print(json.dumps(sorted(ray.get(tasks))))
"""


@pytest.mark.slow
def test_a_report_that_takes_its_time_gives_no_cpu_away(cluster):
    """While a task waits for Ray the next one begins: more runs would train than there are CPUs."""
    time.sleep(5)
    done = subprocess.run(
        [sys.executable, "-c", SLOW_QUEUE, cluster.address], capture_output=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    spans = json.loads(done.stdout)
    assert len(spans) == 3
    assert all(before[1] <= after[0] for before, after in pairwise(spans)), spans
