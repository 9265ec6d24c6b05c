"""`Problem`: a search space on a data set. A study has one problem, or a grid of several."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nastk.base.component import ComponentSpec
from nastk.base.errors import ConfigurationError, near_miss
from nastk.report.names import data_name
from nastk.runs.config import check_keys, merge, named_in

LISTS = ("evaluators", "limits")
"""Keys whose values for one problem are added to those that all problems share."""
FIXED = ("space", "updater", "data", "seed")
"""Keys that a problem cannot have for itself: the study decides them."""


@dataclass(frozen=True)
class Problem:
    """A search space on a data set, with what is asked for it alone.

    `label` names it: `nasbench201 on digits`. `own` has the keys of `SearchConfig` that are given
    for its space, its data set or itself, by name.

    Example: `problems(["darts", "nasbench201"], "digits")[1].request({"seed": 3})`
    """

    label: str
    space: ComponentSpec
    data: ComponentSpec
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The names by which something is given for this problem, the most general first."""
        data = data_name({"name": self.data.name, "options": self.data.options})
        return [*dict.fromkeys((self.space.name, self.data.name, data, self.label))]

    def request(self, shared: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what is asked of a run on this problem: what all share, and what is its own."""
        found = {**shared, "space": self.space, "data": self.data}
        for name in self.names:
            found = _joined(found, self.own.get(name) or {})
        return found


def problems(
    space: Any, data: Any, own: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Problem]:
    """Returns the problems of a study: every space on every data set.

    Args:
        space: a search space, or a list of them.
        data: a data set, or a list of them; None for the default.
        own: keys of `SearchConfig` for some of the problems, by the name of a space, of a data set
            or by a problem's label.

    Raises:
        ConfigurationError: there is no space, one is named twice, or `own` names none of them or
            has a key that no problem can have for itself.

    >>> [each.label for each in problems(["darts", "nasbench201"], "digits")]
    ['darts on digits', 'nasbench201 on digits']
    """
    spaces, datas = _named("space", space), _named("data", data)
    found = [
        Problem(f"{one} on {other}", spaces[one], datas[other], own or {})
        for one in spaces
        for other in datas
    ]
    _check(own or {}, found)
    return found


def folder_name(text: str) -> str:
    """Returns a text with only such signs as a folder's name may hold, and no two hyphens.

    >>> folder_name("nasbench201 on folder:leaves")
    'nasbench201-on-folder-leaves'
    """
    return re.sub(r"[^\w.=]+|-+", "-", text).strip("-")


def _named(section: str, value: Any) -> dict[str, ComponentSpec]:
    """Returns the components of a section by their labels."""
    given = value if isinstance(value, (list, tuple)) else [value]
    specs = [named_in(section, each) for each in given]
    labels = list(_labels(specs))
    if not labels or len(set(labels)) < len(labels):
        raise ConfigurationError(
            f"A study needs at least one {section}, and each only once; got {labels}."
        )
    return dict(zip(labels, specs, strict=True))


def _labels(specs: Sequence[ComponentSpec]) -> Iterator[str]:
    """Yields a label for each component: its name, and what tells it from others of that name."""
    names = [data_name({"name": spec.name, "options": spec.options}) for spec in specs]
    for name, spec in zip(names, specs, strict=True):
        alike = [other for at, other in zip(names, specs, strict=True) if at == name]
        keys = dict.fromkeys(key for other in alike for key in other.options)
        different = [
            f"{key}={spec.options[key]}"
            for key in keys
            if key in spec.options
            and any(other.options.get(key) != spec.options[key] for other in alike)
        ]
        yield f"{name}({', '.join(different)})" if different else name


def _check(own: Mapping[str, Any], found: Sequence[Problem]) -> None:
    """Raises `ConfigurationError` where `own` cannot be meant for one of the problems."""
    known = list(dict.fromkeys(name for problem in found for name in problem.names))
    for name, request in own.items():
        if name not in known:
            raise ConfigurationError(
                f"problems names {name!r}, which is no space, no data set and no problem of this "
                f"study.{near_miss(str(name), known)} There are: {', '.join(known)}."
            )
        if not isinstance(request, Mapping):
            raise ConfigurationError(
                f"problems.{name} is written as {{trainer: {{...}}, ...}}, got {request!r}."
            )
        check_keys(request, f"problems.{name}")
        if fixed := [key for key in FIXED if key in request]:
            raise ConfigurationError(
                f"problems.{name} cannot have {fixed[0]}, which the study decides. Leave it out."
            )


def _joined(weaker: Mapping[str, Any], stronger: Mapping[str, Any]) -> dict[str, Any]:
    """Returns two requests as one; lists are added up, for other keys see `merge`."""
    lists = {
        key: [*weaker[key], *stronger[key]]
        for key in LISTS
        if all(isinstance(each.get(key), (list, tuple)) for each in (weaker, stronger))
    }
    return merge(weaker, {**stronger, **lists})
