"""What is installed: the `Catalogue` of all that plugin packages offer, found through pluggy.

A package announces itself with an entry point in the group `nastk`. Offers are collected without
importing the classes behind them; a class is loaded when it is used. A plugin that fails to load is
named in `Catalogue.problems` with its error, and the others go on. `NASTK_DISABLE=name,name` leaves
distributions (or entry points) out. `register` adds a class of the running program itself.
"""

import importlib
import inspect
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

import pluggy

from nastk import hookspecs
from nastk.component import Component
from nastk.errors import ConfigurationError, PluginError, UnknownNameError
from nastk.hookspecs import Offer

KINDS = {
    "space": ("search_spaces", "search space"),
    "updater": ("updaters", "updater"),
    "evaluator": ("evaluators", "evaluator"),
    "data": ("data_sources", "data source"),
}
"""For each kind of component: the hook that offers it, and what people call it."""

OWN_ADVICE = (
    "A class of your own is known in Python only, after nastk.register(CLASS): "
    "search and resume from there."
)
"""What an unknown name may mean, for runs that a program began with a class of its own."""

HERE = "this program"
"""Where registered classes come from, in the place of a distribution's name."""

Class = TypeVar("Class")


@dataclass(frozen=True)
class Installed:
    """An offer with where it comes from; `loaded` is the class, where it was registered."""

    kind: str
    offer: Offer
    distribution: str
    version: str
    loaded: type[Component] | None = None


@dataclass
class Catalogue:
    """Everything that is installed, by kind and name.

    Example: `catalogue().load("updater", "shapley")` is the class; `names("space")` all spaces.
    """

    manager: pluggy.PluginManager
    installed: dict[str, dict[str, list[Installed]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def names(self, kind: str) -> list[str]:
        """The names installed of this kind, sorted."""
        return sorted(self.installed[kind])

    def all(self) -> list[Installed]:
        """Everything, by kind and name; a name that two plugins offer comes twice."""
        return [
            one for kind in KINDS for name in self.names(kind) for one in self.installed[kind][name]
        ]

    def find(self, kind: str, name: str) -> Installed:
        """The one offer of that kind and name.

        Raises:
            UnknownNameError: nobody offers it; says the near miss.
            PluginError: two plugins offer it; says how to choose.
        """
        found = self.installed[kind].get(name, [])
        if not found:
            error = UnknownNameError.of(
                KINDS[kind][1], name, self.names(kind), "List them with `nastk plugins`."
            )
            raise UnknownNameError(" ".join([str(error), *self.problems, OWN_ADVICE]))
        if len(found) > 1:
            who = " and ".join(f"{one.distribution} {one.version}" for one in found)
            raise PluginError(
                f"Two plugins offer the {KINDS[kind][1]} {name!r}: {who}. "
                f"Disable one with NASTK_DISABLE={found[-1].distribution}."
            )
        return found[0]

    def load(self, kind: str, name: str) -> Any:
        """The class behind the offer of that kind and name.

        Raises:
            UnknownNameError: nobody offers it.
            PluginError: its module does not import, or holds no such component.
        """
        one = self.find(kind, name)
        if one.loaded is not None:
            return one.loaded
        module, _, attribute = one.offer.load.partition(":")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except Exception as error:  # whatever a plugin raises while it imports is its own error
            raise PluginError(
                f"The {KINDS[kind][1]} {name!r} of {one.distribution} {one.version} "
                f"does not load from {one.offer.load}: {type(error).__name__}: {error}."
            ) from error
        if (
            not (inspect.isclass(found) and issubclass(found, _base(kind)))
            or getattr(found, "name", "") != name
        ):
            raise PluginError(
                f"{one.distribution} offers {name!r} at {one.offer.load}, "
                f"which is no {KINDS[kind][1]} named {name!r}."
            )
        return found

    def register(self, component: Class) -> Class:
        """Add a class of this program, in the place of an earlier one of its name; gives it back.

        Raises:
            ConfigurationError: it is no component, is not finished, or a package has its name.
        """
        own, kind = _checked(component)
        packages = [one for one in self.installed[kind].get(own.name, []) if one.loaded is None]
        if packages:
            raise ConfigurationError(
                f"The {KINDS[kind][1]} {own.name!r} is one of {packages[0].distribution} "
                f"{packages[0].version} already. Give {own.__qualname__} another name."
            )
        offer = Offer(own.name, own.summary, f"{own.__module__}:{own.__qualname__}")
        self.installed[kind][own.name] = [Installed(kind, offer, HERE, "", own)]
        return component


@cache
def catalogue() -> Catalogue:
    """The catalogue of this process; made once, without importing torch."""
    return collect(
        tuple(entry_points(group="nastk")), disabled=os.environ.get("NASTK_DISABLE", "").split(",")
    )


def register(component: Class) -> Class:
    """Make a class known to this process by its name, without a package; also as a decorator.

    For notebooks and programs: `nastk.search`, `compare`, `resume` then take its name. A run names
    what it used, so a program that resumes or evaluates it registers the class again, and the
    command line, which cannot, says so; a plugin (`docs/writing-a-plugin.md`) is known everywhere.
    Registering again replaces what this program had under that name.

    Args:
        component: a search space, updater, evaluator or data source, with `name` and `summary`.

    Raises:
        ConfigurationError: it is no component, is not finished, or a package has its name.

    Example:
        nastk.register(nastk.space_of(MyNetwork, name="mine"))
        nastk.search("mine", "shapley", "digits")
    """
    return catalogue().register(component)


def collect(points: Iterable[EntryPoint], disabled: Iterable[str] = ()) -> Catalogue:
    """The catalogue of these entry points, less the disabled ones."""
    manager = pluggy.PluginManager("nastk")
    manager.add_hookspecs(hookspecs)
    found = Catalogue(manager, {kind: {} for kind in KINDS})
    unwanted = {name.strip().lower() for name in disabled if name.strip()}
    seen: set[tuple[str, str]] = set()
    for point in sorted(points, key=lambda point: point.name):
        distribution = point.dist.name if point.dist else point.name
        version = point.dist.version if point.dist else ""
        place = (point.name, point.value)
        if {point.name.lower(), distribution.lower()} & unwanted or place in seen:
            continue
        seen.add(place)
        # Two distributions may call their entry points alike, and both count.
        plugin = f"{point.name} ({distribution})" if manager.has_plugin(point.name) else point.name
        try:
            manager.register(point.load(), plugin)
            manager.check_pending()
        except Exception as error:  # one broken package must not take the others with it
            manager.unregister(name=plugin)
            found.problems.append(_problem(point.name, distribution, version, error))
            continue
        _collect_offers(found, plugin, distribution, version)
    return found


def _collect_offers(found: Catalogue, plugin: str, distribution: str, version: str) -> None:
    """Put what one plugin offers into the catalogue.

    Each plugin's own implementation is called by itself, where `manager.hook` would call all of
    them: so an offer is known by its package, and one that raises does not silence the others.
    """
    for kind, (hook, _) in KINDS.items():
        for implementation in getattr(found.manager.hook, hook).get_hookimpls():
            if implementation.plugin_name != plugin:
                continue
            try:
                for offer in implementation.function():
                    if not isinstance(offer, Offer):
                        raise TypeError(
                            f"{hook} must return a list of nastk.Offer, got {offer!r} in it"
                        )
                    one = Installed(kind, offer, distribution, version)
                    found.installed[kind].setdefault(offer.name, []).append(one)
            except Exception as error:  # see above
                found.problems.append(_problem(plugin, distribution, version, error))


def _checked(component: Any) -> tuple[type[Component], str]:
    """A class to register and its kind; refuses what could not be used later."""
    what = getattr(component, "__qualname__", repr(component))
    kind = next(
        (one for one in KINDS if inspect.isclass(component) and issubclass(component, _base(one))),
        None,
    )
    if kind is None:
        raise ConfigurationError(
            f"{what} is no component class. Register a subclass of nastk.SearchSpace, "
            "ArchitectureUpdater, Evaluator or DataSource; nastk.space_of makes one of a network "
            "with choices."
        )
    if missing := [name for name in ("name", "summary") if not getattr(component, name, "")]:
        raise ConfigurationError(
            f"{what} lacks {' and '.join(missing)}: set the name that users type, and one line of "
            "description, as class attributes."
        )
    if inspect.isabstract(component):
        unfinished = ", ".join(sorted(component.__abstractmethods__))
        raise ConfigurationError(f"{what} is not finished: it has no {unfinished}.")
    return component, kind


def _base(kind: str) -> type[Component]:
    """The interface that a component of this kind implements; imported only when one is loaded."""
    module, name = {
        "space": ("nastk.space", "SearchSpace"),
        "updater": ("nastk.updater", "ArchitectureUpdater"),
        "evaluator": ("nastk.evaluator", "Evaluator"),
        "data": ("nastk.data.source", "DataSource"),
    }[kind]
    base: type[Component] = getattr(importlib.import_module(module), name)
    return base


def _problem(plugin: str, distribution: str, version: str, error: Exception) -> str:
    return (
        f"The plugin {plugin!r} of {distribution} {version} did not load: "
        f"{type(error).__name__}: {error}. "
        f"Mend it, uninstall it, or leave it out with NASTK_DISABLE={distribution}."
    )
