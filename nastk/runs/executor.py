"""`Executor`, the interface of plugins that carry out a study's runs elsewhere than in its process.

`Workload` is what an executor is given. An executor has processes begun, with what each of them
needs; which run a process takes next is decided by the locks in the study's folder (`job.py`).
"""

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cache
from json import loads
from typing import Any

import torch

from nastk.base.component import Component, ComponentSpec, named_spec
from nastk.base.plugins import catalogue
from nastk.nn.memory import available
from nastk.runs.assembly import assemble
from nastk.runs.config import resolve, to_json
from nastk.runs.job import Job, JobReport
from nastk.runs.preflight import rehearse


@dataclass(frozen=True)
class Workload:
    """The runs of a study that are to be done, and what one of them needs of a machine.

    Example: `Workload(jobs).memory()`
    """

    jobs: Sequence[Job]

    @property
    def device(self) -> str:
        """What the runs compute on, in this machine: `cpu`, `cuda` or `cuda:N`."""
        asked = self.jobs[0].cell.config.device
        if asked != "auto":
            return asked
        return "cuda" if torch.cuda.is_available() else "cpu"

    @property
    def threads(self) -> int:
        """The CPU threads of a run by its configuration; 0 where that leaves them open."""
        return self.jobs[0].cell.config.trainer.threads

    def memory(self) -> int:
        """Returns the bytes that the largest run needs on its device, as a rehearsal measured them.

        Called once a workload: a run of every updater on every problem is rehearsed, which takes
        some seconds each.

        Raises:
            ConfigurationError: a run needs more than the device has.
        """
        cells = [job.cell for job in reversed(self.jobs)]
        first = {(cell.label, cell.problem): cell.config for cell in cells}
        return max(_peak(to_json(config)) for config in first.values())

    def free(self) -> int | None:
        """Returns the bytes that are free on the device; None where the system does not say."""
        return available(torch.device(self.device))


class Executor(Component, ABC):
    """Carries out the runs of a study in several processes.

    One is made for each study whose user asked for it by name. What its processes must do is
    `Job.carry_out`, for one job after the other: those that another process has taken end at once.

    Example: `nastk.compare("darts", ["shapley"], executor="processes")`
    """

    def __init__(self, options: Any = None) -> None:
        """Called before anything of the study is written: checks that what it needs is there.

        Raises:
            ConfigurationError: it is not.
        """
        self.options = self.parse_options() if options is None else options

    @abstractmethod
    def carry_out(self, work: Workload) -> Generator[JobReport, None, None]:
        """Called with the runs that are to be done: yields what is heard of them, until all ended.

        It is called again where runs are left that another machine had taken and did not end. The
        caller leaves the loop where the user stops the study: `finally` must then end all
        processes, so that their runs can be resumed.
        """


def made(given: Any) -> Executor:
    """Returns the executor that a user named: as any component, or as `NAME[,OPTION=VALUE...]`.

    Raises:
        ConfigurationError: its name or an option is unknown, or it lacks what it needs.

    Example: `made("processes,workers=2").options.workers` is 2
    """
    spec: ComponentSpec = named_spec(given, "An executor is named as NAME[,OPTION=VALUE...]")
    kind: type[Executor] = catalogue().load("executor", spec.name)
    return kind(kind.parse_options(spec.options))


@cache
def _peak(config: str) -> int:
    """Returns the peak memory of a run in bytes; `config` is its configuration as JSON."""
    return rehearse(assemble(resolve(loads(config)), begins=True), memory=True).peak_memory
