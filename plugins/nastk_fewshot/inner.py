"""The updater inside a few-shot search is shown its own clock: `InnerProbe`."""

from nastk import Probe


class InnerProbe(Probe):
    """A probe whose clock starts at epoch `begin` of `outer`'s and runs for `epochs`.

    It measures the same branch at the same cost, and what is reported through it is put on record
    under the run's own epochs. `ahead` looks so many weight steps forward.

    Example: `inner.after_epoch(InnerProbe(probe, begin=30, epochs=30))`
    """

    def __init__(self, outer: Probe, begin: int, epochs: int, ahead: int = 0) -> None:
        vars(self).update(vars(outer))
        self._outer, self._begin, self._ahead = outer, begin, ahead
        self.epochs = epochs

    @property
    def epoch(self) -> int:
        """Epochs finished since `begin`."""
        return self._outer.epoch - self._begin

    @property
    def step(self) -> int:
        """Weight steps taken since `begin`, and those that are looked ahead."""
        return self._outer.step - self._begin * len(self.train) + self._ahead
