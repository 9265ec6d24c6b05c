"""The `Catalogue` of all components that installed plugin packages offer, collected by pluggy.

A package announces itself with an entry point in the group `nastk`. Offers are collected without
importing their classes; a class is loaded when it is used. A plugin that fails to load is listed in
`Catalogue.problems` with its error and does not affect the others. `NASTK_DISABLE=name,name` leaves
out distributions or entry points. `register` adds a class of the running program itself.
"""

import importlib
import inspect
import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

import pluggy

from nastk.base import hookspecs
from nastk.base.component import Component
from nastk.base.errors import ConfigurationError, PluginError, UnknownNameError, near_miss
from nastk.base.hookspecs import Offer

KINDS = {
    "space": ("search_spaces", "search space"),
    "updater": ("updaters", "updater"),
    "evaluator": ("evaluators", "evaluator"),
    "data": ("data_sources", "data source"),
    "tracker": ("trackers", "tracker"),
    "executor": ("executors", "executor"),
}
"""For each kind of component: the hook that offers it, and its name in messages."""

OWN_ADVICE = (
    "A class of your own is known in Python only, after nastk.register(CLASS): "
    "search and resume from there."
)
"""Advice for an unknown name: a program may have started the run with a class of its own."""

HERE = "this program"
"""The name used for the distribution of registered classes."""

Class = TypeVar("Class")


@dataclass(frozen=True)
class Installed:
    """An offer with the distribution that it comes from.

    `plugin` is the entry point of the `distribution` that made the offer. `loaded` is the class, if
    it was registered by the running program.

    Example: `catalogue().find("updater", "shapley").version`
    """

    kind: str
    offer: Offer
    distribution: str
    version: str
    loaded: type[Component] | None = None
    plugin: str = ""


@dataclass
class Catalogue:
    """All components that are installed, by kind and name.

    Example: `catalogue().load("updater", "shapley")` is the class; `names("space")` all spaces.
    """

    manager: pluggy.PluginManager
    installed: dict[str, dict[str, list[Installed]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    sources: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """Entry point, distribution and version of each plugin, by the name pluggy knows it by."""

    def implementations(self, plugin: str, hook: str) -> list[Callable[..., Any]]:
        """Returns the implementations of a hook by one plugin.

        `manager.hook` would call those of all plugins. Calling them by plugin says which package
        made an offer, and an error in one plugin does not stop the others.
        """
        hooked = getattr(self.manager.hook, hook).get_hookimpls()
        return [
            implementation.function
            for implementation in hooked
            if implementation.plugin_name == plugin
        ]

    @contextmanager
    def guarded(self, plugin: str) -> Iterator[None]:
        """Turns an error of `plugin` inside the context into an entry of `problems`."""
        try:
            yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may raise anything, SystemExit included
            self.problems.append(_problem(*self.sources[plugin], error))

    def names(self, kind: str) -> list[str]:
        """Returns the installed names of this kind, sorted."""
        return sorted(self.installed[kind])

    def all(self) -> list[Installed]:
        """Returns all offers by kind and name; a name that two plugins offer has two entries."""
        return [
            offered
            for kind in KINDS
            for name in self.names(kind)
            for offered in self.installed[kind][name]
        ]

    def find(self, kind: str, name: str) -> Installed:
        """Returns the offer of this kind and name.

        Raises:
            UnknownNameError: no plugin offers it; the message has the nearest known name.
            PluginError: several plugins offer it; the message says how to choose.
        """
        offers = self.installed[kind].get(name, [])
        if not offers:
            error = UnknownNameError.of(
                KINDS[kind][1], name, self.names(kind), "List them with `nastk plugins`."
            )
            advice = [] if near_miss(name, self.names(kind)) else [OWN_ADVICE]
            raise UnknownNameError(" ".join([str(error), *self.problems, *advice]))
        if len(offers) > 1:
            who = " and ".join(
                f"{offered.plugin} of {offered.distribution} {offered.version}"
                for offered in offers
            )
            raise PluginError(
                f"Several plugins offer the {KINDS[kind][1]} {name!r}: {who}. "
                f"{_choice(offers, self.all())}"
            )
        return offers[0]

    def called(self, kind: str, name: str) -> str:
        """Returns a component's name for messages: `Space 'line' (acme-nas 2.0)`."""
        words = KINDS[kind][1].removeprefix("search ")
        offers = self.installed[kind].get(name, [])
        origin = f" ({offers[0].distribution} {offers[0].version}".rstrip() + ")" if offers else ""
        return f"{words.capitalize()} {name!r}{origin}"

    def load(self, kind: str, name: str) -> Any:
        """Returns the class of this kind and name, which is imported now if it was not before.

        Raises:
            UnknownNameError: no plugin offers it.
            PluginError: its module does not import, or has no such component.
        """
        offered = self.find(kind, name)
        if offered.loaded is not None:
            return offered.loaded
        module, _, attribute = offered.offer.load.partition(":")
        try:
            component = getattr(importlib.import_module(module), attribute)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin's module may raise anything when imported
            raise PluginError(
                f"The {KINDS[kind][1]} {name!r} of {offered.distribution} {offered.version} "
                f"does not load from {offered.offer.load}: {_described(error)}."
            ) from error
        if (
            not (inspect.isclass(component) and issubclass(component, _base(kind)))
            or getattr(component, "name", "") != name
        ):
            raise PluginError(
                f"{offered.distribution} offers {name!r} at {offered.offer.load}, "
                f"which is no {KINDS[kind][1]} named {name!r}."
            )
        return component

    def register(self, component: Class) -> Class:
        """Add a class of this program and return it; it replaces an earlier one of its name.

        Raises:
            ConfigurationError: it is no component, has abstract methods left or no name, or a
                package offers its name.
        """
        checked, kind = _checked(component)
        packages = [
            offered
            for offered in self.installed[kind].get(checked.name, [])
            if offered.loaded is None
        ]
        if packages:
            raise ConfigurationError(
                f"The {KINDS[kind][1]} {checked.name!r} is one of {packages[0].distribution} "
                f"{packages[0].version} already. Give {checked.__qualname__} another name."
            )
        offer = Offer(checked.name, checked.summary, f"{checked.__module__}:{checked.__qualname__}")
        self.installed[kind][checked.name] = [Installed(kind, offer, HERE, "", checked)]
        return component


@cache
def catalogue() -> Catalogue:
    """Returns the catalogue of this process, which is made once, without importing torch."""
    return collect(
        tuple(entry_points(group="nastk")), disabled=os.environ.get("NASTK_DISABLE", "").split(",")
    )


def register(component: Class) -> Class:
    """Make a class known to this process by its name, without a package; also as a decorator.

    Notebooks and programs call it so that `nastk.search`, `compare` and `resume` accept the name. A
    run stores the names of its components, so a program that resumes or evaluates the run has to
    register the class again. The command line cannot, and says so; a plugin
    (`docs/writing-a-plugin.md`) is known everywhere. A second class of the same name replaces the
    first.

    Args:
        component: a search space, updater, evaluator, data source, tracker or executor, with
            `name` and `summary`.

    Raises:
        ConfigurationError: it is no component, has abstract methods left or no name, or a package
            offers its name.

    Example:
        nastk.register(nastk.space_of(MyNetwork, name="mine"))
        nastk.search("mine", "shapley", "digits")
    """
    return catalogue().register(component)


def collect(points: Iterable[EntryPoint], disabled: Iterable[str] = ()) -> Catalogue:
    """Returns the catalogue of these entry points, without the disabled ones."""
    manager = pluggy.PluginManager("nastk")
    manager.add_hookspecs(hookspecs)
    collected = Catalogue(manager, {kind: {} for kind in KINDS})
    unwanted = {name.strip().lower() for name in disabled if name.strip()}
    seen: set[tuple[str, str]] = set()
    for point in sorted(points, key=lambda point: point.name):
        distribution = point.dist.name if point.dist else point.name
        version = point.dist.version if point.dist else ""
        identity = (point.name, point.value)
        if {point.name.lower(), distribution.lower()} & unwanted or identity in seen:
            continue
        seen.add(identity)
        # Two distributions may have entry points of the same name; both are registered.
        plugin = f"{point.name} ({distribution})" if manager.has_plugin(point.name) else point.name
        try:
            manager.register(point.load(), plugin)
            manager.check_pending()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a broken package must not stop the others
            manager.unregister(name=plugin)
            collected.problems.append(_problem(point.name, distribution, version, error))
            continue
        collected.sources[plugin] = (point.name, distribution, version)
        _collect_offers(collected, plugin)
    return collected


def _collect_offers(collected: Catalogue, plugin: str) -> None:
    """Put the offers of one plugin into the catalogue."""
    name, distribution, version = collected.sources[plugin]
    for kind, (hook, _) in KINDS.items():
        with collected.guarded(plugin):
            for offer in (
                offer
                for implementation in collected.implementations(plugin, hook)
                for offer in implementation()
            ):
                if not isinstance(offer, Offer):
                    raise TypeError(
                        f"{hook} must return a list of nastk.Offer, got {offer!r} in it"
                    )
                installed = Installed(kind, offer, distribution, version, plugin=name)
                collected.installed[kind].setdefault(offer.name, []).append(installed)


def _checked(component: Any) -> tuple[type[Component], str]:
    """Returns a class to register and its kind.

    Raises:
        ConfigurationError: it is no component, lacks its name or summary, or is abstract.
    """
    label = getattr(component, "__qualname__", repr(component))
    kind = next(
        (
            candidate
            for candidate in KINDS
            if inspect.isclass(component) and issubclass(component, _base(candidate))
        ),
        None,
    )
    if kind is None:
        raise ConfigurationError(
            f"{label} is no component class. Register a subclass of nastk.SearchSpace, "
            "ArchitectureUpdater, Evaluator, DataSource, Tracker or Executor; nastk.space_of makes "
            "one of a network with choices."
        )
    if missing := [name for name in ("name", "summary") if not getattr(component, name, "")]:
        raise ConfigurationError(
            f"{label} lacks {' and '.join(missing)}: set the name that users type, and one line of "
            "description, as class attributes."
        )
    if inspect.isabstract(component):
        unfinished = ", ".join(sorted(component.__abstractmethods__))
        raise ConfigurationError(f"{label} is not finished: it has no {unfinished}.")
    return component, kind


def _base(kind: str) -> type[Component]:
    """Returns the interface that a component of this kind implements; it is imported now."""
    module, name = {
        "space": ("nastk.spaces.space", "SearchSpace"),
        "updater": ("nastk.train.updater", "ArchitectureUpdater"),
        "evaluator": ("nastk.train.evaluator", "Evaluator"),
        "data": ("nastk.data.source", "DataSource"),
        "tracker": ("nastk.runs.tracker", "Tracker"),
        "executor": ("nastk.runs.executor", "Executor"),
    }[kind]
    base: type[Component] = getattr(importlib.import_module(module), name)
    return base


def _choice(offers: Sequence[Installed], everything: Iterable[Installed]) -> str:
    """Returns the advice on how to choose between offers of the same name.

    A plugin is disabled by its entry point. If the entry points have the same name, it is disabled
    by its distribution, but only if that offers nothing else: the distribution of nastk offers all
    built-in components.
    """
    plugins = [offered.plugin for offered in offers]
    needed = {offered.distribution for offered in everything if offered.plugin not in plugins}
    switches = [
        (
            offered.plugin if plugins.count(offered.plugin) == 1 else offered.distribution,
            offered.distribution,
        )
        for offered in offers
    ]
    advice = [
        f"NASTK_DISABLE={shlex.quote(name)} leaves out that of {distribution}"
        for name, distribution in switches
        if name not in needed
    ]
    return f"Choose: {', '.join(advice) or 'uninstall one of the packages'}."


def _problem(plugin: str, distribution: str, version: str, error: BaseException) -> str:
    return (
        f"The plugin {plugin!r} of {distribution} {version} did not load: {_described(error)}. "
        f"Mend it, uninstall it, or leave it out with NASTK_DISABLE={shlex.quote(plugin)}."
    )


def _described(error: BaseException) -> str:
    """Returns an error of a plugin in one line."""
    message = " ".join(str(error).split())
    if isinstance(error, SystemExit):
        return f"it asked Python to exit (SystemExit: {message})"
    return f"{type(error).__name__}: {message}"
