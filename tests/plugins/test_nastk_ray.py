"""The executor `ray`: what a run asks of a node, and a study on a real cluster whose node dies."""

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
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

import nastk
from nastk.runs import checkpoint
from nastk.runs.folder import RunFolder
from nastk.runs.job import Job
from nastk.runs.study import plan
from nastk.testing import fingerprint
from nastk_ray.executor import Ray
from nastk_ray.needs import missing, needs
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


def test_a_folder_that_a_node_does_not_see_fails_the_run_and_says_so(tmp_path):
    trainer = {"epochs": 1, "batch_size": 48}
    cells = plan({"space": "toy", "data": "toy", "trainer": trainer}, ["random"], [0], tmp_path)
    (report,) = carry_out(pickle.dumps(Job.of(cells)[0].absolute()), 1)
    assert report.kind == "failed" and f"does not see {tmp_path}" in report.reason
    assert isinstance(report, nastk.JobReport)


PROGRAM = """
import json, sys, nastk
request = json.loads(sys.argv[1])
study = nastk.compare(**request, hear=lambda report: print(report.job, report.kind, flush=True))
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
def cluster():
    pytest.importorskip("ray")
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
    """How many runs are being trained, with a checkpoint each."""
    return sum(
        len(list(path.glob("checkpoints/*.safetensors"))) > 0
        and not (path / "result.json").exists()
        for path in out.glob("*-seed*")
    )


def states(out):
    return sorted(RunFolder(path).state() for path in out.glob("*-seed*"))


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
    line = [sys.executable, "-c", PROGRAM, asked]
    done = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 400
    while running(tmp_path / "ray") < 2 and done.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    cluster.kill(cluster.nodes[1])
    # A worker ends by itself as soon as it notices that its node is gone.
    while states(tmp_path / "ray") != ["interrupted", "running"]:
        assert time.monotonic() < deadline and done.poll() is None
        time.sleep(0.05)
    told, _ = done.communicate()
    lines = told.splitlines()
    assert done.returncode == 0 and json.loads(lines[-1]) == []
    assert sum(line.endswith(" finished") for line in lines) == 4
    for path in (tmp_path / "serial").glob("*-seed*"):
        assert ending(tmp_path / "ray" / path.name) == ending(path), path.name
