"""The updater inside a few-shot search: found by name, given its options, shown its own clock."""

from collections.abc import Mapping
from typing import Any

from nastk.errors import ConfigurationError, near_miss
from nastk.plugins import catalogue
from nastk.probe import Probe
from nastk.updater import ArchitectureUpdater


def updater_class(name: str) -> type[ArchitectureUpdater]:
    """The installed updater called `name`.

    Raises:
        UnknownNameError: nobody offers it; says the near miss.
    """
    found: type[ArchitectureUpdater] = catalogue().load("updater", name)
    return found


def complete(name: str, options: Mapping[str, Any], preset: str | None = None) -> dict[str, Any]:
    """All options of updater `name`, as JSON values: those given, its preset's, its defaults.

    Raises:
        ConfigurationError: an option that it does not have or allow, or no such preset.
    """
    found = updater_class(name)
    filled = _preset_options(found, preset) if preset else {}
    values: dict[str, Any] = found.parse_options({**filled, **options}).model_dump(mode="json")
    return values


def _preset_options(updater: type[ArchitectureUpdater], preset: str) -> dict[str, Any]:
    """What the updater's preset for any space and any data sets of its options."""
    known = {one.name: one for one in updater.presets if not one.space and not one.data}
    if preset not in known and preset != "quick":  # every updater may be asked to be quick
        raise ConfigurationError(
            f"Updater {updater.name!r} has no preset {preset!r} for any space and data."
            f"{near_miss(preset, known)} Known: {', '.join(known) or 'none'}. "
            "Give its options as inner_options."
        )
    return dict(known[preset].updater_options) if preset in known else {}


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
