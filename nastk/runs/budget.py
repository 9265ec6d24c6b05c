"""How long each method may run so that all spend alike: `Budget`, in images or in seconds.

Images are counted forward plus backward, in training and in measuring, as the run's cost counts
them; an updater's `max_cost` says what it will measure. Seconds are predicted from two weight steps
and a forward pass timed on this machine (`preflight.py`). Either way the answer is a whole number
of epochs, so that schedules end where their methods expect it.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
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
"""The most epochs that a budget can mean."""


@dataclass(frozen=True)
class Budget:
    """What one run may spend on the search: so many images or seconds.

    >>> Budget.parse("images=400k")
    Budget(unit='images', amount=400000.0)
    """

    unit: Unit
    amount: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """`images=400k`, `images=2.5M`, `seconds=900`, `seconds=15m` or `seconds=2h`.

        Raises:
            ConfigurationError: it is none of these.
        """
        return cls(*spending(text))

    def epochs(self, assembly: Assembly) -> int:
        """The most epochs of the assembled run that stay within the budget.

        Raises:
            ConfigurationError: even the shortest run that the updater accepts takes more, or the
                updater does not forecast what it measures.
        """
        name = assembly.config.updater.name
        with _counting(assembly):
            return self._epochs(assembly, name)

    def _epochs(self, assembly: Assembly, name: str) -> int:
        takes, shortest = self._terms(assembly)
        if takes(shortest) > self.amount:
            raise ConfigurationError(
                f"A budget of {self.amount:,.0f} {self.unit} is too small for {name!r}: "
                f"its shortest run (epochs: {shortest}) takes about {takes(shortest):,.0f}. "
                "Raise the budget, or let it measure less."
            )
        if takes(LONGEST) <= self.amount:
            raise ConfigurationError(
                f"A budget of {self.amount:,.0f} {self.unit} allows {name!r} more than "
                f"{LONGEST:,} epochs here. Lower it, or say how many with --epochs."
            )
        return _last(lambda epochs: takes(epochs) <= self.amount, shortest)

    def allows(self, assembly: Assembly, half: bool = False) -> bool:
        """Whether the shortest run that the updater accepts keeps within it, or within half of it.

        Raises:
            ConfigurationError: as `epochs` does, but for a budget that is too small.
        """
        with _counting(assembly):
            takes, shortest = self._terms(assembly)
            return takes(shortest) <= self.amount / (2 if half else 1)

    def _terms(self, assembly: Assembly) -> tuple[Callable[[int], float], int]:
        """What a number of epochs takes, and the fewest that the updater accepts."""
        branch, plan = assembly.trainer.root(), assembly.plan
        price, updater = self._price(assembly, branch), branch.updater
        shortest = _shortest(lambda epochs: updater.incompatibility(replace(plan, epochs=epochs)))
        return lambda epochs: price(replace(plan, epochs=epochs)), shortest

    def _price(self, assembly: Assembly, branch: Branch) -> Callable[[Plan], float]:
        """What a plan costs, in this budget's unit."""
        updater = branch.updater
        if updater.max_cost(assembly.plan) is None:
            raise ConfigurationError(
                f"Updater {updater.name!r} does not forecast what it measures, so no budget can be "
                "kept. Use --epochs, or a method that implements `max_cost`."
            )
        passes, forward, backward = len(trained(assembly, branch)), 1.0, 1.0
        if self.unit == "seconds":
            measured = rehearse(assembly)
            forward, backward = measured.forward_seconds, measured.backward_seconds

        def price(plan: Plan) -> float:
            own = updater.max_cost(plan) or PhaseCost()
            images = plan.epochs * plan.train_images * passes
            ahead, back = images + own.images_forward, images + own.images_backward
            return forward * ahead + backward * back

        return price


def _counting(assembly: Assembly) -> AbstractContextManager[None]:
    """While inside, what the updater raises is said as its failure."""
    called = catalogue().called("updater", assembly.config.updater.name)
    return blamed(called, "its budget was counted")


def _last(fits: Callable[[int], bool], first: int) -> int:
    """The last number from `first` on that fits, where all that fit come before all others."""
    high = first
    while fits(2 * high):
        high *= 2
    low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _shortest(incompatibility: Callable[[int], str | None]) -> int:
    """The fewest epochs that an updater accepts.

    Raises:
        ConfigurationError: it accepts no number of epochs that was tried.
    """
    tried: list[int] = [*range(1, 1_001), *(1 << power for power in range(10, 20))]
    for epochs in tried:
        if incompatibility(epochs) is None:
            return epochs
    raise ConfigurationError(str(incompatibility(1)))
