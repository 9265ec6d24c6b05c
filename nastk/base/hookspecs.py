"""The hooks that plugins may implement (nine), and `Offer`, a light reference to a plugin's class.

A package announces itself with an entry point in the group `nastk` that names a module with hook
implementations. An offer names the module and the class without importing them, so that a list of
plugins is shown without loading torch. `docs/plugin-hooks.md` has an example of each hook.
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
    """A component that a plugin offers: its name, a one-line summary, and `module:Class` to load.

    Example: `Offer("shapley", "Shapley values of operations", "nastk_shapley.updater:Shapley")`
    """

    name: str
    summary: str
    load: str


@hookspec
def search_spaces() -> list[Offer]:  # type: ignore[empty-body]
    """Called when plugins are collected: returns offers of search spaces."""


@hookspec
def updaters() -> list[Offer]:  # type: ignore[empty-body]
    """Called when plugins are collected: returns offers of architecture updaters."""


@hookspec
def evaluators() -> list[Offer]:  # type: ignore[empty-body]
    """Called when plugins are collected: returns offers of evaluators."""


@hookspec
def data_sources() -> list[Offer]:  # type: ignore[empty-body]
    """Called when plugins are collected: returns offers of data sources."""


@hookspec
def trackers() -> list[Offer]:  # type: ignore[empty-body]
    """Called when plugins are collected: returns offers of trackers."""


@hookspec
def executors() -> list[Offer]:  # type: ignore[empty-body]
    """Called when plugins are collected: returns offers of executors of studies."""


@hookspec
def observe(event: "Event") -> None:
    """Called with every event of a run, when it happens."""


@hookspec
def commands(app: "typer.Typer") -> None:
    """Called when the command line is built: adds commands to `app`."""


@hookspec
def findings() -> list[dict[str, Any]]:  # type: ignore[empty-body]
    """Called by `nastk doctor`: returns findings on the parts that the plugin has and lacks."""
