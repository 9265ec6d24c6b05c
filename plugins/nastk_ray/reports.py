"""Reports of runs that train: from the `Outbox` of a task to the `Inbox` of the study's process.

The way is a queue of the cluster, and not a stream of the task: of a task that is repeated Ray
skips as many values as were read before, taking them to be the same ones. A run that is repeated
goes on from its newest checkpoint, so that its reports are others. `Heard` tells attempts apart.
"""

import pickle
import warnings
from collections.abc import Iterator
from typing import Any

from nastk import JobReport
from nastk.base import library

Message = tuple[str, JobReport]
"""A report, after the name of the attempt at the task that made it."""
PURPOSE = "The executor ray"
PATIENCE = 10.0
"""Seconds that a task waits in the end for its last report to arrive."""
REPEATED = "Ray lost its process or its node; it goes on with it elsewhere."


class Inbox:
    """What tasks report, in the order in which each of them does.

    The queue is a process beside the study's own; where that is killed, Ray begins it again and
    what was in it is lost, which is a part of what is heard and nothing of the runs.

    Example: `for attempt, report in Inbox(ray).messages(): print(report.kind)`
    """

    def __init__(self, ray: Any) -> None:
        scheduling = library("ray.util.scheduling_strategies", "ray", PURPOSE)
        # Not soft, which Ray ignores for an actor without a CPU: it was seen on any node, and the
        # reports were lost with that.
        here = scheduling.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        self.queue = library("ray.util.queue", "ray", PURPOSE).Queue(
            actor_options={"num_cpus": 0, "max_restarts": -1, "scheduling_strategy": here}
        )
        self._lost = ray.exceptions.RayError

    def messages(self) -> Iterator[Message]:
        """Yields what was sent since the last call."""
        try:
            number = self.queue.qsize()
            sent = self.queue.get_nowait_batch(number) if number else []
        except self._lost as error:
            warnings.warn(
                f"Some reports of the runs are lost ({type(error).__name__}); the runs go on.",
                RuntimeWarning,
                stacklevel=2,
            )
            return
        for message in sent:
            yield pickle.loads(message)

    def close(self) -> None:
        """End the queue; what is sent to it later is lost."""
        self.queue.shutdown(force=True)


class Outbox:
    """What a task reports, on its way to an inbox's queue; a run does not fail where that is lost.

    Nothing is waited for before `close`: while a task waits for Ray, Ray gives its CPU to the next
    one, and more runs than CPUs would train at once. The queue gets bytes, since its process would
    import nastk, and torch, to read anything else.

    Example: `Outbox(inbox.queue).send(("first", JobReport("darts, seed 1", "began")))`
    """

    def __init__(self, queue: Any) -> None:
        self._queue, self._last = queue, None

    def send(self, message: Message) -> None:
        """Send a message, which arrives after those that were sent before."""
        self._last = self._queue.actor.put_nowait.remote(pickle.dumps(message))

    def close(self) -> None:
        """Wait for what was sent to arrive, or to be lost."""
        if self._last is not None:
            library("ray", "ray", PURPOSE).wait([self._last], timeout=PATIENCE)


class Heard:
    """What is heard of runs whose tasks may be repeated: each report once, and when one was lost.

    Example: `for report in Heard().reports(("first", JobReport("darts, seed 1", "began"))): ...`
    """

    def __init__(self) -> None:
        self._attempts: dict[str, list[str]] = {}

    def reports(self, message: Message) -> Iterator[JobReport]:
        """Yields the report of a message; before it `lost`, where an earlier attempt had begun.

        What an earlier attempt still says then is passed over. It goes on where only Ray lost sight
        of it: the run is then `taken` for the attempt that was to repeat it.
        """
        attempt, report = message
        known = self._attempts.setdefault(report.job, [])
        if attempt not in known and report.kind != "taken":
            if known:
                yield JobReport(report.job, "lost", reason=REPEATED)
            known.append(attempt)
        if report.kind == "taken" or attempt == known[-1]:
            yield report
