"""The whole extension surface: seven hooks, and `Offer`, a light reference to a plugin's class.

A package announces itself with an entry point in the group `nastk` that names a module with hook
implementations. An offer says where its class is without importing it, so that listing plugins
never waits for torch. See `docs/plugin-hooks.md` for each hook with an example.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import typer

    from nastk.base.events import Event

hookspec = pluggy.HookspecMarker("nastk")
hookimpl = pluggy.HookimplMarker("nastk")


@dataclass(frozen=True)
class Offer:
    """A component that a plugin offers: name, one line of description, `module:Class` to load.

    Example: `Offer("shapley", "Shapley values of operations", "nastk_shapley.updater:Shapley")`
    """

    name: str
    summary: str
    load: str


@hookspec
def search_spaces() -> list[Offer]:  # type: ignore[empty-body]
    """Offer search spaces."""


@hookspec
def updaters() -> list[Offer]:  # type: ignore[empty-body]
    """Offer architecture updaters."""


@hookspec
def evaluators() -> list[Offer]:  # type: ignore[empty-body]
    """Offer evaluators."""


@hookspec
def data_sources() -> list[Offer]:  # type: ignore[empty-body]
    """Offer data sources."""


@hookspec
def observe(event: "Event") -> None:
    """Hear every event of a run, as it happens."""


@hookspec
def commands(app: "typer.Typer") -> None:
    """Add commands to the command line."""


@hookspec
def findings() -> list[dict[str, Any]]:  # type: ignore[empty-body]
    """Tell `nastk doctor` what a plugin has and lacks."""
