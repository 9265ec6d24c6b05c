"""`RunContext`: the ledger, event receiver and stop signal that all parts of a run share."""

from collections.abc import Callable
from dataclasses import dataclass, field

from nastk.base.cost import Ledger
from nastk.base.events import Event
from nastk.base.processes import ALONE, Processes


@dataclass(frozen=True)
class RunContext:
    """The ledger of costs, the receiver of events, and the stop signal of a run.

    A run makes its context first and passes it to the assembly, trainer, probes and evaluators. By
    default costs are summed, events are dropped, and the run never stops early. `stopping` returns
    True once the user has asked the run to stop. `processes` are those that compute the run.

    Example: `nastk.assemble(config, context=RunContext(emit=print))`
    """

    ledger: Ledger = field(default_factory=Ledger)
    emit: Callable[[Event], None] = lambda event: None
    stopping: Callable[[], bool] = lambda: False
    processes: Processes = ALONE
