"""A budget in images, seconds or CPU seconds, turned into the epochs of each method: `Budget`.

Images are counted forward plus backward, in training and in measuring, as the run's cost counts
them; an updater's `max_cost` says how many it will measure. Seconds are predicted from weight
steps and forward passes timed on this machine (`preflight.py`), by a clock on the wall or by what
this process computes on the CPU, which does not depend on what else the machine does. Searches
without a supernet have their evaluations timed. Either way the result is a whole number of epochs,
so that schedules end where their methods expect it.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from time import perf_counter, process_time
from typing import Self

from nastk.base.cost import PhaseCost
from nastk.base.errors import ConfigurationError
from nastk.base.failures import blamed
from nastk.base.plugins import catalogue
from nastk.base.spending import Unit, spending
from nastk.runs.assembly import Assembly
from nastk.runs.preflight import rehearse, trained
from nastk.train.branch import Branch
from nastk.train.updater import Plan

LONGEST = 1_000_000
"""A budget that allows more epochs than this is refused."""
PATIENCE = 2.0
"""Seconds over which weight steps are timed: the epochs of all runs follow from their mean."""
CLOCKS = {"seconds": perf_counter, "cpu_seconds": process_time}


@dataclass(frozen=True)
class Budget:
    """The images, seconds or CPU seconds that one run may spend on the search.

    >>> Budget.parse("images=400k")
    Budget(unit='images', amount=400000.0)
    """

    unit: Unit
    amount: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `images=400k`, `images=2.5M`, `seconds=900`, `seconds=2h` or `cpu_seconds=15m`.

        Raises:
            ConfigurationError: the text has none of these forms.
        """
        return cls(*spending(text))

    def epochs(self, assembly: Assembly) -> int:
        """Returns the most epochs of the assembled run that stay within the budget.

        Raises:
            ConfigurationError: even the shortest run that the updater accepts costs more, or the
                updater does not forecast what it measures.
        """
        name = assembly.config.updater.name
        with _counting(assembly):
            return self._epochs(assembly, name)

    def _epochs(self, assembly: Assembly, name: str) -> int:
        cost, shortest = self._terms(assembly)
        if cost(shortest) > self.amount:
            raise ConfigurationError(
                f"A budget of {self.amount:,.0f} {self.unit} is too small for {name!r}: "
                f"its shortest run (epochs: {shortest}) takes about {cost(shortest):,.0f}. "
                "Raise the budget, or let it measure less."
            )
        if cost(LONGEST) <= self.amount:
            raise ConfigurationError(
                f"A budget of {self.amount:,.0f} {self.unit} allows {name!r} more than "
                f"{LONGEST:,} epochs here. Lower it, or say how many with --epochs."
            )
        return _last(lambda epochs: cost(epochs) <= self.amount, shortest)

    def allows(self, assembly: Assembly, half: bool = False) -> bool:
        """True if the shortest run that the updater accepts stays within the budget.

        With `half`, within half of the budget.

        Raises:
            ConfigurationError: the updater does not forecast what it measures.
        """
        with _counting(assembly):
            cost, shortest = self._terms(assembly)
            return cost(shortest) <= self.amount / (2 if half else 1)

    def _terms(self, assembly: Assembly) -> tuple[Callable[[int], float], int]:
        """Returns the cost of a number of epochs, as a function, and the fewest epochs accepted."""
        branch, plan = assembly.trainer.root(), assembly.plan
        price, updater = self._price(assembly, branch), branch.updater
        shortest = _shortest(lambda epochs: updater.incompatibility(replace(plan, epochs=epochs)))
        return lambda epochs: price(replace(plan, epochs=epochs)), shortest

    def _price(self, assembly: Assembly, branch: Branch) -> Callable[[Plan], float]:
        """Returns the function that gives a plan's cost in this budget's unit."""
        updater = branch.updater
        if updater.max_cost(assembly.plan) is None:
            raise ConfigurationError(
                f"Updater {updater.name!r} does not forecast what it measures, so no budget can be "
                "kept. Use --epochs, or a method that implements `max_cost`."
            )
        trains = updater.trains_supernet
        passes = len(trained(assembly, branch)) if trains else 0
        forward, backward, evaluation = 1.0, 1.0, None
        if self.unit != "images":
            forecast = rehearse(assembly, clock=CLOCKS[self.unit], patience=PATIENCE)
            forward, backward = forecast.forward_seconds, forecast.backward_seconds
            evaluation = forecast.evaluation_seconds

        def price(plan: Plan) -> float:
            measuring = updater.max_cost(plan) or PhaseCost()
            images = plan.epochs * plan.train_images * passes
            images_forward, images_backward = (
                images + measuring.images_forward,
                images + measuring.images_backward,
            )
            # Recorded seconds passed elsewhere, on a clock on the wall.
            recorded = measuring.seconds if self.unit == "seconds" else 0.0
            if evaluation is not None:
                return plan.epochs * evaluation + recorded
            return forward * images_forward + backward * images_backward + recorded

        if not trains and not price(assembly.plan):
            raise ConfigurationError(
                f"The evaluations of updater {updater.name!r} cost no {self.unit} here, so no "
                f"budget of {self.unit} ends them. Say how many with --epochs."
            )
        return price


def _counting(assembly: Assembly) -> AbstractContextManager[None]:
    """Errors that are raised inside this context are reported as the updater's."""
    updater = catalogue().called("updater", assembly.config.updater.name)
    return blamed(updater, "its budget was counted")


def _last(fits: Callable[[int], bool], first: int) -> int:
    """Returns the largest number from `first` on that fits; all numbers below it must fit too.

    Doubling first finds a number that does not fit, then bisection finds the largest that does.
    """
    high = first
    while fits(2 * high):
        high *= 2
    low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _shortest(incompatibility: Callable[[int], str | None]) -> int:
    """Returns the fewest epochs that an updater accepts.

    Raises:
        ConfigurationError: the updater accepts none of the numbers of epochs that are tried.
    """
    candidates: list[int] = [*range(1, 1_001), *(1 << power for power in range(10, 20))]
    for epochs in candidates:
        if incompatibility(epochs) is None:
            return epochs
    raise ConfigurationError(str(incompatibility(1)))
