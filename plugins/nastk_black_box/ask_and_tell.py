"""`optuna`: a sampler of Optuna proposes, through its ask-and-tell interface.

Optuna keeps nothing between two questions but its trials: every question makes a sampler with a
seed of the branch's random stream. So a resumed run asks as an uninterrupted one does.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from pydantic import Field

from nastk import Probe
from nastk.base import library
from nastk_black_box.encoding import Encoding
from nastk_black_box.history import WORST, Evaluated
from nastk_black_box.presets import quick
from nastk_black_box.search import BlackBoxOptions, BlackBoxSearch, Proposal


class OptunaSearch(BlackBoxSearch):
    """Asks a sampler of Optuna for the operation of each edge, and tells it the values.

    Akiba et al., KDD 2019 (arXiv 1907.10902); TPE: Bergstra et al., NeurIPS 2011.

    Example: `nastk.use("optuna", sampler="tpe", evaluator="table")`
    """

    name = "optuna"
    summary = "asks a sampler of Optuna, such as TPE, and tells it the evaluations; no supernet"
    presets = (quick(startup=5, population=5),)
    patience = 100

    class Options(BlackBoxOptions):
        """The sampler, and what it is told."""

        sampler: Literal["tpe", "random", "nsgaii"] = Field(
            "tpe",
            description="tree-structured Parzen estimator, independent draws, or the genetic "
            "algorithm NSGA-II",
        )
        startup: int = Field(10, ge=1, description="tpe: random architectures before it models")
        population: int = Field(50, ge=2, description="nsgaii: architectures in a generation")

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: makes an empty study.

        Raises:
            MissingExtraError: Optuna is not installed.
        """
        super().setup(rng)
        self.optuna = library("optuna", "optuna", "Updater 'optuna'", "use another updater")
        self.encoding = Encoding.of(self.space)
        self.distributions = self.encoding.distributions(self.optuna)
        self.study = self._empty()
        self.trial: Any = None

    def propose(self, probe: Probe) -> Proposal:
        """Called for every evaluation: asks the sampler."""
        seed = int(torch.randint(2**31, (), generator=probe.rng))
        self.study.sampler = self._sampler(seed)
        self.trial = self.study.ask(self.distributions)
        return Proposal(self.encoding.architecture(self.trial.params, probe.subspace))

    def told(self, probe: Probe, proposal: Proposal, entry: Evaluated) -> None:
        """Called with the value of every proposal: tells the study; failures are told as such."""
        if entry.value == WORST:
            self.study.tell(self.trial, state=self.optuna.trial.TrialState.FAIL)
        else:
            self.study.tell(self.trial, entry.value)

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: returns the history and Optuna's trials."""
        trials = [
            {
                "params": dict(trial.params),
                "value": trial.value,
                "attributes": dict(trial.system_attrs),
            }
            for trial in self.study.get_trials(deepcopy=False)
            if trial.state.is_finished()
        ]
        return {**super().state_dict(), "trials": trials}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: restores the history and Optuna's trials."""
        super().load_state_dict(state)
        self.study = self._empty()
        states = self.optuna.trial.TrialState
        for row in state["trials"]:
            failed = row["value"] is None
            self.study.add_trial(
                self.optuna.trial.create_trial(
                    state=states.FAIL if failed else states.COMPLETE,
                    value=None if failed else float(row["value"]),
                    params=dict(row["params"]),
                    distributions=self.distributions,
                    system_attrs=dict(row["attributes"]),
                )
            )

    def _empty(self) -> Any:
        """Returns a study without trials."""
        with quiet(self.optuna):
            return self.optuna.create_study(direction="maximize", sampler=self._sampler(0))

    def _sampler(self, seed: int) -> Any:
        """Returns the sampler of the options; Optuna's own defaults where there is no option."""
        samplers, options = self.optuna.samplers, self.options
        if options.sampler == "random":
            return samplers.RandomSampler(seed=seed)
        if options.sampler == "nsgaii":
            return samplers.NSGAIISampler(population_size=options.population, seed=seed)
        return samplers.TPESampler(n_startup_trials=options.startup, seed=seed)


@contextmanager
def quiet(optuna: Any) -> Iterator[None]:
    """Context in which Optuna does not log that a study was made."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
