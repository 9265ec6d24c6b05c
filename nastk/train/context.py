"""What all parts of a run share: `RunContext`."""

from collections.abc import Callable
from dataclasses import dataclass, field

from nastk.base.cost import Ledger
from nastk.base.events import Event


@dataclass(frozen=True)
class RunContext:
    """Where cost and events of a run go, and whether it was asked to stop.

    A run makes it first, and hands it to its assembly, trainer, probes and evaluators when they are
    made. Without arguments: cost is added up, nobody hears the events, and nobody stops.

    Example: `nastk.assemble(config, context=RunContext(emit=print))`
    """

    ledger: Ledger = field(default_factory=Ledger)
    emit: Callable[[Event], None] = lambda event: None
    stopping: Callable[[], bool] = lambda: False
