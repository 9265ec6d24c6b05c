"""What a run says when it ends too soon, and how to go on: `Endings`, for the driver; `raised_by`.

Each answer is one message: what happened, whose code it was, what is kept, what to type next.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nastk.base.errors import DivergenceError, NastkError, PluginError, StopRequested, WriteError
from nastk.base.failures import RAISED, TRACEBACK, culprit, described, out_of_memory
from nastk.base.plugins import catalogue
from nastk.base.wording import command
from nastk.runs.config import SearchConfig
from nastk.train.branch import Branch
from nastk.train.trainer import Trainer


@dataclass(frozen=True)
class Endings:
    """The endings of one run, in the folder `path`; `finishing` as in `Run`.

    Example: `raise Endings(folder.path, config).stopped()`
    """

    path: Path
    config: SearchConfig
    finishing: bool = False

    @property
    def updater(self) -> str:
        """What the run's updater is called, with its package."""
        return catalogue().called("updater", self.config.updater.name)

    @property
    def space(self) -> str:
        """What the run's space is called, with its package."""
        return catalogue().called("space", self.config.space.name)

    @property
    def kept(self) -> str:
        """What is left of the run."""
        return f"The newest checkpoint in {self.path} is kept."

    def again(self) -> str:
        """The command that goes on with what this run was doing."""
        how = ("--finish",) if self.finishing else ()
        return command("nastk", "resume", self.path, *how)

    def stopped(self) -> StopRequested:
        """The run was asked to stop."""
        return StopRequested(f"Everything is kept in {self.path}. Continue with `{self.again()}`.")

    def unheard(self, kind: str, error: BaseException) -> PluginError:
        """An observer failed at an event of this kind."""
        return PluginError(
            f"An observer of the run failed at {kind}: {described(error)}. "
            f"Set NASTK_TRACEBACK=1 to see which, mend it, then `{self.again()}`."
        )

    def failed(
        self, error: BaseException, trainer: Trainer, branches: Sequence[Branch]
    ) -> NastkError:
        """A weight step, or what the updater did around it, failed."""
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
        who = self._blamed(error, "updater", self.config.updater.name)
        where = f" on space {self.config.space.name!r}" if who == self.updater else ""
        return PluginError(f"{who}{where} failed: {described(error)}. {TRACEBACK} {self.kept}")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Where a file of a run under way cannot be written, the run itself can go on later."""
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
    def judging(self, name: str) -> Iterator[None]:
        """What breaks in an evaluator is said in one message; its traceback is chained."""
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
        """Who raised an error: the component that was asked, or the space that it was given."""
        asked = catalogue().called(kind, name)
        who = raised_by(error, self.config, (kind, name)) or asked
        return asked if who == asked else f"{who}, asked for {asked[0].lower()}{asked[1:]},"


def raised_by(error: BaseException, config: SearchConfig, *asked: tuple[str, str]) -> str | None:
    """Whose code raised an error, with its package: the run's space, or one of those `asked`.

    These are given by kind and name. None where it was nobody's of them.

    Example: `raised_by(error, config, ("updater", config.updater.name))`
    """
    installed = catalogue()
    components = [("space", config.space.name), *asked]
    modules = {installed.load(*one).__module__: installed.called(*one) for one in components}
    return culprit(error, modules)
