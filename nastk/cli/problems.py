"""Several spaces and data sets on the command line of `nastk compare`: `problem_request`.

`--space` and `--data` may be repeated. What belongs to one of them has its name before it:
`-s nasbench201.channels=8`, `-t nasbench201.epochs=5`, `-e nasbench201.table`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from nastk.base.component import assignments
from nastk.base.errors import ConfigurationError
from nastk.cli.run import FLAGS, request_of
from nastk.runs.config import component_use, merge

Texts = Sequence[str]
SECTIONS = ("space", "data")
LISTED = {"evaluators": "-e", "limits": "--limit"}
"""Flags that are repeated, one text each."""


def problem_request(
    flags: Mapping[str, Any],
    options: Mapping[str, Texts | None],
    epochs: int | None,
    file: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns the request of a study: the flags, over the content of a config file.

    Args:
        flags: as for `request_of`; `space` and `data` are lists of names.
        options: the texts of `-s`, `-d`, `-t` and `-r` by section.
        epochs: the number of passes for all problems.
        file: the request in the config file, whose `space` and `data` may be lists.

    Raises:
        ConfigurationError: a text is for a name that is not part of the study.
    """
    chosen = {section: _chosen(section, flags.get(section), file) for section in SECTIONS}
    names = {section: [_name(section, use) for use in uses] for section, uses in chosen.items()}
    every = [name for section in SECTIONS for name in names[section] if name]
    own: dict[str, dict[str, Any]] = {}
    shared_options, shared_flags = dict(options), dict(flags)
    for section in ("trainer", "ranking"):
        shared_options[section], mine = _divided(options.get(section) or (), every)
        for name, pairs in mine.items():
            own.setdefault(name, {})[section] = assignments(pairs, FLAGS[section])
    for key in LISTED:
        shared, mine = _divided(flags.get(key) or (), every)
        shared_flags[key] = shared or None
        for name, texts in mine.items():
            own.setdefault(name, {})[key] = texts
    for section in SECTIONS:
        shared_flags.pop(section, None), shared_options.pop(section, None)
    plain = {key: value for key, value in file.items() if key not in (*SECTIONS, "problems")}
    request = merge(plain, request_of(shared_flags, shared_options, epochs))
    for section, uses in chosen.items():
        found = _with_options(section, uses, names[section], options.get(section) or ())
        request[section] = found if len(found) > 1 else found[0]
    request["problems"] = _merged(file.get("problems"), own)
    return request


def _chosen(section: str, named: Texts | None, file: Mapping[str, Any]) -> list[Any]:
    """Returns the components of a section: those that were named, else those of the config file.

    A component that both name has the file's options.
    """
    given = file.get(section)
    stored = list(given) if isinstance(given, (list, tuple)) else [given]
    if not named:
        return stored or [None]
    if len(named) == len(stored) == 1:
        return [merge({section: stored[0]}, {section: named[0]})[section]]
    by_name = {_name(section, use): use for use in stored}
    return [merge({section: by_name.get(name)}, {section: name})[section] for name in named]


def _name(section: str, use: Any) -> str:
    """Returns the name of a component as it stands before its options; empty if none is named."""
    if use is None or (isinstance(use, Mapping) and use.get("name") is None):
        return ""
    return component_use(section, use).name


def _with_options(section: str, uses: Sequence[Any], names: Texts, pairs: Texts) -> list[Any]:
    """Returns the components with the options that are given for each, and those for all."""
    shared, own = _divided(pairs, [name for name in names if name])
    flag = FLAGS[section]
    several = len(uses) > 1
    found = []
    for use, name in zip(uses, names, strict=True):
        given = assignments([*shared, *own.get(name, ())], flag)
        if several and (strange := [option for option in given if "." in option]):
            raise ConfigurationError(
                f"{flag} takes OPTION=VALUE for every {section} of the study, or "
                f"{section.upper()}.OPTION=VALUE for one of {', '.join(names)}; got {strange[0]!r}."
            )
        layer = {section: {"name": name or None, "options": given}} if given else {}
        found.append(merge({section: use}, layer)[section])
    return found


def _divided(texts: Texts, names: Texts) -> tuple[list[str], dict[str, list[str]]]:
    """Returns the texts without a name before them, and those of each name without it.

    >>> _divided(["epochs=2", "darts.epochs=4"], ["darts", "digits"])
    (['epochs=2'], {'darts': ['epochs=4']})
    """
    shared: list[str] = []
    own: dict[str, list[str]] = {}
    for text in texts:
        name, dot, rest = text.partition(".")
        if dot and name in names:
            own.setdefault(name, []).append(rest)
        else:
            shared.append(text)
    return shared, own


def _merged(file: Any, own: Mapping[str, Mapping[str, Any]]) -> Any:
    """Returns what a config file and the flags ask for single problems; flags come first."""
    if not isinstance(file or {}, Mapping):
        raise ConfigurationError(
            f"problems is written as {{SPACE: {{trainer: {{...}}}}, ...}}, got {file!r}."
        )
    found: dict[str, Any] = dict(file or {})
    for name, request in own.items():
        before = found.get(name) or {}
        found[name] = merge(before, request) if isinstance(before, Mapping) else before
    return found
