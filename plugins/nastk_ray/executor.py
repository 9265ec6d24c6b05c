"""The executor `ray`: a task for each run; which node does it, and again, is Ray's."""

import logging
import os
import pickle
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar

from pydantic import Field

import nastk
from nastk import ConfigurationError, Executor, JobReport, Workload
from nastk.base import library
from nastk_ray.needs import missing, needs
from nastk_ray.reports import PURPOSE, Heard, Inbox
from nastk_ray.task import carry_out

Answer = TypeVar("Answer")
PAUSE = 0.5
"""Seconds between two looks for what tasks report, and for those that have ended."""
PATIENCE = 60.0
"""Seconds that cancelled tasks have for the checkpoints of their runs."""


class Ray(Executor):
    """A task of a Ray cluster for each run of a study, in a folder that all nodes share.

    Ray chooses nodes by the resources that a run asks for, and repeats a task whose process or node
    was lost, which then goes on from the run's newest checkpoint.

    Example: `nastk.compare("darts", ["shapley"], executor=nastk.use("ray", cpus=4))`
    """

    name = "ray"
    summary = "tasks of a Ray cluster, a run in each"

    class Options(nastk.Options):
        """Options of the executor."""

        address: str | None = Field(
            None,
            description="the cluster, as `ray.init` takes it; null: that of RAY_ADDRESS or of "
            "this machine, or a new one on this machine",
        )
        cpus: int | None = Field(
            None, ge=1, le=4096, description="CPUs of a run, its threads; null: `-t threads`, or 1"
        )
        gpus: float | None = Field(
            None, ge=0, le=64, description="GPUs of a run; null: 1 where runs compute on CUDA"
        )
        memory: float | None = Field(
            None,
            ge=0,
            le=65536,
            description="GiB of a run; null: as a rehearsal measured it on a CPU; 0: not asked for",
        )
        resources: dict[str, float] = Field(
            default_factory=dict,
            description='other resources of a run by the names of the cluster: {"large": 1}',
        )
        retries: int = Field(
            3, ge=0, le=1000, description="times that Ray repeats a run whose node was lost"
        )

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        self._ray = library("ray", "ray", PURPOSE)

    def carry_out(self, work: Workload) -> Generator[JobReport, None, None]:
        """Called with the runs that are to be done: yields what they report while they train."""
        ray, options = self._ray, self.options
        ours = not ray.is_initialized()
        if ours:
            _begin(ray, options.address)
        tasks: dict[Any, Any] = {}
        inbox = None
        try:
            asked = needs(work, options, ray.cluster_resources())
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            if remark := missing(asked, nodes):
                warnings.warn(remark, RuntimeWarning, stacklevel=2)
            inbox = Inbox(ray)
            remote = ray.remote(**asked)(carry_out)
            for job in work.jobs:
                task = remote.remote(pickle.dumps(job), asked["num_cpus"], inbox.queue)
                tasks[task] = job
            yield from _reports(ray, tasks, inbox)
        finally:
            for task in tasks:
                ray.cancel(task)
            if tasks:
                ray.wait(list(tasks), num_returns=len(tasks), timeout=PATIENCE)
            if inbox is not None:
                inbox.close()
            if ours:
                ray.shutdown()


def _begin(ray: Any, address: str | None) -> None:
    """Connect this process with a cluster.

    Raises:
        ConfigurationError: that fails.
    """
    try:
        ray.init(address=address, logging_level=logging.WARNING, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        first: BaseException = error
        while cause := first.__cause__ or first.__context__:
            first = cause
        where = "none was named" if address is None else repr(address)
        raise ConfigurationError(
            f"Ray finds no cluster (address: {where}): {_first_line(first)} Start one with `ray "
            "start --head`, or name another with --executor ray,address=HOST:PORT. A cluster with "
            "a token is only found under RAY_AUTH_MODE=token, with the token in RAY_AUTH_TOKEN or "
            "~/.ray/auth_token."
        ) from None


def _reports(ray: Any, tasks: dict[Any, Any], inbox: Inbox) -> Iterator[JobReport]:
    """Yields what the tasks report until all have ended, and takes out those that have."""
    heard = Heard()
    while tasks:
        # These are asked first, so that all that they ever sent is in the inbox.
        ended, messages = _asked(
            lambda: (
                ray.wait(list(tasks), num_returns=len(tasks), timeout=0)[0],
                list(inbox.messages()),
            )
        )
        for message in messages:
            yield from heard.reports(message)
        for task in ended:
            job = tasks.pop(task)
            try:
                ending = ray.get(task)
            except ray.exceptions.RayError as error:
                yield job.failed(f"Ray lost it: {_first_line(error)}")
            else:
                yield from heard.reports(ending) if ending else ()
        if not ended:
            time.sleep(PAUSE)


def _asked(question: Callable[[], Answer]) -> Answer:
    """Returns the answer to a question to Ray that takes no time.

    Ray is not asked to wait: where a signal's handler raises inside of it, as Ctrl-C does, Ray's
    own error would hide the handler's. In the short time of the question it still may.
    """
    try:
        return question()
    except SystemError as error:
        raise error.__cause__ or error from None


def _first_line(error: BaseException) -> str:
    """Returns the first line of an error of Ray, whose messages hold whole tracebacks."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
