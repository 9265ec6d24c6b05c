"""What a component is, without importing it: `description`, for `nastk describe` and the shell.

A component's class imports torch, which takes seconds. So a package may bring what its classes say
of themselves in a file, `components.json` beside its `__init__.py`; nastk's own packages do, and a
test holds it equal to the classes. Where a package has none, the class is asked.

    python -m nastk.report.descriptions PACKAGE     writes the file of an installed package
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nastk.base.component import Component, Options
from nastk.base.errors import ConfigurationError
from nastk.base.plugins import HERE, Catalogue, Installed, catalogue
from nastk.report.options import option_rows

FILE = "components.json"
Values = dict[str, Any]


@dataclass(frozen=True)
class Description:
    """A component in words: `options` are rows as `option_rows` makes them.

    Each of `presets` has `name`, `source`, `space` and `data` (names that it is for; empty: any).
    """

    options: list[Values]
    presets: list[Values]


def description(kind: str, name: str, installed: Catalogue | None = None) -> Description:
    """What the component of that kind and name says of itself; imports it only where it must.

    Raises:
        UnknownNameError: nobody offers it.
        PluginError: it does not load.
    """
    installed = installed or catalogue()
    return stored(installed.find(kind, name)) or of_class(installed.load(kind, name))


def stored(one: Installed) -> Description | None:
    """The description that the package of an offer brings; None where it has none."""
    if one.loaded is not None:
        return None
    found = _file_of(one.offer.load.partition(".")[0]).get(f"{one.kind} {one.offer.name}")
    return None if found is None else Description(**found)


def of_class(component: type[Component]) -> Description:
    """The description of a class."""
    return of_options(
        component.Options,
        [
            {
                "name": one.name,
                "source": one.citation,
                "space": list(one.space),
                "data": list(one.data),
            }
            for one in component.presets
        ],
    )


def of_options(options: type[Options], presets: list[Values] | None = None) -> Description:
    """The description of a section of options."""
    return Description(option_rows(options), presets or [])


def ranking() -> Description:
    """The options of ranking quality, which no plugin offers; their module imports torch."""
    found = _file_of("nastk").get("ranking")
    return Description(**found) if found else _ranking()


def texts() -> dict[Path, str]:
    """For each package of nastk's own distribution: its file, and what that must hold."""
    offers = [one for one in catalogue().all() if one.distribution == "nastk"]
    packages = {one.offer.load.partition(".")[0] for one in offers}
    return {_place(package): _text(package) for package in sorted(packages)}


def _text(package: str) -> str:
    """The file of a package, made from its classes."""
    found = {
        f"{one.kind} {one.offer.name}": of_class(catalogue().load(one.kind, one.offer.name))
        for one in _offers(package)
    }
    if package == "nastk":
        found["ranking"] = _ranking()
    values = {name: asdict(one) for name, one in found.items()}
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


def _offers(package: str) -> Iterator[Installed]:
    """What a package offers, less classes that the running program registered."""
    for one in catalogue().all():
        if one.distribution != HERE and one.offer.load.partition(".")[0] == package:
            yield one


def _ranking() -> Description:
    from nastk.train.ranking import RankingOptions

    return of_options(RankingOptions)


def _place(package: str) -> Path:
    """Where the file of a top-level package is, or would be.

    Raises:
        ConfigurationError: nothing of that name is installed, or it is a single module.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(f"{package!r} is no installed package.")
    return Path(next(iter(spec.submodule_search_locations))) / FILE


@cache
def _file_of(package: str) -> dict[str, Values]:
    """What the file of a package holds; nothing where there is none, or it is not to be read."""
    try:
        found = json.loads(_place(package).read_text(encoding="utf-8"))
        return {name: asdict(Description(**values)) for name, values in found.items()}
    except (OSError, ValueError, TypeError, AttributeError, ConfigurationError):
        return {}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        _place(name).write_text(_text(name), encoding="utf-8")
        print(f"wrote {_place(name)}")
