"""What is installed: the `Catalogue` of all that plugin packages offer, found through pluggy.

A package announces itself with an entry point in the group `nastk`. Offers are collected without
importing the classes behind them; a class is loaded when it is used. A plugin that fails to load is
named in `Catalogue.problems` with its error, and the others go on. `NASTK_DISABLE=name,name` leaves
distributions (or entry points) out. `register` adds a class of the running program itself.
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
    """An offer with where it comes from; `loaded` is the class, where it was registered.

    `plugin` is the entry point that made the offer, of those of its `distribution`.
    """

    kind: str
    offer: Offer
    distribution: str
    version: str
    loaded: type[Component] | None = None
    plugin: str = ""


@dataclass
class Catalogue:
    """Everything that is installed, by kind and name.

    Example: `catalogue().load("updater", "shapley")` is the class; `names("space")` all spaces.
    """

    manager: pluggy.PluginManager
    installed: dict[str, dict[str, list[Installed]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    sources: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """Entry point, distribution and version of each plugin, by the name pluggy knows it by."""

    def heard(self, plugin: str, hook: str) -> list[Callable[..., Any]]:
        """One plugin's own implementations of a hook.

        `manager.hook` would call those of all: so an offer is known by its package, and one plugin
        that raises does not silence the others.
        """
        heard = getattr(self.manager.hook, hook).get_hookimpls()
        return [each.function for each in heard if each.plugin_name == plugin]

    @contextmanager
    def guarded(self, plugin: str) -> Iterator[None]:
        """What a plugin raises inside becomes one of the `problems`, and the others go on."""
        try:
            yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may raise anything, SystemExit included
            self.problems.append(_problem(*self.sources[plugin], error))

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
            own = [] if near_miss(name, self.names(kind)) else [OWN_ADVICE]
            raise UnknownNameError(" ".join([str(error), *self.problems, *own]))
        if len(found) > 1:
            who = " and ".join(f"{one.plugin} of {one.distribution} {one.version}" for one in found)
            raise PluginError(
                f"Several plugins offer the {KINDS[kind][1]} {name!r}: {who}. "
                f"{_choice(found, self.all())}"
            )
        return found[0]

    def called(self, kind: str, name: str) -> str:
        """A component with where it comes from, for messages: `Space 'line' (acme-nas 2.0)`."""
        words = KINDS[kind][1].removeprefix("search ")
        found = self.installed[kind].get(name, [])
        place = f" ({found[0].distribution} {found[0].version}".rstrip() + ")" if found else ""
        return f"{words.capitalize()} {name!r}{place}"

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
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever a plugin raises while it imports is its own error
            raise PluginError(
                f"The {KINDS[kind][1]} {name!r} of {one.distribution} {one.version} "
                f"does not load from {one.offer.load}: {_said(error)}."
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
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # one broken package must not take the others with it
            manager.unregister(name=plugin)
            found.problems.append(_problem(point.name, distribution, version, error))
            continue
        found.sources[plugin] = (point.name, distribution, version)
        _collect_offers(found, plugin)
    return found


def _collect_offers(found: Catalogue, plugin: str) -> None:
    """Put what one plugin offers into the catalogue."""
    name, distribution, version = found.sources[plugin]
    for kind, (hook, _) in KINDS.items():
        with found.guarded(plugin):
            for offer in (each for ask in found.heard(plugin, hook) for each in ask()):
                if not isinstance(offer, Offer):
                    raise TypeError(
                        f"{hook} must return a list of nastk.Offer, got {offer!r} in it"
                    )
                one = Installed(kind, offer, distribution, version, plugin=name)
                found.installed[kind].setdefault(offer.name, []).append(one)


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
        "space": ("nastk.spaces.space", "SearchSpace"),
        "updater": ("nastk.train.updater", "ArchitectureUpdater"),
        "evaluator": ("nastk.train.evaluator", "Evaluator"),
        "data": ("nastk.data.source", "DataSource"),
    }[kind]
    base: type[Component] = getattr(importlib.import_module(module), name)
    return base


def _choice(found: Sequence[Installed], everything: Iterable[Installed]) -> str:
    """How to choose between offers of one name.

    By the plugin (the entry point), or by a distribution that is nothing else: nastk's own offers
    everything that is built in.
    """
    plugins = [one.plugin for one in found]
    others = {one.distribution for one in everything if one.plugin not in plugins}
    ways = [
        (one.plugin if plugins.count(one.plugin) == 1 else one.distribution, one.distribution)
        for one in found
    ]
    said = [
        f"NASTK_DISABLE={shlex.quote(name)} leaves out that of {whose}"
        for name, whose in ways
        if name not in others
    ]
    return f"Choose: {', '.join(said) or 'uninstall one of the packages'}."


def _problem(plugin: str, distribution: str, version: str, error: BaseException) -> str:
    return (
        f"The plugin {plugin!r} of {distribution} {version} did not load: {_said(error)}. "
        f"Mend it, uninstall it, or leave it out with NASTK_DISABLE={shlex.quote(plugin)}."
    )


def _said(error: BaseException) -> str:
    """What a plugin raised, in one line."""
    said = " ".join(str(error).split())
    if isinstance(error, SystemExit):
        return f"it asked Python to exit (SystemExit: {said})"
    return f"{type(error).__name__}: {said}"
