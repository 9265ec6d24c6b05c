"""The tracker `mlflow`: a run of MLflow for each run of nastk, on a server or in a local store."""

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from pydantic import Field

import nastk
from nastk import TrackedRun, Tracker
from nastk.base import library
from nastk.report import Entry

MOST = 100
"""Parameters and metrics in a request: what every version of MLflow's servers takes."""

LONGEST = 500
"""Characters of a parameter's value: what every version of MLflow's servers takes."""

FORBIDDEN = re.compile(r"[^\w\-. /]")
"""Characters that names in MLflow may not have, such as the arrow in an edge's name."""


class MLflow(Tracker):
    """Writes settings as parameters, numbers as metrics, texts as tags, the architecture as a file.

    A resumed run goes on with the same run of MLflow, whose status is FINISHED, KILLED after a
    stop, or RUNNING while it works. MLflow's own environment variables hold, such as
    `MLFLOW_TRACKING_URI` and those for logging in.

    Example: `nastk.search("darts", "shapley", trackers=[nastk.use("mlflow", experiment="leaves")])`
    """

    name = "mlflow"
    summary = "a run of MLflow: settings, curves, architecture"

    class Options(nastk.Options):
        """Where the run is written."""

        uri: str | None = Field(
            None,
            description="MLflow's tracking URI; unset: MLFLOW_TRACKING_URI, else MLflow's default",
        )
        experiment: str = Field("nastk", min_length=1, description="MLflow's name for its group")

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        self._mlflow = library("mlflow", "mlflow", "The tracker mlflow")

    def begin(self, run: TrackedRun) -> Mapping[str, Any]:
        """Called when a process begins with the run: makes a run of MLflow, or goes on with it."""
        self._client = self._mlflow.MlflowClient(tracking_uri=self.options.uri)
        if known := run.memory.get("run_id"):
            self._id = str(known)
            self._client.update_run(self._id, status="RUNNING")
            return run.memory
        made = self._client.create_run(
            self._experiment(), run_name=run.name, tags={"nastk.version": nastk.__version__}
        )
        self._id = made.info.run_id
        parameters = (
            self._mlflow.entities.Param(_named(name), str(value)[:LONGEST])
            for name, value in run.settings.items()
        )
        for some in _portions(parameters):
            self._client.log_batch(self._id, params=some)
        return {"run_id": self._id}

    def write(self, entry: Entry) -> None:
        """Called after each event: adds its numbers and texts."""
        moment = round(1000 * entry.time)
        metrics = (
            self._mlflow.entities.Metric(_named(name), number, moment, entry.step)
            for name, number in entry.numbers.items()
        )
        for some in _portions(metrics):
            self._client.log_batch(self._id, metrics=some)
        for name, text in entry.texts.items():
            if name == "architecture":  # longer than a tag may be
                self._client.log_text(self._id, text, "architecture.txt")
            else:
                self._client.set_tag(self._id, _named(name), text)

    def end(self, finished: bool) -> None:
        """Called when the process leaves the run: notes in which state."""
        self._client.set_terminated(self._id, "FINISHED" if finished else "KILLED")

    def _experiment(self) -> str:
        """Returns the id of the experiment, which is made where it does not exist."""
        name = self.options.experiment
        found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self._client.create_experiment(name))


def _named(name: str) -> str:
    """Returns a name as MLflow allows it.

    >>> _named("scores/normal:0->2/skip_connect")
    'scores/normal_0-_2/skip_connect'
    """
    return FORBIDDEN.sub("_", name)


def _portions(items: Iterable[Any]) -> Iterable[list[Any]]:
    """Yields the items in lists that fit a request."""
    rest = iter(items)
    while some := list(islice(rest, MOST)):
        yield some
