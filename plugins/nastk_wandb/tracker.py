"""The tracker `wandb`: one run of Weights & Biases for each run of nastk, in the run's folder."""

from collections.abc import Mapping
from typing import Any, Literal
from uuid import uuid4

from pydantic import Field

import nastk
from nastk import TrackedRun, Tracker
from nastk.base import library
from nastk.report import Entry

STEP = "step"
"""The metric that curves are drawn over: weight steps, which begin anew in another branch."""


class WeightsAndBiases(Tracker):
    """Writes settings as configuration, numbers over weight steps, texts into the summary.

    Without `mode=online` nothing leaves the machine: files in the folder `wandb` of the run can be
    sent later with `wandb sync`. A process that goes on with the run writes a further folder there,
    with the same id, so that the service joins them.

    Example: `nastk.search("darts", "shapley", trackers=[nastk.use("wandb", project="leaves")])`
    """

    name = "wandb"
    summary = "a run of Weights & Biases, offline unless asked otherwise"

    class Options(nastk.Options):
        """Where the run is written."""

        project: str = Field("nastk", min_length=1, description="the project that the run is in")
        entity: str | None = Field(
            None, description="the user or team that the project is of; unset: the one logged in"
        )
        mode: Literal["offline", "online"] = Field(
            "offline", description="offline keeps everything in the run folder; online sends it"
        )

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        self._wandb = library("wandb", "wandb", "The tracker wandb")

    def begin(self, run: TrackedRun) -> Mapping[str, Any]:
        """Called when a process begins with the run: makes a run of the service, or joins it."""
        known = str(run.memory.get("id") or uuid4().hex[:12])
        self._run = self._wandb.init(
            project=self.options.project,
            entity=self.options.entity,
            name=run.name,
            id=known,
            dir=str(run.folder),
            mode=self.options.mode,
            config=dict(run.settings),
            resume="allow",  # `wandb sync` then sends the parts of a run one after the other
            reinit="create_new",  # leaves a run of the calling program alone
            settings=self._wandb.Settings(
                console="off", silent=True, disable_git=True, save_code=False
            ),
        )
        self._run.define_metric("*", step_metric=STEP)
        return {"id": known}

    def write(self, entry: Entry) -> None:
        """Called after each event: adds its numbers and texts."""
        if entry.numbers:
            self._run.log({**entry.numbers, STEP: entry.step})
        for name, text in entry.texts.items():
            self._run.summary[name] = text

    def end(self, finished: bool) -> None:
        """Called when the process leaves the run: closes its files."""
        self._run.finish(exit_code=0 if finished else 1)
