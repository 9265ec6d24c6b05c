"""`BlackBoxSearch`, the base of searches without a supernet; `BlackBoxOptions`, their options."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from pydantic import Field

import nastk
from nastk import (
    Architecture,
    ArchitectureUpdater,
    Continuation,
    DivergenceError,
    Mixture,
    PhaseCost,
    Plan,
    Probe,
)
from nastk.base import EvaluationReport
from nastk.train import CriterionSpec, SearchedBy, criterion_spec
from nastk_black_box.history import WORST, Evaluated, History
from nastk_black_box.neighbours import fresh_edges

PATIENCE = 1_000
"""Most proposals in a row that are all known already; the search then ends."""


class BlackBoxOptions(nastk.Options):
    """What a search without a supernet evaluates by."""

    evaluator: SearchedBy = Field(
        "retrain",
        validate_default=True,
        description="evaluator that is searched by, as NAME[,OPTION=VALUE...], such as "
        "retrain,epochs=8 or table",
    )
    metric: str | None = Field(
        None,
        description="its metric, larger is better; unset: the first that is not of the test split",
    )
    duplicates: Literal["free", "paid"] = Field(
        "free",
        description="an architecture that is proposed again is answered from memory and does not "
        "count, or it is evaluated again and counts",
    )


@dataclass(frozen=True)
class Proposal:
    """An architecture to evaluate next, and those that it came from."""

    architecture: Architecture
    parents: tuple[Evaluated, ...] = ()


class BlackBoxSearch(ArchitectureUpdater):
    """Evaluates an architecture in each epoch, and decides on the best.

    A subclass proposes architectures (`propose`) and may learn from their values (`told`). With
    duplicates=free a proposal that was evaluated before is told again at once, at no cost, and the
    next one is asked for. The search ends early after 1,000 such proposals in a row.

    Example: `class Mine(BlackBoxSearch): ...` with `propose`
    """

    trains_supernet = False
    patience = PATIENCE

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: draws the seed of the first decision."""
        self.guess = int(torch.randint(2**31, (), generator=rng))
        self.history = History()

    @abstractmethod
    def propose(self, probe: Probe) -> Proposal:
        """Called for every evaluation: returns an architecture of `probe.subspace`.

        Random draws come from `probe.rng`. The architecture may be known already.
        """

    def told(self, probe: Probe, proposal: Proposal, entry: Evaluated) -> None:
        """Called with the value of every proposal, known ones included: learns from it."""

    def criterion(self) -> CriterionSpec:
        """Called when a run is assembled: the evaluator and the metric of the options."""
        return criterion_spec(self.options.evaluator, self.options.metric)

    def max_cost(self, plan: Plan) -> PhaseCost | None:
        """Called by `--dry-run` and budgets: an evaluation in each epoch; None if it is unknown."""
        one, count = plan.evaluation, plan.epochs
        if one is None:
            return None
        return PhaseCost(
            count * one.images_forward, count * one.images_backward, count * one.seconds
        )

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Never called to train: there is no supernet."""
        return []

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Called once in every epoch: evaluates one architecture; ends if nothing new comes."""
        repeats = 0
        while repeats < self.patience:
            proposal = self.propose(probe)
            entry = self.history.of(proposal.architecture)
            if entry is not None and self.options.duplicates == "free":
                self.history.repeat(entry)
                self.told(probe, proposal, entry)
                repeats += 1
                continue
            self.told(probe, proposal, self._evaluated(probe, proposal, repeats))
            return [Continuation(probe.subspace)]
        return []

    def architecture(self, probe: Probe) -> Architecture:
        """Called after every epoch and at the end: the best so far; before, a random one."""
        best = self.history.best(probe.subspace)
        if best is not None:
            return best.architecture
        return self.space.sample(probe.subspace, torch.Generator().manual_seed(self.guess))

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: returns the history."""
        return {"guess": self.guess, "history": self.history.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: restores the history."""
        self.guess = int(state["guess"])
        self.history = History.of_state(state["history"], self.space)

    def _evaluated(self, probe: Probe, proposal: Proposal, repeats: int) -> Evaluated:
        """Evaluates a proposal, records and reports it; a diverged training is the worst."""
        metric, value = self.options.metric or "", WORST
        try:
            valued = probe.evaluate(proposal.architecture)
        except DivergenceError:
            pass
        else:
            metric, value = valued.metric, valued.value
        parents = [parent.number for parent in proposal.parents]
        entry = self.history.add(proposal.architecture, value, parents)
        self._report(probe, entry, metric, repeats)
        return entry

    def _report(self, probe: Probe, entry: Evaluated, metric: str, repeats: int) -> None:
        """Reports an evaluation, with the best so far beside it as a population of two."""
        best = self.history.best() or entry
        shown = [entry] if best is entry else [entry, best]
        report = EvaluationReport(
            entry.number + 1,
            self.space.to_text(entry.architecture),
            self.options.evaluator["name"],
            metric,
            _finite(entry.value),
            _finite(best.value),
            repeats,
            [self._individual(one) for one in shown],
        )
        probe.report(EvaluationReport.topic, **asdict(report))

    def _individual(self, entry: Evaluated) -> dict[str, Any]:
        """Returns an evaluated architecture as a member of a population, for its lineage."""
        parents = [self.history.evaluations[number].architecture for number in entry.parents]
        fresh = [fresh_edges(entry.architecture, parent) for parent in parents[:1]]
        return {
            "number": entry.number,
            "parents": list(entry.parents),
            "fresh": fresh[0] if fresh else [],
            "fitness": _finite(entry.value),
            "architecture": entry.architecture.id,
        }


def _finite(value: float) -> float | None:
    """Returns a value for JSON: None for a failed evaluation."""
    return None if value == WORST else value
