"""The errors with which a run ends early: `Endings`, used by `Run`; `raised_by`.

Each error has one message: what happened, in whose code, what is kept, and what to type next.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nastk.base.errors import (
    DivergenceError,
    LostProcessError,
    NastkError,
    ObserverError,
    PluginError,
    StopRequested,
    WriteError,
)
from nastk.base.failures import RAISED, TRACEBACK, culprit, described, out_of_memory
from nastk.base.plugins import catalogue
from nastk.base.wording import command
from nastk.runs.search_config import SearchConfig
from nastk.train.branch import Branch
from nastk.train.trainer import Trainer


@dataclass(frozen=True)
class Endings:
    """Makes the errors of one run in the folder `path`; `finishing` as in `Run`.

    `processes` is the number of those that compute it.

    Example: `raise Endings(folder.path, config).stopped()`
    """

    path: Path
    config: SearchConfig
    finishing: bool = False
    processes: int = 1

    @property
    def updater(self) -> str:
        """The name of the run's updater, with its package."""
        return catalogue().called("updater", self.config.updater.name)

    @property
    def space(self) -> str:
        """The name of the run's space, with its package."""
        return catalogue().called("space", self.config.space.name)

    @property
    def kept(self) -> str:
        """A sentence that says what is kept of the run."""
        return f"The newest checkpoint in {self.path} is kept."

    def again(self) -> str:
        """Returns the command that continues this run."""
        options = ("--finish",) if self.finishing else ()
        return command(*launched(self.processes), "resume", self.path, *options)

    def stopped(self) -> StopRequested:
        """Returns the error for a run that was stopped by the user."""
        return StopRequested(f"Everything is kept in {self.path}. Continue with `{self.again()}`.")

    def lost(self, error: LostProcessError) -> LostProcessError:
        """Returns the error for a run of which another process has ended."""
        return LostProcessError(
            f"{error} What the run had come to at its newest checkpoint is kept in {self.path}. "
            f"Continue with `{self.again()}`, with any number of processes, or with "
            f"`{command('nastk', 'resume', self.path)}` in one.",
            explained=True,
        )

    def observer_failed(self, kind: str, error: BaseException) -> ObserverError:
        """Returns the error for an observer that failed at an event of this kind."""
        return ObserverError(
            f"An observer of the run failed at {kind}: {described(error)}. "
            f"Set NASTK_TRACEBACK=1 to see which, mend it, then `{self.again()}`."
        )

    def failed(
        self, error: BaseException, trainer: Trainer, branches: Sequence[Branch]
    ) -> NastkError:
        """Returns the error for a weight step, or an updater's work around it, that failed."""
        for branch in branches:
            if why := trainer.divergence(branch):
                return DivergenceError(f"{why} ({self.updater} said: {described(error)})")
        if out_of_memory(error):
            size = self.config.trainer.micro_batch or self.config.trainer.batch_size
            return NastkError(
                f"Not enough memory for a step of {size} images: {error}. "
                f"Use -t micro_batch={max(size // 2, 2)}, a smaller -t batch_size, fewer channels "
                "or partial channels; --dry-run measures what fits."
            )
        owner = self._blamed(error, "updater", self.config.updater.name)
        on_space = f" on space {self.config.space.name!r}" if owner == self.updater else ""
        return PluginError(f"{owner}{on_space} failed: {described(error)}. {TRACEBACK} {self.kept}")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Context for writing files of the run; an error then says how to resume the run later."""
        try:
            yield
        except WriteError as error:
            if self.path not in error.path.parents:
                raise
            raise NastkError(
                f"{error.path} could not be written: {error.reason}. Make room, then "
                f"`{self.again()}`; what was there before is untouched."
            ) from None

    @contextmanager
    def evaluating(self, name: str) -> Iterator[None]:
        """Context for an evaluator's work; its error becomes one message, with its traceback."""
        kept = f"The search itself is kept in {self.path}; mend that, then `{self.again()}`."
        try:
            yield
        except PluginError as error:
            raise PluginError(f"{error} {kept}") from error
        except NastkError:
            raise
        except RAISED as error:
            raise PluginError(
                f"{self._blamed(error, 'evaluator', name)} failed: {described(error)}. {kept}"
            ) from error

    def _blamed(self, error: BaseException, kind: str, name: str) -> str:
        """Returns whose code raised an error: the component that was called, or its space."""
        called = catalogue().called(kind, name)
        culprit = raised_by(error, self.config, (kind, name)) or called
        return (
            called
            if culprit == called
            else f"{culprit}, asked for {called[0].lower()}{called[1:]},"
        )


def launched(processes: int) -> tuple[str, ...]:
    """Returns the words that begin a command of nastk in one process or in several."""
    if processes == 1:
        return ("nastk",)
    return ("torchrun", "--standalone", "--nproc-per-node", str(processes), "-m", "nastk")


def raised_by(
    error: BaseException, config: SearchConfig, *candidates: tuple[str, str]
) -> str | None:
    """Returns whose code raised an error, with its package: the run's space, or a candidate.

    `candidates` are components by kind and name. None where the code belongs to none of them.

    Example: `raised_by(error, config, ("updater", config.updater.name))`
    """
    installed = catalogue()
    components = [("space", config.space.name), *candidates]
    modules = {
        installed.load(*component).__module__: installed.called(*component)
        for component in components
    }
    return culprit(error, modules)
