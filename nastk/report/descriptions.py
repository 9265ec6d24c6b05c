"""Descriptions of components without importing them: `description`, for `nastk describe`.

A component's class imports torch, which takes seconds. So a package may store the descriptions of
its components in a file, `components.json` beside its `__init__.py`. nastk's own packages do, and a
test checks that file against the classes. For a package without the file the class is imported.

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
    """The options and presets of a component; `options` are rows of `option_rows`.

    Each of `presets` has `name`, `source` (its citation), and in `space` and `data` the names that
    it is for (empty: any).

    Example: `description("updater", "darts").options[0]["name"]`
    """

    options: list[Values]
    presets: list[Values]


def description(kind: str, name: str, installed: Catalogue | None = None) -> Description:
    """Returns the description of a component; imports its class only if no file describes it.

    Raises:
        UnknownNameError: no plugin offers a component of that kind and name.
        PluginError: the component does not load.
    """
    installed = installed or catalogue()
    return stored(installed.find(kind, name)) or of_class(installed.load(kind, name))


def stored(component: Installed) -> Description | None:
    """Returns the description stored by a component's package; None where it stores none."""
    if component.loaded is not None:
        return None
    values = _file_of(component.offer.load.partition(".")[0]).get(
        f"{component.kind} {component.offer.name}"
    )
    return None if values is None else Description(**values)


def of_class(component: type[Component]) -> Description:
    """Returns the description of a class."""
    return of_options(
        component.Options,
        [
            {
                "name": preset.name,
                "source": preset.citation,
                "space": list(preset.space),
                "data": list(preset.data),
            }
            for preset in component.presets
        ],
    )


def of_options(options: type[Options], presets: list[Values] | None = None) -> Description:
    """Returns the description of a section of options."""
    return Description(option_rows(options), presets or [])


def ranking() -> Description:
    """Returns the options of ranking quality, whose module imports torch and is in no plugin."""
    values = _file_of("nastk").get("ranking")
    return Description(**values) if values else _ranking()


def texts() -> dict[Path, str]:
    """Returns the file of each package of nastk's own distribution, with the text it must hold."""
    components = [component for component in catalogue().all() if component.distribution == "nastk"]
    packages = {component.offer.load.partition(".")[0] for component in components}
    return {_path(package): _text(package) for package in sorted(packages)}


def _text(package: str) -> str:
    """Returns the text of a package's file, made from its classes."""
    descriptions = {
        f"{component.kind} {component.offer.name}": of_class(
            catalogue().load(component.kind, component.offer.name)
        )
        for component in _components(package)
    }
    if package == "nastk":
        descriptions["ranking"] = _ranking()
    values = {name: asdict(description) for name, description in descriptions.items()}
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


def _components(package: str) -> Iterator[Installed]:
    """Yields the components that a package offers, without those the running program registered."""
    for component in catalogue().all():
        if component.distribution != HERE and component.offer.load.partition(".")[0] == package:
            yield component


def _ranking() -> Description:
    """Returns the options of ranking quality from their class."""
    from nastk.train.ranking import RankingOptions

    return of_options(RankingOptions)


def _path(package: str) -> Path:
    """Returns the path of a top-level package's file, which need not exist.

    Raises:
        ConfigurationError: no package of that name is installed, or it is a single module.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(f"{package!r} is no installed package.")
    return Path(next(iter(spec.submodule_search_locations))) / FILE


@cache
def _file_of(package: str) -> dict[str, Values]:
    """Returns the content of a package's file; empty where it is missing or cannot be read."""
    try:
        content = json.loads(_path(package).read_text(encoding="utf-8"))
        return {name: asdict(Description(**values)) for name, values in content.items()}
    except (OSError, ValueError, TypeError, AttributeError, ConfigurationError):
        return {}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        _path(name).write_text(_text(name), encoding="utf-8")
        print(f"wrote {_path(name)}")
